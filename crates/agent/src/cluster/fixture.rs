//! Nodes of a cluster for tests.

use std::collections::BTreeMap;

use redoubt_redis::Endpoint;
use redoubt_wire::{
    config::{Access, ClusterConfig, Durability, NodeEntry, Persistence, SetConfig, Topology},
    state::{ClusterView, NodeState, OnDisk, Phase, Record, Replication},
};

/// Ids of nodes.
pub(super) const ID: [&str; 4] = [
    "a3495165167babd2d9935b99e239ae5d3634be57",
    "b7c37dfeb235213a872192d90877d0cd55635b91",
    "c2dbfba4b235213a872192d90877d0cd55635b91",
    "d86a1294b235213a872192d90877d0cd55635b91",
];

pub(super) fn at(shard: u32, index: u32) -> Endpoint {
    Endpoint::new(format!("127.1.{shard}.{index}"), 6379)
}

pub(super) fn set(shards: u32, nodes: u32) -> SetConfig {
    let node = |shard, index| NodeEntry {
        name: format!("cart-shard-{shard}-{index}"),
        shard: Some(shard),
        server: at(shard, index),
        agent: Endpoint::new(at(shard, index).host, 9121),
    };
    SetConfig {
        api_version: 1,
        name: "cart".to_owned(),
        namespace: "default".to_owned(),
        uid: "u".to_owned(),
        generation: 1,
        topology: Topology::Cluster(ClusterConfig { shards, node_timeout_ms: 5000 }),
        nodes: (0..shards).flat_map(|shard| (0..nodes).map(move |index| node(shard, index))).collect(),
        directives: BTreeMap::new(),
        persistence: Persistence {
            rdb_save: "3600 1".to_owned(),
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

pub(super) fn record(offset: u64) -> Record {
    Record {
        data_set: "d".to_owned(),
        replid: "r".to_owned(),
        previous: None,
        offset,
        epoch: 1,
        master: false,
        link_up: true,
    }
}

/// Its server does not run.
pub(super) fn waiting(on_disk: OnDisk) -> NodeState {
    NodeState { on_disk, ..NodeState::new(Phase::Waiting { why: "x".to_owned(), until: None }) }
}

fn running(replication: Replication, joined: bool, cluster: ClusterView) -> NodeState {
    NodeState {
        replication: Some(replication),
        ready: joined,
        joined,
        on_disk: OnDisk::Nothing,
        cluster: Some(Box::new(cluster)),
        ..NodeState::new(Phase::Running)
    }
}

fn view(id: &str) -> ClusterView {
    ClusterView {
        id: id.to_owned(),
        master: None,
        is_ok: true,
        epoch: 1,
        slots: String::new(),
        knows: vec![at(9, 9)],
        misses: Vec::new(),
        covered: 16384,
        open: 0,
        map: "m".to_owned(),
    }
}

pub(super) fn leader(id: &str, slots: &str) -> NodeState {
    let view = ClusterView { slots: slots.to_owned(), ..view(id) };
    running(Replication::Master { replicas: Vec::new() }, true, view)
}

pub(super) fn replica(of: Endpoint, id: &str) -> NodeState {
    let view = ClusterView { master: Some(id.to_owned()), ..view(ID[3]) };
    running(Replication::Replica { master: of, link_up: true, syncing: false }, true, view)
}

/// It knows nobody.
pub(super) fn blank(id: &str) -> NodeState {
    let view = ClusterView { knows: Vec::new(), covered: 0, is_ok: false, ..view(id) };
    running(Replication::Master { replicas: Vec::new() }, false, view)
}
