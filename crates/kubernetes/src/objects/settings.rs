//! What agents read: configuration and passwords.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use redoubt_api::CheckedRedis;

use super::{Wanted, meta};
use crate::names::Names;

/// The configuration's key, and the name of its file.
pub(crate) const CONFIG_FILE: &str = "config.json";

pub(super) fn config_map(wanted: Wanted<'_>) -> ConfigMap {
    // A `SetConfig` has text keys only, so that it is always JSON.
    let text = serde_json::to_string(&wanted.workload.config).unwrap_or_default();
    ConfigMap {
        metadata: wanted.meta(wanted.names().config()),
        data: Some([(CONFIG_FILE.to_owned(), text)].into()),
        ..ConfigMap::default()
    }
}

/// The Secret with all passwords.
pub(crate) fn secret(redis: &CheckedRedis, uid: &str, data: BTreeMap<String, ByteString>) -> Secret {
    Secret {
        metadata: meta(&redis.key, uid, Names::of(&redis.key).auth()),
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}
