//! What an agent is told on its command line.

use std::path::PathBuf;

/// Which server an agent looks after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentKind {
    /// A data node.
    Node,
    /// A Sentinel.
    Sentinel,
}

/// Who an agent is and where its files are; the rest is in the configuration of the set.
#[derive(Debug, Clone)]
pub struct AgentArgs {
    /// What it looks after.
    pub kind: AgentKind,
    /// Its name in the configuration: `cart-0`, `cart-sentinel-0`.
    pub name: String,
    /// The configuration of the set, JSON of [`redoubt_wire::config::SetConfig`].
    pub config: PathBuf,
    /// Folder of the secrets, see [`redoubt_wire::secrets`].
    pub secrets: PathBuf,
    /// Folder for data and for everything the agent writes.
    pub data: PathBuf,
    /// The server's binary.
    pub server_binary: PathBuf,
    /// Address to bind; the host of the announced endpoint when absent.
    pub bind: Option<String>,
}
