//! What would make a cluster whole, without I/O.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use redoubt_redis::{
    Endpoint,
    cluster::{NodeId, OpenSlotKind, SlotSet},
};

use crate::{
    check::{Finding, check},
    cluster::{Cluster, Node},
};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Two nodes shall know each other.
    Meet {
        /// Who does not know.
        by: Endpoint,
        /// Whom.
        node: Endpoint,
    },
    /// A slot that nobody owns, or several: this node owns it, these do not.
    Own {
        /// Which.
        slot: u16,
        /// Who shall own it.
        node: NodeId,
        /// Who shall not.
        instead_of: Vec<NodeId>,
    },
    /// A slot that only one end says is on its way, and of which the other has nothing: it stays.
    Close {
        /// Which.
        slot: u16,
        /// Its owner.
        owner: NodeId,
        /// Who else says that it is on its way.
        others: Vec<NodeId>,
    },
    /// A slot that both ends say is on its way: it goes all the way.
    Finish {
        /// Which.
        slot: u16,
        /// From.
        from: NodeId,
        /// To.
        to: NodeId,
    },
    /// Keys at a node that does not own their slot: they go to its owner.
    Fetch {
        /// Which.
        slot: u16,
        /// Who holds them.
        from: NodeId,
        /// The owner.
        to: NodeId,
        /// How many.
        keys: u64,
    },
}

/// Keys by slot and master.
pub(super) type Keys = BTreeMap<u16, BTreeMap<NodeId, u64>>;

/// The next repairs. Those of one kind of trouble at a time: the rest is looked at again when they are done.
pub(super) fn plan(cluster: &Cluster, keys: &Keys) -> Vec<Repair> {
    let strangers = strangers(cluster);
    if !strangers.is_empty() {
        return strangers.into_iter().map(|(by, node)| Repair::Meet { by, node }).collect();
    }
    let owners = ownership(cluster, keys);
    if !owners.is_empty() {
        return owners;
    }
    let open: SlotSet = cluster.open().map(|(_, open)| open.slot).collect();
    let mut repairs: Vec<Repair> = open.iter().filter_map(|slot| of_open(cluster, keys, slot)).collect();
    if repairs.is_empty() {
        repairs = strays(cluster, keys);
    }
    repairs
}

/// Who does not know whom, of those that answer.
pub(super) fn strangers(cluster: &Cluster) -> Vec<(Endpoint, Endpoint)> {
    check(cluster)
        .into_iter()
        .filter_map(|finding| match finding {
            Finding::Forgotten { by, node } => Some((by, node)),
            _ => None,
        })
        .filter(|(by, node)| [by, node].iter().all(|end| answers(cluster, end)))
        .collect()
}

fn answers(cluster: &Cluster, at: &Endpoint) -> bool {
    cluster.nodes.iter().any(|node| node.endpoint == *at && node.view.is_ok())
}

fn ownership(cluster: &Cluster, keys: &Keys) -> Vec<Repair> {
    let mut load: BTreeMap<NodeId, usize> =
        cluster.masters().map(|node| (node.id.clone(), node.slots.len())).collect();
    let mut repairs = Vec::new();
    for slot in 0..redoubt_redis::cluster::SLOTS {
        let owners: Vec<&Node> = cluster.owners(slot).collect();
        if owners.len() == 1 {
            continue;
        }
        // A silent owner may hold the slot's keys: nobody else takes it.
        if owners.iter().any(|owner| owner.view.is_err()) {
            continue;
        }
        let candidates: Vec<&Node> =
            if owners.is_empty() { cluster.masters().collect() } else { owners.clone() };
        let held = |node: &Node| keys.get(&slot).and_then(|keys| keys.get(&node.id)).copied().unwrap_or(0);
        let epoch = |node: &Node| node.view.as_ref().map_or(0, |view| view.nodes.myself.config_epoch);
        // Most keys; of owners the latest; else the one with the fewest slots.
        let best = candidates.into_iter().max_by_key(|node| {
            let latest = if owners.is_empty() { 0 } else { epoch(node) };
            (held(node), latest, usize::MAX - load.get(&node.id).copied().unwrap_or(0))
        });
        let Some(best) = best else { continue };
        *load.entry(best.id.clone()).or_default() += 1;
        let instead_of =
            owners.iter().filter(|node| node.id != best.id).map(|node| node.id.clone()).collect();
        repairs.push(Repair::Own { slot, node: best.id.clone(), instead_of });
    }
    repairs
}

fn of_open(cluster: &Cluster, keys: &Keys, slot: u16) -> Option<Repair> {
    let owner = cluster.owner(slot).filter(|owner| owner.view.is_ok())?;
    let holder = holders(keys, slot, &owner.id).max_by_key(|(_, keys)| *keys);
    match way(cluster, owner, slot, holder.map(|(id, _)| id)) {
        Way::On(to) => return Some(Repair::Finish { slot, from: owner.id.clone(), to }),
        Way::Unknown => return None,
        Way::Back => {}
    }
    if let Some((holder, keys)) = holder {
        return Some(Repair::Fetch { slot, from: holder.clone(), to: owner.id.clone(), keys });
    }
    // A replica has heard of it from its master (Valkey from 8 on), and hears from it how it ends.
    let open = cluster.open().filter(|(_, open)| open.slot == slot);
    let masters: BTreeSet<&NodeId> = open.map(|(node, _)| node.master.as_ref().unwrap_or(&node.id)).collect();
    let others = masters.into_iter().filter(|id| **id != owner.id).cloned().collect();
    Some(Repair::Close { slot, owner: owner.id.clone(), others })
}

/// Where an open slot goes.
enum Way {
    /// All the way to this node.
    On(NodeId),
    /// It stays with its owner.
    Back,
    /// Nobody can say yet.
    Unknown,
}

/// An owner that gives a slot sends clients away for what it does not have, and they write there: only forward is safe.
///
/// A failover of either end leaves more behind (Redis, and Valkey before 8, do not hand open slots on): keys at the
/// target's heir, which does not take the slot; or at a target that takes it from a node which its heir has replaced. To
/// go on from there has clients sent to those keys at once.
fn way(cluster: &Cluster, owner: &Node, slot: u16, holder: Option<&NodeId>) -> Way {
    let on = |to: Option<&NodeId>| to.map_or(Way::Back, |to| Way::On(to.clone()));
    let gives_to = marked(owner, slot, OpenSlotKind::Migrating).and_then(|id| cluster.node(id));
    if let Some(target) = gives_to {
        let takes = marked(target, slot, OpenSlotKind::Importing) == Some(&owner.id);
        if takes || holder == Some(&target.id) {
            return Way::On(target.id.clone());
        }
        // What a silent target holds is not known, unless others have given it up and its heir has it.
        if target.view.is_err() && !(target.is_failed && holder.is_some()) {
            return Way::Unknown;
        }
        return on(holder);
    }
    let taker = holder.and_then(|id| cluster.node(id));
    let from = taker.and_then(|node| marked(node, slot, OpenSlotKind::Importing));
    let is_replaced = |from: &NodeId| match cluster.node(from) {
        Some(node) => node.master.as_ref() == Some(&owner.id) || node.is_failed,
        None => true,
    };
    on(holder.filter(|_| from.is_some_and(is_replaced)))
}

/// Whom a node has marked as the other end of a slot on its way.
fn marked(node: &Node, slot: u16, kind: OpenSlotKind) -> Option<&NodeId> {
    node.open().iter().find(|open| open.slot == slot && open.kind == kind).map(|open| &open.peer)
}

fn strays(cluster: &Cluster, keys: &Keys) -> Vec<Repair> {
    let mut repairs = Vec::new();
    for slot in keys.keys().copied() {
        let Some(owner) = cluster.owner(slot).filter(|owner| owner.view.is_ok()) else { continue };
        repairs.extend(holders(keys, slot, &owner.id).map(|(from, keys)| Repair::Fetch {
            slot,
            from: from.clone(),
            to: owner.id.clone(),
            keys,
        }));
    }
    repairs
}

/// Who but the owner has keys of this slot.
fn holders<'a>(keys: &'a Keys, slot: u16, owner: &'a NodeId) -> impl Iterator<Item = (&'a NodeId, u64)> {
    let held = keys.get(&slot).into_iter().flatten();
    held.filter(move |(node, keys)| **keys > 0 && *node != owner).map(|(node, keys)| (node, *keys))
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meet { by, node } => write!(f, "{by} meets {node}"),
            Self::Own { slot, node, instead_of } if instead_of.is_empty() => {
                write!(f, "slot {slot} goes to {}, as nobody owns it", node.short())
            }
            Self::Own { slot, node, .. } => write!(f, "slot {slot} belongs to {} alone", node.short()),
            Self::Close { slot, owner, .. } => write!(f, "slot {slot} stays with {}", owner.short()),
            Self::Finish { slot, from, to } => {
                write!(f, "slot {slot} goes all the way from {} to {}", from.short(), to.short())
            }
            Self::Fetch { slot, from, to, keys } => {
                write!(f, "{keys} keys of slot {slot} go from {} to its owner {}", from.short(), to.short())
            }
        }
    }
}
