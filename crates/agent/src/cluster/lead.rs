//! Asking a replica to stand for election at the masters.

use std::time::Duration;

use redoubt_redis::{
    Connector, Endpoint, Error,
    cluster::{ClusterNode, ClusterNodes, NodeId},
};
use redoubt_wire::{
    config::SetConfig,
    state::{NodeState, Phase, Replication},
};
use tokio::time::{Instant, sleep};

use crate::boot::PeerAnswer;

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The master lives: it stops writes until the replica has them all, and steps down.
    HandOver,
    /// The master is dead.
    Force,
}

/// The masters vote within some tens of milliseconds; a hand-over is given up by the servers after 5 s.
const VOTED_WITHIN: Duration = Duration::from_secs(5);
/// A hand-over takes some tens of milliseconds.
const REMINDED_AFTER: Duration = Duration::from_secs(1);
/// Nobody says that an election was won.
const AGAIN: Duration = Duration::from_millis(5);

/// A replica that could lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) server: Endpoint,
    pub(crate) offset: u64,
    /// Its files can be written.
    pub(crate) can_write: bool,
}

/// The replicas of `me` that live and have been in sync, the most advanced first, the lowest ordinal among equals.
pub(crate) fn candidates(set: &SetConfig, me: &str, shard: &[PeerAnswer]) -> Vec<Candidate> {
    let Some(me) = set.node(me) else { return Vec::new() };
    let mut found: Vec<Candidate> = shard
        .iter()
        .filter_map(|peer| {
            let state = peer.state.as_ref().filter(|state| could_lead(state, &me.server))?;
            let server = set.node(&peer.name)?.server.clone();
            let offset = state.live.as_ref().map_or(0, |live| live.offset);
            let can_write = state.disk_fault.is_none();
            Some(Candidate { name: peer.name.clone(), server, offset, can_write })
        })
        .collect();
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.offset));
    found
}

fn could_lead(state: &NodeState, of: &Endpoint) -> bool {
    let follows = matches!(&state.replication, Some(Replication::Replica { master, syncing: false, .. }) if master == of);
    state.phase == Phase::Running && state.joined && follows
}

/// A majority of the masters that own slots has a link to the node that was asked, and can answer it. One whose address has
/// moved to another machine is not reached for some seconds: the others hold links to where it was.
pub(crate) fn reached_by_majority(nodes: &ClusterNodes, from: &[NodeId]) -> bool {
    let masters: Vec<&ClusterNode> =
        nodes.all().filter(|node| node.is_master() && !node.slots.is_empty()).collect();
    2 * masters.iter().filter(|master| from.contains(&master.id)).count() > masters.len()
}

/// Asks, and waits until it leads. Gives the epoch of its slots.
pub(crate) async fn ask(connector: &Connector, replica: &Endpoint, how: Ask) -> Result<u64, String> {
    let end = Instant::now() + VOTED_WITHIN;
    let lost = |error: Error| format!("{replica}: {error}");
    let mut connection = connector.connect(replica).await.map_err(lost)?;
    let words: &[&str] = match how {
        Ask::HandOver => &["CLUSTER", "FAILOVER"],
        Ask::Force => &["CLUSTER", "FAILOVER", "FORCE"],
    };
    connection.call(words).await.map_err(lost)?;
    let mut remind = Instant::now() + REMINDED_AFTER;
    loop {
        // A living master may not have heard its replica.
        if how == Ask::HandOver && Instant::now() > remind {
            remind = Instant::now() + REMINDED_AFTER;
            if let Err(error) = connection.call(words).await {
                tracing::debug!(%error, "the replica takes no reminder");
            }
        }
        // It was asked: an answer that is late on a busy machine takes nothing back.
        match connection.cluster_nodes().await.map(|nodes| nodes.myself) {
            Ok(myself) if myself.is_master() && !myself.slots.is_empty() => return Ok(myself.config_epoch),
            Ok(_) => {}
            Err(error) if Instant::now() > end => return Err(lost(error)),
            Err(_) => {
                if let Ok(again) = connector.connect(replica).await {
                    connection = again;
                }
            }
        }
        if Instant::now() > end {
            return Err(format!(
                "{replica} was not elected within {VOTED_WITHIN:?}: a majority of the masters has to vote"
            ));
        }
        sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_come_from_masters_that_own_slots_and_reach_the_replica() {
        let id = |digit: &str| digit.repeat(40).parse::<NodeId>().unwrap();
        let lines =
            [("a", "master", "0-5460"), ("b", "master", "5461-10922"), ("c", "master", "10923-16383")];
        let masters = lines.iter().enumerate().map(|(n, (digit, role, slots))| {
            format!("{} 10.0.0.{n}:6379@16379 {role} - 0 1 1 connected {slots}\n", id(digit))
        });
        let others = [("d", "myself,slave", "a"), ("e", "slave", "b"), ("f", "master", "")].iter().map(
            |(digit, role, of)| {
                let of = if of.is_empty() { "-".to_owned() } else { of.repeat(40) };
                format!("{} 10.0.1.1:6379@16379 {role} {of} 0 1 1 connected\n", id(digit))
            },
        );
        let nodes = ClusterNodes::parse(&masters.chain(others).collect::<String>()).unwrap();
        let reached = |from: &[&str]| {
            reached_by_majority(&nodes, &from.iter().map(|digit| id(digit)).collect::<Vec<_>>())
        };
        assert!(reached(&["a", "b", "c"]) && reached(&["c", "a"]));
        assert!(!reached(&["a"]) && !reached(&["a", "e", "f"]) && !reached(&[]));
    }
}
