//! The binary `redoubt`: reads the command line, does what it says, prints, and decides the exit code.

mod args;
mod ask;
mod commands;
mod consent;
mod failure;
mod input;
mod log;
mod place;
mod print;
mod progress;
mod report;
mod runtime;
mod say;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    args::{Cli, Command},
    failure::{Code, Failure},
};

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    if let Err(failure) = fits(&command) {
        return exit_code(Err(failure));
    }
    exit_code(match command {
        Command::Apply(args) => commands::resources::apply(&args),
        Command::Delete(args) => commands::resources::delete(&args),
        Command::Down(args) => commands::resources::down(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Connection(args) => commands::connection::run(&args),
        Command::Switchover(args) => commands::switchover::run(&args),
        Command::Cli(args) => match commands::redis_cli::run(&args) {
            Ok(code) => return code,
            Err(failure) => Err(failure),
        },
        Command::Logs(args) => commands::logs::run(&args),
        Command::Drill(args) => commands::drill::run(&args),
        Command::Cluster { command } => commands::cluster::run(&command),
        Command::Validate(args) => commands::validate::run(&args),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Adopt(args) => commands::adopt::run(&args),
        Command::Operator(args) => commands::operator::run(args),
        Command::Crds(args) => commands::operator::crds(&args),
        Command::Manifests(args) => commands::operator::install_manifests(&args),
        Command::Schema => commands::about::schema(),
        Command::Version(args) => commands::about::version(&args),
        Command::Completions(args) => commands::about::completions(&args),
        Command::Up(args) => commands::up::run(&args),
        Command::Engine(args) => commands::up::run_engine(&args),
    })
}

/// By way of kubectl everything is about a cluster: what starts and stops things on this machine would surprise.
fn fits(command: &Command) -> Result<(), Failure> {
    let of_this_machine = matches!(
        command,
        Command::Up(_) | Command::Down(_) | Command::Apply(_) | Command::Delete(_) | Command::Engine(_)
    );
    if !of_this_machine || !args::is_plugin() {
        return Ok(());
    }
    Err(Failure::new(Code::Fault, "`kubectl redoubt` looks at clusters; this command is about one machine")
        .hint(
            "in a cluster: `kubectl apply -f FILE`, `kubectl delete redis NAME`; on this machine: `redoubt`",
        ))
}

/// The one place where a result becomes an exit code.
fn exit_code(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say::failure(&failure);
            failure.code.into()
        }
    }
}
