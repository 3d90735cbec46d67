//! The configuration of one set, as its agents read it.

use std::collections::BTreeMap;

use redoubt_redis::Endpoint;
use serde::{Deserialize, Serialize};

/// Everything the agents of one `Redis` share. One file for all nodes and Sentinels; who a reader is, it is told
/// on its command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetConfig {
    /// [`crate::API_VERSION`] of the writer.
    pub api_version: u32,
    /// Name of the `Redis` resource.
    pub name: String,
    /// Namespace of the `Redis` resource.
    pub namespace: String,
    /// Made once when the resource is first seen; fixed ids of Sentinels derive from it.
    pub uid: String,
    /// Generation of the resource this was made from.
    pub generation: i64,
    /// How the nodes relate.
    pub topology: Topology,
    /// The data nodes, in ordinal order.
    pub nodes: Vec<NodeEntry>,
    /// Directives of the user's `spec.config`, already checked by name.
    pub directives: BTreeMap<String, String>,
    /// What is kept on disk.
    pub persistence: Persistence,
    /// What may be lost, and how long to wait.
    pub durability: Durability,
    /// How long a stopping agent may take in all, hand-over included, in milliseconds.
    pub grace_period_ms: u64,
    /// What the application's user may do.
    pub access: Access,
    /// Some nodes may still be as another operator left them, without an agent: then their servers are asked.
    #[serde(default, skip_serializing_if = "is_false")]
    pub agentless: bool,
    /// A Redis outside of the set from which it is filled. As long as it is there and the set has no master of its own,
    /// all nodes follow it and nobody leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Endpoint>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// How the nodes of a set relate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "mode")]
pub enum Topology {
    /// One node, no failover.
    Standalone,
    /// One master, replicas, and Sentinels that vote.
    Sentinel(SentinelConfig),
    /// Masters that share the slots and vote, each with replicas.
    Cluster(ClusterConfig),
}

/// The shards of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterConfig {
    /// Masters that share the slots.
    pub shards: u32,
    /// `cluster-node-timeout`.
    pub node_timeout_ms: u64,
}

/// The Sentinels of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentinelConfig {
    /// The name under which the Sentinels know the master.
    pub master_name: String,
    /// Sentinels that must agree that the master is down.
    pub quorum: u32,
    /// `down-after-milliseconds`.
    pub down_after_ms: u64,
    /// `failover-timeout`, milliseconds.
    pub failover_timeout_ms: u64,
    /// `parallel-syncs`.
    pub parallel_syncs: u32,
    /// Directives of the user's `spec.sentinel.config`.
    pub directives: BTreeMap<String, String>,
    /// The Sentinels, in ordinal order.
    pub sentinels: Vec<SentinelEntry>,
}

/// One data node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeEntry {
    /// Name of the node: `cart-0`, in a cluster `cart-shard-0-0`.
    pub name: String,
    /// The shard it belongs to, in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u32>,
    /// Where its server is announced and reached.
    pub server: Endpoint,
    /// Where its agent answers.
    pub agent: Endpoint,
}

/// One Sentinel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentinelEntry {
    /// Name of the Sentinel: `cart-sentinel-0`.
    pub name: String,
    /// Its fixed id, 40 hex digits; see [`sentinel_id`].
    pub id: String,
    /// Where it is announced and reached.
    pub server: Endpoint,
    /// Where its agent answers.
    pub agent: Endpoint,
}

/// What is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Persistence {
    /// Save points of `save`, as `"3600 1 300 100"`; empty turns RDB off.
    pub rdb_save: String,
    /// Append-only file on.
    pub aof: bool,
    /// `appendfsync`: `always`, `everysec` or `no`.
    pub aof_fsync: String,
}

/// What may be lost, and how long to wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Durability {
    /// Floor to the fence; 0 leaves it to the fence alone.
    pub min_replicas_to_write: u32,
    /// `min-replicas-max-lag`, seconds.
    pub max_replica_lag_s: u64,
    /// How long to wait for an absent node that may hold newer data; `None` waits for ever.
    pub recovery_deadline_ms: Option<u64>,
    /// A server that answers nothing for this long, without being busy, is ended.
    pub hang_limit_ms: u64,
}

/// What the application's user may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// A password is asked for.
    pub auth: bool,
    /// The application may also change the topology and the server's life.
    pub admin_commands: bool,
    /// The application is kept out of `__sentinel__:hello`.
    pub protect_sentinel_channel: bool,
    /// Whom the Sentinels let in.
    #[serde(default, skip_serializing_if = "SentinelDoor::is_as_nodes")]
    pub sentinel_door: SentinelDoor,
    /// Commands that the application may not use at a node, in small letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied_commands: Vec<String>,
}

/// Whom the Sentinels let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SentinelDoor {
    /// They ask the application for a password where the nodes do.
    #[default]
    AsNodes,
    /// Everybody.
    Open,
}

impl SentinelDoor {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    fn is_as_nodes(&self) -> bool {
        *self == Self::AsNodes
    }
}

impl Access {
    /// What an application may where nothing else is asked for: with a password, or without.
    #[must_use]
    pub const fn usual(auth: bool) -> Self {
        Self {
            auth,
            admin_commands: false,
            protect_sentinel_channel: false,
            sentinel_door: SentinelDoor::AsNodes,
            denied_commands: Vec::new(),
        }
    }

    /// The application logs in at the Sentinels too.
    #[must_use]
    pub fn asks_at_sentinels(&self) -> bool {
        self.auth && self.sentinel_door == SentinelDoor::AsNodes
    }
}

impl SetConfig {
    /// The Sentinels' part, in the modes that have one.
    #[must_use]
    pub fn sentinel(&self) -> Option<&SentinelConfig> {
        match &self.topology {
            Topology::Standalone | Topology::Cluster(_) => None,
            Topology::Sentinel(sentinel) => Some(sentinel),
        }
    }

    /// The shards, in the mode that has them.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterConfig> {
        match &self.topology {
            Topology::Standalone | Topology::Sentinel(_) => None,
            Topology::Cluster(cluster) => Some(*cluster),
        }
    }

    /// The nodes that hold the same data as this one, itself included: all of them but in a cluster, where they are its
    /// shard.
    pub fn same_data<'a>(&'a self, node: &NodeEntry) -> impl Iterator<Item = &'a NodeEntry> {
        let shard = node.shard;
        self.nodes.iter().filter(move |other| other.shard == shard)
    }

    /// The node of this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeEntry> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The node whose server is announced at this endpoint.
    #[must_use]
    pub fn node_at(&self, server: &Endpoint) -> Option<&NodeEntry> {
        self.nodes.iter().find(|node| node.server == *server)
    }

    /// A short digest of the content: what agents report as applied.
    #[must_use]
    pub fn revision(&self) -> String {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        hex(&sha2::Sha256::digest(&bytes)[..8])
    }
}

/// The fixed id of a Sentinel: the same after every restart, whatever happened to its files, so that its peers
/// replace its entry instead of adding one. (Sentinels identify each other by run id; see `sentinel myid` in
/// `sentinel.conf`.)
#[must_use]
pub fn sentinel_id(uid: &str, name: &str) -> String {
    hex(&sha2::Sha256::digest(format!("{uid}/{name}").as_bytes())[..20])
}

use sha2::Digest as _;

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
