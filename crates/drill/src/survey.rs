//! How a set is, judged from what its agents say. Pure.

use std::collections::BTreeMap;

use redoubt_redis::Endpoint;
use redoubt_wire::{
    config::{NodeEntry, SetConfig},
    state::{AgentRole, AgentState, ClusterView, NodeState, Phase, Replication, SentinelState},
};

/// What each agent said last; `None`: it did not answer.
pub type Answers = BTreeMap<String, Option<AgentState>>;

/// How a set is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// The one node that leads; in a cluster that of each shard.
    pub masters: BTreeMap<Option<u32>, String>,
    /// What is wrong, each in one line; none: the set is whole.
    pub troubles: Vec<String>,
}

impl Health {
    /// Nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.troubles.is_empty()
    }

    /// The master of a set that has but one.
    #[must_use]
    pub fn master(&self) -> Option<&str> {
        let mut masters = self.masters.values();
        masters.next().filter(|_| masters.next().is_none()).map(String::as_str)
    }
}

/// The shards of a cluster, in order; of any other set the one part that has no number.
pub(crate) fn shards(config: &SetConfig) -> Vec<Option<u32>> {
    let mut shards: Vec<Option<u32>> = config.nodes.iter().map(|node| node.shard).collect();
    shards.dedup();
    shards
}

/// Judges: one master in each shard, every replica in sync with it, every Sentinel naming it.
#[must_use]
pub fn assess(config: &SetConfig, answers: &Answers) -> Health {
    let mut health = Health::default();
    for shard in shards(config) {
        assess_shard(config, answers, shard, &mut health);
    }
    let master = health.master().and_then(|name| config.node(name)).map(|node| &node.server).cloned();
    for sentinel in config.sentinel().into_iter().flat_map(|sentinel| &sentinel.sentinels) {
        let trouble = match role_of(answers, &sentinel.name) {
            None => Some("its agent does not answer".to_owned()),
            Some(AgentRole::Sentinel(state)) => sentinel_trouble(state, master.as_ref()),
            Some(AgentRole::Node(_)) => Some("a node answers in its place".to_owned()),
        };
        health.troubles.extend(trouble.map(|trouble| format!("{}: {trouble}", sentinel.name)));
    }
    health
}

fn assess_shard(config: &SetConfig, answers: &Answers, shard: Option<u32>, health: &mut Health) {
    let masters = masters(config, answers, shard);
    let place = shard.map_or_else(String::new, |shard| format!("shard {shard}: "));
    match masters.as_slice() {
        [one] => drop(health.masters.insert(shard, one.name.clone())),
        [] => health.troubles.push(format!("{place}no node says that it is master")),
        several => {
            let names: Vec<_> = several.iter().map(|node| node.name.as_str()).collect();
            health.troubles.push(format!(
                "{place}{} nodes say that they are master: {}",
                names.len(),
                names.join(", ")
            ));
        }
    }
    let master = masters.first().map(|node| &node.server).filter(|_| masters.len() == 1);
    for node in config.nodes.iter().filter(|node| node.shard == shard) {
        let trouble = match role_of(answers, &node.name) {
            None => Some("its agent does not answer".to_owned()),
            Some(AgentRole::Node(state)) => node_trouble(state, master),
            Some(AgentRole::Sentinel(_)) => Some("a Sentinel answers in its place".to_owned()),
        };
        health.troubles.extend(trouble.map(|trouble| format!("{}: {trouble}", node.name)));
    }
}

/// The nodes of a shard whose servers say that they are master.
fn masters<'a>(config: &'a SetConfig, answers: &Answers, shard: Option<u32>) -> Vec<&'a NodeEntry> {
    let leads = |node: &&NodeEntry| {
        matches!(
            role_of(answers, &node.name),
            Some(AgentRole::Node(NodeState { replication: Some(Replication::Master { .. }), .. }))
        )
    };
    config.nodes.iter().filter(|node| node.shard == shard).filter(leads).collect()
}

/// What the server of this node says of its cluster.
pub(crate) fn cluster_of<'a>(answers: &'a Answers, name: &str) -> Option<&'a ClusterView> {
    match role_of(answers, name)? {
        AgentRole::Node(node) => node.cluster.as_deref(),
        AgentRole::Sentinel(_) => None,
    }
}

fn role_of<'a>(answers: &'a Answers, name: &str) -> Option<&'a AgentRole> {
    answers.get(name)?.as_ref().map(|state| &state.role)
}

fn node_trouble(state: &NodeState, master: Option<&Endpoint>) -> Option<String> {
    if let Some(trouble) = phase_trouble(&state.phase) {
        return Some(trouble);
    }
    match (&state.replication, master) {
        (None, _) => Some("its server does not say what it is".to_owned()),
        (Some(Replication::Replica { master: followed, .. }), Some(master)) if followed != master => {
            Some(format!("follows {followed}, not the master at {master}"))
        }
        (Some(Replication::Replica { syncing: true, .. }), _) => Some("copies the master's data".to_owned()),
        (Some(Replication::Replica { link_up: false, .. }), _) => {
            Some("its link to the master is down".to_owned())
        }
        _ if !state.ready => Some("is not ready".to_owned()),
        _ => None,
    }
}

fn sentinel_trouble(state: &SentinelState, master: Option<&Endpoint>) -> Option<String> {
    if let Some(trouble) = phase_trouble(&state.phase) {
        return Some(trouble);
    }
    match (&state.master, master) {
        (None, _) => Some("names no master".to_owned()),
        (Some(named), Some(master)) if named != master => {
            Some(format!("names {named}, not the master at {master}"))
        }
        _ if !state.quorum_ok => Some("sees no quorum".to_owned()),
        _ => None,
    }
}

fn phase_trouble(phase: &Phase) -> Option<String> {
    match phase {
        Phase::Running => None,
        Phase::Waiting { why, .. } => Some(format!("waits: {why}")),
        Phase::Starting => Some("its server is starting".to_owned()),
        Phase::Loading => Some("its server reads its files".to_owned()),
        Phase::Backoff { why } => Some(format!("its server ended: {why}")),
        Phase::Stopping => Some("is stopping".to_owned()),
    }
}

/// Which process serves a member: changes when the server, or its agent with it, was started anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    incarnation: String,
    server_pid: Option<u32>,
}

/// The life of a member, while its agent answers and its server runs.
pub(crate) fn life(answers: &Answers, name: &str) -> Option<Life> {
    let state = answers.get(name)?.as_ref()?;
    state.server_pid?;
    Some(Life { incarnation: state.incarnation.clone(), server_pid: state.server_pid })
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
