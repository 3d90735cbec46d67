//! A cluster: the agents form it, join it and have their masters elected; here it is awaited, rolled, grown and shrunk.

use super::{Memory, Next, Step, Waiting, everybody_well, roles, roll, short, spread, unfit};
use crate::{
    look::Look,
    platform::{MemberKind, Seat},
    world::MemberView,
};

/// What to do next, once all members exist and have the newest configuration.
pub(super) fn next(look: &Look<'_>, memory: &Memory) -> Option<Next> {
    if let Err(waiting) = look.owned() {
        return Some(waiting.into());
    }
    if let Some(next) = spread::finish(look, memory) {
        return Some(next);
    }
    if let Err(waiting) = look.agreed() {
        return Some(waiting.into());
    }
    leave(look)
        .or_else(|| spread::next(look, memory))
        .or_else(|| roll::shards(look))
        .or_else(|| everybody_well(look).or_else(|| short(look)).or_else(|| unfit(look)).map(Next::from))
        .or_else(|| roles::spread(look))
        .or_else(|| look.forgotten().err().map(Next::from))
}

/// Fewer replicas: the last one of each shard leaves, after the masters have moved to nodes that stay.
fn leave(look: &Look<'_>) -> Option<Next> {
    let wanted = look.wanted.nodes;
    if look.counts.nodes <= wanted {
        return None;
    }
    let why = format!("{wanted} nodes are asked for in each shard");
    let index = |view: &MemberView| Seat::of(view.member.ordinal).map_or(0, |seat| seat.index);
    let shards = look.shards();
    let moves =
        shards.iter().find_map(|shard| Some((shard, shard.master.filter(|view| index(view) >= wanted)?)));
    if let Some((shard, master)) = moves {
        let from = master.member.name.clone();
        let Some(heir) = look.heir_in(shard, |heir| index(heir) < wanted) else {
            let why = format!("{why}, and {from} leads; it stays until a node that stays is in sync");
            return Some(Waiting::new("NoReplicaInSync", why).into());
        };
        return Some(Next::Step(Step::Handover { from, to: Some(heir.member.name.clone()), why }));
    }
    let counts = look.counts.without_last(MemberKind::Node);
    let unwell: Vec<String> = (look.nodes().filter(|view| index(view) < counts.nodes))
        .map(|view| (view, look.standing(view)))
        .filter(|(_, standing)| !standing.is_good())
        .map(|(view, standing)| format!("{}: {}", view.member.name, standing.fault()))
        .collect();
    if !unwell.is_empty() {
        let why = format!("{why}; none leaves before all that stay are in sync: {}", unwell.join("; "));
        return Some(Waiting::new("LastCopyInSync", why).into());
    }
    let last = look.nodes().filter(|view| index(view) == counts.nodes);
    let member = last.map(|view| view.member.name.as_str()).collect::<Vec<_>>().join(", ");
    Some(Next::Step(Step::Leave { member, counts, why }))
}

#[cfg(test)]
mod tests {
    use crate::{
        plan::{Plan, Step},
        platform::Seat,
        scene::{CLUSTER, Scene, node_endpoint},
        status::status,
    };
    use redoubt_api::{ConditionStatus, ConditionType, RedisStatus, Role};
    use redoubt_redis::Endpoint;

    fn waits(scene: &Scene) -> (&'static str, String) {
        let plan = scene.plan();
        assert_eq!(plan.step, None, "{plan:?}");
        let waiting = plan.waiting.expect("something to wait for");
        (waiting.reason, waiting.why)
    }

    fn condition(scene: &Scene, kind: ConditionType) -> (ConditionStatus, String) {
        let status = status(scene.redis(), &scene.world(), &scene.memory(), &RedisStatus::default());
        let found = status.conditions.into_iter().find(|condition| condition.kind == kind).expect("it");
        (found.status, found.message)
    }

    #[test]
    fn a_whole_cluster_is_left_alone_and_its_status_shows_the_map() {
        let scene = Scene::cluster();
        assert_eq!(scene.plan(), Plan::default());
        let status = status(scene.redis(), &scene.world(), &scene.memory(), &RedisStatus::default());
        let map: Vec<_> = status.shards.iter().map(|shard| (shard.master.as_deref(), shard.count)).collect();
        let masters = ["cart-shard-0-0", "cart-shard-1-0", "cart-shard-2-0"];
        assert_eq!(map, masters.map(Some).into_iter().zip([5461, 5462, 5461]).collect::<Vec<_>>());
        assert_eq!(status.nodes[1].role, Some(Role::Replica));
        assert_eq!(status.master, None);
        for kind in [ConditionType::Ready, ConditionType::Available] {
            assert_eq!(condition(&scene, kind).0, ConditionStatus::True);
        }
    }

    #[test]
    fn nothing_is_taken_down_while_a_shard_has_no_master() {
        let down =
            Scene::cluster().node("cart-shard-1-0", |node| node.cluster = None).outdated("cart-shard-0-1");
        let (reason, why) = waits(&down);
        assert_eq!(reason, "ShardNotServed");
        assert!(why.contains("shard 1"), "{why}");
        let (available, why) = condition(&down, ConditionType::Available);
        assert_eq!((available, why.contains("shard 1")), (ConditionStatus::False, true), "{why}");
        let silent = Scene::cluster().silent("cart-shard-1-0");
        assert_eq!(condition(&silent, ConditionType::Available).0, ConditionStatus::Unknown);
    }

    #[test]
    fn a_cluster_is_not_ready_before_every_slot_is_served_and_all_nodes_agree() {
        for (scene, reason) in [
            (
                Scene::cluster().says("cart-shard-2-0", |own| {
                    (own.slots, own.covered) = ("10923-16382".to_owned(), 16383);
                }),
                "SlotsUncovered",
            ),
            (
                Scene::cluster().says("cart-shard-2-0", |own| own.slots = "10923-16382".to_owned()),
                "NodesDisagree",
            ),
            (Scene::cluster().says("cart-shard-2-1", |own| own.map = "other".to_owned()), "NodesDisagree"),
            (Scene::cluster().says("cart-shard-2-1", |own| own.knows.truncate(4)), "NodesDisagree"),
            (Scene::cluster().node("cart-shard-0-0", |node| node.ready = false), "ShardNotServed"),
            (Scene::cluster().syncing("cart-shard-1-1"), "MembersNotReady"),
            (
                Scene::cluster().says("cart-shard-1-1", |own| own.master = Some("id-0-0".to_owned())),
                "MembersNotReady",
            ),
            (Scene::cluster().says("cart-shard-1-1", |own| own.master = None), "MembersNotReady"),
            (Scene::cluster().says("cart-shard-1-1", |own| own.misses.push(left())), "NodesDisagree"),
            (Scene::cluster().says("cart-shard-1-1", |own| own.knows.push(left())), "NodesDisagree"),
            (
                Scene::cluster().says("cart-shard-1-1", |own| own.misses.push(own.knows[0].clone())),
                "NodesDisagree",
            ),
        ] {
            assert_eq!(waits(&scene).0, reason);
            assert_eq!(condition(&scene, ConditionType::Ready).0, ConditionStatus::False, "{reason}");
        }
    }

    /// Where a node of a fourth shard was.
    fn left() -> Endpoint {
        node_endpoint(Seat { shard: 3, index: 0 }.number())
    }

    #[test]
    fn a_node_that_left_and_is_not_forgotten_yet_keeps_nothing_from_being_done() {
        let known = Scene::cluster().says("cart-shard-1-1", |own| own.misses.push(left()));
        assert!(matches!(known.outdated("cart-shard-0-1").plan().step, Some(Step::Replace { .. })));
    }

    #[test]
    fn replicas_get_their_new_process_first_and_a_master_hands_over_in_its_shard() {
        let old = CLUSTER.iter().fold(Scene::cluster(), |scene, name| scene.outdated(name));
        assert!(matches!(old.plan().step, Some(Step::Replace { member, .. }) if member == "cart-shard-2-1"));
        let masters = ["cart-shard-0-0", "cart-shard-1-0", "cart-shard-2-0"];
        let masters = masters.iter().fold(Scene::cluster(), |scene, name| scene.outdated(name));
        assert!(matches!(
            masters.plan().step,
            Some(Step::Handover { from, to: Some(to), .. }) if from == "cart-shard-0-0" && to == "cart-shard-0-1"
        ));
    }

    #[test]
    fn one_node_at_a_time_in_the_whole_cluster() {
        let scene = Scene::cluster().outdated("cart-shard-0-1").syncing("cart-shard-2-1");
        let (reason, why) = waits(&scene);
        assert_eq!(reason, "WaitingForMember");
        assert!(why.contains("cart-shard-2-1"), "{why}");
        // The one that is not well may be the one to begin with.
        let scene = Scene::cluster().outdated("cart-shard-2-1").silent("cart-shard-2-1");
        assert!(
            matches!(scene.plan().step, Some(Step::Replace { member, .. }) if member == "cart-shard-2-1")
        );
    }

    /// No replicas are asked for any more.
    fn shrinks(scene: Scene) -> Scene {
        scene.wants(|cluster| cluster.replicas_per_shard = 0)
    }

    #[test]
    fn the_last_replica_of_each_shard_leaves_and_a_master_moves_first() {
        let Some(Step::Leave { member, counts, .. }) = shrinks(Scene::cluster()).plan().step else {
            panic!("nobody leaves")
        };
        assert_eq!(member, "cart-shard-0-1, cart-shard-1-1, cart-shard-2-1");
        assert_eq!((counts.nodes, counts.shards), (1, 3));
        let swapped = Scene::cluster()
            .says("cart-shard-1-0", |own| {
                (own.slots, own.master) = (String::new(), Some("id-1-1".to_owned()));
            })
            .says("cart-shard-1-1", |own| {
                (own.slots, own.master) = ("5461-10922".to_owned(), None);
            });
        assert!(matches!(
            shrinks(swapped).plan().step,
            Some(Step::Handover { from, to: Some(to), .. }) if from == "cart-shard-1-1" && to == "cart-shard-1-0"
        ));
    }

    #[test]
    fn no_replica_leaves_while_a_node_that_stays_is_not_well() {
        let silent = shrinks(Scene::cluster().node("cart-shard-0-0", |node| node.ready = false));
        assert_eq!(waits(&silent).0, "ShardNotServed");
        let grown = Scene::cluster().wants(|cluster| cluster.replicas_per_shard = 2);
        assert!(matches!(grown.plan().step, Some(Step::Apply { counts, .. }) if counts.nodes == 3));
    }

    #[test]
    fn an_old_master_that_still_owns_slots_is_a_fault_of_its_own() {
        let two = Scene::cluster().says("cart-shard-0-1", |own| {
            own.master = None;
            own.slots = "0-5460".to_owned();
            own.epoch = 9;
        });
        let (degraded, why) = condition(&two, ConditionType::Degraded);
        assert_eq!(degraded, ConditionStatus::True);
        assert!(why.contains("cart-shard-0-0") && why.contains("elected later"), "{why}");
    }
}
