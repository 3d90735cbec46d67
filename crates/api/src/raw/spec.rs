//! The fields of `spec`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Deadline, Directive, Interval, Quantity, RawObject, VersionText};

/// What is wanted. Everything has a default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RedisSpec {
    /// How the nodes relate. Default: `Sentinel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Which server. Default: `Redis`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Version of the server, as `"7.2"`. Default: the one that is installed, or that Redoubt was tested with last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionText>,
    /// Container image, in place of `version`, where there are containers. Default: the official image of `version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// When the image is pulled. Default: `IfNotPresent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets with the credentials of image registries. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<SecretName>,
    /// Data nodes, the master among them. Default: 3; 1 in `Standalone`. Not in `Cluster`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub replicas: Option<u32>,
    /// Masters that share the slots, in `mode: Cluster`. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3, max = 20))]
    pub shards: Option<u32>,
    /// Replicas of each master, in `mode: Cluster`. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 4))]
    pub replicas_per_shard: Option<u32>,
    /// How many slots a shard owns in proportion to the others, from 1 to 100, by its number, as `{"0": 2}`: in
    /// `mode: Cluster`. Default: 1 for each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, u32>,
    /// The Sentinels, in `mode: Sentinel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<SentinelSpec>,
    /// Passwords and rights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthSpec>,
    /// Directives for `redis.conf`, but those Redoubt sets itself. A removed one goes back to the server's default.
    /// Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, Directive>,
    /// What is kept on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistence: Option<PersistenceSpec>,
    /// What may be lost, and how long to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<DurabilitySpec>,
    /// CPU and memory of each node, as Kubernetes has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,
    /// Where nodes may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementSpec>,
    /// Annotations for every pod. A change restarts every node, one at a time. Has no effect on one machine.
    /// Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
    /// The Services that clients use. Has no effect on one machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<ServicesSpec>,
    /// Who may reach the nodes and Sentinels. Has no effect on one machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicySpec>,
    /// Prometheus metrics, on port 9121 of each node and Sentinel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSpec>,
    /// How long a stopping node may take, the hand-over to another master included. Default: `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_grace_period: Option<Interval>,
    /// Encrypted connections. Not available yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
}

/// How the nodes relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// One node, no failover.
    Standalone,
    /// One master, replicas that follow it, and Sentinels that elect the next master.
    Sentinel,
    /// Several masters that share the slots, each with its replicas.
    Cluster,
}

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Engine {
    /// Redis, 6.2 to 8.
    Redis,
    /// Valkey, 8 and 9.
    Valkey,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// Each time a container starts.
    Always,
    /// When it is not there.
    IfNotPresent,
    /// Never.
    Never,
}

/// The Sentinels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SentinelSpec {
    /// How many; an odd number. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub replicas: Option<u32>,
    /// How many must agree that the master is down. Default: the majority.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub quorum: Option<u32>,
    /// The name under which they know the master; clients ask for it. Default: `mymaster`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_name: Option<String>,
    /// How long a master must be silent to be held for dead. A server that crashes is replaced at once and does not
    /// wait for this. At least `3s`. Default: `5s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_after: Option<Interval>,
    /// Accepts a `downAfter` below `3s`, at the price of failovers without a failure. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_down_after: Option<bool>,
    /// How long until a failover that got stuck is tried again. Default: `10s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover_timeout: Option<Interval>,
    /// Replicas that may copy from a new master at the same time. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub parallel_syncs: Option<u32>,
    /// Directives for `sentinel.conf`, but those Redoubt sets itself. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, Directive>,
}

/// Passwords and rights.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthSpec {
    /// Asks applications for a password. Default: `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Secret whose key `password` holds the application's password. Default: a strong one is generated. The
    /// Sentinels always have one of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Lets the application run commands that change the topology or the server's life: `REPLICAOF`, `FAILOVER`,
    /// `SHUTDOWN`, `DEBUG`, `MODULE`, `ACL`, `CONFIG SET` and `CONFIG REWRITE`. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_commands: Option<bool>,
    /// Keeps the application out of the channel `__sentinel__:hello`; whoever may publish there can move the
    /// master. Narrows what `PSUBSCRIBE` accepts. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protect_sentinel_channel: Option<bool>,
}

/// What is kept on disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PersistenceSpec {
    /// Snapshots (RDB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rdb: Option<RdbSpec>,
    /// The append-only file (AOF).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aof: Option<AofSpec>,
    /// The volume of each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeSpec>,
}

/// Snapshots.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RdbSpec {
    /// Pairs of seconds and changes after which a snapshot is saved; `""` turns snapshots off.
    /// Default: `"3600 1 300 100 60 10000"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save: Option<String>,
}

/// The append-only file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AofSpec {
    /// Keeps it. Default: `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// When it is forced to disk. Default: `everysec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fsync: Option<Fsync>,
}

/// When the append-only file is forced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// After every write, before it is acknowledged.
    Always,
    /// Once a second.
    Everysec,
    /// When the operating system likes.
    No,
}

/// The volume of each node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VolumeSpec {
    /// Size, as a Kubernetes quantity. Not enforced on one machine. Default: `1Gi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,
    /// Storage class. Default: the platform's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// How the volume is mounted. Default: `ReadWriteOnce`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_mode: Option<AccessMode>,
    /// Keeps the data when the resource is deleted. Default: `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_after_deletion: Option<bool>,
}

/// How a volume is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// By one machine.
    ReadWriteOnce,
    /// By one pod.
    ReadWriteOncePod,
    /// By many machines.
    ReadWriteMany,
}

/// What may be lost, and how long to wait.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DurabilitySpec {
    /// Replicas that must be in reach for a master to take writes, whatever else is so. Default: 0; Redoubt then
    /// asks for one while one is to be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_replicas_to_write: Option<u32>,
    /// A replica silent for longer does not count as in reach. Whole seconds, below `sentinel.downAfter`.
    /// Default: `3s`, or 1 s below `sentinel.downAfter` if that is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_replica_lag: Option<Interval>,
    /// After a total outage: how long to wait for an absent node that may hold newer data, before the best one
    /// present leads. `never` goes on waiting. Default: `60s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_deadline: Option<Deadline>,
    /// A server that answers nothing for so long is ended and brought back as replica. Below `sentinel.downAfter`.
    /// Default: `3s`, or three fifths of `sentinel.downAfter` if that is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang_limit: Option<Interval>,
}

/// CPU and memory of each node. Not enforced on one machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ResourcesSpec {
    /// Reserved, by resource name: `cpu: 500m`, `memory: 1Gi`. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Quantity>,
    /// Never exceeded, by resource name. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Quantity>,
}

/// Where nodes may run. Has no effect on one machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PlacementSpec {
    /// Labels a machine must have. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Tolerations, as a pod has them. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<RawObject>,
    /// Affinity, as a pod has it. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<RawObject>,
    /// Spread over machines and zones, as a pod has it. Default: over zones and over machines, as well as possible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<RawObject>,
    /// Priority class. Default: the platform's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
}

/// Names a Secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretName {
    /// Its name.
    pub name: String,
}

/// The Services that clients use.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServicesSpec {
    /// Annotations of the Service of the master, as `external-dns.alpha.kubernetes.io/hostname`. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub master_annotations: BTreeMap<String, String>,
    /// Annotations of the Service of the replicas. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub replicas_annotations: BTreeMap<String, String>,
    /// Annotations of the Service of the Sentinels. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sentinel_annotations: BTreeMap<String, String>,
}

/// Who may reach the nodes and Sentinels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkPolicySpec {
    /// Makes network policies. Default: `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whose connections to the servers and Sentinels are let in, as the `from` of a NetworkPolicy. Default: every pod
    /// of the namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<RawObject>,
}

/// Prometheus metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MetricsSpec {
    /// Serves them. Default: `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Encrypted connections. Not available yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TlsSpec {
    /// Asks for them. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Secret with `tls.crt`, `tls.key` and `ca.crt`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
}
