//! What goes wrong, and what people ask for meanwhile.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use redoubt_api::{CheckedSpec, CheckedTopology};

use super::{brain::Brain, model::Model};
use crate::platform::MemberKind;

/// How much goes wrong: chance of a fault at a step, and of a call that fails. A world where all is chaos hides what takes
/// a long quiet stretch to go wrong, and the other way round.
const WEATHERS: [(f64, f64); 3] = [(0.04, 0.02), (0.12, 0.05), (0.35, 0.25)];

pub(super) struct Faults {
    rng: StdRng,
    restarts: u32,
    often: f64,
    flaky: f64,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0xFA17);
        let (often, flaky) = WEATHERS[rng.random_range(0..WEATHERS.len())];
        Self { rng, restarts: 0, often, flaky }
    }

    /// Most of the time nothing happens; now and then two things at once.
    pub(super) fn strike(&mut self, model: &mut Model, brain: &mut Brain) {
        model.flaky = self.flaky;
        while self.rng.random_bool(self.often) {
            match self.rng.random_range(0..10) {
                0..=5 => self.hit(model),
                6 => brain.forget(),
                7 => spontaneous_failover(&mut self.rng, model),
                _ => {
                    self.change(&mut model.redis.spec);
                    model.redis.generation += 1;
                    brain.try_again();
                }
            }
        }
    }

    fn hit(&mut self, model: &mut Model) {
        if model.units.is_empty() {
            return;
        }
        let index = self.rng.random_range(0..model.units.len());
        let ticks = self.rng.random_range(1..30);
        let unit = &mut model.units[index];
        match self.rng.random_range(0..11) {
            // Somebody removes it, data and all.
            10 => drop(model.units.remove(index)),
            // Its agent is killed, and its server with it.
            0 | 1 => {
                unit.stop();
                unit.member.running = false;
            }
            // Its machine is away for a while, and the platform does not know.
            2 | 3 => unit.dead_for = ticks,
            // Only the engine does not reach it.
            4 | 5 => unit.silent_for = ticks,
            // Its server crashes, its agent does not.
            6 | 7 => {
                if let Some(node) = unit.node_mut() {
                    (node.up, node.follows, node.starts_in) = (false, None, 2);
                }
            }
            // It copies everything anew.
            _ => {
                if let Some(node) = unit.node_mut().filter(|node| node.up && node.follows.is_some()) {
                    node.sync_left = ticks;
                }
            }
        }
    }

    fn change(&mut self, spec: &mut CheckedSpec) {
        let standalone = matches!(spec.topology, CheckedTopology::Standalone);
        match self.rng.random_range(0..9) {
            0..=2 if standalone => spec.persistence.aof = self.rng.random_bool(0.5),
            0 | 1 => spec.replicas = self.rng.random_range(1..6),
            2 => {
                let count = [1, 2, 3, 5][self.rng.random_range(0..4)];
                if let CheckedTopology::Sentinel(sentinel) = &mut spec.topology {
                    (sentinel.replicas, sentinel.quorum) = (count, count / 2 + 1);
                }
            }
            3 => {
                self.restarts += 1;
                spec.restarted_at = Some(self.restarts.to_string());
            }
            4 => drop(spec.config.insert("databases".to_owned(), self.rng.random_range(1..99).to_string())),
            5 => drop(spec.config.insert("maxmemory".to_owned(), self.rng.random_range(1..99).to_string())),
            6 => spec.image = self.rng.random_bool(0.5).then(|| "bad".to_owned()),
            7 if self.rng.random_bool(0.5) => drop(spec.config.insert("bad".to_owned(), String::new())),
            7 => drop(spec.config.remove("bad")),
            _ => spec.paused = self.rng.random_bool(0.3),
        }
    }
}

/// Nothing goes wrong any more, and what is asked for is possible.
pub(super) fn end(model: &mut Model, brain: &mut Brain) {
    model.flaky = 0.0;
    model.redis.spec.config.remove("bad");
    model.redis.spec.image = None;
    model.redis.spec.paused = false;
    // A single Sentinel may choose one that leaves, so nodes that leave wait for more of them.
    let leaves = model.units(MemberKind::Node).any(|unit| unit.member.ordinal >= model.redis.spec.replicas);
    if let CheckedTopology::Sentinel(sentinel) = &mut model.redis.spec.topology
        && sentinel.replicas == 1
        && leaves
    {
        (sentinel.replicas, sentinel.quorum) = (3, 2);
    }
    model.redis.generation += 1;
    brain.try_again();
}

/// The Sentinels, or a person, move the master while the engine thinks.
fn spontaneous_failover(rng: &mut StdRng, model: &mut Model) {
    let fit: Vec<u32> = (model.units.iter())
        .filter(|unit| !unit.member.leaving && model.in_sync(unit))
        .map(|unit| unit.member.ordinal)
        .collect();
    if model.serving().is_some() && !fit.is_empty() {
        model.promote(fit[rng.random_range(0..fit.len())]);
    }
}
