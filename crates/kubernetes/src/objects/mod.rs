//! All objects of one Redis. Pure: the same arguments give the same objects, and what is not written here is left to
//! Kubernetes' own defaults.

mod budget;
mod container;
mod exporter;
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

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use redoubt_api::{CheckedFailover, CheckedRedis, FailoverPods, Key, SentinelPods};
use redoubt_engine::platform::{MemberKind, Workload};

use crate::names::{Group, Names, labels};

pub(crate) use self::{
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
        Names::of(&self.workload.redis.key)
    }

    fn has_sentinels(self) -> bool {
        self.redis().sentinel().is_some()
    }

    fn has_shards(self) -> bool {
        self.redis().cluster().is_some()
    }

    fn groups(self) -> impl Iterator<Item = Group> {
        Group::all(self.workload.counts())
    }

    fn kinds(self) -> impl Iterator<Item = MemberKind> {
        let sentinel = self.has_sentinels().then_some(MemberKind::Sentinel);
        std::iter::once(MemberKind::Node).chain(sentinel)
    }

    /// What only a `RedisFailover` asks for.
    fn failover(self) -> Option<&'a CheckedFailover> {
        self.redis().failover.as_deref()
    }

    /// The same of the pods of one kind.
    fn failover_pods(self, kind: MemberKind) -> Option<&'a FailoverPods> {
        self.failover().map(|failover| match kind {
            MemberKind::Node => &failover.nodes,
            MemberKind::Sentinel => &failover.sentinels,
        })
    }

    /// What the Sentinels' pods have of their own.
    fn sentinel_pods(self, kind: MemberKind) -> Option<&'a SentinelPods> {
        self.failover().filter(|_| kind == MemberKind::Sentinel).map(|failover| &failover.sentinel_pods)
    }

    /// Metadata of an object for the whole resource.
    fn meta(self, name: String) -> ObjectMeta {
        let mut metadata = meta(&self.redis().key, &self.workload.config.uid, name);
        metadata.labels = metadata.labels.map(|labels| with_copied(self.redis(), labels));
        metadata
    }

    /// Labels of an object that belongs to one kind of member.
    fn labels_of(self, kind: MemberKind) -> BTreeMap<String, String> {
        labels_of(self.redis(), kind)
    }

    /// Labels of an object that belongs to these members.
    fn labels_of_group(self, group: Group) -> BTreeMap<String, String> {
        with_copied(self.redis(), self.names().labels_of_group(group))
    }
}

fn labels_of(redis: &CheckedRedis, kind: MemberKind) -> BTreeMap<String, String> {
    with_copied(redis, Names::of(&redis.key).labels_of(kind))
}

/// With the labels of the resource that its objects have too, but for those that say whose and what an object is.
fn with_copied(redis: &CheckedRedis, own: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut all = redis.failover.as_ref().map(|failover| failover.labels.clone()).unwrap_or_default();
    all.retain(|name, _| !labels::OURS.contains(&name.as_str()));
    all.extend(own);
    all
}

/// Metadata of an object that dies with its resource.
pub(crate) fn meta(key: &Key, uid: &str, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(key.namespace.clone()),
        labels: Some(Names::of(key).labels()),
        owner_references: Some(vec![owner(key, uid)]),
        ..ObjectMeta::default()
    }
}

fn owner(key: &Key, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: key.kind.api_version().to_owned(),
        kind: key.kind.name().to_owned(),
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
        Self {
            config: settings::config_map(wanted),
            services: service::client_services(wanted),
            network_policies: wanted.kinds().filter_map(|kind| network::policy(wanted, kind)).collect(),
            budgets: wanted.groups().map(|group| budget::budget(wanted, group)).collect(),
            stateful_sets: wanted.groups().map(|group| statefulset::stateful_set(wanted, group)).collect(),
        }
    }
}

/// One pod of each kind and one volume claim: what a StatefulSet's own dry run does not see.
pub(crate) fn probes(wanted: Wanted<'_>) -> (Vec<(MemberKind, Pod)>, Vec<PersistentVolumeClaim>) {
    let mut first = BTreeMap::new();
    for group in wanted.groups() {
        first.entry(group.kind()).or_insert_with(|| probe_pod(wanted, group));
    }
    (first.into_iter().collect(), probe_claim(wanted).into_iter().collect())
}
