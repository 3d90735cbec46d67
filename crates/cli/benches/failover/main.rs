//! How long writes stop when a master dies, hangs or hands over, beside plain Sentinel with the same `downAfter`; and how
//! long those of a shard stop in mode Cluster.
//!
//! `make bench-failover`, or `make bench-failover ROUNDS=3`. Two sets of three nodes and three Sentinels with the same
//! settings, one of them run by Redoubt, the other by nobody, and a cluster of three shards; the writers and their accounts are those of
//! `redoubt drill` for both. The rounds of all events take turns, so that each event sees the same machine, and each
//! waits until its set is whole again. Everything that was started is ended, also on Ctrl-C.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod figures;
mod plain;
mod redoubt;
mod report;

use std::{error::Error, io::Write as _, process::ExitCode, time::Duration};

use redoubt_drill::{ClientKind, Drill, Scenario};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    figures::{Figures, Round, load},
    plain::{Plain, Way},
    redoubt::{CLUSTER, Redoubt, SENTINEL},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is done to Redoubt's set.
const EVENTS: [Scenario; 5] =
    [Scenario::KillMaster, Scenario::Switchover, Scenario::Roll, Scenario::FreezeMaster, Scenario::KillAgent];
/// What is done to one shard of Redoubt's cluster.
const SHARD_EVENTS: [Scenario; 2] = [Scenario::KillMaster, Scenario::Switchover];
/// Clients that ask the Sentinels, and clients that follow the role.
const CLIENTS: [ClientKind; 2] = [ClientKind::Sentinel, ClientKind::Role];
/// Medians are of this many rounds, where nothing else was asked for.
const ROUNDS: usize = 10;
/// As many writers as a drill has by default.
const WRITERS: u32 = 4;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too, and has no use for it.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    match rounds().and_then(|rounds| tokio::runtime::Runtime::new()?.block_on(until_asked_to_end(rounds))) {
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

/// The sets end with the future that holds them.
async fn until_asked_to_end(rounds: usize) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        done = run(rounds) => done,
        _ = interrupt.recv() => Err("interrupted".into()),
        _ = terminate.recv() => Err("asked to end".into()),
    }
}

async fn run(rounds: usize) -> Result<()> {
    let load_before = load();
    let redoubt = Redoubt::start(SENTINEL).await?;
    let cluster = Redoubt::start(CLUSTER).await?;
    let mut plain = Plain::start().await?;
    println!("3 nodes and 3 Sentinels each, downAfter 5 s, {WRITERS} writers, {rounds} rounds");
    println!("3 shards of 2 nodes, node timeout 5 s, {WRITERS} writers in one shard");
    let mut figures = Figures::default();
    for number in 1..=rounds {
        for client in CLIENTS {
            for scenario in EVENTS {
                let round = redoubt.drill(&drill(scenario, client)).await?;
                said(number, "Redoubt", scenario.name(), client, round)?;
                figures.of_redoubt(scenario, client, round);
                if let Some(way) = beside(scenario) {
                    let round = plain.round(way, &drill(scenario, client)).await?;
                    said(number, "plain Sentinel", way.name(), client, round)?;
                    figures.of_plain(way, client, round);
                }
            }
        }
        for scenario in SHARD_EVENTS {
            let round = cluster.drill(&drill(scenario, ClientKind::Role)).await?;
            said(number, "Redoubt, cluster", scenario.name(), ClientKind::Role, round)?;
            figures.of_cluster(scenario, round);
        }
    }
    report::print(&figures, &load_before);
    report::print_cluster(&figures);
    Ok(())
}

/// What plain Sentinel goes through right after. It has two events; the others of Redoubt are compared with these.
fn beside(scenario: Scenario) -> Option<Way> {
    match scenario {
        Scenario::KillMaster => Some(Way::Kill),
        Scenario::Switchover => Some(Way::Failover),
        _ => None,
    }
}

fn drill(scenario: Scenario, client: ClientKind) -> Drill {
    Drill { scenario, shard: None, client, writers: WRITERS, duration: Duration::from_secs(1), force: false }
}

/// The benchmark takes its time: each round is told as it ends.
fn said(number: usize, who: &str, event: &str, client: ClientKind, round: Round) -> Result<()> {
    eprintln!("{number:>3}  {who:<16}  {event:<17}  {client:<9} {round}");
    Ok(std::io::stderr().flush()?)
}
