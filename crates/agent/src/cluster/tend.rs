//! What a running node of a cluster lacks: its place in it, others that it does not know, a master.

use std::{cmp::Ordering, time::Duration};

use redoubt_redis::{
    Endpoint,
    cluster::{ClusterNode, Flag, NodeId, SLOTS},
};
use redoubt_wire::{
    config::{NodeEntry, SetConfig},
    state::{ClusterView, OnDisk, Phase, Record},
};

use super::ClusterSeen;
use crate::boot::{PeerAnswer, compare};

/// What is known while the server runs.
pub(crate) struct Situation<'a> {
    pub(crate) set: &'a SetConfig,
    pub(crate) me: &'a NodeEntry,
    pub(crate) seen: &'a ClusterSeen,
    /// What the files hold.
    pub(crate) on_disk: &'a OnDisk,
    pub(crate) keys: u64,
    /// Received of the master's stream, bytes.
    pub(crate) offset: u64,
    /// It has been in sync since it started.
    pub(crate) joined: bool,
    /// A replica without a link: for how long.
    pub(crate) unled_for: Option<Duration>,
    /// This node began to form the cluster, and has not seen it whole.
    pub(crate) forming: bool,
}

/// One thing to do at the own server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tend {
    /// Make one cluster of all nodes.
    Form,
    /// The cluster is whole: forget that it was being formed.
    Formed,
    /// Make this node's acquaintance.
    Meet(Endpoint),
    /// Follow this master.
    Follow(NodeId),
    /// Forget a node that is no more.
    Forget(NodeId),
    /// Be voted for: nobody leads the shard, and this node holds the most of its data.
    StandForElection,
    /// Nothing can be done; people must know.
    Tell(String),
}

/// A restarted master is there again within this.
const UNLED: Duration = Duration::from_millis(1500);

impl<'a> Situation<'a> {
    fn view(&self) -> &'a ClusterView {
        &self.seen.view
    }

    fn others(&self) -> &'a [ClusterNode] {
        &self.seen.nodes.others
    }

    fn node(&self, id: &str) -> Option<&'a ClusterNode> {
        self.others().iter().find(|node| node.id.as_str() == id)
    }

    fn master(&self) -> Option<&'a ClusterNode> {
        self.node(self.view().master.as_deref()?)
    }

    /// It owns nothing and follows nobody.
    fn is_idle(&self) -> bool {
        !self.view().leads() && self.view().master.is_none()
    }

    /// How long a replica is left to the bus, which sees to its master by itself.
    fn patience(&self) -> Duration {
        let node_timeout = self.set.cluster().map_or(0, |cluster| cluster.node_timeout_ms);
        if self.joined { Duration::from_millis(node_timeout.saturating_mul(2)) } else { UNLED }
    }

    fn is_unled(&self) -> bool {
        self.unled_for.is_some_and(|unled| unled >= self.patience())
    }

    /// Whom it follows is no master of its shard.
    fn follows_wrongly(&self) -> bool {
        if self.view().master.is_none() {
            return false;
        }
        let Some(master) = self.master() else { return true };
        let home = self.set.node_at(&master.endpoint);
        !master.is_there() || !master.is_master() || home.is_none_or(|home| home.shard != self.me.shard)
    }

    /// Another may lead its shard than whom it follows, unless nobody does.
    fn follows_idly(&self) -> bool {
        self.master().is_some_and(|master| master.slots.is_empty())
    }

    /// The first node of the shard: of one that owns nothing, the others follow it from the start, so that its slots find
    /// a replica there.
    fn first_of_shard(&self) -> Option<&'a ClusterNode> {
        let first = self.set.same_data(self.me).next().filter(|first| first.name != self.me.name)?;
        let known = self.others().iter().find(|node| node.endpoint == first.server);
        known.filter(|node| node.is_there() && node.is_master() && node.slots.is_empty())
    }

    /// Nodes of the set that it has never heard of.
    fn unknown(&self) -> impl Iterator<Item = &'a NodeEntry> {
        let (me, others) = (self.me, self.others());
        let known = move |entry: &NodeEntry| others.iter().any(|node| node.endpoint == entry.server);
        self.set.nodes.iter().filter(move |entry| entry.name != me.name && !known(entry))
    }

    /// Owns nothing, and is dead or has lost its address to another: nobody of this set comes back as it.
    fn is_stale(&self, node: &ClusterNode) -> bool {
        let gone = node.has(&Flag::Failed) || node.has(&Flag::NoAddress);
        let mine = self.view().master.as_deref() == Some(node.id.as_str());
        let followed = || self.others().iter().any(|other| other.master.as_ref() == Some(&node.id));
        let replaced = |entry: &NodeEntry| {
            let same_place = |other: &ClusterNode| other.endpoint == entry.server && other.id != node.id;
            entry.name == self.me.name
                || self.others().iter().any(|other| same_place(other) && other.is_there())
        };
        let comes_back = self.set.node_at(&node.endpoint).is_some_and(|entry| !replaced(entry));
        gone && node.slots.is_empty() && !mine && !followed() && !comes_back
    }
}

/// The others have to be asked: something is lacking that this node cannot judge alone.
pub(crate) fn is_amiss(situation: &Situation<'_>) -> bool {
    situation.forming
        || situation.is_idle()
        || situation.follows_wrongly()
        || situation.follows_idly()
        || situation.is_unled()
        || situation.unknown().next().is_some()
}

/// What to do next. `peers`: one answer per other node of the set, where it had to be asked.
pub(crate) fn next(situation: &Situation<'_>, peers: &[PeerAnswer]) -> Option<Tend> {
    if situation.forming {
        return Some(if situation.view().covered == SLOTS { Tend::Formed } else { Tend::Form });
    }
    if situation.view().is_blank() {
        return enter(situation, peers);
    }
    let stale = situation.others().iter().find(|node| situation.is_stale(node));
    if let Some(stale) = stale {
        return Some(Tend::Forget(stale.id.clone()));
    }
    let leader = leader(situation, peers);
    let unled = leader.is_none() && situation.is_unled();
    let stand = unled.then(|| stand(situation, peers)).flatten();
    if stand == Some(Tend::StandForElection) {
        return stand;
    }
    if let Some(unknown) = situation.unknown().find(|entry| is_member(peers, &entry.name)) {
        return Some(Tend::Meet(unknown.server.clone()));
    }
    let idle = situation.is_idle() && situation.keys == 0;
    let lost = idle || situation.follows_wrongly() || situation.follows_idly();
    match leader {
        Some(leader) if lost => Some(Tend::Follow(leader.id.clone())),
        Some(_) => None,
        None if idle => beginning(situation, peers).or(stand),
        None => stand,
    }
}

/// All slots are those of other shards: this node follows the first one of its own, which owns nothing either.
fn beginning(situation: &Situation<'_>, peers: &[PeerAnswer]) -> Option<Tend> {
    let first = situation.first_of_shard()?;
    let says = |peer: &PeerAnswer| {
        view(peer).is_some_and(|view| view.id == first.id.as_str() && !view.leads() && view.master.is_none())
    };
    let all = situation.view().covered == SLOTS && in_shard(situation, peers).any(says);
    all.then(|| Tend::Follow(first.id.clone()))
}

/// A node that knows nobody: it joins the cluster of its set, or the first one forms it.
fn enter(situation: &Situation<'_>, peers: &[PeerAnswer]) -> Option<Tend> {
    let whole =
        peers.iter().filter(|peer| view(peer).is_some_and(|view| view.is_ok && view.covered == SLOTS));
    let mut whole = whole.filter_map(|peer| situation.set.node(&peer.name));
    if let Some(entry) = whole.next() {
        return Some(Tend::Meet(entry.server.clone()));
    }
    let first = situation.set.nodes.first().is_some_and(|first| first.name == situation.me.name);
    let empty = |peer: &PeerAnswer| {
        let holds = peer.state.as_ref().is_none_or(|state| state.on_disk.record().is_some());
        !holds && view(peer).is_some_and(ClusterView::is_blank)
    };
    let all = peers.len() + 1 == situation.set.nodes.len() && peers.iter().all(empty);
    (first && all && situation.on_disk.record().is_none() && situation.keys == 0).then_some(Tend::Form)
}

/// Its server runs and has its place in the cluster.
fn is_member(peers: &[PeerAnswer], name: &str) -> bool {
    peers.iter().any(|peer| peer.name == name && view(peer).is_some_and(|view| !view.is_blank()))
}

/// What a running server says of the cluster.
fn view(peer: &PeerAnswer) -> Option<&ClusterView> {
    peer.state.as_ref().filter(|state| state.phase == Phase::Running)?.cluster.as_deref()
}

fn in_shard<'a>(
    situation: &'a Situation<'_>,
    peers: &'a [PeerAnswer],
) -> impl Iterator<Item = &'a PeerAnswer> {
    let (set, shard) = (situation.set, situation.me.shard);
    peers.iter().filter(move |peer| set.node(&peer.name).is_some_and(|entry| entry.shard == shard))
}

/// The node that leads this shard, by its own word, as the own server knows it.
fn leader<'a>(situation: &'a Situation<'_>, peers: &[PeerAnswer]) -> Option<&'a ClusterNode> {
    let leaders = in_shard(situation, peers).filter_map(view).filter(|view| view.leads());
    let leader = leaders.max_by_key(|view| view.epoch)?;
    situation.node(&leader.id).filter(|node| node.is_there())
}

/// Nobody leads the shard: this replica does, if nobody holds more, and nobody could who does not answer.
fn stand(situation: &Situation<'_>, peers: &[PeerAnswer]) -> Option<Tend> {
    let master = situation.master();
    let place = master.and_then(|master| situation.set.node_at(&master.endpoint));
    let lives =
        |peer: &PeerAnswer| place.is_some_and(|place| place.name == peer.name) && view(peer).is_some();
    if peers.iter().any(lives)
        || master.is_some_and(|master| !master.has(&Flag::Failed) && !is_down(place, peers))
    {
        return None;
    }
    if situation.joined { stand_in_sync(situation, peers) } else { stand_by_record(situation, peers) }
}

/// The agent there says that its server does not run.
fn is_down(place: Option<&NodeEntry>, peers: &[PeerAnswer]) -> bool {
    let there = peers.iter().find(|peer| place.is_some_and(|place| place.name == peer.name));
    there.and_then(|peer| peer.state.as_ref()).is_some_and(|state| state.phase != Phase::Running)
}

/// Of those that have been in sync, who received most.
fn stand_in_sync(situation: &Situation<'_>, peers: &[PeerAnswer]) -> Option<Tend> {
    let ahead = |peer: &PeerAnswer| {
        let state = peer.state.as_ref().filter(|state| state.phase == Phase::Running && state.joined);
        let offset = state.and_then(|state| state.live.as_ref()).map_or(0, |live| live.offset);
        match offset.cmp(&situation.offset) {
            Ordering::Greater => true,
            Ordering::Equal => state.is_some() && is_before(situation, &peer.name),
            Ordering::Less => false,
        }
    };
    (!in_shard(situation, peers).any(ahead)).then_some(Tend::StandForElection)
}

/// After an outage of the whole shard: whose record goes furthest.
fn stand_by_record(situation: &Situation<'_>, peers: &[PeerAnswer]) -> Option<Tend> {
    let own = situation.on_disk.record()?;
    let shard: Vec<&PeerAnswer> = in_shard(situation, peers).collect();
    if shard.iter().any(|peer| peer.state.as_ref().is_some_and(|state| state.joined)) {
        return None;
    }
    let silent =
        |peer: &&&PeerAnswer| peer.state.as_ref().is_none_or(|state| state.on_disk == OnDisk::Unknown);
    let absent: Vec<&str> = shard.iter().filter(silent).map(|peer| peer.name.as_str()).collect();
    let deadline = situation.set.durability.recovery_deadline_ms.map(Duration::from_millis);
    let overdue = deadline.is_some_and(|deadline| situation.unled_for.is_some_and(|unled| unled >= deadline));
    if !absent.is_empty() && !overdue {
        return Some(Tend::Tell(format!(
            "nobody leads the shard; {} may hold newer data",
            absent.join(", ")
        )));
    }
    if (shard.len() + 1 - absent.len()) * 2 <= shard.len() + 1 {
        let absent = absent.join(", ");
        return Some(Tend::Tell(format!(
            "nobody leads the shard; without {absent} too few records are known"
        )));
    }
    let records = shard.iter().filter_map(|peer| Some((peer, peer.state.as_ref()?.on_disk.record()?)));
    for (peer, record) in records {
        match compare(own, record) {
            Some(Ordering::Greater) => {}
            Some(Ordering::Equal) if !is_before(situation, &peer.name) => {}
            Some(_) => return None,
            None => return Some(Tend::Tell(incomparable(&peer.name, record, own))),
        }
    }
    Some(Tend::StandForElection)
}

fn incomparable(peer: &str, theirs: &Record, own: &Record) -> String {
    format!(
        "nobody leads the shard, and its data (of {}) cannot be compared with that of {peer} (of {}); look at both, then empty the data folder of the one to give up",
        own.data_set, theirs.data_set
    )
}

/// Of two that are equal, the first one is it.
fn is_before(situation: &Situation<'_>, name: &str) -> bool {
    let place = |name: &str| situation.set.nodes.iter().position(|node| node.name == name);
    place(name) < place(&situation.me.name)
}

#[cfg(test)]
#[path = "tend_tests.rs"]
mod tests;
