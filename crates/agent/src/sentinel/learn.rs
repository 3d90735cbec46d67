//! A Sentinel that remembers nothing: who leads, and which epochs are spent.
//!
//! The same id with an empty memory would vote a second time in an epoch it has voted in. So it asks the other
//! Sentinels' agents for the highest epoch they heard of, and waits until so many have answered that no vote of a
//! majority can be unknown to all of them.

use std::time::Duration;

use futures::future::join_all;
use redoubt_redis::Endpoint;
use redoubt_serverconf::Epochs;
use redoubt_wire::state::{AgentRole, NodeState, Phase, Replication, SentinelState};

use super::Sentinel;
use crate::agent::ANSWER;

const FIRST_LOOK: Duration = Duration::from_millis(20);
const SLOWEST_LOOK: Duration = Duration::from_secs(1);

/// What the other agents say.
struct Told {
    nodes: Vec<(Endpoint, NodeState)>,
    sentinels: Vec<SentinelState>,
}

impl Sentinel {
    /// Asks until there is an answer; `None`: asked to stop.
    pub(super) async fn learn(&mut self) -> Option<(Endpoint, Epochs)> {
        let mut pause = FIRST_LOOK;
        loop {
            let told = self.ask_all().await;
            match self.conclude(&told) {
                Ok(learned) => return Some(learned),
                Err(why) => self.set_phase(Phase::Waiting { why, until: None }),
            }
            if self.rest(pause).await {
                return None;
            }
            pause = (pause * 2).min(SLOWEST_LOOK);
        }
    }

    async fn ask_all(&self) -> Told {
        let (set, peers) = (&self.agent.set, &self.agent.peers);
        let servers = &self.agent.nodes;
        let nodes = set.nodes.iter().map(|node| async move {
            Some((node.server.clone(), peers.node_state(set, servers, node, ANSWER).await?))
        });
        let others = set.sentinel().into_iter().flat_map(|config| &config.sentinels);
        let sentinels = others.filter(|entry| entry.id != self.me.id).map(|entry| async move {
            match peers.state(&entry.name, &entry.agent, ANSWER).await?.role {
                AgentRole::Sentinel(state) => Some(state),
                AgentRole::Node(_) => None,
            }
        });
        let (nodes, sentinels) = tokio::join!(join_all(nodes), join_all(sentinels));
        Told {
            nodes: nodes.into_iter().flatten().collect(),
            sentinels: sentinels.into_iter().flatten().collect(),
        }
    }

    fn conclude(&self, told: &Told) -> Result<(Endpoint, Epochs), String> {
        let all = self.config().map_or(0, |config| config.sentinels.len());
        let others = all.saturating_sub(1);
        // A vote of a majority was heard by all but a minority: this many answers hold at least one that heard it.
        let enough = all - all / 2;
        if told.sentinels.len() < enough.min(others) {
            return Err(format!(
                "{} of {others} other Sentinels answer; {} must, so that no epoch is voted in twice",
                told.sentinels.len(),
                enough.min(others)
            ));
        }
        let master = master_of(told)?;
        let sentinels = told.sentinels.iter().map(|sentinel| sentinel.current_epoch.max(sentinel.epoch));
        let nodes = told.nodes.iter().filter_map(|(_, node)| Some(node.on_disk.record()?.epoch));
        let current = sentinels.chain(nodes).max().unwrap_or(0);
        let config = told
            .sentinels
            .iter()
            .filter(|sentinel| sentinel.master.as_ref() == Some(&master))
            .map(|sentinel| sentinel.epoch)
            .max()
            .unwrap_or(0);
        Ok((master, Epochs { current, config, leader: current }))
    }
}

/// Whom the other Sentinels name; where none does, the node that leads.
fn master_of(told: &Told) -> Result<Endpoint, String> {
    let named =
        told.sentinels.iter().filter_map(|sentinel| Some((sentinel.epoch, sentinel.master.as_ref()?)));
    if let Some((_, master)) = named.max_by_key(|(epoch, _)| *epoch) {
        return Ok(master.clone());
    }
    let masters: Vec<_> =
        told.nodes.iter().filter(|(_, node)| leads(node)).map(|(server, _)| server).collect();
    match masters.as_slice() {
        [master] => Ok((*master).clone()),
        [] => Err("no node leads yet".to_owned()),
        _ => Err("more than one node says that it leads, and no other Sentinel names one".to_owned()),
    }
}

fn leads(node: &NodeState) -> bool {
    let serves = matches!(node.phase, Phase::Running | Phase::Loading);
    serves && matches!(node.replication, Some(Replication::Master { .. }))
}
