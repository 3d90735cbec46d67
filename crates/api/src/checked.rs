//! A `Redis` whose every field has been checked and defaulted. Nothing behind the door sees the raw spec.

use std::{collections::BTreeMap, time::Duration};

use crate::RawObject;

/// Names one resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace, `default` when none is written.
    pub namespace: String,
    /// Name, a DNS label.
    pub name: String,
}

/// One `Redis`, ready to be planned for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedRedis {
    /// Which.
    pub key: Key,
    /// Counts the changes of the spec.
    pub generation: i64,
    /// What is wanted.
    pub spec: CheckedSpec,
}

/// What is wanted, defaults applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedSpec {
    /// How the nodes relate.
    pub topology: CheckedTopology,
    /// Which server.
    pub engine: Engine,
    /// Version asked for, as `7.2`; `None` takes what is there.
    pub version: Option<String>,
    /// Container image, where there are containers.
    pub image: Option<String>,
    /// When an image is pulled.
    pub image_pull_policy: ImagePullPolicy,
    /// Secrets with the credentials of image registries.
    pub image_pull_secrets: Vec<String>,
    /// Data nodes; at least 1, exactly 1 in `Standalone`, those of all shards in `Cluster`.
    pub replicas: u32,
    /// Passwords and rights.
    pub auth: Auth,
    /// The user's directives for `redis.conf`.
    pub config: BTreeMap<String, String>,
    /// What is kept on disk.
    pub persistence: Persistence,
    /// What may be lost, and how long to wait.
    pub durability: Durability,
    /// CPU and memory.
    pub resources: Resources,
    /// Where nodes may run.
    pub placement: Placement,
    /// Annotations for every pod.
    pub pod_annotations: BTreeMap<String, String>,
    /// The Services that clients use.
    pub services: Services,
    /// Who may reach the members.
    pub network_policy: NetworkPolicy,
    /// Metrics on the agent's port.
    pub metrics: Metrics,
    /// How long a stopping node may take, hand-over included.
    pub termination_grace_period: Duration,
    /// A changed value restarts every node, one at a time (annotation `redoubt.dev/restartedAt`).
    pub restarted_at: Option<String>,
    /// `redoubt.dev/paused: "true"`: nothing is done for this resource.
    pub paused: bool,
}

/// How the nodes relate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckedTopology {
    /// One node.
    Standalone,
    /// Master, replicas and Sentinels.
    Sentinel(CheckedSentinel),
    /// Masters that share the slots, and their replicas.
    Cluster(CheckedCluster),
}

/// The shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedCluster {
    /// Masters that share the slots.
    pub shards: u32,
    /// Replicas of each of them.
    pub replicas_per_shard: u32,
    /// `cluster-node-timeout`.
    pub node_timeout: Duration,
}

impl CheckedCluster {
    /// Data nodes of all shards.
    #[must_use]
    pub fn nodes(self) -> u32 {
        self.shards.saturating_mul(self.replicas_per_shard.saturating_add(1))
    }
}

/// The Sentinels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedSentinel {
    /// How many.
    pub replicas: u32,
    /// How many must agree that the master is down.
    pub quorum: u32,
    /// Under which name they know the master.
    pub master_name: String,
    /// `down-after-milliseconds`.
    pub down_after: Duration,
    /// `failover-timeout`.
    pub failover_timeout: Duration,
    /// `parallel-syncs`.
    pub parallel_syncs: u32,
    /// The user's directives for `sentinel.conf`.
    pub config: BTreeMap<String, String>,
}

impl CheckedRedis {
    /// The Sentinels' part, in the modes that have one.
    #[must_use]
    pub fn sentinel(&self) -> Option<&CheckedSentinel> {
        match &self.spec.topology {
            CheckedTopology::Standalone | CheckedTopology::Cluster(_) => None,
            CheckedTopology::Sentinel(sentinel) => Some(sentinel),
        }
    }

    /// The shards, in the mode that has them.
    #[must_use]
    pub fn cluster(&self) -> Option<CheckedCluster> {
        match &self.spec.topology {
            CheckedTopology::Standalone | CheckedTopology::Sentinel(_) => None,
            CheckedTopology::Cluster(cluster) => Some(*cluster),
        }
    }
}

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImagePullPolicy {
    /// Always.
    Always,
    /// When it is not there.
    IfNotPresent,
    /// Never.
    Never,
}

/// Passwords and rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// A password is asked for.
    pub enabled: bool,
    /// Secret with the application's password; generated when absent.
    pub secret_name: Option<String>,
    /// The application may also change the topology and the server's life.
    pub admin_commands: bool,
    /// The application is kept out of `__sentinel__:hello`.
    pub protect_sentinel_channel: bool,
}

/// What is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persistence {
    /// Save points, `"3600 1 300 100"`; empty turns RDB off.
    pub rdb_save: String,
    /// Append-only file on.
    pub aof: bool,
    /// `appendfsync`.
    pub aof_fsync: AofFsync,
    /// The volume.
    pub volume: Volume,
}

/// `appendfsync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AofFsync {
    /// After every write.
    Always,
    /// Once a second.
    Everysec,
    /// When the system likes.
    No,
}

impl AofFsync {
    /// As `redis.conf` spells it.
    #[must_use]
    pub fn directive(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Everysec => "everysec",
            Self::No => "no",
        }
    }
}

/// The volume of each node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Bytes.
    pub size: u64,
    /// Storage class, the platform's default when absent.
    pub storage_class: Option<String>,
    /// `ReadWriteOnce` and its like.
    pub access_mode: String,
    /// Data outlives the resource.
    pub keep_after_deletion: bool,
}

/// What may be lost, and how long to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durability {
    /// Floor to the fence.
    pub min_replicas_to_write: u32,
    /// `min-replicas-max-lag`.
    pub max_replica_lag: Duration,
    /// How long to wait for a node that may hold newer data; `None` waits for ever.
    pub recovery_deadline: Option<Duration>,
    /// A server that answers nothing for this long is ended.
    pub hang_limit: Duration,
}

/// CPU and memory, in the Kubernetes quantities people wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Reserved, by resource name.
    pub requests: BTreeMap<String, String>,
    /// Limits, by resource name.
    pub limits: BTreeMap<String, String>,
}

/// Where nodes may run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Labels a machine must have.
    pub node_selector: BTreeMap<String, String>,
    /// As a pod has them.
    pub tolerations: Vec<RawObject>,
    /// As a pod has it.
    pub affinity: Option<RawObject>,
    /// As a pod has them; the platform's own when empty.
    pub topology_spread_constraints: Vec<RawObject>,
    /// The platform's own when absent.
    pub priority_class_name: Option<String>,
}

/// The Services that clients use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// Annotations of the Service of the master.
    pub master_annotations: BTreeMap<String, String>,
    /// Annotations of the Service of the replicas.
    pub replicas_annotations: BTreeMap<String, String>,
    /// Annotations of the Service of the Sentinels.
    pub sentinel_annotations: BTreeMap<String, String>,
}

/// Who may reach the members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Policies are made.
    pub enabled: bool,
    /// The `from` of the clients' rule; every pod of the namespace when empty.
    pub from: Vec<RawObject>,
}

/// Metrics on the agent's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Served at all.
    pub enabled: bool,
}
