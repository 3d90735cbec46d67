//! The operator's own metrics, made from what the engine shows when they are asked for.

use std::fmt::Write as _;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use redoubt_api::{ConditionStatus, Key, RedisStatus};
use redoubt_engine::Views;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Which {
    kind: &'static str,
    namespace: String,
    redis: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Aspect {
    kind: &'static str,
    namespace: String,
    redis: String,
    condition: String,
}

/// The text of all metrics.
pub(crate) fn text(views: &Views, leads: bool) -> String {
    let mut registry = Registry::default();
    let leader = Gauge::<i64>::default();
    leader.set(i64::from(leads));
    registry.register("redoubt_operator_leader", "This operator leads: 1, or waits: 0", leader);
    let (conditions, ready, asked) = (
        Family::<Aspect, Gauge>::default(),
        Family::<Which, Gauge>::default(),
        Family::<Which, Gauge>::default(),
    );
    for (key, view) in views {
        aspects(&conditions, key, &view.status);
        let count = |nodes: usize| i64::try_from(nodes).unwrap_or(i64::MAX);
        ready
            .get_or_create(&which(key))
            .set(count(view.status.nodes.iter().filter(|node| node.ready).count()));
        asked.get_or_create(&which(key)).set(count(view.status.nodes.len()));
    }
    registry.register(
        "redoubt_redis_condition",
        "A condition of a Redis: 1 true, 0 false, -1 unknown",
        conditions,
    );
    registry.register("redoubt_redis_nodes_ready", "Data nodes that are ready", ready);
    registry.register("redoubt_redis_nodes", "Data nodes", asked);
    let mut text = String::new();
    if encode(&mut text, &registry).is_err() {
        // Writing to a string fails only where a label cannot be written at all.
        let _ = writeln!(text, "# incomplete");
    }
    text
}

fn aspects(family: &Family<Aspect, Gauge>, key: &Key, status: &RedisStatus) {
    for condition in &status.conditions {
        let aspect = Aspect {
            kind: key.kind.name(),
            namespace: key.namespace.clone(),
            redis: key.name.clone(),
            condition: format!("{:?}", condition.kind),
        };
        family.get_or_create(&aspect).set(match condition.status {
            ConditionStatus::True => 1,
            ConditionStatus::False => 0,
            ConditionStatus::Unknown => -1,
        });
    }
}

fn which(key: &Key) -> Which {
    Which { kind: key.kind.name(), namespace: key.namespace.clone(), redis: key.name.clone() }
}
