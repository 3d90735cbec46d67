//! A model of a platform, its agents and a faulty world, to run plan and act against by the thousand steps.
//!
//! One seed is one history: a resource that changes, members that die, stall and return, calls that fail or are cut
//! off, an engine that restarts between any two of them. The laws are checked where the model is asked to take
//! something down. After the faults everything must converge, and then nothing more may happen. The same seeds run
//! with every test, so that a test fails only for a change; `make simulate` lives through thousands of new ones. A failing seed is printed, `REDOUBT_SIM_SEED=… cargo test -p redoubt-engine one_seed` replays it.

mod agents;
mod brain;
mod faults;
mod laws;
mod model;
mod platform;
mod server;
mod shards;
mod unit;

use std::{num::NonZero, panic::AssertUnwindSafe, sync::Mutex};

pub(crate) use self::{
    agents::ModelDial,
    platform::{ModelPlatform, Shared},
};
use self::{brain::Brain, faults::Faults};

/// Steps of a second in which things go wrong.
const FAULTY: u32 = 300;
/// Steps of a second in which all must come right: several full copies, restarts and pauses of a minute one after another.
const CALM: u32 = 1500;
/// So long the engine must be content: it may be so for a moment when it has not heard the worst yet.
const QUIET: u32 = 40;
/// Steps of a second in which nothing may happen any more.
const REST: u32 = 200;

fn history(seed: u64) -> Shared {
    let model = Shared::new(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut brain = Brain::new(model.clone());
    let mut faults = Faults::new(seed);
    for _ in 0..FAULTY {
        faults.strike(&mut model.lock(), &mut brain);
        model.lock().tick();
        runtime.block_on(brain.pass());
    }
    faults::end(&mut model.lock(), &mut brain);
    let mut content = 0;
    for _ in 0..CALM {
        model.lock().tick();
        runtime.block_on(brain.pass());
        content = if brain.is_content() { content + 1 } else { 0 };
        if content > QUIET {
            break;
        }
    }
    laws::converged(&model.lock(), &brain);
    let writes = model.tally().writes;
    for _ in 0..REST {
        model.lock().tick();
        runtime.block_on(brain.pass());
    }
    assert_eq!(model.tally().writes, writes, "something was written at rest");
    drop(brain);
    model
}

/// More than so many failing seeds tell nothing new.
const ENOUGH: usize = 20;

/// Lives through all of these, on every processor; fails with the seeds that failed, and why.
fn run(seeds: impl Iterator<Item = u64> + Send, history: impl Fn(u64) + Sync) {
    let (seeds, failed) = (Mutex::new(seeds), Mutex::new(Vec::new()));
    let next = || seeds.lock().expect("seeds").next();
    let is_enough = || failed.lock().expect("failures").len() >= ENOUGH;
    let live = || {
        while let Some(seed) = next().filter(|_| !is_enough()) {
            if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| history(seed))) {
                eprintln!("REDOUBT_SIM_SEED={seed} fails");
                failed.lock().expect("failures").push((seed, crate::run::message(panic.as_ref())));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(live);
        }
    });
    let failed = failed.into_inner().expect("failures");
    let told: Vec<String> =
        failed.iter().map(|(seed, why)| format!("REDOUBT_SIM_SEED={seed} fails: {why}")).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// A number from the environment.
fn asked<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_laws_hold_in_every_history() {
    run(0..24, |seed| drop(history(seed)));
}

/// As many new ones as are asked for; none unless they are, since a test must not fail at random.
#[test]
fn the_laws_hold_in_histories_nobody_has_seen() {
    let seeds = (0..asked("REDOUBT_SIM_HISTORIES").unwrap_or(0)).map(|_| rand::random());
    run(seeds, |seed| drop(history(seed)));
}

#[test]
fn a_seed_replays_exactly() {
    let ended = |seed| {
        let model = history(seed);
        let model = model.lock();
        (model.to_string(), model.tally, model.published.clone())
    };
    for seed in [3, 11] {
        assert_eq!(ended(seed), ended(seed), "seed {seed}");
    }
}

#[test]
fn one_seed() {
    run(asked("REDOUBT_SIM_SEED").into_iter(), |seed| drop(history(seed)));
}
