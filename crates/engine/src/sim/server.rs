//! What an agent of the model says of itself.

use redoubt_wire::state::{
    AgentRole, AgentState, ConfigFault, NodeState, OnDisk, Phase, Replication, SentinelState,
};

use super::{
    model::Model,
    unit::{Node, Sentinel, Unit},
};
use crate::{
    platform::MemberKind,
    scene::{self, node_endpoint},
    world::majority,
};

impl Model {
    /// What its agent answers, if it does.
    pub(super) fn state(&self, name: &str) -> Option<AgentState> {
        let unit = self.unit(name).filter(|unit| unit.answers())?;
        let role = match (unit.node(), unit.sentinel()) {
            (Some(node), _) => AgentRole::Node(self.node_state(unit, node)),
            (_, Some(sentinel)) => AgentRole::Sentinel(self.sentinel_state(unit, sentinel)),
            (None, None) => return None,
        };
        let mut state = scene::agent(name, String::new(), role);
        state.incarnation = unit.incarnation.to_string();
        state.config = unit.revision.clone();
        state.config_fault = unit.refused.clone().map(|revision| ConfigFault {
            revision,
            directive: Some("bad".to_owned()),
            message: "no such directive".to_owned(),
        });
        let databases = unit.config.as_ref().and_then(|config| config.directives.get("databases"));
        if unit.config.is_some() && databases != unit.databases.as_ref() {
            state.restart_needed.push("databases".to_owned());
        }
        Some(state)
    }

    fn node_state(&self, unit: &Unit, node: &Node) -> NodeState {
        if !node.up {
            let phase = Phase::Waiting { why: "nobody leads".to_owned(), until: None };
            return NodeState {
                phase,
                replication: None,
                ready: false,
                joined: false,
                on_disk: OnDisk::Nothing,
                disk_fault: None,
                cluster: None,
                live: None,
            };
        }
        let replication = match node.follows {
            None => {
                let followers = self.units(MemberKind::Node).filter(|other| self.in_sync(other));
                let others =
                    followers.map(|other| other.member.ordinal).filter(|other| *other != unit.member.ordinal);
                Replication::Master { replicas: others.map(node_endpoint).collect() }
            }
            Some(master) => Replication::Replica {
                master: node_endpoint(master),
                link_up: node.sync_left == 0 && self.serving() == Some(master),
                syncing: node.sync_left > 0,
            },
        };
        let ready = node.follows.is_none() || self.in_sync(unit);
        NodeState {
            phase: Phase::Running,
            replication: Some(replication),
            ready,
            joined: true,
            on_disk: OnDisk::Nothing,
            disk_fault: None,
            cluster: None,
            live: None,
        }
    }

    fn sentinel_state(&self, unit: &Unit, sentinel: &Sentinel) -> SentinelState {
        let quorum =
            unit.config.as_ref().and_then(|config| config.sentinel()).map_or(0, |config| config.quorum);
        let (alive, _) = self.voices(|_| true);
        let known = u32::try_from(sentinel.known_sentinels.len()).unwrap_or(u32::MAX) + 1;
        SentinelState {
            phase: if sentinel.master.is_some() { Phase::Running } else { Phase::Starting },
            master: sentinel.master.clone(),
            epoch: self.epoch,
            current_epoch: self.epoch,
            known_sentinels: sentinel.known_sentinels.iter().cloned().collect(),
            known_replicas: sentinel.known_replicas.iter().cloned().collect(),
            quorum_ok: alive >= majority(known).max(quorum),
        }
    }
}
