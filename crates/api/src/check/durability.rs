//! What may be lost, and how long to wait.

use std::time::Duration;

use super::Findings;
use crate::{
    CheckedTopology, Durability, defaults,
    raw::{Deadline, DurabilitySpec, Interval, RedisSpec},
};

/// A server may be busy with one slow command for this long at any time.
const LEAST_HANG_LIMIT: Duration = Duration::from_millis(500);

pub(super) fn check(
    spec: &RedisSpec,
    topology: &CheckedTopology,
    nodes: u32,
    findings: &mut Findings,
) -> Durability {
    let spec = spec.durability.clone().unwrap_or_default();
    let down_after = match topology {
        CheckedTopology::Sentinel(sentinel) => Some(sentinel.down_after),
        CheckedTopology::Standalone => None,
    };
    Durability {
        min_replicas_to_write: min_replicas(&spec, nodes, findings),
        max_replica_lag: max_replica_lag(&spec, down_after, findings),
        recovery_deadline: match spec.recovery_deadline {
            None => Some(defaults::RECOVERY_DEADLINE),
            Some(Deadline::After(interval)) => Some(interval.0),
            Some(Deadline::Never) => None,
        },
        hang_limit: hang_limit(&spec, down_after, findings),
    }
}

fn min_replicas(spec: &DurabilitySpec, nodes: u32, findings: &mut Findings) -> u32 {
    const PATH: &str = "spec.durability.minReplicasToWrite";
    let wanted = spec.min_replicas_to_write.unwrap_or(defaults::MIN_REPLICAS_TO_WRITE);
    let replicas = nodes.saturating_sub(1);
    if wanted > replicas && nodes > 0 {
        let message = format!(
            "{wanted} replicas are asked for, and there are {replicas} beside the master: nothing could be written"
        );
        findings.fault(PATH, message, format!("write at most {replicas}, or raise spec.replicas"));
    } else if wanted == replicas && wanted > 0 {
        let message = "every replica must be in reach: the loss of one stops all writes";
        findings.warn(PATH, message, "raise spec.replicas by one");
    }
    wanted
}

fn max_replica_lag(spec: &DurabilitySpec, down_after: Option<Duration>, findings: &mut Findings) -> Duration {
    const PATH: &str = "spec.durability.maxReplicaLag";
    let limit = down_after.unwrap_or(defaults::DOWN_AFTER);
    let Some(Interval(lag)) = spec.max_replica_lag else { return defaults::max_replica_lag(limit) };
    if lag.subsec_millis() != 0 || lag.is_zero() {
        findings.fault(PATH, "must be whole seconds, at least 1s: servers count it so", "write 3s");
    }
    if down_after.is_some_and(|down_after| lag >= down_after) {
        let message = format!(
            "{} is not below spec.sentinel.downAfter ({}): a master that is cut off would take writes after its successor does, and those are lost",
            Interval(lag),
            Interval(limit)
        );
        findings.fault(PATH, message, format!("write {}", Interval(defaults::max_replica_lag(limit))));
    }
    lag
}

fn hang_limit(spec: &DurabilitySpec, down_after: Option<Duration>, findings: &mut Findings) -> Duration {
    const PATH: &str = "spec.durability.hangLimit";
    let reference = down_after.unwrap_or(defaults::DOWN_AFTER);
    let Some(Interval(limit)) = spec.hang_limit else { return defaults::hang_limit(reference) };
    if limit < LEAST_HANG_LIMIT {
        let message =
            format!("is below {}: one slow command would end a healthy server", Interval(LEAST_HANG_LIMIT));
        findings.fault(PATH, message, "write 3s");
    }
    if down_after.is_some_and(|down_after| limit >= down_after) {
        let message = format!(
            "{} is not below spec.sentinel.downAfter ({}): the Sentinels would elect another master while a frozen one can still wake up",
            Interval(limit),
            Interval(reference)
        );
        findings.fault(PATH, message, format!("write {}", Interval(defaults::hang_limit(reference))));
    }
    limit
}
