//! As what a node of a cluster may start.
//!
//! The bus keeps a master that was replaced from taking writes: it finds out within the two seconds in which a server
//! that has just started serves nothing. What it cannot find out is that its own data is gone: its replicas would copy
//! the emptiness. So a master without its data does not start before a replica has its slots.

use redoubt_redis::cluster::{ClusterNodes, SLOTS, SlotSet};
use redoubt_wire::{
    config::SetConfig,
    state::{ClusterView, NodeState, OnDisk, Phase, Record, Replication},
};

use super::{Memory, lead::candidates};
use crate::boot::PeerAnswer;

/// All that is known before a start.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; no two make a state together")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Survey {
    /// This node.
    pub(crate) me: String,
    /// What this node's own files hold.
    pub(crate) own: OnDisk,
    /// Who it was in the cluster.
    pub(crate) memory: Option<Memory>,
    /// One answer per other node of its shard.
    pub(crate) shard: Vec<PeerAnswer>,
    /// The cluster lives, and no node of it knows this one any more.
    pub(crate) forgotten: bool,
    /// Data is to outlive the process.
    pub(crate) persistent: bool,
    /// Somebody said that the shard may begin anew, without its data.
    pub(crate) loss_accepted: bool,
    /// This node was forming the cluster, and never saw it whole.
    pub(crate) forming: bool,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Start.
    Start(StartAs),
    /// Have a replica stand for election first.
    Ask {
        /// For the log and the status.
        why: String,
    },
    /// The files are put aside, and it starts with nothing.
    SetAside {
        /// For the log and the status.
        why: &'static str,
    },
    /// Not now.
    Wait {
        /// For the log and the status.
        why: String,
    },
}

/// As what a node starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartAs {
    /// As master of its slots, with its data.
    Leader,
    /// As master of its slots, without data: nobody has any.
    LeaderAnew,
    /// As what the bus makes of it; it holds no copy that counts until it is in sync.
    Follower {
        /// A living master has all that it had.
        led: bool,
    },
    /// As a node that knows nobody.
    Blank,
}

/// Decides what this node does now. Asked again and again with fresh surveys until it says something else than
/// [`Decision::Wait`].
pub(crate) fn decide(set: &SetConfig, survey: &Survey) -> Decision {
    let slots = survey.memory.as_ref().map(|memory| memory.slots.clone()).unwrap_or_default();
    let led = survey.shard.iter().filter_map(view).any(|view| owns(view, &slots));
    let own = survey.own.record();
    match &survey.memory {
        None if own.is_none() && led => Decision::Start(StartAs::Blank),
        // A living node of the shard has all of it, and nobody can say who this node was.
        None if own.is_some() && led => Decision::SetAside { why: "nodes.conf is gone" },
        Some(_) if led => Decision::Start(StartAs::Follower { led }),
        // It left when it held nothing that was not others'; what its files hold is older than what they have now.
        Some(memory) if survey.forgotten && memory.slots.is_empty() => {
            Decision::SetAside { why: "it left the cluster, which has forgotten it" }
        }
        Some(memory) if memory.follows => Decision::Start(StartAs::Follower { led }),
        None => without_memory(set, survey),
        Some(memory) if memory.slots.is_empty() => without_slots(survey, memory),
        Some(_) => as_master(set, survey),
    }
}

/// Nodes of other shards serve all slots, and none of them knows this one: it was taken out of the set.
pub(crate) fn is_forgotten(memory: &Memory, answers: &[ClusterNodes]) -> bool {
    let whole = |nodes: &ClusterNodes| {
        let owned: SlotSet = nodes.all().flat_map(|node| node.slots.iter()).collect();
        owned.len() == usize::from(SLOTS)
    };
    let knows = |nodes: &ClusterNodes| nodes.all().any(|node| node.id.as_str() == memory.id);
    !answers.is_empty() && answers.iter().all(|nodes| whole(nodes) && !knows(nodes))
}

/// A living node of the shard owns slots.
pub(crate) fn is_led(shard: &[PeerAnswer]) -> bool {
    shard.iter().filter_map(view).any(ClusterView::leads)
}

/// A living master of the shard has all that this node had.
fn owns(view: &ClusterView, slots: &SlotSet) -> bool {
    let owned = view.slots.parse();
    view.leads() && owned.is_ok_and(|owned| slots.without(&owned).is_empty())
}

/// What a running server says of the cluster.
fn view(peer: &PeerAnswer) -> Option<&ClusterView> {
    let state = peer.state.as_ref().filter(|state| state.phase == Phase::Running)?;
    state.cluster.as_deref()
}

/// Nobody leads the shard, and who this node was is lost.
fn without_memory(set: &SetConfig, survey: &Survey) -> Decision {
    if !candidates(set, &survey.me, &survey.shard).is_empty() {
        return Decision::Ask {
            why: "its memory of the cluster (nodes.conf) is gone: a replica takes its slots first".to_owned(),
        };
    }
    if survey.own.record().is_none() {
        return Decision::Start(StartAs::Blank);
    }
    wait(
        "its memory of the cluster (nodes.conf) is gone and no node of its shard that runs has its data; bring nodes.conf back, or start the other nodes of the shard",
    )
}

/// It knows others, and owns nothing.
fn without_slots(survey: &Survey, memory: &Memory) -> Decision {
    // What a node was given while it formed the cluster was taken back before there was a key.
    if survey.own.record().is_none() || survey.forming {
        return Decision::Start(StartAs::Blank);
    }
    // It was to get slots, or had given all of its own away. What it holds of those on their way is found at it alone; it
    // can claim none, since all of them are others'.
    if memory.whole {
        return Decision::Start(StartAs::Leader);
    }
    wait(
        "it holds data of slots that it does not own; nothing is served or thrown away: look at `redoubt cluster check`, then empty its data folder",
    )
}

/// It was the master of its shard, and nobody else is.
fn as_master(set: &SetConfig, survey: &Survey) -> Decision {
    let copies = candidates(set, &survey.me, &survey.shard);
    match survey.own.record() {
        Some(own) if !survey.shard.iter().filter_map(living_copy).all(|copy| covers(own, copy)) => {
            Decision::Ask { why: "a replica has newer data: it takes the slots first".to_owned() }
        }
        Some(own) if own.is_found() => with_found(survey),
        Some(_) => Decision::Start(StartAs::Leader),
        None if !copies.is_empty() => {
            Decision::Ask { why: "its data is gone: a replica takes its slots first".to_owned() }
        }
        None => without_data(survey),
    }
}

/// Others of its shard that may hold data, unless nobody does.
fn holders(survey: &Survey) -> Option<String> {
    let holds = |peer: &&PeerAnswer| {
        peer.state.as_ref().is_none_or(|state| matches!(state.on_disk, OnDisk::Unknown | OnDisk::Data(_)))
    };
    let names: Vec<&str> = survey.shard.iter().filter(holds).map(|peer| peer.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Files that no server of this shard was seen with are where its data was: a backup, or what an accident has left.
fn with_found(survey: &Survey) -> Decision {
    let Some(others) = holders(survey) else { return Decision::Start(StartAs::Leader) };
    wait(&format!(
        "its files have no record, and {others} may hold the data of this shard; look at both, then empty the data folder of the one to give up, but for nodes.conf"
    ))
}

/// Its data is gone, and nobody who runs has a copy in sync.
fn without_data(survey: &Survey) -> Decision {
    if let Some(others) = holders(survey) {
        return wait(&format!(
            "its data is gone, and {others} may hold a copy: it starts when a copy has its slots"
        ));
    }
    // It was given its slots and died before its data set began: there never was any data.
    let never_began = survey.forming || survey.own == OnDisk::UnfinishedCopy;
    if !survey.persistent || survey.loss_accepted || never_began {
        return Decision::Start(StartAs::LeaderAnew);
    }
    wait(&format!(
        "every copy of this shard's data is gone; bring the files of one of its nodes back, or make an empty file {ACCEPT_LOSS} in this node's data folder to go on with an empty shard"
    ))
}

/// Name of the file by which somebody says that a shard may begin anew.
pub(crate) const ACCEPT_LOSS: &str = "accept-loss";

fn wait(why: &str) -> Decision {
    Decision::Wait { why: why.to_owned() }
}

/// A replica that has been in sync and lives: its state, if it is one.
fn living_copy(peer: &PeerAnswer) -> Option<&NodeState> {
    let state = peer.state.as_ref().filter(|state| state.phase == Phase::Running && state.joined)?;
    matches!(state.replication, Some(Replication::Replica { .. })).then_some(state)
}

/// The files hold all that this copy has received.
fn covers(own: &Record, copy: &NodeState) -> bool {
    let same = |record: &Record| record.data_set == own.data_set && record.replid == own.replid;
    let same = copy.on_disk.record().is_some_and(same);
    let received = copy.live.as_ref().map(|live| live.offset);
    same && received.is_some_and(|received| own.offset >= received)
}

#[cfg(test)]
#[path = "boot_tests.rs"]
mod tests;
