//! A Redis in a real cluster: how long it takes to be made, how long writes stop when something happens to it, and what
//! the operator costs that looks after many.
//!
//! `make bench-kubernetes`, or `make bench-kubernetes ROUNDS=1 TENANTS=10 ONLY=many` (or `create`, `blows`, `shards`), on a lab of its
//! own or on the cluster that `KUBECONFIG` names. The writers are those of `redoubt drill`: they have to reach the addresses of Services, as they do
//! on a lab. Today's operators cannot be had on a machine without a registry: their figures stand beside ours as they
//! were measured on such a lab, with this very procedure.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod blows;
mod cluster;
mod create;
#[path = "../../tests/kubernetes/game.rs"]
mod game;
mod many;
mod rest;

use std::{error::Error, process::ExitCode};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Medians are of this many rounds, where nothing else was asked for.
const ROUNDS: usize = 3;
/// Redis of the last part, where nothing else was asked for.
const TENANTS: usize = 30;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too, and has no use for it.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark could not be run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let (rounds, tenants) = (number("--rounds", ROUNDS)?, number("--tenants", TENANTS)?);
    let only = std::env::args().skip_while(|arg| arg != "--only").nth(1);
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    cluster::install()?;
    if wanted("create") {
        create::measure(rounds)?;
    }
    if wanted("blows") {
        blows::measure(rounds)?;
    }
    if wanted("shards") {
        blows::measure_shards(rounds)?;
    }
    if wanted("many") {
        many::measure(tenants)?;
    }
    Ok(())
}

/// `--rounds 3`.
fn number(name: &str, default: usize) -> Result<usize> {
    let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
    match args.next().map(|number| number.parse()) {
        None => Ok(default),
        Some(Ok(number @ 1..)) => Ok(number),
        Some(_) => Err(format!("{name} wants a whole number from 1").into()),
    }
}

/// The one in the middle.
fn median<T: Ord + Copy>(mut all: Vec<T>) -> Option<T> {
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

/// Says whether a promise was kept.
fn promise(kept: bool, what: &str) {
    println!("  {} {what}", if kept { "kept:  " } else { "BROKEN:" });
}
