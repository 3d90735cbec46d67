//! A Kubernetes `Secret` beside the resources of a file: so that one file says the same on a laptop and on a
//! cluster.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Metadata;

/// The key of a Secret under which the application's password is looked for.
pub const PASSWORD_KEY: &str = "password";

/// The part of a Kubernetes `Secret` that is read. `Debug` shows keys only.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secret {
    /// Always `v1`.
    pub api_version: String,
    /// Always `Secret`.
    pub kind: String,
    /// Its name.
    pub metadata: Metadata,
    /// What kind of Secret, `Opaque` by default. Not read.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub secret_type: Option<String>,
    /// Whether it may change. Not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// Values in base64, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
    /// Values as they are, by key; these win over `data`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub string_data: BTreeMap<String, String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.data.keys().chain(self.string_data.keys()).collect();
        f.debug_struct("Secret")
            .field("name", &self.metadata.name)
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

/// A Secret whose values can be used. `Debug` shows keys only.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckedSecret {
    /// Which.
    pub key: crate::Key,
    /// The application's password.
    pub password: String,
}

impl fmt::Debug for CheckedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedSecret").field("key", &self.key).finish_non_exhaustive()
    }
}
