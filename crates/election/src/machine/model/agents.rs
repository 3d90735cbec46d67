//! The agents beside the candidates: each listens, and finishes what another left half done.

use redoubt_redis::Endpoint;
use redoubt_wire::failover::Cause;

use super::{sim::Sim, world::World};
use crate::{Action, Mine, Moment, NamedMaster, News, Rescue, SentinelViews, Situation, WatchEvent};

/// Elections that one run may have: who never finishes must not run for ever.
const MOST: usize = 6;

/// Lets every agent that is awake look around and act.
pub(super) fn act(sim: &mut Sim) {
    let views = views(&sim.world);
    for node in 0..sim.world.nodes.len() {
        if !is_awake(sim, node) {
            continue;
        }
        let mut rescue = std::mem::take(&mut sim.rescues[node]);
        let action = decide(sim, node, &views, &mut rescue);
        sim.rescues[node] = rescue;
        match action {
            Some(Action::BeCandidate { replaces, .. }) if sim.candidates.len() < MOST => {
                let (replaced, now) = (sim.world.node_at(&replaces), sim.world.now);
                sim.asks(Cause::Rescue, node, replaced, now);
            }
            Some(Action::LeadAsNamed) => sim.world.promote(node, None),
            Some(Action::FollowNamed { master }) => {
                sim.world.nodes[node].master = Some(sim.world.node_at(&master));
            }
            _ => {}
        }
    }
}

/// When the next of them acts if nothing happens.
pub(super) fn wakes_at(sim: &Sim) -> Option<Moment> {
    let awake = (0..sim.rescues.len()).filter(|node| is_awake(sim, *node));
    awake.filter_map(|node| sim.rescues[node].wake_at()).filter(|_| sim.candidates.len() < MOST).min()
}

/// What Sentinel does by itself, ten seconds later (`+convert-to-slave`), where no agent is left to do it.
pub(super) fn convert_orphans(sim: &mut Sim) {
    let Some(named) = sim.world.named().filter(|named| sim.world.nodes[*named].up) else { return };
    for node in 0..sim.world.nodes.len() {
        let orphan = sim.candidates.iter().any(|candidate| candidate.agent == node && candidate.dead);
        if orphan && node != named && sim.world.nodes[named].master.is_none() {
            sim.world.nodes[node].master = Some(named);
        }
    }
}

/// An agent that runs a candidate sleeps and dies with it.
fn is_awake(sim: &Sim, node: usize) -> bool {
    let mine = sim.candidates.iter().filter(|candidate| candidate.agent == node);
    mine.fold(true, |awake, candidate| awake && !candidate.dead && candidate.asleep_until.is_none())
}

fn decide(sim: &Sim, node: usize, views: &SentinelViews, rescue: &mut Rescue) -> Option<Action> {
    let me = sim.server(node);
    let busy = sim.candidates.iter().any(|candidate| candidate.agent == node && !candidate.is_over());
    let named = views.named().map_or(NamedMaster::Unknown, |named| look(&sim.world, named));
    let sentinel_ids: Vec<String> = (0..sim.world.sentinels.len()).map(|id| format!("{id:040}")).collect();
    let situation = Situation {
        me: &me,
        mine: mine(&sim.world, node, views.named()),
        may_lead: true,
        busy,
        views,
        sentinel_ids: &sentinel_ids,
        named: &named,
    };
    rescue.decide(&situation, sim.world.now, node as u64 * 512)
}

fn look(world: &World, named: &Endpoint) -> NamedMaster {
    let node = &world.nodes[world.node_at(named)];
    match node.master {
        _ if !node.up => NamedMaster::Gone,
        None => NamedMaster::Leads,
        Some(master) => {
            let leads = world.nodes[master].up && world.nodes[master].master.is_none();
            NamedMaster::Follows { somebody_who_leads: leads }
        }
    }
}

fn mine(world: &World, node: usize, named: Option<&Endpoint>) -> Mine {
    let node = &world.nodes[node];
    match node.master {
        _ if !node.up => Mine::Down,
        None => Mine::Leads { promoted: None },
        Some(master) => Mine::Follows { named: named.is_some_and(|named| world.node_at(named) == master) },
    }
}

/// What an agent has heard, in the order in which it happened.
fn views(world: &World) -> SentinelViews {
    let name = |index: usize| format!("s{index}");
    let mut views = SentinelViews::new((0..world.sentinels.len()).map(name));
    let mut heard: Vec<(Moment, u8, WatchEvent)> = Vec::new();
    for (index, sentinel) in world.sentinels.iter().enumerate().filter(|(_, sentinel)| sentinel.up) {
        let mut hear = |at: Moment, order: u8, news: News| {
            heard.push((at, order, WatchEvent { sentinel: name(index), news }));
        };
        let server = |node: usize| World::server(node);
        let first = if sentinel.switched_at.is_some() { 0 } else { sentinel.names };
        hear(Moment::START, 0, News::Up { names: Some(server(first)), epoch: sentinel.config_epoch });
        if let (Some(at), Some(leader)) = (sentinel.voted_at, &sentinel.last_leader) {
            hear(at, 1, News::Voted { leader: leader.clone(), epoch: sentinel.leader_epoch });
        }
        if let Some(at) = sentinel.switched_at {
            hear(at, 2, News::Switched { old: server(first), new: server(sentinel.names) });
        }
    }
    heard.sort_by_key(|(at, order, _)| (*at, *order));
    for (at, _, event) in heard {
        views.hear(&event, at);
    }
    views
}
