//! How fast slots move, beside `redis-cli --cluster reshard` on the same cluster with the same data.
//!
//! `make bench-slots`, or `make bench-slots ROUNDS=1 ONLY=far` (or `small`, `mixed`, `dense`, `empty`). Three masters;
//! the tools take turns, each moving the same slots from the first master to the second or back, and each round sees the
//! same machine. Every tool is timed as a whole process, with its look at the cluster before and after. A client asks the
//! source for moved keys a thousand times a second meanwhile. After each move all keys are counted. Everything that was
//! started is ended, also on Ctrl-C.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod cluster;
mod data;
mod delay;
mod figures;
mod probe;
mod tool;

use std::{
    error::Error,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cluster::Cluster,
    data::Data,
    figures::{Figures, Round},
    probe::Probe,
    tool::Tool,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Medians are of this many rounds, where nothing else was asked for.
const ROUNDS: usize = 5;

/// Set on Ctrl-C; looked at between two moves.
static ENDS: AtomicBool = AtomicBool::new(false);

/// Data, a network, and how many slots go in one move.
struct Case {
    /// For `--only`.
    word: &'static str,
    name: &'static str,
    data: fn() -> Data,
    round_trip: Duration,
    slots: usize,
}

const CASES: [Case; 5] = [
    Case {
        word: "small",
        name: "61 keys of 100 B a slot",
        data: Data::small,
        round_trip: Duration::ZERO,
        slots: 1000,
    },
    Case {
        word: "mixed",
        name: "mixed, 64 B to 1 MB",
        data: Data::mixed,
        round_trip: Duration::ZERO,
        slots: 1000,
    },
    Case {
        word: "dense",
        name: "5000 keys of 100 B a slot",
        data: Data::dense,
        round_trip: Duration::ZERO,
        slots: 40,
    },
    Case { word: "empty", name: "empty slots", data: Data::empty, round_trip: Duration::ZERO, slots: 4000 },
    Case {
        word: "far",
        name: "61 keys of 100 B a slot, 1 ms away",
        data: Data::small,
        round_trip: Duration::from_millis(1),
        slots: 500,
    },
];

fn main() -> ExitCode {
    // `cargo test --benches` runs this too, and has no use for it.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    match rounds().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark could not be run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `--rounds 3`.
fn rounds() -> Result<usize> {
    let mut args = std::env::args().skip_while(|arg| arg != "--rounds").skip(1);
    match args.next().map(|rounds| rounds.parse()) {
        None => Ok(ROUNDS),
        Some(Ok(rounds @ 1..)) => Ok(rounds),
        Some(_) => Err("--rounds wants a whole number from 1".into()),
    }
}

fn run(rounds: usize) -> Result<()> {
    end_when_asked()?;
    let only = std::env::args().skip_while(|arg| arg != "--only").nth(1);
    if let Some(unknown) = only.as_deref().filter(|only| CASES.iter().all(|case| case.word != *only)) {
        let words = CASES.map(|case| case.word).join(", ");
        return Err(format!("--only knows {words}, and not {unknown:?}").into());
    }
    for case in CASES.iter().filter(|case| only.as_deref().is_none_or(|only| only == case.word)) {
        let figures = measure(case, rounds)?;
        println!("{}\n{figures}", case.name);
    }
    Ok(())
}

/// The servers are children of this process and are ended by the cases that started them, so it must not die at once.
fn end_when_asked() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            ENDS.store(true, Ordering::Relaxed);
        });
    })?;
    Ok(())
}

fn measure(case: &Case, rounds: usize) -> Result<Figures> {
    let data = (case.data)();
    let cluster = Cluster::start(case.round_trip)?;
    let keys = cluster.fill(&data)?;
    let moved = data.of_slots(case.slots);
    let mut figures = Figures::new(moved);
    let mut direction = [0, 1];
    for number in 1..=rounds {
        for tool in Tool::ALL {
            let round = one_move(&cluster, tool, direction, case.slots, &data)?;
            eprintln!("{number:>3}  {:<34}  {tool:<28}  {round}", case.name);
            figures.add(tool, round);
            direction.reverse();
            let now = cluster.keys()?;
            if now != keys {
                return Err(format!("{tool} left {now} keys of {keys}").into());
            }
            if ENDS.load(Ordering::Relaxed) {
                return Err("interrupted".into());
            }
        }
    }
    Ok(figures)
}

fn one_move(
    cluster: &Cluster,
    tool: Tool,
    [from, to]: [usize; 2],
    slots: usize,
    data: &Data,
) -> Result<Round> {
    cluster.settle()?;
    let probe = Probe::start(cluster.inside(from), data.some_keys(slots))?;
    let time = tool.reshard(cluster, from, to, slots)?;
    Ok(Round { took: time, waits: probe.finish()? })
}
