//! Properties of plan and status over worlds nobody would write down.

use proptest::prelude::*;
use redoubt_api::{MAX_EVENTS, RedisStatus};
use redoubt_wire::state::{AgentRole, Phase, Replication};

use crate::{
    Memory, Plan, Step, World, plan,
    platform::MemberKind,
    scene::{Scene, node_endpoint},
    status,
    world::{Counts, MemberView},
};

/// What may be odd about one member.
#[derive(Debug, Clone, Copy)]
enum Odd {
    Ended,
    Silent,
    Leaving,
    Outdated,
    Unconfigured,
    NeedsRestart,
    Syncing,
    Backoff,
    Follows(u32),
    Leads,
    Stale,
    NoQuorum,
    NoMaster,
}

fn odd() -> impl Strategy<Value = Odd> {
    prop_oneof![
        Just(Odd::Ended),
        Just(Odd::Silent),
        Just(Odd::Leaving),
        Just(Odd::Outdated),
        Just(Odd::Unconfigured),
        Just(Odd::NeedsRestart),
        Just(Odd::Syncing),
        Just(Odd::Backoff),
        (0..6_u32).prop_map(Odd::Follows),
        Just(Odd::Leads),
        Just(Odd::Stale),
        Just(Odd::NoQuorum),
        Just(Odd::NoMaster),
    ]
}

fn twist(view: &mut MemberView, odd: Odd) {
    match odd {
        Odd::Ended => (view.member.running, view.state) = (false, None),
        Odd::Silent => view.state = None,
        Odd::Leaving => view.member.leaving = true,
        Odd::Outdated => view.member.template = "old-0".to_owned(),
        odd => {
            if let Some(observed) = &mut view.state {
                twist_agent(&mut observed.value, odd);
            }
        }
    }
}

fn twist_agent(agent: &mut redoubt_wire::state::AgentState, odd: Odd) {
    let backoff = || Phase::Backoff { why: "exit 1".to_owned() };
    match (&mut agent.role, odd) {
        (_, Odd::Unconfigured) => agent.config = None,
        (_, Odd::NeedsRestart) => agent.restart_needed = vec!["databases".to_owned()],
        (AgentRole::Node(node), Odd::Syncing) => node.ready = false,
        (AgentRole::Node(node), Odd::Backoff) => (node.phase, node.replication) = (backoff(), None),
        (AgentRole::Node(node), Odd::Leads) => {
            node.replication = Some(Replication::Master { replicas: Vec::new() });
        }
        (AgentRole::Node(node), Odd::Follows(to)) => {
            node.replication =
                Some(Replication::Replica { master: node_endpoint(to), link_up: true, syncing: false });
        }
        (AgentRole::Sentinel(sentinel), Odd::Follows(to)) => sentinel.master = Some(node_endpoint(to)),
        (AgentRole::Sentinel(sentinel), Odd::Stale) => sentinel.known_replicas.push(node_endpoint(99)),
        (AgentRole::Sentinel(sentinel), Odd::NoQuorum) => sentinel.quorum_ok = false,
        (AgentRole::Sentinel(sentinel), Odd::NoMaster) => sentinel.master = None,
        (AgentRole::Sentinel(sentinel), Odd::Backoff) => sentinel.phase = backoff(),
        _ => {}
    }
}

#[derive(Debug)]
struct Case {
    running: (u32, u32),
    wanted: (u32, u32),
    master: u32,
    odds: Vec<(usize, Odd)>,
}

fn cases() -> impl Strategy<Value = Case> {
    let counts = || (1..6_u32, prop_oneof![Just(1_u32), Just(2), Just(3), Just(4), Just(5)]);
    (counts(), counts(), 0..6_u32, prop::collection::vec((0..10_usize, odd()), 0..4)).prop_map(
        |(running, wanted, master, odds)| Case { running, wanted, master: master % running.0, odds },
    )
}

impl Case {
    fn scene(&self) -> Scene {
        let (running, wanted) = (self.running, self.wanted);
        Scene::sentinel()
            .nodes(running.0)
            .sentinels(running.1)
            .wants_nodes(wanted.0)
            .wants_sentinels(wanted.1)
            .master_at(self.master)
    }

    fn world(&self, scene: &Scene) -> World {
        let mut world = scene.world();
        let count = world.members.len();
        for (index, odd) in &self.odds {
            twist(&mut world.members[index % count], *odd);
        }
        world
    }
}

/// The platform knows already what it can be told.
fn told(scene: &Scene, world: &World) -> Memory {
    let look = crate::look::Look::new(scene.redis(), world);
    Memory { applied: Some(Box::new(look.workload(look.counts))), ..Memory::default() }
}

fn serves(view: &MemberView) -> bool {
    view.member.running
        && view.node().is_some_and(|node| {
            matches!(node.phase, Phase::Running) && node.replication.is_some() && node.ready
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_makes_progress_or_says_why_it_waits(case in cases()) {
        let scene = case.scene();
        let world = case.world(&scene);
        let memory = told(&scene, &world);
        let made = plan(scene.redis(), &world, &memory);
        prop_assert_eq!(&made, &plan(scene.redis(), &world, &memory), "the same again");
        prop_assert!(made.step.is_none() || made.waiting.is_none());
        if made == Plan::default() {
            let existing = Counts::existing(world.members.iter().map(|view| &view.member));
            prop_assert_eq!(existing, Counts::wanted(scene.redis()));
            prop_assert!(world.members.iter().all(|view| view.member.running && view.state.is_some()));
            prop_assert!(world.staying(MemberKind::Node).all(serves));
        }
        if let Some(waiting) = made.waiting {
            prop_assert!(!waiting.why.is_empty() && !waiting.reason.is_empty());
        }
    }

    #[test]
    fn nothing_that_serves_is_stopped_while_another_does_not(case in cases()) {
        let scene = case.scene();
        let world = case.world(&scene);
        let made = plan(scene.redis(), &world, &told(&scene, &world));
        let others = |name: &str| {
            let name = name.to_owned();
            world.staying(MemberKind::Node).filter(move |view| view.member.name != name)
        };
        match &made.step {
            Some(Step::Replace { member, .. }) if world.member(member).is_some_and(serves) => {
                prop_assert!(others(member).all(serves), "{:?}", made);
            }
            Some(Step::Leave { member, counts, .. }) if world.member(member).is_some_and(serves) => {
                let stay = others(member).filter(|view| view.member.ordinal < counts.nodes && serves(view)).count();
                prop_assert!(stay >= 2.min(scene.redis().spec.replicas) as usize, "{:?}", made);
            }
            _ => {}
        }
    }

    #[test]
    fn a_status_is_its_own_successor(case in cases()) {
        let scene = case.scene();
        let world = case.world(&scene);
        let memory = told(&scene, &world);
        let first = status(scene.redis(), &world, &memory, &RedisStatus::default());
        let second = status(scene.redis(), &world, &memory, &first);
        prop_assert_eq!(&first, &second);
        prop_assert!(first.events.len() <= MAX_EVENTS);
        prop_assert!(first.conditions.iter().all(|condition| !condition.message.is_empty()));
        if crate::status::holds(&first.conditions, redoubt_api::ConditionType::Ready) {
            let template = crate::template(scene.redis());
            prop_assert!(world.members.iter().all(|view| view.member.template == template));
        }
    }
}
