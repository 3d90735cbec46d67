//! The truth: who leads, what every node holds, and what happens by itself as time passes.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use redoubt_api::{CheckedRedis, CheckedTopology, RedisStatus};

use super::{
    platform::Tally,
    unit::{Node, Sentinel, Unit},
};
use crate::{
    platform::{MemberKind, Workload},
    scene::{self, node_endpoint},
    world::majority,
};

/// Ticks until Sentinels replace a master that is gone.
const DOWN_AFTER: u32 = 5;
/// Ticks until the set goes on without a node that may hold newer data.
const RECOVERY: u32 = 20;

pub(super) struct Model {
    pub(super) rng: StdRng,
    pub(super) at: Timestamp,
    pub(super) redis: CheckedRedis,
    /// What the platform was told last, and the revision of its configuration.
    pub(super) workload: Option<(Workload, String)>,
    pub(super) units: Vec<Unit>,
    /// Ordinal of the node that the Sentinels agreed on last.
    pub(super) named: Option<u32>,
    pub(super) epoch: u64,
    /// Ticks since the master was seen to serve.
    pub(super) without: u32,
    /// What clients were told is safe.
    pub(super) acked: u64,
    pub(super) published: Option<RedisStatus>,
    pub(super) tally: Tally,
    /// A member whose agent takes requests and does not answer.
    pub(super) frozen: Option<String>,
    /// Chance that a call of the platform fails, before or after it had its effect.
    pub(super) flaky: f64,
}

impl Model {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut redis = scene::redis();
        if rng.random_ratio(1, 8) {
            (redis.spec.topology, redis.spec.replicas) = (CheckedTopology::Standalone, 1);
        }
        Self {
            rng,
            at: scene::now(),
            redis,
            workload: None,
            units: Vec::new(),
            named: None,
            epoch: 0,
            without: 0,
            acked: 0,
            published: None,
            tally: Tally::default(),
            frozen: None,
            flaky: 0.0,
        }
    }

    pub(super) fn tick(&mut self) {
        self.at += SignedDuration::from_secs(1);
        self.pass_time();
        self.hear_configurations();
        self.serve();
        self.elect();
        self.replicate();
        self.gossip();
    }

    pub(super) fn units(&self, kind: MemberKind) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(move |unit| unit.member.kind == kind)
    }

    pub(super) fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.member.name == name)
    }

    pub(super) fn unit_mut(&mut self, name: &str) -> Option<&mut Unit> {
        self.units.iter_mut().find(|unit| unit.member.name == name)
    }

    fn node(&self, ordinal: u32) -> Option<(&Unit, &Node)> {
        let unit = self.units(MemberKind::Node).find(|unit| unit.member.ordinal == ordinal)?;
        Some((unit, unit.node()?))
    }

    /// The node that the Sentinels name, while it serves.
    pub(super) fn serving(&self) -> Option<u32> {
        let named = self.named?;
        let (unit, node) = self.node(named)?;
        (unit.alive() && node.up && node.follows.is_none()).then_some(named)
    }

    /// It serves, and holds all that was acknowledged.
    pub(super) fn in_sync(&self, unit: &Unit) -> bool {
        let Some(node) = unit.node() else { return false };
        let follows = node.follows.is_some() && node.follows == self.serving() && node.sync_left == 0;
        unit.alive() && node.up && (follows || self.serving() == Some(unit.member.ordinal))
    }

    /// Who leads after a hand-over: a single Sentinel takes no advice.
    pub(super) fn heir(&mut self, from: &str, to: Option<&str>) -> Option<u32> {
        let single = self.units(MemberKind::Sentinel).count() == 1;
        assert_eq!(single, to.is_none(), "a single Sentinel chooses by itself");
        let fit = self.units(MemberKind::Node).filter(|unit| self.in_sync(unit) && unit.member.name != from);
        let fit: Vec<u32> = fit
            .filter(|unit| to.is_none_or(|to| unit.member.name == to))
            .map(|unit| unit.member.ordinal)
            .collect();
        (!fit.is_empty()).then(|| fit[self.rng.random_range(0..fit.len())])
    }

    /// Sentinels that can vote, those that count each as many as they ever knew.
    pub(super) fn voices(&self, among: impl Fn(&Unit) -> bool) -> (u32, u32) {
        let alive = self.units(MemberKind::Sentinel).filter(|unit| {
            unit.alive() && among(unit) && unit.sentinel().is_some_and(|sentinel| sentinel.master.is_some())
        });
        let (mut count, mut known) = (0, 0);
        for sentinel in alive.filter_map(Unit::sentinel) {
            count += 1;
            known = known.max(sentinel.known_sentinels.len() + 1);
        }
        (count, u32::try_from(known).unwrap_or(u32::MAX))
    }

    /// One of the Sentinels that stay counts this one.
    pub(super) fn is_known(&self, sentinel: &Unit, stay: u32) -> bool {
        let id = id_of(&sentinel.member.name);
        let staying = self.units(MemberKind::Sentinel).filter(|unit| unit.member.ordinal < stay);
        let mut others = staying.filter_map(Unit::sentinel);
        others.any(|other| other.known_sentinels.contains(&id))
    }

    fn pass_time(&mut self) {
        self.units.retain_mut(|unit| {
            for left in [&mut unit.starts_in, &mut unit.silent_for, &mut unit.hears_in] {
                *left = left.saturating_sub(1);
            }
            if unit.dead_for > 0 {
                unit.dead_for -= 1;
                if unit.dead_for == 0 {
                    unit.stop();
                }
            }
            if unit.member.leaving {
                unit.gone_in = unit.gone_in.saturating_sub(1);
            }
            !unit.member.leaving || unit.gone_in > 0
        });
    }

    fn hear_configurations(&mut self) {
        let Some((workload, revision)) = &self.workload else { return };
        for unit in self.units.iter_mut().filter(|unit| unit.alive() && !unit.member.leaving) {
            if unit.revision.as_ref() == Some(revision)
                || unit.hears_in > 0
                || unit.refused.as_ref() == Some(revision)
            {
                continue;
            }
            if workload.config.directives.contains_key("bad") {
                unit.refused = Some(revision.clone());
                continue;
            }
            let databases = workload.config.directives.get("databases").cloned();
            if unit.config.is_none() {
                unit.databases = databases;
            }
            unit.refused = None;
            unit.config = Some(workload.config.clone());
            unit.revision = Some(revision.clone());
        }
    }

    /// Boot rules: nobody starts without knowing whom to follow.
    fn serve(&mut self) {
        self.bootstrap();
        let (serving, named, acked) = (self.serving(), self.named, self.acked);
        for unit in self.units.iter_mut().filter(|unit| unit.alive() && unit.config.is_some()) {
            let ordinal = unit.member.ordinal;
            let sync = self.rng.random_range(1..8);
            let Some(node) = unit.node_mut().filter(|node| !node.up) else { continue };
            node.starts_in = node.starts_in.saturating_sub(1);
            if node.starts_in > 0 {
                continue;
            }
            if serving.is_some() && serving != Some(ordinal) {
                (node.up, node.follows, node.sync_left) = (true, serving, sync);
            } else if named == Some(ordinal) && node.offset == acked {
                (node.up, node.follows, node.sync_left) = (true, None, 0);
            }
        }
    }

    /// Nobody ever had data, and all answered: the lowest ordinal leads.
    fn bootstrap(&mut self) {
        if self.named.is_some() || self.acked > 0 {
            return;
        }
        let Some((workload, _)) = &self.workload else { return };
        let nodes: Vec<&Unit> = self.units(MemberKind::Node).collect();
        let all = nodes.len() >= workload.nodes as usize;
        if all && nodes.iter().all(|unit| unit.alive() && unit.config.is_some()) {
            self.named = Some(0);
        }
    }

    /// A dead master is replaced by the node with the most data, if enough Sentinels can vote.
    fn elect(&mut self) {
        if self.named.is_none() {
            return;
        }
        self.without = if self.serving().is_some() { 0 } else { self.without + 1 };
        // With its agent alive a crash is answered at once.
        let agent = self.named.and_then(|named| self.node(named)).is_some_and(|(unit, _)| unit.alive());
        if self.without == 0 || (!agent && self.without < DOWN_AFTER) || !self.can_elect() {
            return;
        }
        let best = self
            .units(MemberKind::Node)
            .filter(|unit| unit.alive() && !unit.member.leaving && unit.config.is_some())
            .filter_map(|unit| Some((unit.node()?.offset, std::cmp::Reverse(unit.member.ordinal))))
            .max();
        let Some((offset, std::cmp::Reverse(ordinal))) = best else { return };
        if offset == self.acked || self.without >= RECOVERY {
            self.promote(ordinal);
            self.acked = offset;
        }
    }

    /// One of the Sentinels gets a majority of all that it knows.
    pub(super) fn can_elect(&self) -> bool {
        let quorum = self
            .workload
            .as_ref()
            .and_then(|(workload, _)| workload.config.sentinel())
            .map_or(0, |s| s.quorum);
        let (alive, _) = self.voices(|_| true);
        let least =
            |own: &Sentinel| majority(u32::try_from(own.known_sentinels.len() + 1).unwrap_or(u32::MAX));
        let mut awake =
            self.units(MemberKind::Sentinel).filter(|unit| unit.alive()).filter_map(Unit::sentinel);
        let elected = awake.any(|own| own.master.is_some() && alive >= least(own).max(quorum));
        self.redis.sentinel().is_none() || elected
    }

    pub(super) fn promote(&mut self, ordinal: u32) {
        self.epoch += 1;
        self.named = Some(ordinal);
        self.without = 0;
        for unit in &mut self.units {
            let leads = unit.member.ordinal == ordinal;
            let full = self.rng.random_bool(0.2);
            let Some(node) = unit.node_mut() else { continue };
            if leads {
                (node.up, node.follows, node.sync_left) = (true, None, 0);
            } else if node.up {
                node.follows = Some(ordinal);
                node.sync_left = node.sync_left.max(u32::from(full) * 3);
            }
        }
    }

    fn replicate(&mut self) {
        let Some(serving) = self.serving() else { return };
        self.acked += 10;
        let acked = self.acked;
        for unit in &mut self.units {
            let alive = unit.alive();
            let leads = unit.member.ordinal == serving;
            let Some(node) = unit.node_mut().filter(|node| alive && node.up) else { continue };
            if !leads {
                node.follows = Some(serving);
                node.sync_left = node.sync_left.saturating_sub(1);
            }
            if leads || node.sync_left == 0 {
                node.offset = acked;
            }
        }
    }

    /// Sentinels learn of each other, of the replicas and of the master.
    fn gossip(&mut self) {
        if self.redis.sentinel().is_none() {
            return;
        }
        let Some(named) = self.named.map(node_endpoint) else { return };
        let ids: Vec<String> = (self.units(MemberKind::Sentinel).filter(|unit| unit.alive()))
            .map(|unit| id_of(&unit.member.name))
            .collect();
        let replicas: Vec<_> = self
            .units(MemberKind::Node)
            .filter(|unit| unit.alive() && unit.node().is_some_and(|node| node.up && node.follows.is_some()))
            .map(|unit| node_endpoint(unit.member.ordinal))
            .collect();
        for unit in self.units.iter_mut().filter(|unit| unit.alive() && !unit.member.leaving) {
            let (own, config) = (id_of(&unit.member.name), unit.config.clone());
            let late = self.rng.random_bool(0.2);
            let (Some(sentinel), Some(config)) = (unit.sentinel_mut(), config) else { continue };
            if sentinel.master.is_none() {
                let entries = config.sentinel().map_or(&[][..], |config| &config.sentinels);
                sentinel.known_sentinels.extend(entries.iter().map(|entry| entry.id.clone()));
                sentinel.known_replicas.extend(config.nodes.iter().map(|node| node.server.clone()));
            }
            if sentinel.master.as_ref() != Some(&named) && (sentinel.master.is_none() || !late) {
                sentinel.known_replicas.extend(sentinel.master.replace(named.clone()));
            }
            sentinel.known_sentinels.extend(ids.iter().cloned());
            sentinel.known_replicas.extend(replicas.iter().cloned());
            sentinel.known_sentinels.remove(&own);
            sentinel.known_replicas.remove(&named);
        }
    }
}

pub(super) fn id_of(sentinel: &str) -> String {
    redoubt_wire::config::sentinel_id("uid", sentinel)
}

/// For whoever looks for the cause of a failure.
impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "named {:?}, acknowledged {}, nobody leads for {}",
            self.named, self.acked, self.without
        )?;
        self.units.iter().try_for_each(|unit| writeln!(f, "{unit}"))
    }
}
