//! The state of one agent, as `GET /v1/state` answers it.

use jiff::Timestamp;
use redoubt_redis::Endpoint;
use serde::{Deserialize, Serialize};

use crate::failover::Failover;

/// What an agent knows of itself and its server.
///
/// `revision` grows with every change that others should react to; what changes all the time (offsets, memory) is
/// in `live` and does not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentState {
    /// [`crate::API_VERSION`] of the agent.
    pub api_version: u32,
    /// Version of the agent's binary.
    pub agent_version: String,
    /// Name of the node or Sentinel.
    pub name: String,
    /// Made anew each time the agent starts.
    pub incarnation: String,
    /// Grows with every change but those in `live`.
    pub revision: u64,
    /// [`crate::config::SetConfig::revision`] of the configuration in force.
    pub config: Option<String>,
    /// The newest configuration was refused; the one before stays in force.
    pub config_fault: Option<ConfigFault>,
    /// Directives that take effect only when the server starts again.
    pub restart_needed: Vec<String>,
    /// Process id of the server, while there is one.
    pub server_pid: Option<u32>,
    /// Version of the server, once it answered.
    pub server_version: Option<String>,
    /// The node's or the Sentinel's part.
    pub role: AgentRole,
    /// The last change of master this agent led or saw.
    pub last_failover: Option<Failover>,
    /// The last notices, oldest first, at most [`MAX_NOTICES`].
    pub notices: Vec<Notice>,
}

/// How many notices an agent keeps for the engine.
pub const MAX_NOTICES: usize = 32;

/// What the agent looks after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum AgentRole {
    /// A data node.
    Node(NodeState),
    /// A Sentinel.
    Sentinel(SentinelState),
}

/// A data node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeState {
    /// Where the node stands in its life.
    pub phase: Phase,
    /// What its server says it is; `None` while it does not answer.
    pub replication: Option<Replication>,
    /// Replicas wait for the link and the sync, masters for loading.
    pub ready: bool,
    /// The server leads, or has been in sync with a master since it started. Until then it holds what its files
    /// held, which only the record can compare: it is no living copy and must not be elected.
    #[serde(default)]
    pub joined: bool,
    /// What would be left of the node's data if its server ended now.
    #[serde(default)]
    pub on_disk: OnDisk,
    /// Its files cannot be written.
    #[serde(default)]
    pub disk_fault: Option<DiskFault>,
    /// What its server says of the cluster; `None` in other modes, and while it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Box<ClusterView>>,
    /// Read when asked for.
    pub live: Option<Live>,
}

impl NodeState {
    /// Nothing is known of it but where it stands.
    #[must_use]
    pub fn new(phase: Phase) -> Self {
        Self {
            phase,
            replication: None,
            ready: false,
            joined: false,
            on_disk: OnDisk::Unknown,
            disk_fault: None,
            cluster: None,
            live: None,
        }
    }
}

/// Why the files of a node cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskFault {
    /// What failed, and what to do, for people.
    pub why: String,
    /// Its server refuses writes for it, while it leads.
    pub refuses_writes: bool,
}

/// A cluster as one of its nodes sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterView {
    /// Its id.
    pub id: String,
    /// Whom it follows, by id.
    pub master: Option<String>,
    /// It serves its slots.
    pub is_ok: bool,
    /// Epoch of the slots it owns, or of those its master does.
    pub epoch: u64,
    /// The slots it owns, as `0-5460,9000`; empty when there are none.
    pub slots: String,
    /// Other nodes it knows and holds for alive.
    pub knows: Vec<Endpoint>,
    /// Other nodes it knows and holds for dead, or cannot find; an agent older than this says nothing of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub misses: Vec<Endpoint>,
    /// How many slots have an owner.
    pub covered: u16,
    /// Slots on their way to or from this node.
    pub open: u16,
    /// Digest of which node owns which slot and who follows whom: the same at all nodes that agree.
    pub map: String,
}

impl ClusterView {
    /// It owns slots.
    #[must_use]
    pub fn leads(&self) -> bool {
        !self.slots.is_empty()
    }

    /// It knows nobody, owns nothing and follows nobody: as on its first day.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.knows.is_empty() && self.slots.is_empty() && self.master.is_none()
    }
}

/// Where a node stands in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "phase")]
pub enum Phase {
    /// The server is not started, and why.
    Waiting {
        /// What is waited for, for people.
        why: String,
        /// When it goes on regardless, if ever.
        until: Option<Timestamp>,
    },
    /// The server is started and does not answer yet.
    Starting,
    /// The server reads its files.
    Loading,
    /// The server answers.
    Running,
    /// The server ended and starts again after a pause.
    Backoff {
        /// How it ended, for people.
        why: String,
    },
    /// The agent is stopping.
    Stopping,
}

/// What a server says of its place in the replication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "role")]
pub enum Replication {
    /// A master and the replicas attached to it.
    Master {
        /// Announced endpoints of its online replicas.
        replicas: Vec<Endpoint>,
    },
    /// A replica.
    Replica {
        /// Whom it follows.
        master: Endpoint,
        /// The link is up.
        link_up: bool,
        /// A full copy is under way.
        syncing: bool,
    },
}

/// What the files of a node hold, as far as anybody knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "holds")]
pub enum OnDisk {
    /// The files were not read since the last server ended, or cannot be.
    #[default]
    Unknown,
    /// No data.
    Nothing,
    /// The node had nothing and began to copy a data set; the copy never reached the files as a whole.
    UnfinishedCopy,
    /// Data.
    Data(Record),
}

impl OnDisk {
    /// The record, where there is data.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Data(record) => Some(record),
            Self::Unknown | Self::Nothing | Self::UnfinishedCopy => None,
        }
    }
}

/// How far the data of a node goes: kept beside the data, compared after a total outage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Made once at bootstrap; records of another data set are never compared.
    pub data_set: String,
    /// Replication id the offset belongs to.
    pub replid: String,
    /// The replication id before the last change of master, and the offset up to which it holds.
    pub previous: Option<(String, u64)>,
    /// Replication offset that the files hold, bytes.
    pub offset: u64,
    /// Highest Sentinel epoch seen.
    pub epoch: u64,
    /// The node was master when this was written.
    pub master: bool,
    /// Replica: the link was up when this was written.
    pub link_up: bool,
}

/// What the data set of a [`Record`] begins with when it is a copy of a Redis outside of the set.
const COPY_OF: &str = "copy-of-";

/// The data set of what was copied from this Redis outside of the set.
#[must_use]
pub fn copied_data_set(from: &Endpoint) -> String {
    format!("{COPY_OF}{from}")
}

/// What the data set of a [`Record`] begins with when it is of files that this set did not write.
const FOUND_AT: &str = "found-at-";

/// The data set of files without a record that this node found in its data folder.
#[must_use]
pub fn found_data_set(node: &str) -> String {
    format!("{FOUND_AT}{node}")
}

impl Record {
    /// Of files that were found, before a server has read them.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.data_set.starts_with(FOUND_AT) && self.replid.is_empty()
    }

    /// A copy of a Redis outside of the set: the set has no data set of its own yet, as far as this node knows.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        self.data_set.starts_with(COPY_OF)
    }
}

/// What changes all the time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// Replication offset, bytes.
    pub offset: u64,
    /// Replica: seconds since it last heard from its master.
    pub last_io_s: Option<u64>,
    /// Memory used by data and overhead, bytes.
    pub used_memory: u64,
    /// Keys in all databases.
    pub keys: u64,
    /// Connected clients.
    pub clients: u64,
    /// Commands per second, as the server averages them.
    pub ops_per_s: u64,
    /// Full resyncs served since the server started.
    pub full_syncs: u64,
}

/// A Sentinel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentinelState {
    /// Where the Sentinel stands in its life.
    pub phase: Phase,
    /// Whom it names master.
    pub master: Option<Endpoint>,
    /// Its config epoch for that master.
    pub epoch: u64,
    /// The highest epoch it has heard of or voted in: what one that lost its file must know before it may vote.
    #[serde(default)]
    pub current_epoch: u64,
    /// Ids of the other Sentinels it knows.
    pub known_sentinels: Vec<String>,
    /// Replicas it knows.
    pub known_replicas: Vec<Endpoint>,
    /// `CKQUORUM` is satisfied.
    pub quorum_ok: bool,
}

/// A configuration that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigFault {
    /// [`crate::config::SetConfig::revision`] of the refused configuration.
    pub revision: String,
    /// The directive at fault, if the server named one.
    pub directive: Option<String>,
    /// The server's words, and what to do.
    pub message: String,
}

/// Something worth an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Counts up within one incarnation.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// One CamelCase word: `ServerExited`, `MasterChanged`, `FenceLifted`, ….
    pub reason: String,
    /// What was seen and done, for people.
    pub message: String,
    /// Worth a warning.
    pub warning: bool,
}
