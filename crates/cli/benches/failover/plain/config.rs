//! The settings: those that Redoubt gives its sets by default, as far as plain Redis and Sentinel have them.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf};

use redoubt_drill::Target;
use redoubt_redis::Endpoint;
use redoubt_wire::{
    API_VERSION,
    config::{
        Access, Durability, NodeEntry, Persistence, SentinelConfig, SentinelEntry, SetConfig, Topology,
        sentinel_id,
    },
    secrets::{Secrets, generate_missing},
};

use crate::Result;

const MEMBERS: u8 = 3;
const MASTER_NAME: &str = "mymaster";
const UID: &str = "plain";

/// Writes a node's file; gives its path.
pub(super) fn node(dir: &Path, node: &NodeEntry, master: Option<&Endpoint>) -> Result<PathBuf> {
    let Endpoint { host, port } = &node.server;
    let data = folder(dir, &node.name)?;
    let follow =
        master.map(|Endpoint { host, port }| format!("replicaof {host} {port}\n")).unwrap_or_default();
    let text = format!(
        "bind {host}\nbind-source-addr {host}\nport {port}\nprotected-mode no\ndir {}\n\
         save 3600 1 300 100 60 10000\nappendonly yes\nappendfsync everysec\n\
         replica-announce-ip {host}\nreplica-announce-port {port}\nrepl-diskless-sync-delay 0\n{follow}",
        data.display()
    );
    written(dir, &node.name, &text)
}

/// Writes a Sentinel's file; gives its path.
pub(super) fn sentinel(dir: &Path, sentinel: &SentinelEntry, master: &Endpoint) -> Result<PathBuf> {
    let Endpoint { host, port } = &sentinel.server;
    let data = folder(dir, &sentinel.name)?;
    let text = format!(
        "bind {host}\nbind-source-addr {host}\nport {port}\nprotected-mode no\ndir {}\n\
         sentinel announce-ip {host}\nsentinel announce-port {port}\n\
         sentinel monitor {MASTER_NAME} {} {} 2\nsentinel down-after-milliseconds {MASTER_NAME} 5000\n\
         sentinel failover-timeout {MASTER_NAME} 10000\nsentinel parallel-syncs {MASTER_NAME} 1\n",
        data.display(),
        master.host,
        master.port,
    );
    written(dir, &sentinel.name, &text)
}

fn folder(dir: &Path, name: &str) -> Result<PathBuf> {
    let data = dir.join(name);
    fs::create_dir_all(&data)?;
    Ok(data)
}

fn written(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name).with_extension("conf");
    fs::write(&path, text)?;
    Ok(path)
}

/// The set in the words of a drill. No agent answers for it.
pub(super) fn target(dir: &Path) -> Result<Target> {
    let secrets = dir.join("secrets");
    generate_missing(&secrets)?;
    Ok(Target::new(set(), Secrets::load(&secrets)?))
}

fn set() -> SetConfig {
    SetConfig {
        api_version: API_VERSION,
        name: UID.to_owned(),
        namespace: "default".to_owned(),
        uid: UID.to_owned(),
        generation: 1,
        topology: Topology::Sentinel(SentinelConfig {
            master_name: MASTER_NAME.to_owned(),
            quorum: 2,
            down_after_ms: 5_000,
            failover_timeout_ms: 10_000,
            parallel_syncs: 1,
            directives: BTreeMap::new(),
            sentinels: (0..MEMBERS).map(sentinel_entry).collect(),
        }),
        nodes: (0..MEMBERS).map(node_entry).collect(),
        directives: BTreeMap::new(),
        persistence: Persistence {
            rdb_save: "3600 1 300 100 60 10000".to_owned(),
            aof: true,
            aof_fsync: "everysec".to_owned(),
        },
        durability: Durability {
            min_replicas_to_write: 0,
            max_replica_lag_s: 3,
            recovery_deadline_ms: Some(60_000),
            hang_limit_ms: 3_000,
        },
        grace_period_ms: 30_000,
        agentless: false,
        bootstrap: None,
        access: Access { admin_commands: true, ..Access::usual(false) },
    }
}

fn node_entry(number: u8) -> NodeEntry {
    let server = Endpoint::new(host(number), 6379);
    NodeEntry { name: format!("plain-{number}"), shard: None, agent: server.clone(), server }
}

fn sentinel_entry(number: u8) -> SentinelEntry {
    let name = format!("plain-sentinel-{number}");
    let server = Endpoint::new(host(MEMBERS + number), 26379);
    SentinelEntry { id: sentinel_id(UID, &name), name, agent: server.clone(), server }
}

/// Loopback addresses of this run alone.
fn host(member: u8) -> String {
    let run = std::process::id();
    format!("127.{}.{}.{}", 150 + (run >> 8) % 50, run % 256, member + 1)
}
