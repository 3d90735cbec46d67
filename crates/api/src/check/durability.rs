//! What may be lost, and how long to wait.

use std::time::Duration;

use super::Findings;
use crate::{
    CheckedTopology, Durability, defaults,
    raw::{Deadline, DurabilitySpec, Interval, RedisSpec},
};

/// A server may be busy with one slow command for this long at any time.
const LEAST_HANG_LIMIT: Duration = Duration::from_millis(500);

/// When the others hold a master for dead.
#[derive(Clone, Copy)]
struct Patience {
    name: &'static str,
    limit: Duration,
}

/// How many nodes hold the same data, and which field says so.
struct Copies {
    nodes: u32,
    field: &'static str,
}

pub(super) fn check(
    spec: &RedisSpec,
    topology: &CheckedTopology,
    nodes: u32,
    findings: &mut Findings,
) -> Durability {
    let spec = spec.durability.clone().unwrap_or_default();
    let patience = match topology {
        CheckedTopology::Sentinel(sentinel) => {
            Some(Patience { name: "spec.sentinel.downAfter", limit: sentinel.down_after })
        }
        CheckedTopology::Cluster(cluster) => {
            Some(Patience { name: "the cluster's node timeout", limit: cluster.node_timeout })
        }
        CheckedTopology::Standalone => None,
    };
    let copies = match topology {
        CheckedTopology::Cluster(cluster) => {
            Copies { nodes: cluster.replicas_per_shard.saturating_add(1), field: "spec.replicasPerShard" }
        }
        CheckedTopology::Standalone | CheckedTopology::Sentinel(_) => {
            Copies { nodes, field: "spec.replicas" }
        }
    };
    Durability {
        min_replicas_to_write: min_replicas(&spec, &copies, findings),
        max_replica_lag: max_replica_lag(&spec, patience, findings),
        recovery_deadline: match spec.recovery_deadline {
            None => Some(defaults::RECOVERY_DEADLINE),
            Some(Deadline::After(interval)) => Some(interval.0),
            Some(Deadline::Never) => None,
        },
        hang_limit: hang_limit(&spec, patience, findings),
    }
}

fn min_replicas(spec: &DurabilitySpec, copies: &Copies, findings: &mut Findings) -> u32 {
    const PATH: &str = "spec.durability.minReplicasToWrite";
    let wanted = spec.min_replicas_to_write.unwrap_or(defaults::MIN_REPLICAS_TO_WRITE);
    let &Copies { nodes, field } = copies;
    let replicas = nodes.saturating_sub(1);
    if wanted > replicas && nodes > 0 {
        let message = format!(
            "{wanted} replicas are asked for, and there are {replicas} beside the master: nothing could be written"
        );
        findings.fault(PATH, message, format!("write at most {replicas}, or raise {field}"));
    } else if wanted == replicas && wanted > 0 {
        let message = "every replica must be in reach: the loss of one stops all writes";
        findings.warn(PATH, message, format!("raise {field} by one"));
    }
    wanted
}

fn max_replica_lag(spec: &DurabilitySpec, patience: Option<Patience>, findings: &mut Findings) -> Duration {
    const PATH: &str = "spec.durability.maxReplicaLag";
    let limit = patience.map_or(defaults::DOWN_AFTER, |patience| patience.limit);
    let Some(Interval(lag)) = spec.max_replica_lag else { return defaults::max_replica_lag(limit) };
    if lag.subsec_millis() != 0 || lag.is_zero() {
        findings.fault(PATH, "must be whole seconds, at least 1s: servers count it so", "write 3s");
    }
    if let Some(Patience { name, .. }) = patience.filter(|patience| lag >= patience.limit) {
        let message = format!(
            "{} is not below {name} ({}): a master that is cut off would take writes after its successor does, and those are lost",
            Interval(lag),
            Interval(limit)
        );
        findings.fault(PATH, message, format!("write {}", Interval(defaults::max_replica_lag(limit))));
    }
    lag
}

fn hang_limit(spec: &DurabilitySpec, patience: Option<Patience>, findings: &mut Findings) -> Duration {
    const PATH: &str = "spec.durability.hangLimit";
    let reference = patience.map_or(defaults::DOWN_AFTER, |patience| patience.limit);
    let Some(Interval(limit)) = spec.hang_limit else { return defaults::hang_limit(reference) };
    if limit < LEAST_HANG_LIMIT {
        let message =
            format!("is below {}: one slow command would end a healthy server", Interval(LEAST_HANG_LIMIT));
        findings.fault(PATH, message, "write 3s");
    }
    if let Some(Patience { name, .. }) = patience.filter(|patience| limit >= patience.limit) {
        let message = format!(
            "{} is not below {name} ({}): the others would elect another master while a frozen one can still wake up",
            Interval(limit),
            Interval(reference)
        );
        findings.fault(PATH, message, format!("write {}", Interval(defaults::hang_limit(reference))));
    }
    limit
}
