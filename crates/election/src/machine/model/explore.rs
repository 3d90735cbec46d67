//! Every order of events, or a random one that a seed replays.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use super::sim::{Action, Sim};

/// Goes through every state that can be reached; `at_rest` checks those in which nothing more happens. Returns how
/// many states there were.
pub(super) fn exhaust(start: Sim, at_rest: impl Fn(&mut Sim)) -> usize {
    let mut seen = HashSet::new();
    let mut open: Vec<(Sim, Path)> = vec![(start, Path::default())];
    while let Some((mut sim, path)) = open.pop() {
        if !seen.insert(digest(&sim)) {
            continue;
        }
        let actions = sim.actions();
        if actions.is_empty() {
            guarded(&path, || at_rest(&mut sim));
        }
        for action in actions {
            let (mut next, path) = (sim.clone(), path.grow(action));
            guarded(&path, || next.apply(action));
            open.push((next, path));
        }
    }
    seen.len()
}

/// One random run. The same seed makes the same run.
pub(super) fn wander(mut sim: Sim, seed: u64, at_rest: impl Fn(&mut Sim)) {
    let mut dice = Dice(seed ^ 0x9E37_79B9_7F4A_7C15);
    sim.random = dice.next();
    // Some runs break often and early, some late and once.
    let one_in = [3, 8, 20][dice.below(3)];
    let mut path = Path { seed: Some(seed), ..Path::default() };
    loop {
        let actions = sim.actions();
        if actions.is_empty() {
            return guarded(&path, || at_rest(&mut sim));
        }
        let action = dice.pick(&actions, one_in);
        path = path.grow(action);
        guarded(&path, || sim.apply(action));
    }
}

/// `SplitMix64`.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// What goes on as it should is likelier than a fault.
    fn pick(&mut self, actions: &[Action], one_in: u64) -> Action {
        let usual: Vec<&Action> =
            actions.iter().filter(|a| matches!(a, Action::Deliver { .. } | Action::TimePasses)).collect();
        if !usual.is_empty() && !self.next().is_multiple_of(one_in) {
            return *usual[self.below(usual.len())];
        }
        actions[self.below(actions.len())]
    }
}

/// The way to a state: a list that shares its beginning.
#[derive(Debug, Clone, Default)]
struct Path {
    seed: Option<u64>,
    steps: Option<Arc<(Action, Path)>>,
}

impl Path {
    fn grow(&self, action: Action) -> Self {
        Self { seed: self.seed, steps: Some(Arc::new((action, self.clone()))) }
    }

    fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut at = self;
        while let Some(step) = &at.steps {
            actions.push(step.0);
            at = &step.1;
        }
        actions.reverse();
        actions
    }
}

/// Says which way led to a failure.
fn guarded<T>(path: &Path, run: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|fault| {
        if let Some(seed) = path.seed {
            eprintln!("REDOUBT_SEED={seed}");
        }
        for action in path.actions() {
            eprintln!("  {action:?}");
        }
        resume_unwind(fault)
    })
}

fn digest(sim: &Sim) -> u64 {
    let mut hasher = DefaultHasher::new();
    sim.hash(&mut hasher);
    hasher.finish()
}
