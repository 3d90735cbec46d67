//! Chores of the repository: `cargo xtask generate`, `cargo xtask servers`.

mod generate;
mod reference;
mod servers;

use std::{env, path::Path, process::ExitCode};

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask generate   write docs/schema and docs/reference from the types
       cargo xtask servers    fetch servers of other versions, print name, path and version of each";

fn main() -> ExitCode {
    let command = env::args().nth(1);
    match run(command.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Option<&str>) -> Result<()> {
    match command {
        Some("generate") => generate::write(),
        Some("servers") => servers::fetch(),
        _ => bail!("{USAGE}"),
    }
}

/// The top folder of the repository.
fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// For people: to stderr, so that stdout stays data.
#[expect(clippy::print_stderr, reason = "a command line tool talks")]
fn say(text: &str) {
    eprintln!("{text}");
}
