//! The binary `redoubt-agent`: what runs beside every server.
//!
//! A program of its own, since most of an agent's resident memory is the program itself, every node and every Sentinel has
//! one, and each pod gets a copy: a quarter of the size of `redoubt`, and 4 MiB less in memory.

mod args;
mod install;

use std::process::ExitCode;

use clap::Parser as _;
use redoubt_agent::AgentKind;

use crate::args::{Cli, Command};

/// The agent builds its own runtime on this thread, which has to outlive its server.
fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Redis(args) => redoubt_agent::run(args.of(AgentKind::Node)),
        Command::Sentinel(args) => redoubt_agent::run(args.of(AgentKind::Sentinel)),
        Command::Install { to } => install::install(&to),
    }
}
