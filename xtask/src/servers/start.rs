//! Proves that a server starts, and which version it is.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// A server that ends with this value.
struct Started {
    child: Child,
    folder: PathBuf,
}

impl Drop for Started {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Starts the server in an empty folder, on a socket there, reads its log until it takes connections, and ends it.
pub(super) fn version(path: &Path) -> Result<String> {
    let folder = env::temp_dir().join(format!("redoubt-xtask-{}", process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut command = Command::new(path);
    command.args(["--port", "0", "--unixsocket", "server.sock", "--dir"]).arg(&folder);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let child = child.with_context(|| format!("cannot run {}", path.display()))?;
    let mut server = Started { child, folder };
    let log = server.child.stdout.take().context("the server has no output")?;
    let mut version = None;
    for line in BufReader::new(log).lines() {
        let line = line.context("cannot read the server's log")?;
        version = version.or_else(|| parse(&line));
        if line.to_lowercase().contains("ready to accept connections") {
            return version.context("the server did not name its version");
        }
    }
    bail!("{} ended before it took connections", path.display())
}

/// `Redis version=7.0.15, bits=64, …`, `Valkey version=8.1.1, …`.
fn parse(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(" version=")?;
    Some(rest.split(',').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_stands_in_the_first_lines_of_the_log() {
        let line = "7:C 21 Nov 2026 01:00:00.000 # Redis version=6.2.14, bits=64, commit=00000000, modified=0, pid=7, just started";
        assert_eq!(parse(line).as_deref(), Some("6.2.14"));
        assert_eq!(parse("7:M 21 Nov 2026 01:00:00.000 * Server initialized"), None);
    }
}
