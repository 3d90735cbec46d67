//! A `Redis` whose every field has been checked and defaulted. Nothing behind the door sees the raw spec.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use crate::{
    API_VERSION, Finding, KIND, PLURAL, RawObject, Warning,
    failover::{FAILOVER_API_VERSION, FAILOVER_KIND, FAILOVER_PLURAL},
};

/// The kinds of resource that are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// `Redis` (`redoubt.dev/v1`).
    Redis,
    /// `RedisFailover` (`databases.spotahome.com/v1`).
    RedisFailover,
}

impl ResourceKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Redis, Self::RedisFailover];

    /// `apiVersion`.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Redis => API_VERSION,
            Self::RedisFailover => FAILOVER_API_VERSION,
        }
    }

    /// `kind`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => KIND,
            Self::RedisFailover => FAILOVER_KIND,
        }
    }

    /// In lower case, as in `kubectl get redises`.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Redis => PLURAL,
            Self::RedisFailover => FAILOVER_PLURAL,
        }
    }
}

/// Names one resource. Two of the same name and of different kinds have nothing to do with each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace, `default` when none is written.
    pub namespace: String,
    /// Name, a DNS label.
    pub name: String,
    /// Which kind of resource.
    pub kind: ResourceKind,
}

impl Key {
    /// That of a `Redis`.
    pub fn redis(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into(), kind: ResourceKind::Redis }
    }

    /// That of a `RedisFailover`.
    pub fn failover(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into(), kind: ResourceKind::RedisFailover }
    }
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
    /// What only a `RedisFailover` asks for.
    pub failover: Option<Box<CheckedFailover>>,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedCluster {
    /// Masters that share the slots.
    pub shards: u32,
    /// Replicas of each of them.
    pub replicas_per_shard: u32,
    /// Shards that own more or less than the others.
    pub weights: BTreeMap<u32, u32>,
    /// `cluster-node-timeout`.
    pub node_timeout: Duration,
}

impl CheckedCluster {
    /// Data nodes of all shards.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.shards.saturating_mul(self.replicas_per_shard.saturating_add(1))
    }

    /// How much this shard owns in proportion to the others; nothing, if it is not asked for.
    #[must_use]
    pub fn weight(&self, shard: u32) -> u32 {
        if shard < self.shards { self.weights.get(&shard).copied().unwrap_or(1) } else { 0 }
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
    pub fn cluster(&self) -> Option<&CheckedCluster> {
        match &self.spec.topology {
            CheckedTopology::Standalone | CheckedTopology::Sentinel(_) => None,
            CheckedTopology::Cluster(cluster) => Some(cluster),
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
    /// Whom the Sentinels let in.
    pub sentinel_door: SentinelDoor,
    /// Commands that the application may not use, in small letters.
    pub denied_commands: Vec<String>,
}

/// Whom the Sentinels let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SentinelDoor {
    /// They ask for a password where the nodes do.
    #[default]
    AsNodes,
    /// Everybody.
    Open,
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

/// What a `RedisFailover` asks for that a `Redis` has no field for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedFailover {
    /// What the old operator made of it is to be taken over, or was.
    pub adopted: bool,
    /// A Redis elsewhere from which it is filled, as long as this is there.
    pub bootstrap: Option<FailoverSource>,
    /// Labels of the resource that all its objects have too.
    pub labels: BTreeMap<String, String>,
    /// Where the data is.
    pub data: FailoverData,
    /// Pods of the data nodes.
    pub nodes: FailoverPods,
    /// Pods of the Sentinels.
    pub sentinels: FailoverPods,
    /// What the Sentinels' pods have instead of what the data nodes' have.
    pub sentinel_pods: SentinelPods,
    /// Every field that is written and not honoured: why, and what to do.
    pub not_honoured: Vec<Finding>,
    /// What is honoured and deserves a second look.
    pub warnings: Vec<Warning>,
}

/// A Redis elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverSource {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Where the data of a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailoverData {
    /// In a folder that goes with the pod, as a pod has it.
    EmptyDir(RawObject),
    /// On a volume.
    Claim {
        /// Name of the claim's template, from which those of the volumes are made.
        name: String,
        /// Metadata and spec of the template, as it was written.
        template: RawObject,
    },
}

/// What the pods of one kind of member have beside the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailoverPods {
    /// Metrics by a container beside the server.
    pub exporter: Option<FailoverExporter>,
    /// As a pod has it; the old operator's own when absent.
    pub security: Option<RawObject>,
    /// As a container has it; the restricted standard when absent.
    pub container_security: Option<RawObject>,
}

/// What the Sentinels' pods have instead of what the data nodes' have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentinelPods {
    /// That of the data nodes when absent.
    pub image: Option<String>,
    /// Redoubt's own when empty.
    pub resources: Resources,
    /// Where they run.
    pub placement: Placement,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Metrics by a container beside the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FailoverExporter {
    /// Image; the old operator's own when absent.
    pub image: Option<String>,
    /// When it is pulled.
    pub image_pull_policy: Option<String>,
    /// Arguments.
    pub args: Vec<String>,
    /// As a container has them.
    pub env: Vec<RawObject>,
    /// As a container has them.
    pub resources: Option<RawObject>,
    /// As a container has it.
    pub container_security_context: Option<RawObject>,
}
