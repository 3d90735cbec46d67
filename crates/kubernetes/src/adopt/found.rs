//! What there is of a `RedisFailover` that the old operator looked after, as it was seen.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, PersistentVolumeClaim},
};
use redoubt_api::failover::RedisFailover;
use redoubt_redis::{
    info::{NodeRole, Replication},
    sentinel::MasterView,
    version::ServerVersion,
};

/// Everything that a judgement needs.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// As it is written.
    pub(crate) failover: RedisFailover,
    /// Its uid.
    pub(crate) uid: String,
    /// Which of its versions this is.
    pub(crate) generation: Option<i64>,
    /// The names of the others of its namespace.
    pub(crate) neighbours: BTreeSet<String>,
    /// What shows that the old operator works, in words.
    pub(crate) at_work: Vec<String>,
    /// The definition has a place for a status.
    pub(crate) has_status: bool,
    /// The StatefulSet with the data.
    pub(crate) nodes: Option<StatefulSet>,
    /// The Deployment of the Sentinels.
    pub(crate) sentinels: Option<Deployment>,
    /// Pods of the data nodes, by name.
    pub(crate) servers: Vec<Server>,
    /// Pods of the Sentinels, by name.
    pub(crate) watchers: Vec<Watcher>,
    /// Volume claims of the data nodes.
    pub(crate) claims: Vec<PersistentVolumeClaim>,
    /// Names of the Services with the old operator's names.
    pub(crate) services: BTreeSet<String>,
    /// Those `ConfigMap` with the old operator's names.
    pub(crate) maps: Vec<ConfigMap>,
}

/// A data node.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// Its pod.
    pub(crate) pod: String,
    /// The pod's address: it is what the others know it by.
    pub(crate) address: String,
    /// What it said; or why it could not be asked.
    pub(crate) live: Result<Live, String>,
}

/// What a data node said of itself.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) version: Option<ServerVersion>,
    pub(crate) replication: Replication,
    pub(crate) keys: u64,
    /// `CONFIG GET *`.
    pub(crate) config: BTreeMap<String, String>,
    /// `ACL USERS`.
    pub(crate) users: BTreeSet<String>,
    /// Names of the modules that are loaded.
    pub(crate) modules: Vec<String>,
}

/// A Sentinel.
#[derive(Debug, Clone)]
pub(crate) struct Watcher {
    /// Its pod.
    pub(crate) pod: String,
    /// What it holds of the master; or why it could not be asked.
    pub(crate) view: Result<MasterView, String>,
}

impl Server {
    /// It says that it leads.
    pub(crate) fn leads(&self) -> bool {
        self.live.as_ref().is_ok_and(|live| live.replication.role == NodeRole::Master)
    }
}
