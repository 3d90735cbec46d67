//! What people write, as they write it: every field that has a default may be left out. [`crate::check`] turns it
//! into [`crate::CheckedRedis`]; nothing else reads it. The doc comments here become the JSON Schema and the
//! field reference, so each names unit and default.

mod quantity;
mod spec;
mod values;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};

pub use quantity::Quantity;
pub use spec::*;
pub(crate) use values::LONGEST_MS;
pub use values::*;

use crate::{Key, RedisStatus, defaults};

/// `apiVersion` of every resource of this crate.
pub const API_VERSION: &str = "redoubt.dev/v1";
/// `kind` of [`Redis`].
pub const KIND: &str = "Redis";
/// Annotation: a changed value restarts every node, one at a time.
pub const RESTARTED_AT: &str = "redoubt.dev/restartedAt";
/// Annotation of a `RedisFailover`, `true`: what the old operator made of it is to be taken over.
pub const ADOPT: &str = "redoubt.dev/adopt";
/// Annotation: `"true"` leaves the resource alone.
pub const PAUSED: &str = "redoubt.dev/paused";

/// A Redis (or Valkey) that is created, replicated and kept alive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redis {
    /// Always `redoubt.dev/v1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: String,
    /// Always `Redis`.
    #[schemars(extend("const" = KIND))]
    pub kind: String,
    /// Its name, and what belongs to the name.
    pub metadata: Metadata,
    /// What is wanted.
    #[serde(default)]
    pub spec: RedisSpec,
    /// How it is. Written by Redoubt; what a file says here is not read.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "ignored")]
    pub status: Option<RedisStatus>,
}

/// The name of a resource, and what belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Name: a DNS label of at most 43 characters that begins with a letter.
    pub name: String,
    /// Namespace. Default: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels, as Kubernetes has them. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations. `redoubt.dev/restartedAt`: a changed value restarts every node, one at a time.
    /// `redoubt.dev/paused: "true"`: the resource is left alone. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Counts the changes of the spec. Written by Redoubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Written by Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Written by Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// Written by Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
}

impl Metadata {
    /// Which resource this is.
    #[must_use]
    pub fn key(&self) -> Key {
        let namespace = self.namespace.as_deref().unwrap_or(defaults::NAMESPACE);
        Key::redis(namespace, &self.name)
    }
}

impl Redis {
    /// A resource of this name with every field at its default.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            metadata: Metadata { name: name.into(), ..Metadata::default() },
            spec: RedisSpec::default(),
            status: None,
        }
    }

    /// The resource as YAML text; [`crate::parse`] reads the same resource from it, but for the status.
    pub fn to_yaml(&self) -> Result<String, serde_saphyr::SerializeError> {
        serde_saphyr::to_string(self)
    }
}

fn ignored<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<Option<T>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| None)
}
