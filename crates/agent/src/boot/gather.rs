//! Asks the Sentinels and the other agents, all at once.

use std::time::Duration;

use futures::future::join_all;
use redoubt_redis::{Connector, Endpoint};
use redoubt_wire::{
    config::{NodeEntry, SentinelEntry, SetConfig},
    state::{AgentRole, OnDisk},
};

use super::decide::{PeerAnswer, SentinelAnswer, Survey};
use crate::peers::Peers;

/// A Sentinel or an agent that is there answers within milliseconds; the next survey asks again.
const ANSWER: Duration = Duration::from_secs(1);

/// Gathers what [`super::decide`] needs.
pub(crate) async fn gather(
    set: &SetConfig,
    me: &str,
    sentinels: &Connector,
    peers: &Peers,
    own: OnDisk,
    waited: Duration,
) -> Survey {
    let sentinels = sentinels.with_deadline(ANSWER);
    let (named, states) = tokio::join!(
        join_all(entries(set).map(|(name, sentinel)| ask_sentinel(&sentinels, peers, name, sentinel))),
        join_all(set.nodes.iter().filter(|node| node.name != me).map(async |node| PeerAnswer {
            name: node.name.clone(),
            // Agents log in at Sentinels and at nodes alike.
            state: peers.node_state(set, &sentinels, node, ANSWER).await,
        })),
    );
    Survey { me: me.to_owned(), own, sentinels: named, peers: states, waited }
}

fn entries(set: &SetConfig) -> impl Iterator<Item = (&str, &SentinelEntry)> {
    set.sentinel()
        .into_iter()
        .flat_map(|sentinel| sentinel.sentinels.iter().map(|entry| (sentinel.master_name.as_str(), entry)))
}

async fn ask_sentinel(
    connector: &Connector,
    peers: &Peers,
    master_name: &str,
    sentinel: &SentinelEntry,
) -> SentinelAnswer {
    match ask_who_leads(connector, master_name, &sentinel.server).await {
        Some((master, epoch)) => SentinelAnswer::Names(master, epoch),
        None if is_blank(peers, sentinel).await => SentinelAnswer::Blank,
        None => SentinelAnswer::Unreachable,
    }
}

async fn ask_who_leads(connector: &Connector, master_name: &str, at: &Endpoint) -> Option<(Endpoint, u64)> {
    let mut connection = connector.connect(at).await.ok()?;
    let view = connection.sentinel_master(master_name).await.ok()?;
    Some((view.endpoint, view.config_epoch))
}

/// A Sentinel that was never told of a master is not started yet; its agent says so.
async fn is_blank(peers: &Peers, sentinel: &SentinelEntry) -> bool {
    match peers.state(&sentinel.name, &sentinel.agent, ANSWER).await.map(|state| state.role) {
        Some(AgentRole::Sentinel(state)) => state.master.is_none() && state.epoch == 0,
        Some(AgentRole::Node(_)) | None => false,
    }
}

/// Asks the agents of these nodes.
pub(crate) async fn ask_nodes(nodes: impl Iterator<Item = &NodeEntry>, peers: &Peers) -> Vec<PeerAnswer> {
    join_all(nodes.map(|node| ask_peer(peers, node))).await
}

async fn ask_peer(peers: &Peers, node: &NodeEntry) -> PeerAnswer {
    let state = match peers.state(&node.name, &node.agent, ANSWER).await.map(|state| state.role) {
        Some(AgentRole::Node(state)) => Some(state),
        Some(AgentRole::Sentinel(_)) | None => None,
    };
    PeerAnswer { name: node.name.clone(), state }
}
