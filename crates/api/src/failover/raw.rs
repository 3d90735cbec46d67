//! The fields of a `RedisFailover`. Those that have a meaning for a `Redis` have types, also those that only some forks
//! know; all others are kept as they were written (`others`), so that they can be named.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use serde_json::Value;

use super::{FAILOVER_API_VERSION, FAILOVER_KIND};
use crate::raw::{ImagePullPolicy, Quantity, RawObject};

/// What nobody but its reader understands: text, a number, or a whole tree.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Open(pub Value);

impl JsonSchema for Open {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Open".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
    }
}

/// Fields that are kept as they were written.
pub type Others = BTreeMap<String, Open>;

/// A master with replicas and Sentinels, as the spotahome operator and its forks know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedisFailover {
    /// Always `databases.spotahome.com/v1`.
    #[schemars(extend("const" = FAILOVER_API_VERSION))]
    pub api_version: String,
    /// Always `RedisFailover`.
    #[schemars(extend("const" = FAILOVER_KIND))]
    pub kind: String,
    /// Its name, and what belongs to the name.
    pub metadata: FailoverMetadata,
    /// What is wanted.
    #[serde(default)]
    pub spec: RedisFailoverSpec,
    /// How it is. Only some forks have it, and it is not read.
    #[serde(default, skip_serializing, deserialize_with = "ignored")]
    pub status: Option<Open>,
}

fn ignored<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Open>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| None)
}

/// The name of a `RedisFailover`, and what belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailoverMetadata {
    /// Name, at most 48 characters.
    pub name: String,
    /// Namespace. Default: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels. The old operator copies them to all objects, unless `labelWhitelist` keeps them out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What Kubernetes writes there.
    #[serde(flatten)]
    #[schemars(extend("additionalProperties" = true))]
    pub others: Others,
}

/// What is wanted. Everything has a default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("additionalProperties" = true))]
pub struct RedisFailoverSpec {
    /// The data nodes.
    pub redis: RedisSettings,
    /// The Sentinels.
    pub sentinel: SentinelSettings,
    /// The password.
    pub auth: FailoverAuth,
    /// Regular expressions of the labels that are copied to the objects. Default: all.
    pub label_whitelist: Vec<String>,
    /// A Redis elsewhere that is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_node: Option<BootstrapSettings>,
    /// powerhome: whose namespaces may connect.
    pub network_policy_ns_list: Vec<NamespaceLabel>,
    /// What is not known here.
    #[serde(flatten)]
    pub others: Others,
}

/// The data nodes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("additionalProperties" = true))]
pub struct RedisSettings {
    /// Image of the server. Default: `redis:6.2.6-alpine`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// When the image is pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets with the credentials of image registries.
    pub image_pull_secrets: Vec<LocalObject>,
    /// Data nodes. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Port of the servers. Default: 6379.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// CPU and memory.
    pub resources: FailoverResources,
    /// Directives of `redis.conf`, each with its value, applied in this order.
    pub custom_config: Vec<String>,
    /// Commands that get another name, or none.
    pub custom_command_renames: Vec<CommandRename>,
    /// Where the data is.
    pub storage: FailoverStorage,
    /// Metrics.
    pub exporter: Exporter,
    /// Saremox: `maxmemory` as a part of the memory limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<MaxMemory>,
    /// How long a stopping pod may take, seconds. Default: 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_grace_period: Option<i64>,
    /// Where pods run, and what is written on them.
    #[serde(flatten)]
    pub annotated: Annotated,
    /// What is not known here.
    #[serde(flatten)]
    pub others: Others,
}

/// The Sentinels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("additionalProperties" = true))]
pub struct SentinelSettings {
    /// Saremox: whether there are any. Left out it means yes to the others and, from version 4, no to this fork.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Image of the Sentinels. Default: `redis:6.2.6-alpine`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// When the image is pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets with the credentials of image registries.
    pub image_pull_secrets: Vec<LocalObject>,
    /// How many. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Options of `SENTINEL SET`, each with its value.
    pub custom_config: Vec<String>,
    /// freshworks: the Sentinels know the master by the name of the resource instead of `mymaster`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_my_master: Option<bool>,
    /// Saremox: how long until a failover that got stuck is tried again, as `10s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover_timeout: Option<String>,
    /// powerhome: port of the Sentinels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Open>,
    /// Metrics.
    pub exporter: Exporter,
    /// Where pods run, and what is written on them.
    #[serde(flatten)]
    pub annotated: Annotated,
    /// What is not known here.
    #[serde(flatten)]
    pub others: Others,
}

/// Where pods run, and what is written on them and on their Services.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Annotated {
    /// As a pod has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<RawObject>,
    /// As a pod has them.
    pub tolerations: Vec<RawObject>,
    /// As a pod has them.
    pub topology_spread_constraints: Vec<RawObject>,
    /// Labels a machine must have.
    pub node_selector: BTreeMap<String, String>,
    /// Priority class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// Annotations of the pods.
    pub pod_annotations: BTreeMap<String, String>,
    /// Annotations of the Services.
    pub service_annotations: BTreeMap<String, String>,
}

/// Names an object of the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LocalObject {
    /// Its name.
    pub name: String,
}

/// CPU and memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = true))]
pub struct FailoverResources {
    /// Reserved, by resource name.
    pub requests: BTreeMap<String, Quantity>,
    /// Never exceeded, by resource name.
    pub limits: BTreeMap<String, Quantity>,
    /// What is not known here.
    #[serde(flatten)]
    pub others: Others,
}

/// A command that gets another name, or none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CommandRename {
    /// The command.
    pub from: String,
    /// Its new name; empty takes it away.
    pub to: String,
}

/// Where the data is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FailoverStorage {
    /// Volumes outlive the resource. Default: `false`.
    pub keep_after_deletion: bool,
    /// Data that lives as long as its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
    /// A volume for each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<Claim>,
}

/// Data that lives as long as its pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EmptyDir {
    /// `Memory`, or the machine's disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<String>,
    /// How much it may hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_limit: Option<Quantity>,
}

/// A volume for each node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = true))]
pub struct Claim {
    /// Its name, from which those of the volumes are made, its labels and annotations.
    pub metadata: Others,
    /// As a volume claim has it.
    pub spec: ClaimSpec,
    /// What is not known here.
    #[serde(flatten)]
    pub others: Others,
}

/// What a volume claim asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("additionalProperties" = true))]
pub struct ClaimSpec {
    /// How the volume is mounted.
    pub access_modes: Vec<String>,
    /// Storage class. Default: the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// Its size.
    pub resources: FailoverResources,
    /// What is not known here.
    #[serde(flatten)]
    pub others: Others,
}

/// Metrics by a container beside the server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = true))]
pub struct Exporter {
    /// Whether there is one. Default: `false`.
    pub enabled: bool,
    /// Its image, arguments and so on.
    #[serde(flatten)]
    pub others: Others,
}

/// `maxmemory` as a part of the memory limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MaxMemory {
    /// Percent of the limit, 10 to 95. Default: 75.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<i32>,
    /// `maxmemory-policy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// The password.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FailoverAuth {
    /// Secret whose key `password` holds it. Default: no password is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_path: Option<String>,
}

/// A Redis elsewhere that is followed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BootstrapSettings {
    /// powerhome: whether it is followed. Default: `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Where it is.
    pub host: String,
    /// Its port. Default: 6379.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Open>,
    /// There are Sentinels all the same.
    pub allow_sentinels: bool,
}

/// powerhome: a label of the namespaces that may connect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceLabel {
    /// Name of the label.
    pub match_label_key: String,
    /// Its value.
    pub match_label_value: String,
}
