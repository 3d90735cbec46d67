//! Where pods run. A `Redis` says it once, for data nodes and Sentinels; what runs as it is has both.

use serde_json::Value;

use super::{
    raw::{Annotated, RedisFailoverSpec},
    translate::{Purpose, Translator},
};
use crate::raw::{PlacementSpec, RawObject, ServicesSpec};

pub(super) fn translate(spec: &RedisFailoverSpec, to: &mut Translator) {
    let (nodes, sentinels) = (&spec.redis.annotated, &spec.sentinel.annotated);
    if to.purpose == Purpose::Convert {
        differences(nodes, sentinels, to);
        selectors(nodes, to);
    }
    let placement = PlacementSpec {
        node_selector: nodes.node_selector.clone(),
        tolerations: nodes.tolerations.clone(),
        affinity: nodes.affinity.clone(),
        topology_spread_constraints: nodes.topology_spread_constraints.clone(),
        priority_class_name: nodes.priority_class_name.clone(),
    };
    to.redis.spec.placement = (placement != PlacementSpec::default()).then_some(placement);
    to.redis.spec.pod_annotations.clone_from(&nodes.pod_annotations);
    let services = ServicesSpec {
        master_annotations: nodes.service_annotations.clone(),
        replicas_annotations: nodes.service_annotations.clone(),
        sentinel_annotations: sentinels.service_annotations.clone(),
    };
    to.redis.spec.services = (services != ServicesSpec::default()).then_some(services);
}

fn differences(nodes: &Annotated, sentinels: &Annotated, to: &mut Translator) {
    let differ = [
        ("affinity", nodes.affinity == sentinels.affinity),
        ("tolerations", nodes.tolerations == sentinels.tolerations),
        (
            "topologySpreadConstraints",
            nodes.topology_spread_constraints == sentinels.topology_spread_constraints,
        ),
        ("nodeSelector", nodes.node_selector == sentinels.node_selector),
        ("priorityClassName", nodes.priority_class_name == sentinels.priority_class_name),
        ("podAnnotations", nodes.pod_annotations == sentinels.pod_annotations),
    ];
    for (field, _) in differ.iter().filter(|(_, same)| !same) {
        to.not_honoured(
            &format!("spec.sentinel.{field}"),
            format!("Sentinels have what spec.redis.{field} says"),
            "write the same in both",
        );
    }
}

/// An anti-affinity that selects nobody is one that is not there.
fn selectors(nodes: &Annotated, to: &mut Translator) {
    let spread = nodes.topology_spread_constraints.as_slice();
    for (field, objects) in [("affinity", nodes.affinity.as_slice()), ("topologySpreadConstraints", spread)] {
        if objects.iter().any(selects_pods) {
            to.warn(
                &format!("spec.redis.{field}"),
                "selects pods by labels, and those of the new pods are others",
                "select app.kubernetes.io/instance (the name of the Redis) and app.kubernetes.io/component (node, sentinel)",
            );
        }
    }
}

fn selects_pods(object: &RawObject) -> bool {
    fn inside(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.contains_key("labelSelector") || fields.values().any(inside),
            Value::Array(list) => list.iter().any(inside),
            _ => false,
        }
    }
    object.0.contains_key("labelSelector") || object.0.values().any(inside)
}
