//! Pods.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use k8s_openapi::{
    api::core::v1::{
        Affinity, LocalObjectReference, PersistentVolumeClaimVolumeSource, Pod, PodSecurityContext, PodSpec,
        PodTemplateSpec, SeccompProfile, Toleration, TopologySpreadConstraint, Volume,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use redoubt_api::{CheckedRedis, CheckedSpec, RawObject};
use redoubt_engine::platform::MemberKind;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Wanted, container, volume};
use crate::names::labels;

/// The user `redis` of the official images.
const USER: i64 = 999;
/// As well as possible, zones before machines.
const SPREAD: [&str; 2] = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"];

pub(super) fn template(wanted: Wanted<'_>, kind: MemberKind) -> PodTemplateSpec {
    PodTemplateSpec { metadata: Some(metadata(wanted, kind)), spec: Some(spec(wanted, kind)) }
}

/// A pod of this kind, for a dry run.
pub(crate) fn probe_pod(wanted: Wanted<'_>, kind: MemberKind) -> Pod {
    let mut spec = spec(wanted, kind);
    if kind == MemberKind::Node {
        let claim = PersistentVolumeClaimVolumeSource { claim_name: "data".to_owned(), read_only: None };
        let data =
            Volume { name: "data".to_owned(), persistent_volume_claim: Some(claim), ..Volume::default() };
        spec.volumes.get_or_insert_default().push(data);
    }
    let metadata = ObjectMeta {
        generate_name: Some(format!("{}-", wanted.names().set(kind))),
        namespace: Some(wanted.redis().key.namespace.clone()),
        ..metadata(wanted, kind)
    };
    Pod { metadata, spec: Some(spec), status: None }
}

fn metadata(wanted: Wanted<'_>, kind: MemberKind) -> ObjectMeta {
    let mut annotations: BTreeMap<String, String> = wanted.redis().spec.pod_annotations.clone();
    annotations.insert(labels::TEMPLATE.to_owned(), wanted.workload.template.clone());
    ObjectMeta {
        labels: Some(wanted.names().labels_of(kind)),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    }
}

fn spec(wanted: Wanted<'_>, kind: MemberKind) -> PodSpec {
    let spec = &wanted.redis().spec;
    let placement = &spec.placement;
    let secrets = spec.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    PodSpec {
        init_containers: Some(vec![container::program(wanted, kind)]),
        containers: vec![container::server(wanted, kind)],
        volumes: Some(volume::volumes(wanted, kind)),
        security_context: Some(security()),
        // Whoever takes over a Redis gets nothing of the cluster with it.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(
            i64::try_from(spec.termination_grace_period.as_secs()).unwrap_or(30),
        ),
        node_selector: (!placement.node_selector.is_empty()).then(|| placement.node_selector.clone()),
        tolerations: some(read_all::<Toleration>(&placement.tolerations)),
        affinity: placement.affinity.as_ref().and_then(read::<Affinity>),
        topology_spread_constraints: Some(spread(wanted, kind)),
        priority_class_name: placement.priority_class_name.clone(),
        image_pull_secrets: some(secrets.collect()),
        ..PodSpec::default()
    }
}

fn spread(wanted: Wanted<'_>, kind: MemberKind) -> Vec<TopologySpreadConstraint> {
    let given =
        read_all::<TopologySpreadConstraint>(&wanted.redis().spec.placement.topology_spread_constraints);
    if !given.is_empty() {
        return given;
    }
    let over = |key: &str| TopologySpreadConstraint {
        topology_key: key.to_owned(),
        max_skew: 1,
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(wanted.names().selector(kind)),
            ..LabelSelector::default()
        }),
        ..TopologySpreadConstraint::default()
    };
    SPREAD.map(over).into()
}

fn security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

/// Shards have their place on one machine so far.
const CLUSTER: &str = "spec.mode: Cluster is not available on Kubernetes yet; write Sentinel or Standalone";

/// What was handed on as it was written, and is not what it should be, with its field.
pub(crate) fn faults(redis: &CheckedRedis) -> Vec<String> {
    let CheckedSpec { placement, network_policy, .. } = &redis.spec;
    let cluster = redis.cluster().map(|_| CLUSTER.to_owned()).into_iter().collect();
    [
        cluster,
        unfit::<Toleration>("spec.placement.tolerations", &placement.tolerations),
        unfit::<Affinity>("spec.placement.affinity", placement.affinity.as_slice()),
        unfit::<TopologySpreadConstraint>(
            "spec.placement.topologySpreadConstraints",
            &placement.topology_spread_constraints,
        ),
        unfit::<NetworkPolicyPeer>("spec.networkPolicy.from", &network_policy.from),
    ]
    .concat()
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
fn read<T: DeserializeOwned>(object: &RawObject) -> Option<T> {
    serde_json::from_value(Value::Object(object.0.clone())).ok()
}

fn read_all<T: DeserializeOwned>(objects: &[RawObject]) -> Vec<T> {
    objects.iter().filter_map(read).collect()
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
