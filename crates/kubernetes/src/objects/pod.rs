//! Pods.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use k8s_openapi::{
    api::core::v1::{
        Affinity, EmptyDirVolumeSource, EnvVar, LocalObjectReference, PersistentVolumeClaim, Pod,
        PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements,
        SeccompProfile, SecurityContext, Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use redoubt_api::{CheckedRedis, CheckedSpec, FailoverData, FailoverPods, Placement, RawObject};
use redoubt_engine::platform::MemberKind;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Wanted, container, exporter::exporter, volume};
use crate::names::{Group, labels};

/// The user `redis` of the official images.
const USER: i64 = 999;
/// Whose files the old operator's volumes have.
const FAILOVER_USER: i64 = 1000;
/// As well as possible, zones before machines.
const SPREAD: [&str; 2] = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"];

pub(super) fn template(wanted: Wanted<'_>, group: Group) -> PodTemplateSpec {
    PodTemplateSpec { metadata: Some(metadata(wanted, group)), spec: Some(spec(wanted, group)) }
}

/// One of these pods, for a dry run.
pub(crate) fn probe_pod(wanted: Wanted<'_>, group: Group) -> Pod {
    let mut spec = spec(wanted, group);
    if group.kind() == MemberKind::Node {
        spec.volumes.get_or_insert_default().extend(volume::probe_volume(wanted, group));
    }
    let metadata = ObjectMeta {
        generate_name: Some(format!("{}-", wanted.names().set(group))),
        namespace: Some(wanted.redis().key.namespace.clone()),
        ..metadata(wanted, group)
    };
    Pod { metadata, spec: Some(spec), status: None }
}

fn metadata(wanted: Wanted<'_>, group: Group) -> ObjectMeta {
    let given = wanted.sentinel_pods(group.kind()).map(|pods| &pods.annotations);
    let mut annotations = given.unwrap_or(&wanted.redis().spec.pod_annotations).clone();
    annotations.insert(labels::TEMPLATE.to_owned(), wanted.workload.template.clone());
    ObjectMeta {
        labels: Some(wanted.labels_of_group(group)),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    }
}

fn spec(wanted: Wanted<'_>, group: Group) -> PodSpec {
    let (spec, kind) = (&wanted.redis().spec, group.kind());
    let placement = placement(wanted, kind);
    let secrets = spec.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    PodSpec {
        init_containers: Some(vec![container::program(wanted, kind)]),
        containers: [container::server(wanted, kind)].into_iter().chain(exporter(wanted, kind)).collect(),
        volumes: Some(volume::volumes(wanted, kind)),
        security_context: Some(security(wanted, kind)),
        // Whoever takes over a Redis gets nothing of the cluster with it.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(
            i64::try_from(spec.termination_grace_period.as_secs()).unwrap_or(30),
        ),
        node_selector: (!placement.node_selector.is_empty()).then(|| placement.node_selector.clone()),
        tolerations: some(read_all::<Toleration>(&placement.tolerations)),
        affinity: affinity(wanted, group),
        topology_spread_constraints: Some(spread(wanted, group)),
        priority_class_name: placement.priority_class_name.clone(),
        image_pull_secrets: some(secrets.collect()),
        ..PodSpec::default()
    }
}

fn placement(wanted: Wanted<'_>, kind: MemberKind) -> &Placement {
    wanted.sentinel_pods(kind).map_or(&wanted.redis().spec.placement, |pods| &pods.placement)
}

/// What is given counts. Of the shards, which each spread for themselves, no machine is to have more than its share.
fn affinity(wanted: Wanted<'_>, group: Group) -> Option<Affinity> {
    let given = placement(wanted, group.kind()).affinity.as_ref().and_then(read::<Affinity>);
    given.or_else(|| matches!(group, Group::Shard(_)).then(|| apart(wanted.names().selector(group.kind()))))
}

fn apart(nodes: BTreeMap<String, String>) -> Affinity {
    let term = PodAffinityTerm {
        label_selector: Some(LabelSelector { match_labels: Some(nodes), ..LabelSelector::default() }),
        topology_key: "kubernetes.io/hostname".to_owned(),
        ..PodAffinityTerm::default()
    };
    let preferred = vec![WeightedPodAffinityTerm { pod_affinity_term: term, weight: 100 }];
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(preferred),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// A shard has its copies far from each other, as a set without shards has.
fn spread(wanted: Wanted<'_>, group: Group) -> Vec<TopologySpreadConstraint> {
    let placement = placement(wanted, group.kind());
    let given = read_all::<TopologySpreadConstraint>(&placement.topology_spread_constraints);
    if !given.is_empty() {
        return given;
    }
    let over = |key: &str| TopologySpreadConstraint {
        topology_key: key.to_owned(),
        max_skew: 1,
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(wanted.names().selector_of(group)),
            ..LabelSelector::default()
        }),
        ..TopologySpreadConstraint::default()
    };
    SPREAD.map(over).into()
}

/// What a `RedisFailover` says counts as it is written.
fn security(wanted: Wanted<'_>, kind: MemberKind) -> PodSecurityContext {
    let pods = wanted.failover_pods(kind);
    if let Some(given) = pods.and_then(|pods| read(pods.security.as_ref()?)) {
        return given;
    }
    let user = if pods.is_some() { FAILOVER_USER } else { USER };
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        fs_group: Some(user),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

/// What was handed on as it was written, and is not what it should be, with its field.
pub(crate) fn faults(redis: &CheckedRedis) -> Vec<String> {
    let CheckedSpec { placement, network_policy, .. } = &redis.spec;
    let peers = unfit::<NetworkPolicyPeer>("spec.networkPolicy.from", &network_policy.from);
    let Some(failover) = &redis.failover else {
        return [misplaced("spec.placement", placement), peers].concat();
    };
    [
        misplaced("spec.redis", placement),
        misplaced("spec.sentinel", &failover.sentinel_pods.placement),
        unfit_pods("spec.redis", &failover.nodes),
        unfit_pods("spec.sentinel", &failover.sentinels),
        unfit_data(&failover.data),
        peers,
    ]
    .concat()
}

fn misplaced(path: &str, placement: &Placement) -> Vec<String> {
    let at = |field: &str| format!("{path}.{field}");
    [
        unfit::<Toleration>(&at("tolerations"), &placement.tolerations),
        unfit::<Affinity>(&at("affinity"), placement.affinity.as_slice()),
        unfit::<TopologySpreadConstraint>(
            &at("topologySpreadConstraints"),
            &placement.topology_spread_constraints,
        ),
    ]
    .concat()
}

fn unfit_pods(path: &str, pods: &FailoverPods) -> Vec<String> {
    let at = |field: &str| format!("{path}.{field}");
    let exporter = pods.exporter.clone().unwrap_or_default();
    let exporter_security = exporter.container_security_context.as_slice();
    [
        unfit::<PodSecurityContext>(&at("securityContext"), pods.security.as_slice()),
        unfit::<SecurityContext>(&at("containerSecurityContext"), pods.container_security.as_slice()),
        unfit::<EnvVar>(&at("exporter.env"), &exporter.env),
        unfit::<ResourceRequirements>(&at("exporter.resources"), exporter.resources.as_slice()),
        unfit::<SecurityContext>(&at("exporter.containerSecurityContext"), exporter_security),
    ]
    .concat()
}

fn unfit_data(data: &FailoverData) -> Vec<String> {
    match data {
        FailoverData::EmptyDir(dir) => {
            unfit::<EmptyDirVolumeSource>("spec.redis.storage.emptyDir", std::slice::from_ref(dir))
        }
        FailoverData::Claim { template, .. } => unfit::<PersistentVolumeClaim>(
            "spec.redis.storage.persistentVolumeClaim",
            std::slice::from_ref(template),
        ),
    }
}

fn unfit<T: DeserializeOwned>(path: &str, objects: &[RawObject]) -> Vec<String> {
    let fault = |object: &RawObject| serde_json::from_value::<T>(Value::Object(object.0.clone())).err();
    objects
        .iter()
        .filter_map(fault)
        .map(|error| format!("{path}: {error}; write it as a pod has it"))
        .collect()
}

/// What is no such thing was refused before ([`faults`]).
pub(super) fn read<T: DeserializeOwned>(object: &RawObject) -> Option<T> {
    serde_json::from_value(Value::Object(object.0.clone())).ok()
}

pub(super) fn read_all<T: DeserializeOwned>(objects: &[RawObject]) -> Vec<T> {
    objects.iter().filter_map(read).collect()
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
