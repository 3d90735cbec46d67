//! A cluster whose shards come and go while its nodes die and moves break off: the plan is followed step by step.
//!
//! The truth is who owns which slot; what the plan sees is what agents that answer say of it. A node is only ever taken
//! away without slots, and slots go only to shards that are whole. When nothing goes wrong any more, every shard has its
//! share after some time, and then nothing more is done.

use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use redoubt_api::{CheckedRedis, CheckedTopology};
use redoubt_redis::cluster::{NodeId, SLOTS, SlotSet};
use redoubt_slots::plan::{Move, Share, rebalance};
use redoubt_wire::state::{AgentRole, ClusterView, Live, NodeState, Replication};

use crate::{
    Memory, Plan, Step, World,
    look::Look,
    plan,
    platform::{Member, MemberKind, Seat},
    scene::{self, Scene},
    template,
    world::{Counts, MemberView, Observed},
};

/// Passes in which things go wrong.
const FAULTY: u32 = 120;
/// Passes in which everything must come right.
const CALM: u32 = 300;

/// One node, as it is.
#[derive(Debug, Clone, Default)]
struct Node {
    /// Passes until it answers again.
    silent_for: u32,
    /// Passes until it has joined, or has copied its master's data.
    copies_for: u32,
    leads: bool,
}

impl Node {
    fn is_well(&self) -> bool {
        self.silent_for == 0 && (self.leads || self.copies_for == 0)
    }
}

struct Sim {
    rng: StdRng,
    redis: CheckedRedis,
    nodes: BTreeMap<u32, Node>,
    /// By shard.
    slots: BTreeMap<u32, SlotSet>,
    /// Who left, and for how many passes some still know it.
    missed: BTreeMap<u32, u32>,
    /// Shards between which slots are half moved.
    open: Option<(u32, u32)>,
    memory: Memory,
}

fn id(shard: u32) -> NodeId {
    format!("{shard:040x}").parse().expect("an id")
}

fn shard_of(number: u32) -> u32 {
    Seat::of(number).expect("a seat").shard
}

impl Sim {
    /// Three shards of two nodes, formed.
    fn new(seed: u64) -> Self {
        let redis = Scene::cluster().redis().clone();
        let counts = Counts { nodes: 2, shards: 3, sentinels: 0 };
        let node = |number| {
            let leads = Seat::of(number).is_some_and(|seat| seat.index == 0);
            (number, Node { leads, ..Node::default() })
        };
        let nodes = counts.ordinals(MemberKind::Node).map(node).collect();
        let third =
            |shard: u16| (u32::from(shard), (shard * 5462..(shard * 5462 + 5462).min(SLOTS)).collect());
        let slots = (0..3).map(third).collect();
        let rng = StdRng::seed_from_u64(seed);
        let missed = BTreeMap::new();
        Self { rng, redis, nodes, slots, missed, open: None, memory: Memory::default() }
    }

    fn owned(&self, shard: u32) -> SlotSet {
        self.slots.get(&shard).cloned().unwrap_or_default()
    }

    fn in_shard(&self, shard: u32) -> impl Iterator<Item = (&u32, &Node)> {
        self.nodes.iter().filter(move |(number, _)| shard_of(**number) == shard)
    }

    /// What the engine sees.
    fn world(&self) -> World {
        let counts = Counts::wanted(&self.redis);
        let members: Vec<MemberView> = self.nodes.keys().map(|number| self.member(*number)).collect();
        let existing = Counts::existing(members.iter().map(|view| &view.member));
        let mut world = World::new(scene::now(), scene::identity(counts.max(existing)), members);
        let revision = Look::new(&self.redis, &world).revision;
        for view in &mut world.members {
            if self.nodes[&view.member.ordinal].silent_for == 0 {
                let role = AgentRole::Node(self.state(view.member.ordinal));
                let value = scene::agent(&view.member.name, revision.clone(), role);
                view.state = Some(Observed { value, at: scene::now() });
            }
        }
        world
    }

    fn member(&self, number: u32) -> MemberView {
        let member = Member {
            name: scene::name(MemberKind::Node, number),
            kind: MemberKind::Node,
            ordinal: number,
            template: template(&self.redis),
            running: true,
            leaving: false,
            trouble: None,
            domain: None,
        };
        MemberView { member, state: None }
    }

    fn state(&self, number: u32) -> NodeState {
        let (shard, node) = (shard_of(number), &self.nodes[&number]);
        let slots = if node.leads { self.owned(shard) } else { SlotSet::default() };
        let master = self.in_shard(shard).find(|(_, other)| other.leads).map(|(number, _)| *number);
        let place = |number: u32| scene::name(MemberKind::Node, number);
        let has_joined = node.leads || node.copies_for == 0;
        let view = ClusterView {
            id: place(number),
            master: master.filter(|master| has_joined && *master != number).map(place),
            is_ok: true,
            epoch: 1,
            slots: slots.to_string(),
            knows: self
                .nodes
                .keys()
                .filter(|other| **other != number)
                .map(|other| scene::node_endpoint(*other))
                .collect(),
            misses: self.missed.keys().map(|other| scene::node_endpoint(*other)).collect(),
            covered: SLOTS,
            open: u16::from(self.open.is_some_and(|(from, to)| node.leads && [from, to].contains(&shard))),
            map: "map".to_owned(),
        };
        let endpoint = scene::node_endpoint(master.unwrap_or(number));
        let state = scene::node_state(node.leads || !has_joined, &endpoint, Vec::new());
        NodeState {
            ready: if node.leads { view.leads() } else { has_joined },
            live: Some(Live::default()),
            replication: state.replication.filter(|_| true).map(|replication| match replication {
                Replication::Replica { master, .. } => {
                    Replication::Replica { master, link_up: has_joined, syncing: !has_joined }
                }
                master @ Replication::Master { .. } => master,
            }),
            cluster: Some(Box::new(view)),
            ..state
        }
    }

    fn pass(&mut self) -> Plan {
        for node in self.nodes.values_mut() {
            node.silent_for = node.silent_for.saturating_sub(1);
            node.copies_for = node.copies_for.saturating_sub(u32::from(node.silent_for == 0));
        }
        self.missed.retain(|_, passes| {
            *passes -= 1;
            *passes > 0
        });
        self.elect();
        let made = plan(&self.redis, &self.world(), &self.memory);
        if let Some(step) = &made.step {
            self.take(step);
        }
        made
    }

    /// A well replica takes a silent master's place; whoever is without a master begins to copy.
    fn elect(&mut self) {
        let shards: Vec<u32> = self.nodes.keys().map(|number| shard_of(*number)).collect();
        for shard in shards {
            let silent = self.in_shard(shard).find(|(_, node)| node.leads && node.silent_for > 0);
            let silent = silent.map(|(number, _)| *number);
            let heir = self
                .in_shard(shard)
                .find(|(_, node)| !node.leads && node.is_well())
                .map(|(number, _)| *number);
            // The bus elects nobody in place of a master without slots.
            let (Some(old), Some(heir)) = (silent, heir.filter(|_| !self.owned(shard).is_empty())) else {
                continue;
            };
            self.promote(old, heir);
        }
    }

    fn promote(&mut self, old: u32, heir: u32) {
        let copies_for = self.rng.random_range(1..4);
        self.nodes.insert(old, Node { leads: false, copies_for, ..self.nodes[&old].clone() });
        self.nodes.get_mut(&heir).expect("the heir").leads = true;
    }

    fn number(&self, name: &str) -> u32 {
        *self.nodes.keys().find(|number| scene::name(MemberKind::Node, **number) == name).expect("a node")
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Confirm { counts } | Step::Apply { counts, .. } => {
                for number in counts.ordinals(MemberKind::Node) {
                    let copies_for = self.rng.random_range(1..4);
                    let leads = self.in_shard(shard_of(number)).next().is_none();
                    self.nodes.entry(number).or_insert(Node { copies_for, leads, silent_for: 0 });
                    self.missed.remove(&number);
                }
                self.told(*counts);
            }
            Step::Leave { counts, .. } => self.leave(*counts),
            Step::Handover { from, to, .. } => {
                let (from, to) = (self.number(from), self.number(to.as_deref().expect("an heir")));
                assert!(self.nodes[&to].is_well() && shard_of(from) == shard_of(to), "no heir");
                self.promote(from, to);
            }
            Step::Rebalance { mover, weights, .. } => {
                assert!(self.nodes[&self.number(mover)].is_well(), "{mover} cannot move anything");
                self.rebalance(weights);
            }
            Step::Replace { .. } | Step::Prune { .. } => panic!("nobody asked for {step}"),
        }
    }

    fn told(&mut self, counts: Counts) {
        let world = self.world();
        self.memory.applied = Some(Box::new(Look::new(&self.redis, &world).workload(counts)));
    }

    fn leave(&mut self, counts: Counts) {
        let gone = self.nodes.iter().filter(|(number, _)| !counts.holds(MemberKind::Node, **number));
        for (number, node) in gone {
            let shard = shard_of(*number);
            let stays = shard < counts.shards;
            assert!(!(stays && node.leads), "the master of shard {shard} was taken away");
            assert!(stays || self.owned(shard).is_empty(), "shard {shard} was taken away with its slots");
            let half_moved = self.open.is_some_and(|(from, to)| [from, to].contains(&shard));
            assert!(!half_moved, "slots of shard {shard} are on their way");
        }
        let gone: Vec<u32> =
            self.nodes.keys().copied().filter(|number| !counts.holds(MemberKind::Node, *number)).collect();
        for number in gone {
            self.nodes.remove(&number);
            self.missed.insert(number, self.rng.random_range(1..4));
        }
        self.slots.retain(|shard, _| *shard < counts.shards);
        self.told(counts);
    }

    /// What the agent does: it finishes what is open, and moves some; now and then it breaks off.
    fn rebalance(&mut self, weights: &BTreeMap<u32, u32>) {
        self.open = None;
        let share = |(shard, weight): (&u32, &u32)| Share {
            node: id(*shard),
            slots: self.owned(*shard),
            weight: f64::from(*weight),
        };
        let shares: Vec<Share> = weights.iter().map(share).collect();
        let moves = rebalance(&shares, 0.0);
        let breaks_off = self.rng.random_bool(0.1);
        for Move { from, to, slots } in moves {
            let number = |node: &NodeId| *weights.keys().find(|shard| id(**shard) == *node).expect("a shard");
            let (from, to) = (number(&from), number(&to));
            for (_, node) in self.in_shard(to) {
                assert!(node.is_well(), "slots go to shard {to}, which is not whole");
            }
            let count = self.rng.random_range(0..=slots.len());
            for slot in slots.iter().take(count) {
                assert!(
                    self.slots.get_mut(&from).is_some_and(|owned| owned.remove(slot)),
                    "given twice: {slot}"
                );
                self.slots.entry(to).or_default().insert(slot);
            }
            if breaks_off {
                self.open = Some((from, to));
                break;
            }
        }
    }

    fn strike(&mut self) {
        let numbers: Vec<u32> = self.nodes.keys().copied().collect();
        if self.rng.random_bool(0.1) {
            let victim = numbers[self.rng.random_range(0..numbers.len())];
            let silent_for = self.rng.random_range(1..6);
            self.nodes.get_mut(&victim).expect("a node").silent_for = silent_for;
        }
        if self.rng.random_bool(0.03) {
            self.memory = Memory::default();
        }
        if self.rng.random_bool(0.05) {
            self.change();
        }
    }

    /// Something else is asked for.
    fn change(&mut self) {
        let (shards, replicas) = (self.rng.random_range(3..7), self.rng.random_range(0..3));
        let heavy = self.rng.random_range(0..shards);
        let weight = self.rng.random_range(1..5);
        let CheckedTopology::Cluster(cluster) = &mut self.redis.spec.topology else { unreachable!() };
        (cluster.shards, cluster.replicas_per_shard) = (shards, replicas);
        cluster.weights = BTreeMap::from([(heavy, weight)]);
        self.redis.spec.replicas = cluster.nodes();
        self.redis.generation += 1;
        self.memory.forget();
    }
}

fn history(seed: u64) {
    let mut sim = Sim::new(seed);
    for _ in 0..FAULTY {
        sim.strike();
        sim.pass();
        let all: usize = sim.slots.values().map(SlotSet::len).sum();
        assert_eq!(all, usize::from(SLOTS), "slots are lost, or owned twice");
    }
    let mut last = Plan::default();
    let settled = (0..CALM).any(|_| {
        last = sim.pass();
        last == Plan::default()
    });
    assert!(settled, "not settled: {last:?}");
    assert!(sim.missed.is_empty(), "ready, and not all have forgotten {:?}", sim.missed);
    assert_eq!(sim.pass(), Plan::default(), "something is done at rest");
    let cluster = sim.redis.cluster().expect("a cluster");
    assert_eq!(sim.nodes.len(), cluster.nodes() as usize);
    let sum: u32 = (0..cluster.shards).map(|shard| cluster.weight(shard)).sum();
    for shard in 0..cluster.shards {
        let share = f64::from(SLOTS) * f64::from(cluster.weight(shard)) / f64::from(sum);
        let owns = f64::from(u32::try_from(sim.owned(shard).len()).expect("few"));
        assert!((owns - share).abs() < 1.0, "shard {shard} owns {owns} of {share}");
    }
}

#[test]
fn shards_come_and_go_in_every_history() {
    super::run(0..6, history);
}

#[test]
fn shards_come_and_go_in_histories_nobody_has_seen() {
    super::run((0..super::asked("REDOUBT_SIM_HISTORIES").unwrap_or(0)).map(|_| rand::random()), history);
}

#[test]
fn one_seed_of_shards() {
    super::run(super::asked("REDOUBT_SIM_SHARDS_SEED").into_iter(), history);
}
