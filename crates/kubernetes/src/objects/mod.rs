//! All objects of one Redis. Pure: the same arguments give the same objects, and what is not written here is left to
//! Kubernetes' own defaults.

mod budget;
mod container;
mod network;
mod pod;
mod probe;
mod service;
mod settings;
mod slice;
mod statefulset;
#[cfg(test)]
mod tests;
mod volume;

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use redoubt_api::{API_VERSION, CheckedRedis, KIND, Key};
use redoubt_engine::platform::{MemberKind, Workload};

use crate::names::Names;

pub(crate) use self::{
    container::SERVER,
    pod::{faults, probe_pod},
    service::member_services,
    settings::{CONFIG_FILE, secret},
    slice::master_slice,
    volume::probe_claim,
};

/// What objects are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The Redis and how much of it.
    pub(crate) workload: &'a Workload,
    /// The image that has this program.
    pub(crate) agent_image: &'a str,
}

impl<'a> Wanted<'a> {
    pub(crate) fn redis(self) -> &'a CheckedRedis {
        &self.workload.redis
    }

    pub(crate) fn names(self) -> Names<'a> {
        Names(&self.workload.redis.key.name)
    }

    fn count(self, kind: MemberKind) -> u32 {
        match kind {
            MemberKind::Node => self.workload.nodes,
            MemberKind::Sentinel => self.workload.sentinels,
        }
    }

    fn has_sentinels(self) -> bool {
        self.redis().sentinel().is_some()
    }

    /// Metadata of an object for the whole Redis.
    fn meta(self, name: String) -> ObjectMeta {
        meta(&self.redis().key, &self.workload.config.uid, name)
    }
}

/// Metadata of an object that dies with its Redis.
pub(crate) fn meta(key: &Key, uid: &str, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(key.namespace.clone()),
        labels: Some(Names(&key.name).labels()),
        owner_references: Some(vec![owner(key, uid)]),
        ..ObjectMeta::default()
    }
}

fn owner(key: &Key, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        name: key.name.clone(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(false),
    }
}

/// All objects of one Redis but its Secret and the addresses of its members, which come before.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Objects {
    pub(crate) config: ConfigMap,
    pub(crate) services: Vec<Service>,
    pub(crate) network_policies: Vec<NetworkPolicy>,
    pub(crate) budgets: Vec<PodDisruptionBudget>,
    pub(crate) stateful_sets: Vec<StatefulSet>,
}

impl Objects {
    pub(crate) fn new(wanted: Wanted<'_>) -> Self {
        let kinds = kinds(wanted);
        Self {
            config: settings::config_map(wanted),
            services: service::client_services(wanted),
            network_policies: kinds.iter().filter_map(|kind| network::policy(wanted, *kind)).collect(),
            budgets: kinds.iter().map(|kind| budget::budget(wanted, *kind)).collect(),
            stateful_sets: kinds.iter().map(|kind| statefulset::stateful_set(wanted, *kind)).collect(),
        }
    }
}

/// One pod and one volume claim of each template: what a StatefulSet's own dry run does not see.
pub(crate) fn probes(wanted: Wanted<'_>) -> (Vec<Pod>, Vec<PersistentVolumeClaim>) {
    let pods = kinds(wanted).into_iter().map(|kind| probe_pod(wanted, kind)).collect();
    (pods, vec![probe_claim(wanted)])
}

fn kinds(wanted: Wanted<'_>) -> Vec<MemberKind> {
    let sentinel = wanted.has_sentinels().then_some(MemberKind::Sentinel);
    [Some(MemberKind::Node), sentinel].into_iter().flatten().collect()
}
