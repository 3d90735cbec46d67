//! A data node without an agent, as another operator left it: what its agent would say, by what its server says.

use redoubt_redis::{
    Connector, Endpoint, Error,
    info::{Info, NodeRole},
};
use redoubt_wire::state::{Live, NodeState, OnDisk, Phase, Record, Replication};

/// Asks the server. `None`: it does not answer.
pub async fn state(uid: &str, servers: &Connector, server: &Endpoint) -> Option<NodeState> {
    let asked = async { servers.connect(server).await?.info(None).await };
    match asked.await {
        Ok(info) => read(uid, &info),
        Err(Error::Server { code, .. }) if code == "LOADING" => Some(NodeState::new(Phase::Loading)),
        Err(error) => {
            tracing::debug!(%server, %error, "a server without an agent does not answer");
            None
        }
    }
}

/// Nobody kept a record for it: only a living copy of the data counts, and what its files hold is not known.
fn read(uid: &str, info: &Info) -> Option<NodeState> {
    let seen = info.replication().ok()?;
    let persistence = info.persistence();
    let loading = persistence.loading.unwrap_or(false);
    let (replication, in_sync) = match seen.role {
        NodeRole::Master => {
            let online = seen.replicas.iter().filter(|replica| replica.is_online());
            (Replication::Master { replicas: online.map(|replica| replica.endpoint.clone()).collect() }, true)
        }
        NodeRole::Replica => {
            let (link_up, syncing) = (seen.link_up.unwrap_or(false), seen.syncing.unwrap_or(false));
            let master = seen.master.clone()?;
            (Replication::Replica { master, link_up, syncing }, link_up && !syncing)
        }
    };
    let living = in_sync && !loading;
    let offset = seen.offset();
    let record = Record {
        data_set: data_set(uid),
        replid: seen.master_replid.clone(),
        previous: None,
        offset,
        epoch: 0,
        master: seen.role == NodeRole::Master,
        link_up: in_sync,
    };
    let stats = info.stats();
    let live = Live {
        offset,
        last_io_s: seen.last_io_s,
        used_memory: info.memory().used.unwrap_or(0),
        keys: info.keys(),
        clients: info.clients().connected.unwrap_or(0),
        ops_per_s: stats.ops_per_s.unwrap_or(0),
        full_syncs: stats.sync_full.unwrap_or(0),
    };
    Some(NodeState {
        replication: Some(replication),
        ready: living,
        joined: living,
        on_disk: if living { OnDisk::Data(record) } else { OnDisk::Unknown },
        live: Some(live),
        ..NodeState::new(if loading { Phase::Loading } else { Phase::Running })
    })
}

/// All nodes of a set that is taken over have the same: whoever is in sync with one of them holds it.
fn data_set(uid: &str) -> String {
    format!("adopted-{uid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(replication: &str) -> NodeState {
        let text = format!("# Replication\r\n{replication}master_replid:abc\r\nmaster_repl_offset:7\r\n");
        read("a-uid", &Info::parse(text)).unwrap()
    }

    #[test]
    fn a_master_and_a_replica_in_sync_are_living_copies() {
        let master = seen("role:master\r\n");
        let replica =
            seen("role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\n");
        for state in [&master, &replica] {
            assert!(state.joined && state.ready);
            assert_eq!(state.on_disk.record().unwrap().data_set, "adopted-a-uid");
        }
        assert!(matches!(master.replication, Some(Replication::Master { .. })));
    }

    /// The old operator's configuration makes a server that restarts a replica of itself.
    #[test]
    fn one_that_came_back_and_follows_nobody_is_no_copy_that_counts() {
        let back =
            seen("role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:down\r\n");
        assert!(!back.joined && !back.ready);
        assert_eq!(back.on_disk, OnDisk::Unknown);
    }
}
