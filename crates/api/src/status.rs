//! The `.status` of a `Redis`: what changes by events. Offsets, lag and sizes are read live from the agents.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a `Redis` is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RedisStatus {
    /// Generation of the spec that this status speaks of.
    pub observed_generation: i64,
    /// `Ready`, `Available`, `Progressing`, `Degraded`, `SentinelQuorum`, each with its reason and next step; of a
    /// `RedisFailover` also `Honoured` and `Questionable`.
    pub conditions: Vec<Condition>,
    /// Name of the node that a Sentinel majority names master.
    pub master: Option<String>,
    /// The data nodes.
    pub nodes: Vec<NodeStatus>,
    /// The Sentinels.
    pub sentinels: Vec<SentinelStatus>,
    /// The shards, in mode Cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardStatus>,
    /// Slots on their way to other shards; absent at rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moving: Option<MovingStatus>,
    /// The last change of master.
    pub last_failover: Option<LastFailover>,
    /// The last events, newest last, at most [`MAX_EVENTS`].
    pub events: Vec<Event>,
}

/// The status as Kubernetes keeps it: with what `kubectl get` shows in columns and what `kubectl scale` asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PublishedStatus {
    /// How it is.
    #[serde(flatten)]
    pub status: RedisStatus,
    /// How the nodes relate.
    pub mode: String,
    /// Data nodes there are.
    pub replicas: u32,
    /// Data nodes that are ready, of those there are: `3/3`.
    pub ready: String,
    /// Label selector of the data nodes' pods.
    pub selector: String,
}

/// How many events a status keeps.
pub const MAX_EVENTS: usize = 20;

/// One aspect of how a resource is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which aspect.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// `True`, `False`, or `Unknown`.
    pub status: ConditionStatus,
    /// One CamelCase word for programs.
    pub reason: String,
    /// What is so, why, and what to do next, for people.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
}

/// The aspects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ConditionType {
    /// Everything is as the spec asks.
    Ready,
    /// A master takes writes.
    Available,
    /// Work is under way.
    Progressing,
    /// Something is missing that redundancy covers for now.
    Degraded,
    /// Enough Sentinels to elect.
    SentinelQuorum,
    /// Of a `RedisFailover`: every field that is written is honoured.
    Honoured,
    /// Of a `RedisFailover`: something is honoured and deserves a second look.
    Questionable,
}

/// `True`, `False`, or `Unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// Nobody could say.
    Unknown,
}

/// One data node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Where its server is reached, `host:port`.
    pub address: String,
    /// What it is; absent while nobody knows.
    pub role: Option<Role>,
    /// It serves, and a replica is in sync.
    pub ready: bool,
    /// Where it stands in its life, in a word or two.
    pub state: String,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes writes.
    Master,
    /// Follows.
    Replica,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardStatus {
    /// Which.
    pub shard: u32,
    /// Name of the node that owns its slots.
    pub master: Option<String>,
    /// Its slots, as `0-5460,9000`; empty while nobody is known to own them.
    pub slots: String,
    /// How many they are.
    pub count: u16,
}

/// How far slots are with their way to other shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MovingStatus {
    /// Slots that have yet to move.
    pub slots_left: u16,
    /// Slots a second, of late; absent until some have moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots_per_second: Option<u32>,
    /// Seconds until all have moved, at that rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u32>,
}

/// One Sentinel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentinelStatus {
    /// Its name.
    pub name: String,
    /// Where it is reached, `host:port`.
    pub address: String,
    /// Whom it names master, `host:port`.
    pub master: Option<String>,
    /// It answers and has a quorum.
    pub ready: bool,
    /// Where it stands in its life, in a word or two.
    pub state: String,
}

/// The last change of master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastFailover {
    /// Follows the event through agents, engine, logs and events.
    pub id: String,
    /// Why: `crash`, `hang`, `switchover`, `stop`, `return`, `rescue`, `outage`, `sentinel`.
    pub cause: String,
    /// Node that led before.
    pub old_master: Option<String>,
    /// Node that leads now.
    pub new_master: Option<String>,
    /// Epoch of the vote.
    pub epoch: Option<u64>,
    /// Sentinels that voted for it.
    pub votes: Vec<String>,
    /// Bytes of replication stream that the new master had not received.
    pub bytes_behind: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
    /// From start to announcement, milliseconds.
    pub duration_ms: u64,
    /// `Done`, or why it stopped.
    pub outcome: String,
    /// Each step and the milliseconds from the start to its end.
    pub steps: Vec<FailoverStep>,
}

/// One step of a change of master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailoverStep {
    /// `vote`, `pause`, `promote`, `announce`, ….
    pub step: String,
    /// Microseconds from the start to the end of this step.
    pub at_us: u64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Where: a node, a Sentinel, or the resource.
    pub source: String,
    /// One CamelCase word for programs.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Worth a warning.
    pub warning: bool,
}
