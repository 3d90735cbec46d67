//! The command line of an agent: written by the engine, the same on every platform.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use redoubt_agent::{AgentArgs, AgentKind};

/// Looks after one server of a Redis; started by `redoubt`, on this machine and in pods.
#[derive(Debug, Parser)]
#[command(name = "redoubt-agent", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look after a data node
    #[command(after_help = "\
Example:
  redoubt-agent redis --name cart-0 --config config.json --secrets secrets --data data")]
    Redis(ServerArgs),
    /// Look after a Sentinel
    #[command(after_help = "\
Example:
  redoubt-agent sentinel --name cart-sentinel-0 --config config.json --secrets secrets --data data")]
    Sentinel(ServerArgs),
    /// Copy this program to where a server's container finds it
    #[command(after_help = "\
Example:
  redoubt-agent install /opt/redoubt/redoubt-agent")]
    Install {
        /// Where to
        to: PathBuf,
    },
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

impl ServerArgs {
    pub(crate) fn of(self, kind: AgentKind) -> AgentArgs {
        let Self { name, config, secrets, data, server_binary, bind } = self;
        AgentArgs { kind, name, config, secrets, data, server_binary, bind }
    }
}
