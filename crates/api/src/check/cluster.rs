//! The shards of `mode: Cluster`.

use std::collections::BTreeMap;

use super::Findings;
use crate::{
    CheckedCluster, defaults,
    raw::{Mode, RedisSpec},
};

/// A majority of masters has to be left when one is gone.
const FEWEST_SHARDS: u32 = 3;
/// On one machine a node's address follows from its shard and its place in it: 20 shards of 5 nodes have one.
const MOST_SHARDS: u32 = 20;
const MOST_REPLICAS_PER_SHARD: u32 = 4;
/// The lightest of 20 shards beside 19 of this weight owns 8 slots still: nobody is asked to own none.
const HEAVIEST: u32 = 100;

/// What is asked for in a cluster.
pub(super) fn check(spec: &RedisSpec, findings: &mut Findings) -> CheckedCluster {
    let shards = spec.shards.unwrap_or(defaults::SHARDS);
    let replicas_per_shard = spec.replicas_per_shard.unwrap_or(defaults::REPLICAS_PER_SHARD);
    if shards < FEWEST_SHARDS {
        let message = format!(
            "must be at least {FEWEST_SHARDS}, not {shards}: the masters vote, and a majority must be left when one is gone"
        );
        findings.fault("spec.shards", message, format!("write {FEWEST_SHARDS}, or mode: Sentinel"));
    } else if shards > MOST_SHARDS {
        findings.fault(
            "spec.shards",
            format!("must be at most {MOST_SHARDS}, not {shards}"),
            "use fewer shards",
        );
    }
    let path = "spec.replicasPerShard";
    if replicas_per_shard > MOST_REPLICAS_PER_SHARD {
        let message = format!("must be at most {MOST_REPLICAS_PER_SHARD}, not {replicas_per_shard}");
        findings.fault(path, message, "use fewer replicas");
    } else if replicas_per_shard == 0 {
        let message = "a shard is one node: when it fails there is none to take over";
        findings.warn(path, message, "write replicasPerShard: 1");
    }
    let weights = weights(spec, shards, findings);
    CheckedCluster { shards, replicas_per_shard, weights, node_timeout: defaults::NODE_TIMEOUT }
}

fn weights(spec: &RedisSpec, shards: u32, findings: &mut Findings) -> BTreeMap<u32, u32> {
    let mut weights = BTreeMap::new();
    for (name, weight) in &spec.weights {
        let path = format!("spec.weights.{name}");
        // `01` would be a second name of shard 1.
        let shard = name.parse::<u32>().ok().filter(|shard| *shard < shards && shard.to_string() == *name);
        let Some(shard) = shard else {
            let message =
                format!("there is no shard {name:?}: the shards are 0 to {}", shards.saturating_sub(1));
            findings.fault(&path, message, "remove it, or raise spec.shards");
            continue;
        };
        if !(1..=HEAVIEST).contains(weight) {
            let message = format!("must be from 1 to {HEAVIEST}, not {weight}");
            findings.fault(&path, message, "for a shard without slots, write fewer spec.shards");
        }
        weights.insert(shard, *weight);
    }
    weights
}

/// Fields of one mode in another one.
pub(super) fn misplaced(spec: &RedisSpec, mode: Mode, findings: &mut Findings) {
    if mode == Mode::Cluster {
        if let Some(replicas) = spec.replicas {
            findings.fault(
                "spec.replicas",
                format!("has no meaning in mode Cluster (it is {replicas}): each shard has its own replicas"),
                "write spec.shards and spec.replicasPerShard",
            );
        }
        return;
    }
    let fields = [
        ("spec.shards", spec.shards.is_some()),
        ("spec.replicasPerShard", spec.replicas_per_shard.is_some()),
        ("spec.weights", !spec.weights.is_empty()),
    ];
    for (path, _) in fields.iter().filter(|(_, written)| *written) {
        findings.fault(path, format!("has no meaning in mode {mode:?}"), "remove it, or write mode: Cluster");
    }
}
