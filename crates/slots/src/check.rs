//! What is wrong with a cluster.

use std::fmt;

use redoubt_redis::{
    Endpoint,
    cluster::{NodeId, OpenSlotKind, SlotSet},
};

use crate::cluster::{Cluster, Node};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A node does not answer us.
    Unreachable {
        /// Where.
        node: Endpoint,
        /// Why.
        why: String,
    },
    /// Nodes call it failed.
    Failed {
        /// Where.
        node: Endpoint,
    },
    /// A node calls the cluster down, and answers no client.
    Down {
        /// Where.
        node: Endpoint,
    },
    /// A node does not know another one.
    Forgotten {
        /// Who does not know.
        by: Endpoint,
        /// Whom.
        node: Endpoint,
    },
    /// A replica follows a node that is no master of this cluster.
    Orphan {
        /// Which replica.
        node: Endpoint,
        /// Whom it follows.
        master: NodeId,
    },
    /// A slot is on its way.
    Open {
        /// Which.
        slot: u16,
        /// Who says so.
        node: Endpoint,
        /// Which way.
        kind: OpenSlotKind,
        /// To or from whom.
        peer: NodeId,
    },
    /// Nobody owns these.
    Uncovered(SlotSet),
    /// Two or more own these.
    Contested(SlotSet),
    /// Nodes differ about who owns these.
    Disagreed(SlotSet),
    /// A node holds keys of a slot that another one owns.
    Stray {
        /// Which.
        slot: u16,
        /// Who.
        node: Endpoint,
        /// How many.
        keys: u64,
    },
}

/// Everything that is wrong, the worst first. Keys at the wrong node are looked for by [`crate::strays`].
#[must_use]
pub fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [
        (SlotSet::all().without(&cluster.covered()), Finding::Uncovered as fn(SlotSet) -> Finding),
        (contested(cluster), Finding::Contested),
    ]
    .into_iter()
    .filter(|(slots, _)| !slots.is_empty())
    .map(|(slots, finding)| finding(slots))
    .collect();
    findings.extend(cluster.nodes.iter().filter_map(trouble));
    findings.extend(cluster.nodes.iter().filter_map(|node| orphan(cluster, node)));
    findings.extend(cluster.nodes.iter().flat_map(|node| forgotten(cluster, node)));
    findings.extend(cluster.open().map(|(node, open)| Finding::Open {
        slot: open.slot,
        node: node.endpoint.clone(),
        kind: open.kind,
        peer: open.peer.clone(),
    }));
    let disagreed = disagreed(cluster);
    if !disagreed.is_empty() {
        findings.push(Finding::Disagreed(disagreed));
    }
    findings
}

fn trouble(node: &Node) -> Option<Finding> {
    let at = node.endpoint.clone();
    match &node.view {
        Err(why) => Some(Finding::Unreachable { node: at, why: why.clone() }),
        Ok(_) if node.is_failed => Some(Finding::Failed { node: at }),
        Ok(view) if view.info.is_ok == Some(false) => Some(Finding::Down { node: at }),
        Ok(_) => None,
    }
}

fn orphan(cluster: &Cluster, node: &Node) -> Option<Finding> {
    let master = node.master.clone()?;
    let led = cluster.node(&master).is_some_and(|master| master.is_master);
    (!led).then(|| Finding::Orphan { node: node.endpoint.clone(), master })
}

fn forgotten<'a>(cluster: &'a Cluster, by: &'a Node) -> impl Iterator<Item = Finding> + 'a {
    let view = by.view.as_ref().ok();
    cluster
        .nodes
        .iter()
        .filter(move |node| view.is_some_and(|view| view.nodes.all().all(|known| known.id != node.id)))
        .map(|node| Finding::Forgotten { by: by.endpoint.clone(), node: node.endpoint.clone() })
}

fn contested(cluster: &Cluster) -> SlotSet {
    let (mut seen, mut twice) = (SlotSet::default(), SlotSet::default());
    for slot in cluster.nodes.iter().filter(|node| node.is_master).flat_map(|node| node.slots.iter()) {
        if !seen.insert(slot) {
            twice.insert(slot);
        }
    }
    twice
}

/// Slots whose only owner, by its own word, is another one in the view of some node.
fn disagreed(cluster: &Cluster) -> SlotSet {
    let mut slots = SlotSet::default();
    for view in cluster.nodes.iter().filter_map(|node| node.view.as_ref().ok()) {
        for node in &view.nodes.others {
            let Some(said) = cluster.node(&node.id).filter(|said| said.view.is_ok()) else { continue };
            slots.extend(said.slots.without(&node.slots).iter());
            slots.extend(node.slots.without(&said.slots).iter());
        }
    }
    slots.without(&contested(cluster))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { node, why } => write!(f, "{node} does not answer: {why}"),
            Self::Down { node } => write!(f, "{node} calls the cluster down"),
            Self::Failed { node } => write!(f, "{node} is marked as failed"),
            Self::Forgotten { by, node } => write!(f, "{by} does not know {node}"),
            Self::Orphan { node, master } => {
                write!(f, "{node} follows {}, which is no master of this cluster", master.short())
            }
            Self::Open { slot, node, kind: OpenSlotKind::Migrating, peer } => {
                write!(f, "slot {slot} is open: {node} gives it to {}", peer.short())
            }
            Self::Open { slot, node, kind: OpenSlotKind::Importing, peer } => {
                write!(f, "slot {slot} is open: {node} takes it from {}", peer.short())
            }
            Self::Uncovered(slots) => write!(f, "nobody owns {} slots: {slots}", slots.len()),
            Self::Contested(slots) => write!(f, "several nodes own {} slots: {slots}", slots.len()),
            Self::Disagreed(slots) => write!(f, "the nodes disagree about {} slots: {slots}", slots.len()),
            Self::Stray { slot, node, keys } => {
                write!(f, "{node} holds {keys} keys of slot {slot}, which it does not own")
            }
        }
    }
}
