//! `lab`: a real Kubernetes on one machine, for the tests of this repository and for whoever wants to try it out.

mod args;
mod certs;
mod cgroups;
mod control_plane;
mod doctor;
mod down;
mod faults;
mod images;
mod kubectl;
mod layout;
mod network;
mod node;
mod parts;
mod process;
mod run;
mod sandbox;
mod up;
mod volumes;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use crate::{
    args::{Cli, Command},
    layout::Lab,
    parts::Parts,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { instance, command } = Cli::parse();
    match execute(Lab::new(instance), command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn execute(lab: Lab, command: Command) -> Result<()> {
    match command {
        Command::Doctor => doctor::report(),
        Command::Build => build(&Parts::new()?).await,
        Command::Up { nodes } => up::up(lab, nodes).await,
        Command::Down => down::down(lab).await,
        Command::Image(wanted) => up::image(lab, wanted).await,
        Command::Fault(fault) => faults::act(lab, fault).await,
    }
}

/// Programs and images, as far as they are missing.
async fn build(parts: &Parts) -> Result<()> {
    parts.build().await?;
    images::build(parts).await
}

/// For people: to stderr, so that stdout stays data.
#[expect(clippy::print_stderr, reason = "a command line tool talks")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// For shells: to stdout.
#[expect(clippy::print_stdout, reason = "what a shell is to read")]
fn print(text: &str) {
    println!("{text}");
}
