//! What only a platform with containers has: placement, registries, Services, network policies. What is handed on as it
//! was written is judged there.

use std::collections::BTreeMap;

use super::{Findings, names};
use crate::{NetworkPolicy, Placement, Services, raw::RedisSpec};

/// Ours: written by hand, it would be taken for what the engine wrote.
const OURS: &str = "redoubt.dev/";

pub(super) fn image_pull_secrets(spec: &RedisSpec, findings: &mut Findings) -> Vec<String> {
    for (index, secret) in spec.image_pull_secrets.iter().enumerate() {
        names::subdomain(&format!("spec.imagePullSecrets.{index}.name"), &secret.name, findings);
    }
    spec.image_pull_secrets.iter().map(|secret| secret.name.clone()).collect()
}

pub(super) fn placement(spec: &RedisSpec, findings: &mut Findings) -> Placement {
    let placement = spec.placement.clone().unwrap_or_default();
    if let Some(class) = &placement.priority_class_name {
        names::subdomain("spec.placement.priorityClassName", class, findings);
    }
    Placement {
        node_selector: placement.node_selector,
        tolerations: placement.tolerations,
        affinity: placement.affinity,
        topology_spread_constraints: placement.topology_spread_constraints,
        priority_class_name: placement.priority_class_name,
    }
}

pub(super) fn pod_annotations(spec: &RedisSpec, findings: &mut Findings) -> BTreeMap<String, String> {
    annotations("spec.podAnnotations", &spec.pod_annotations, findings)
}

pub(super) fn services(spec: &RedisSpec, findings: &mut Findings) -> Services {
    let services = spec.services.clone().unwrap_or_default();
    let mut checked = |field: &str, given: &BTreeMap<String, String>| {
        annotations(&format!("spec.services.{field}"), given, findings)
    };
    Services {
        master_annotations: checked("masterAnnotations", &services.master_annotations),
        replicas_annotations: checked("replicasAnnotations", &services.replicas_annotations),
        sentinel_annotations: checked("sentinelAnnotations", &services.sentinel_annotations),
    }
}

fn annotations(
    path: &str,
    given: &BTreeMap<String, String>,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    for name in given.keys().filter(|name| name.starts_with(OURS)) {
        let message = format!("annotations that begin with {OURS} are written by Redoubt");
        findings.fault(&format!("{path}.{name}"), message, "choose another name");
    }
    given.clone()
}

pub(super) fn network_policy(spec: &RedisSpec, findings: &mut Findings) -> NetworkPolicy {
    let policy = spec.network_policy.clone().unwrap_or_default();
    let enabled = policy.enabled.unwrap_or(true);
    if !enabled && !policy.from.is_empty() {
        let message = "has no effect while spec.networkPolicy.enabled is false";
        findings.warn("spec.networkPolicy.from", message, "remove one of them");
    }
    NetworkPolicy { enabled, from: policy.from }
}
