//! Every shard of a cluster with its share of the slots; shards that are asked for no more with none, until they leave.
//!
//! Slots go to a shard only once all of its nodes are there and in sync, and only while every master is well. A shard
//! leaves when it owns nothing, holds nothing, and all nodes agree. Who is interrupted, or changes his mind, finds the
//! shares wrong again: then slots move on from where they are.

use std::{collections::BTreeMap, fmt};

use redoubt_redis::cluster::NodeId;
use redoubt_slots::plan::{Share, rebalance};

use super::{Memory, Next, Step, Waiting};
use crate::{
    look::{Look, Shard},
    world::{Counts, MemberView},
};

/// How far slots are with their way to other shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Slots that have yet to move.
    pub left: u16,
    /// Slots a second, of late.
    pub per_second: Option<u32>,
}

impl Progress {
    pub(crate) fn new(left: u16, per_second: Option<u32>) -> Self {
        Self { left, per_second }
    }

    /// Seconds until all have moved, at the rate of late.
    pub(crate) fn seconds_left(self) -> Option<u32> {
        self.per_second.map(|rate| u32::from(self.left).div_ceil(rate.max(1)))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} left", self.left)?;
        match (self.per_second, self.seconds_left()) {
            (Some(rate), Some(seconds)) => write!(f, ", {rate} a second, about {seconds} s"),
            _ => Ok(()),
        }
    }
}

/// Slots that are half moved go all the way first, whoever began it.
pub(super) fn finish(look: &Look<'_>, memory: &Memory) -> Option<Next> {
    let view = look.opened()?;
    Some(step(look, memory, BTreeMap::new(), format!("slots are on their way at {}", view.member.name)))
}

/// Moves slots to where they are to be, then has shards leave.
pub(super) fn next(look: &Look<'_>, memory: &Memory) -> Option<Next> {
    let shards = look.shards();
    if left(look) > 0 {
        return Some(match unready(look, &shards) {
            Some(waiting) => waiting.into(),
            None => step(look, memory, weights(look), why(look)),
        });
    }
    leave(look, &shards)
}

/// Without weights no more is moved than what is half moved.
fn step(look: &Look<'_>, memory: &Memory, weights: BTreeMap<u32, u32>, why: String) -> Next {
    let serving = look.serving_shards();
    let Some(mover) = serving.iter().find_map(|shard| shard.master) else {
        return Waiting::new("ShardNotServed", format!("{why}; no master is there to move them")).into();
    };
    Next::Step(Step::Rebalance {
        mover: mover.member.name.clone(),
        weights,
        progress: Progress::new(left(look), memory.slots_per_second),
        why,
    })
}

fn why(look: &Look<'_>) -> String {
    let (wanted, runs) = (look.wanted.shards, look.counts.shards);
    if wanted < runs {
        return format!("spec.shards asks for {wanted} shards, and slots are in {runs}");
    }
    "not every shard owns its share, by spec.shards and spec.weights".to_owned()
}

/// How much each shard that runs shall own in proportion to the others.
fn weights(look: &Look<'_>) -> BTreeMap<u32, u32> {
    let Some(cluster) = look.redis.cluster() else { return BTreeMap::new() };
    (0..look.counts.shards).map(|shard| (shard, cluster.weight(shard))).collect()
}

/// Slots that are not where they are to be.
pub(crate) fn left(look: &Look<'_>) -> u16 {
    let weights = weights(look);
    let share = |shard: &Shard<'_>| {
        let weight = f64::from(weights.get(&shard.number).copied().unwrap_or_default());
        Some(Share { node: stand_in(shard.number)?, slots: shard.slots(), weight })
    };
    let shares: Vec<Share> = look.shards().iter().filter_map(share).collect();
    let moved: usize = rebalance(&shares, 0.0).iter().map(|one| one.slots.len()).sum();
    u16::try_from(moved).unwrap_or(u16::MAX)
}

/// A shard as the planner of moves names it, whoever leads it.
fn stand_in(shard: u32) -> Option<NodeId> {
    format!("{shard:040x}").parse().ok()
}

/// Who has to be well before slots move: every node of the shards that stay, and whoever gives slots.
fn unready(look: &Look<'_>, shards: &[Shard<'_>]) -> Option<Waiting> {
    let faults = |shard: &Shard<'_>| {
        let matters = |view: &&&MemberView| shard.number < look.wanted.shards || shard.is_led_by(view);
        let nodes = shard.nodes.iter().filter(matters).map(|view| (view, look.standing(view)));
        let unwell = nodes.filter(|(_, standing)| !standing.is_good());
        unwell
            .map(|(view, standing)| format!("{}: {}", view.member.name, standing.fault()))
            .collect::<Vec<_>>()
    };
    let missing = look.missing().into_iter().map(|name| format!("{name}: not created yet"));
    let unwell: Vec<String> = shards.iter().flat_map(faults).chain(missing).collect();
    (!unwell.is_empty()).then(|| {
        let why = format!("no slot moves before all are well: {}", unwell.join("; "));
        Waiting::new("MembersNotReady", why)
    })
}

/// The last shards leave together, once they own and hold nothing.
fn leave(look: &Look<'_>, shards: &[Shard<'_>]) -> Option<Next> {
    let wanted = look.wanted.shards;
    if look.counts.shards <= wanted {
        return None;
    }
    let leaving: Vec<&Shard<'_>> = shards.iter().filter(|shard| shard.number >= wanted).collect();
    if let Some(why) = leaving.iter().copied().find_map(holds) {
        return Some(Waiting::new("ShardNotEmpty", why).into());
    }
    let names: Vec<&str> =
        leaving.iter().flat_map(|shard| &shard.nodes).map(|view| view.member.name.as_str()).collect();
    Some(Next::Step(Step::Leave {
        member: names.join(", "),
        counts: Counts { shards: wanted, ..look.counts },
        why: format!("{wanted} shards are asked for, and these own no slot any more"),
    }))
}

/// What keeps a shard from leaving. Nobody is stopped whose keys are not known to be elsewhere.
fn holds(shard: &Shard<'_>) -> Option<String> {
    let number = shard.number;
    let held = shard.idle.and_then(|idle| Some((idle, idle.node()?.live.as_ref()?.keys)));
    let Some((idle, keys)) = held else {
        return Some(format!(
            "shard {number} is to leave, and what it holds is not known: no master of it answers"
        ));
    };
    (keys > 0).then(|| {
        format!(
            "shard {number} is to leave, and {} holds {keys} keys of slots that are others'; `redoubt cluster fix` brings them home",
            idle.member.name
        )
    })
}

#[cfg(test)]
mod tests {
    use redoubt_api::{ConditionStatus, ConditionType, MovingStatus, RedisStatus};

    use super::*;
    use crate::{plan::Plan, scene::Scene, status::status};

    fn step(scene: &Scene) -> Step {
        let plan = scene.plan();
        plan.step.unwrap_or_else(|| panic!("no step: {:?}", plan.waiting))
    }

    #[track_caller]
    fn waits(scene: &Scene, reason: &str, words: &str) {
        let plan = scene.plan();
        assert_eq!(plan.step, None, "{plan:?}");
        let waiting = plan.waiting.expect("something to wait for");
        assert_eq!(waiting.reason, reason, "{}", waiting.why);
        assert!(waiting.why.contains(words), "{}", waiting.why);
    }

    /// Five shards run, two of them without slots, and so many are asked for.
    fn five(wanted: u32) -> Scene {
        Scene::cluster().shards(5).wants(move |cluster| cluster.shards = wanted)
    }

    #[test]
    fn new_shards_are_made_before_slots_move_and_get_their_share() {
        let made = step(&Scene::cluster().wants(|cluster| cluster.shards = 5));
        assert!(matches!(made, Step::Apply { counts, .. } if counts.shards == 5), "{made}");
        let Step::Rebalance { mover, weights, progress, .. } = step(&five(5)) else {
            panic!("no slot moves")
        };
        assert_eq!(mover, "cart-shard-0-0");
        assert_eq!(weights.into_values().collect::<Vec<_>>(), [1; 5]);
        assert_eq!(progress.left, 6553);
    }

    #[test]
    fn a_cluster_is_available_and_not_ready_while_slots_have_yet_to_move() {
        let scene = five(5);
        let status = status(scene.redis(), &scene.world(), &scene.memory(), &RedisStatus::default());
        let of = |kind| status.conditions.iter().find(|condition| condition.kind == kind).expect("it").status;
        assert_eq!(of(ConditionType::Ready), ConditionStatus::False);
        assert_eq!(of(ConditionType::Available), ConditionStatus::True);
        assert_eq!(of(ConditionType::Degraded), ConditionStatus::False, "{:?}", status.conditions);
        let moving = MovingStatus { slots_left: 6553, slots_per_second: None, seconds_left: None };
        assert_eq!(status.moving, Some(moving));
        assert_eq!(status.nodes[6].state, "without slots");
    }

    #[test]
    fn how_long_it_takes_is_told_once_some_have_moved() {
        let scene = five(5);
        let memory = Memory { slots_per_second: Some(1000), ..scene.memory() };
        let status = status(scene.redis(), &scene.world(), &memory, &RedisStatus::default());
        let moving = MovingStatus { slots_left: 6553, slots_per_second: Some(1000), seconds_left: Some(7) };
        assert_eq!(status.moving, Some(moving));
        let told = status.conditions.iter().any(|condition| {
            condition.message.contains("moving slots (6553 left, 1000 a second, about 7 s)")
        });
        assert!(told, "{:?}", status.conditions);
    }

    #[test]
    fn no_slot_moves_before_every_node_that_is_to_hold_it_is_in_sync() {
        for unwell in ["cart-shard-4-0", "cart-shard-4-1", "cart-shard-1-1"] {
            waits(&five(5).silent(unwell), "MembersNotReady", unwell);
        }
        waits(&five(5).syncing("cart-shard-3-1"), "MembersNotReady", "cart-shard-3-1");
        // Whoever leaves need not be well, but for the one that has to give its slots.
        let leaves = || Scene::cluster().wants(|cluster| cluster.shards = 2);
        assert!(matches!(step(&leaves().silent("cart-shard-2-1")), Step::Rebalance { .. }));
    }

    #[test]
    fn weights_say_how_much_each_shard_owns() {
        let heavy = Scene::cluster().wants(|cluster| cluster.weights = BTreeMap::from([(1, 2)]));
        let Step::Rebalance { weights, progress, .. } = step(&heavy) else { panic!("no slot moves") };
        assert_eq!(weights.into_values().collect::<Vec<_>>(), [1, 2, 1]);
        assert_eq!(progress.left, 2730);
    }

    #[test]
    fn a_shard_gives_its_slots_away_before_it_leaves() {
        let gives = Scene::cluster().wants(|cluster| cluster.shards = 2);
        let Step::Rebalance { weights, progress, why, .. } = step(&gives) else { panic!("no slot moves") };
        assert_eq!(weights.into_values().collect::<Vec<_>>(), [1, 1, 0]);
        assert_eq!(progress.left, 5461);
        assert!(why.contains("spec.shards asks for 2"), "{why}");
        let Step::Leave { member, counts, .. } = step(&five(3)) else { panic!("nobody leaves") };
        assert_eq!(member, "cart-shard-3-0, cart-shard-3-1, cart-shard-4-0, cart-shard-4-1");
        assert_eq!((counts.shards, counts.nodes), (3, 2));
    }

    #[test]
    fn no_shard_leaves_that_may_hold_something() {
        let key = five(3).node("cart-shard-4-0", |node| {
            node.live.as_mut().expect("figures").keys = 1;
        });
        waits(&key, "ShardNotEmpty", "cart-shard-4-0 holds 1 keys");
        waits(&five(3).silent("cart-shard-3-0"), "ShardNotEmpty", "no master of it answers");
        let slot = five(3)
            .says("cart-shard-0-0", |own| own.slots = "1-5460".to_owned())
            .says("cart-shard-4-0", |own| own.slots = "0".to_owned())
            .node("cart-shard-4-0", |node| node.ready = true);
        assert!(matches!(step(&slot), Step::Rebalance { progress: Progress { left: 1, .. }, .. }));
    }

    #[test]
    fn slots_that_are_half_moved_go_all_the_way_first() {
        let open = Scene::cluster().says("cart-shard-1-0", |own| own.open = 1).outdated("cart-shard-2-1");
        assert!(matches!(step(&open), Step::Rebalance { .. }));
        // Not before somebody has taken a dead master's place.
        let dead = five(5).says("cart-shard-1-0", |own| own.open = 1).silent("cart-shard-0-0");
        waits(&dead, "ShardNotServed", "shard 0");
    }

    #[test]
    fn one_slot_more_or_less_by_rounding_moves_nothing() {
        assert_eq!(Scene::cluster().plan(), Plan::default());
    }
}
