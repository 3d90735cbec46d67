//! What must hold, whatever happens.

use std::time::Duration;

use super::{
    sim::Sim,
    world::{DOWN_AFTER, World},
};
use crate::machine::{Ask, Call, Machine, Place};

/// How old a majority's word may be when somebody is re-pointed on it.
const RECENTLY: Duration = Duration::from_millis(500);

/// Before a call is carried out: it must be allowed to.
pub(super) fn before_each(sim: &Sim, candidate: usize, call: &Call) {
    let Place::Node(node) = call.place else { return };
    match &call.ask {
        Ask::Promote { min_replicas } => {
            assert!(*min_replicas as usize >= sim.world.nodes.len(), "promoted with the fence open");
            promoted_by_a_majority(sim, candidate);
        }
        Ask::Follow { master } => follows_with_cause(sim, candidate, node, sim.world.node_at(master)),
        _ => {}
    }
}

/// Nothing is promoted without max(quorum, majority) votes, or with old ones.
fn promoted_by_a_majority(sim: &Sim, candidate: usize) {
    let machine = &sim.candidates[candidate].machine;
    let (name, epoch) = machine.elected_in();
    let votes = sim.world.votes_for(name, epoch);
    assert!(votes >= sim.world.majority(), "{name} promotes with {votes} votes in epoch {epoch}");
    let age = sim.world.now.since(machine.voted_at);
    assert!(age <= Duration::from_millis(500), "{name} promotes {age:?} after its vote");
}

/// Nothing is re-pointed to a node that no majority names; but the old master of a hand-over, paused, is.
fn follows_with_cause(sim: &Sim, candidate: usize, node: usize, master: usize) {
    let world = &sim.world;
    let named = world.named_at[master].is_some_and(|at| world.now.since(at) <= RECENTLY);
    if named {
        return;
    }
    let machine = &sim.candidates[candidate].machine;
    assert!(machine.demotes(), "n{node} is told to follow n{master}, which no majority names");
    let paused = world.nodes[node].paused_until.is_some_and(|until| world.now < until);
    assert!(paused, "n{node} is demoted while its clients write");
    let (old, new) = (&world.nodes[node].data, &world.nodes[master].data);
    assert!(new.starts_with(old), "n{node} is demoted, and n{master} lacks some of {old:?}: {new:?}");
}

/// After every event.
pub(super) fn after_each(sim: &Sim) {
    nobody_writes_to_the_unnamed(&sim.world);
    let running = sim.world.pause_began.map_or(Duration::ZERO, |began| sim.world.now.since(began));
    let paused = sim.world.paused + running;
    assert!(paused < DOWN_AFTER / 3, "writes were paused for {paused:?}");
    let machines = sim.candidates.iter().map(|candidate| &candidate.machine);
    let mut elected: Vec<_> =
        machines.filter(|machine| machine.holds_election()).map(Machine::elected_in).collect();
    elected.sort_unstable_by_key(|(_, epoch)| *epoch);
    for pair in elected.windows(2) {
        assert!(pair[0].1 != pair[1].1, "two are elected in one epoch: {pair:?}");
    }
}

/// A node that was never named takes no writes, whoever follows it; Sentinel's own failover knows no such fence.
fn nobody_writes_to_the_unnamed(world: &World) {
    for node in 0..world.nodes.len() {
        let named = world.named_at[node].is_some() || world.nodes[node].by_sentinel;
        assert!(named || !world.writable(node), "n{node} takes writes, and no majority ever named it");
    }
}

/// At the end, when everybody has come to rest: one master, named by all who live.
pub(super) fn one_master(sim: &Sim) {
    let named = sim.world.named().expect("a majority names a master");
    for (index, sentinel) in sim.world.sentinels.iter().enumerate() {
        assert!(!sentinel.up || sentinel.names == named, "s{index} names n{}, not n{named}", sentinel.names);
    }
    let masters: Vec<usize> = (0..sim.world.nodes.len())
        .filter(|node| sim.world.nodes[*node].up && sim.world.nodes[*node].master.is_none())
        .collect();
    assert_eq!(masters, [named], "who reports master, and who is named");
}

/// Every acknowledged write is at the named master.
pub(super) fn nothing_lost(sim: &Sim) {
    let named = sim.world.named().expect("a majority names a master");
    let data = &sim.world.nodes[named].data;
    let lost: Vec<&u16> = sim.world.acked.iter().filter(|write| !data.contains(write)).collect();
    assert!(lost.is_empty(), "n{named} leads, and lacks {lost:?}, which were acknowledged");
}

/// No replica had to take a full copy.
pub(super) fn no_full_sync(sim: &Sim) {
    for (index, node) in sim.world.nodes.iter().enumerate() {
        assert_eq!(node.full_syncs, 0, "n{index} took a full copy");
    }
}
