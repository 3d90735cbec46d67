//! A set and its secrets, for tests.

use redoubt_redis::Endpoint;
use redoubt_wire::{
    config::{
        Access, Durability, NodeEntry, Persistence, SentinelConfig, SentinelEntry, SetConfig, Topology,
        sentinel_id,
    },
    secrets::{Password, Secrets},
};

/// Every password is its file's name.
pub(crate) fn secrets() -> Secrets {
    let password = |text: &str| Password::new(text).unwrap();
    Secrets {
        application: password("password"),
        agent: password("agent-password"),
        replication: password("replication-password"),
        sentinel_at_nodes: password("sentinel-node-password"),
        sentinel: password("sentinel-password"),
        token: password("token"),
    }
}

/// A set whose members have the addresses `net.1`, `net.2`, … (nodes first) and the usual ports.
pub(crate) fn set_at(net: &str, nodes: usize, sentinels: usize) -> SetConfig {
    let at = |number: usize, port: u16| Endpoint::new(format!("{net}.{}", number + 1), port);
    let node = |number| NodeEntry {
        shard: None,
        name: format!("cart-{number}"),
        server: at(number, 6379),
        agent: at(number, 9121),
    };
    let sentinel = |number| SentinelEntry {
        name: format!("cart-sentinel-{number}"),
        id: sentinel_id("uid", &format!("cart-sentinel-{number}")),
        server: at(nodes + number, 26379),
        agent: at(nodes + number, 9121),
    };
    let majority = u32::try_from(sentinels / 2 + 1).unwrap();
    SetConfig {
        api_version: 1,
        name: "cart".to_owned(),
        namespace: "default".to_owned(),
        uid: "uid".to_owned(),
        generation: 1,
        topology: Topology::Sentinel(SentinelConfig {
            master_name: "mymaster".to_owned(),
            quorum: majority,
            down_after_ms: 5000,
            failover_timeout_ms: 10_000,
            parallel_syncs: 1,
            directives: [].into(),
            sentinels: (0..sentinels).map(sentinel).collect(),
        }),
        nodes: (0..nodes).map(node).collect(),
        directives: [].into(),
        persistence: Persistence {
            rdb_save: "3600 1 300 100".to_owned(),
            aof: true,
            aof_fsync: "everysec".to_owned(),
        },
        durability: Durability {
            min_replicas_to_write: 0,
            max_replica_lag_s: 3,
            recovery_deadline_ms: Some(60_000),
            hang_limit_ms: 3000,
        },
        grace_period_ms: 30_000,
        agentless: false,
        bootstrap: None,
        access: Access::usual(true),
    }
}
