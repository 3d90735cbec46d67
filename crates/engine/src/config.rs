//! From a checked resource to the configuration all its agents share.

use std::time::Duration;

use redoubt_api::{self as api, CheckedRedis, CheckedSentinel, CheckedTopology};
use redoubt_redis::Endpoint;
use redoubt_wire::{
    API_VERSION,
    config::{
        Access, ClusterConfig, Durability, NodeEntry, Persistence, SentinelConfig, SentinelDoor, SetConfig,
        Topology,
    },
};

use crate::{
    platform::Identity,
    world::{Counts, majority},
};

/// The configuration of a set of so many members. The same arguments give the same bytes.
#[must_use]
pub fn set_config(redis: &CheckedRedis, identity: &Identity, counts: Counts) -> SetConfig {
    let spec = &redis.spec;
    SetConfig {
        api_version: API_VERSION,
        name: redis.key.name.clone(),
        namespace: redis.key.namespace.clone(),
        uid: identity.uid.clone(),
        generation: redis.generation,
        topology: topology(&spec.topology, identity, counts),
        nodes: nodes(&identity.nodes, counts),
        directives: spec.config.clone(),
        persistence: persistence(&spec.persistence),
        durability: durability(&spec.durability),
        grace_period_ms: millis(spec.termination_grace_period),
        access: Access {
            auth: spec.auth.enabled,
            admin_commands: spec.auth.admin_commands,
            protect_sentinel_channel: spec.auth.protect_sentinel_channel,
            sentinel_door: match spec.auth.sentinel_door {
                api::SentinelDoor::AsNodes => SentinelDoor::AsNodes,
                api::SentinelDoor::Open => SentinelDoor::Open,
            },
            denied_commands: spec.auth.denied_commands.clone(),
        },
        agentless: redis.failover.as_ref().is_some_and(|failover| failover.adopted),
        bootstrap: bootstrap(redis),
    }
}

fn bootstrap(redis: &CheckedRedis) -> Option<Endpoint> {
    let source = redis.failover.as_ref()?.bootstrap.as_ref()?;
    Some(Endpoint::new(source.host.clone(), source.port))
}

fn topology(topology: &CheckedTopology, identity: &Identity, counts: Counts) -> Topology {
    match topology {
        CheckedTopology::Standalone => Topology::Standalone,
        CheckedTopology::Cluster(cluster) => Topology::Cluster(ClusterConfig {
            shards: counts.shards,
            node_timeout_ms: millis(cluster.node_timeout),
        }),
        CheckedTopology::Sentinel(sentinel) => Topology::Sentinel(SentinelConfig {
            master_name: sentinel.master_name.clone(),
            quorum: quorum(sentinel, counts.sentinels),
            down_after_ms: millis(sentinel.down_after),
            failover_timeout_ms: millis(sentinel.failover_timeout),
            parallel_syncs: sentinel.parallel_syncs,
            directives: sentinel.config.clone(),
            sentinels: first(&identity.sentinels, counts.sentinels),
        }),
    }
}

/// While Sentinels are leaving, the quorum that was asked for is for another number of them.
fn quorum(sentinel: &CheckedSentinel, now: u32) -> u32 {
    if now == sentinel.replicas { sentinel.quorum } else { majority(now) }
}

fn persistence(persistence: &api::Persistence) -> Persistence {
    Persistence {
        rdb_save: persistence.rdb_save.clone(),
        aof: persistence.aof,
        aof_fsync: persistence.aof_fsync.directive().to_owned(),
    }
}

fn durability(durability: &api::Durability) -> Durability {
    Durability {
        min_replicas_to_write: durability.min_replicas_to_write,
        // Redis counts whole seconds, and 0 would turn the check off.
        max_replica_lag_s: durability.max_replica_lag.as_secs().max(1),
        recovery_deadline_ms: durability.recovery_deadline.map(millis),
        hang_limit_ms: millis(durability.hang_limit),
    }
}

/// The first of all, or of each shard.
fn nodes(all: &[NodeEntry], counts: Counts) -> Vec<NodeEntry> {
    if counts.shards == 0 {
        return first(all, counts.nodes);
    }
    let of = |shard| all.iter().filter(move |node| node.shard == Some(shard)).take(counts.nodes as usize);
    (0..counts.shards).flat_map(of).cloned().collect()
}

fn first<T: Clone>(all: &[T], count: u32) -> Vec<T> {
    all.iter().take(count as usize).cloned().collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    #[test]
    fn the_same_arguments_give_the_same_revision() {
        let scene = Scene::sentinel().nodes(3);
        let counts = Counts { nodes: 3, sentinels: 3, ..Counts::default() };
        let revision = || set_config(scene.redis(), &scene.identity(), counts).revision();
        assert_eq!(revision(), revision());
    }

    #[test]
    fn members_above_the_counts_are_not_in_it() {
        let scene = Scene::sentinel().nodes(5).sentinels(5);
        let config = set_config(
            scene.redis(),
            &scene.identity(),
            Counts { nodes: 4, sentinels: 3, ..Counts::default() },
        );
        assert_eq!(config.nodes.len(), 4);
        assert_eq!(config.sentinel().unwrap().sentinels.len(), 3);
    }

    #[test]
    fn the_quorum_follows_the_sentinels_that_are_there() {
        let scene = Scene::sentinel().sentinels(3);
        let sentinel = CheckedSentinel { quorum: 3, ..scene.redis().sentinel().unwrap().clone() };
        for (now, want) in [(3, 3), (4, 3), (5, 3), (7, 4), (1, 1)] {
            assert_eq!(quorum(&sentinel, now), want, "{now} Sentinels");
        }
    }

    #[test]
    fn a_lag_below_a_second_does_not_turn_the_fence_off() {
        let scene = Scene::sentinel();
        let durability = api::Durability {
            max_replica_lag: Duration::from_millis(300),
            ..scene.redis().spec.durability.clone()
        };
        assert_eq!(super::durability(&durability).max_replica_lag_s, 1);
    }
}
