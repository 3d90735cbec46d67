//! `redoubt agent`: one line, written by the engine, the same on every platform.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use redoubt_agent::{AgentArgs, AgentKind};

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// A data node
    Redis(ServerArgs),
    /// A Sentinel
    Sentinel(ServerArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Its name in the configuration, as `cart-0`
    #[arg(long)]
    pub name: String,
    /// Configuration of the set, JSON
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Folder of the secrets
    #[arg(long, value_name = "DIR")]
    pub secrets: PathBuf,
    /// Folder of the data
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The server's program
    #[arg(long, value_name = "FILE", default_value = "redis-server")]
    pub server_binary: PathBuf,
    /// Address to listen on; without it, the announced one
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<String>,
}

impl From<AgentCommand> for AgentArgs {
    fn from(command: AgentCommand) -> Self {
        let (kind, args) = match command {
            AgentCommand::Redis(args) => (AgentKind::Node, args),
            AgentCommand::Sentinel(args) => (AgentKind::Sentinel, args),
        };
        let ServerArgs { name, config, secrets, data, server_binary, bind } = args;
        Self { kind, name, config, secrets, data, server_binary, bind }
    }
}
