//! A set of three nodes and three Sentinels, for tests.

use redoubt_wire::{
    API_VERSION,
    config::{Access, Durability, Persistence, SentinelConfig, SentinelEntry, Topology, sentinel_id},
    state::OnDisk,
};

use super::*;

pub(super) fn server(node: usize) -> Endpoint {
    Endpoint::new(format!("127.9.0.{node}"), 6379)
}

/// Three nodes and three Sentinels.
pub(crate) fn config() -> SetConfig {
    let nodes = (0..3).map(|n| NodeEntry {
        shard: None,
        name: format!("cart-{n}"),
        server: server(n),
        agent: Endpoint::new(format!("127.9.0.{n}"), 9121),
    });
    let sentinels = (0..3).map(|n| SentinelEntry {
        name: format!("cart-sentinel-{n}"),
        id: sentinel_id("uid", &format!("cart-sentinel-{n}")),
        server: Endpoint::new(format!("127.9.1.{n}"), 26379),
        agent: Endpoint::new(format!("127.9.1.{n}"), 9121),
    });
    SetConfig {
        api_version: API_VERSION,
        name: "cart".to_owned(),
        namespace: "default".to_owned(),
        uid: "uid".to_owned(),
        generation: 1,
        topology: Topology::Sentinel(SentinelConfig {
            master_name: "mymaster".to_owned(),
            quorum: 2,
            down_after_ms: 5000,
            failover_timeout_ms: 10_000,
            parallel_syncs: 1,
            directives: BTreeMap::new(),
            sentinels: sentinels.collect(),
        }),
        nodes: nodes.collect(),
        directives: BTreeMap::new(),
        persistence: Persistence { rdb_save: String::new(), aof: true, aof_fsync: "everysec".to_owned() },
        durability: Durability {
            min_replicas_to_write: 0,
            max_replica_lag_s: 3,
            recovery_deadline_ms: None,
            hang_limit_ms: 3000,
        },
        grace_period_ms: 30_000,
        agentless: false,
        bootstrap: None,
        access: Access::usual(true),
    }
}

pub(super) fn state(name: &str, role: AgentRole) -> AgentState {
    AgentState {
        api_version: API_VERSION,
        agent_version: "0.1.0".to_owned(),
        name: name.to_owned(),
        incarnation: "a".to_owned(),
        revision: 1,
        config: None,
        config_fault: None,
        restart_needed: Vec::new(),
        server_pid: Some(100),
        server_version: None,
        role,
        last_failover: None,
        notices: Vec::new(),
    }
}

pub(super) fn node(replication: Replication) -> AgentRole {
    AgentRole::Node(NodeState {
        phase: Phase::Running,
        replication: Some(replication),
        ready: true,
        joined: false,
        on_disk: OnDisk::Nothing,
        disk_fault: None,
        cluster: None,
        live: None,
    })
}

pub(super) fn replica_of(master: usize) -> Replication {
    Replication::Replica { master: server(master), link_up: true, syncing: false }
}

pub(super) fn sentinel_naming(master: usize) -> AgentRole {
    AgentRole::Sentinel(SentinelState {
        phase: Phase::Running,
        master: Some(server(master)),
        epoch: 1,
        current_epoch: 1,
        known_sentinels: Vec::new(),
        known_replicas: Vec::new(),
        quorum_ok: true,
    })
}

/// `cart-0` leads, everybody agrees.
pub(crate) fn whole() -> Answers {
    let roles = [
        ("cart-0", node(Replication::Master { replicas: vec![server(1), server(2)] })),
        ("cart-1", node(replica_of(0))),
        ("cart-2", node(replica_of(0))),
        ("cart-sentinel-0", sentinel_naming(0)),
        ("cart-sentinel-1", sentinel_naming(0)),
        ("cart-sentinel-2", sentinel_naming(0)),
    ];
    roles.into_iter().map(|(name, role)| (name.to_owned(), Some(state(name, role)))).collect()
}

/// One node, no Sentinels.
pub(crate) fn standalone() -> SetConfig {
    let mut config = config();
    config.topology = Topology::Standalone;
    config.nodes.truncate(1);
    config
}
