//! The Sentinels.

use std::time::Duration;

use super::{Findings, directives};
use crate::{CheckedSentinel, defaults, raw::SentinelSpec};

/// Most Sentinels of one Redis: each writes to disk and answers for every vote, and nine survive the loss of four.
const MAX_SENTINELS: u32 = 9;
/// Below this a healthy master is held for dead now and then: Sentinels ask once a second, and at 1 s failovers
/// without a failure were measured.
const LEAST_DOWN_AFTER: Duration = Duration::from_secs(3);
/// Nothing works below this: Sentinels look at a master ten times a second.
const SHORTEST_DOWN_AFTER: Duration = Duration::from_millis(200);
/// A vote that led nowhere holds the next one back for twice the failover timeout.
const LONG_FAILOVER_TIMEOUT: Duration = Duration::from_mins(1);

pub(super) fn check(spec: Option<&SentinelSpec>, findings: &mut Findings) -> CheckedSentinel {
    let spec = spec.cloned().unwrap_or_default();
    let replicas = replicas(&spec, findings);
    CheckedSentinel {
        replicas,
        quorum: quorum(&spec, replicas, findings),
        master_name: master_name(&spec, findings),
        down_after: down_after(&spec, findings),
        failover_timeout: failover_timeout(&spec, findings),
        parallel_syncs: parallel_syncs(&spec, findings),
        config: directives::sentinel("spec.sentinel.config", &spec.config, findings),
    }
}

fn replicas(spec: &SentinelSpec, findings: &mut Findings) -> u32 {
    const PATH: &str = "spec.sentinel.replicas";
    let replicas = spec.replicas.unwrap_or(defaults::SENTINELS);
    match replicas {
        0 => findings.fault(PATH, "must be at least 1, not 0", "write 3, or mode: Standalone"),
        1 => findings.warn(
            PATH,
            "there is one Sentinel: while it is away nothing elects a new master",
            "write 3",
        ),
        _ if replicas > MAX_SENTINELS => {
            findings.fault(PATH, format!("must be at most {MAX_SENTINELS}, not {replicas}"), "write 3 or 5");
        }
        _ if replicas.is_multiple_of(2) => findings.warn(
            PATH,
            format!(
                "{replicas} is even: it survives the loss of no more Sentinels than {} does",
                replicas - 1
            ),
            format!("write {} or {}", replicas - 1, replicas + 1),
        ),
        _ => {}
    }
    replicas
}

fn quorum(spec: &SentinelSpec, replicas: u32, findings: &mut Findings) -> u32 {
    const PATH: &str = "spec.sentinel.quorum";
    let majority = defaults::quorum(replicas);
    let quorum = spec.quorum.unwrap_or(majority);
    if quorum == 0 {
        findings.fault(
            PATH,
            "must be at least 1, not 0",
            format!("leave it out: the majority is {majority}"),
        );
    } else if quorum > replicas && replicas > 0 {
        let message =
            format!("{quorum} is more than the {replicas} Sentinels there are: they could never agree");
        findings.fault(PATH, message, format!("leave it out: the majority is {majority}"));
    }
    quorum
}

fn master_name(spec: &SentinelSpec, findings: &mut Findings) -> String {
    const PATH: &str = "spec.sentinel.masterName";
    let name = spec.master_name.as_deref().unwrap_or(defaults::MASTER_NAME);
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if name.is_empty() || !name.chars().all(allowed) {
        let message = format!("{name:?} is not a name Sentinels take");
        findings.fault(PATH, message, "use letters, digits, '.', '-' and '_'");
    }
    name.to_owned()
}

fn down_after(spec: &SentinelSpec, findings: &mut Findings) -> Duration {
    const PATH: &str = "spec.sentinel.downAfter";
    let down_after = spec.down_after.map_or(defaults::DOWN_AFTER, |interval| interval.0);
    let forced = spec.force_down_after.unwrap_or_default();
    if down_after < SHORTEST_DOWN_AFTER {
        findings.fault(PATH, "is too short to be measured", "write 5s");
    } else if down_after < LEAST_DOWN_AFTER {
        let message = format!(
            "{} is below 3s: Sentinels ask once a second, and at 1s healthy masters were failed over",
            crate::raw::Interval(down_after)
        );
        if forced {
            findings.warn(PATH, message, "write 5s: a crash is noticed at once and does not wait for it");
        } else {
            let hint =
                "write 5s (a crash is noticed at once and does not wait for it), or add forceDownAfter: true";
            findings.fault(PATH, message, hint);
        }
    }
    down_after
}

fn failover_timeout(spec: &SentinelSpec, findings: &mut Findings) -> Duration {
    const PATH: &str = "spec.sentinel.failoverTimeout";
    let timeout = spec.failover_timeout.map_or(defaults::FAILOVER_TIMEOUT, |interval| interval.0);
    if timeout < Duration::from_secs(1) {
        findings.fault(PATH, "is below 1s: no failover could finish", "write 10s");
    } else if timeout > LONG_FAILOVER_TIMEOUT {
        let message = "a vote that led nowhere holds the next one back for twice this long";
        findings.warn(PATH, message, "write 10s");
    }
    timeout
}

fn parallel_syncs(spec: &SentinelSpec, findings: &mut Findings) -> u32 {
    let syncs = spec.parallel_syncs.unwrap_or(defaults::PARALLEL_SYNCS);
    if syncs == 0 {
        findings.fault("spec.sentinel.parallelSyncs", "must be at least 1, not 0", "leave it out");
    }
    syncs
}
