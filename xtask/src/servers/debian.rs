//! Servers of Debian's next release, unpacked into a folder together with the libraries they need and started by the
//! dynamic linker from there.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{Server, once, run};

const SOURCES: &str = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main\n";

/// Name of the server, and of the program in `usr/bin`.
const SERVERS: [(&str, &str); 2] = [("redis-8.0", "redis-server"), ("valkey-8.1", "valkey-server")];

pub(super) fn fetch(folder: &Path) -> Result<Vec<Server>> {
    let unpacked = once(folder, "debian-trixie", unpack)?;
    SERVERS
        .iter()
        .map(|(name, program)| Ok(Server { name, path: wrapper(&unpacked, name, program)? }))
        .collect()
}

/// An apt of its own, which believes that nothing is installed: so it fetches every library, and touches nothing of
/// the machine's.
fn unpack(folder: &Path) -> Result<()> {
    for part in ["lists/partial", "cache/archives/partial", "root"] {
        fs::create_dir_all(folder.join(part)).with_context(|| format!("cannot make {part}"))?;
    }
    fs::write(folder.join("sources.list"), SOURCES).context("cannot write sources.list")?;
    fs::write(folder.join("status"), "").context("cannot write status")?;
    let at = |part: &str| folder.join(part).display().to_string();
    let options = [
        format!("Dir::Etc::SourceList={}", at("sources.list")),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        format!("Dir::State::Lists={}", at("lists")),
        format!("Dir::State::Status={}", at("status")),
        format!("Dir::Cache={}", at("cache")),
        "APT::Install-Recommends=false".to_owned(),
        "APT::Sandbox::User=".to_owned(),
        "Debug::NoLocking=true".to_owned(),
    ];
    let mut apt: Vec<&str> = vec!["-qq"];
    for option in &options {
        apt.extend(["-o", option]);
    }
    run("apt-get", &[&apt[..], &["update"]].concat(), folder)?;
    let install = ["install", "--yes", "--download-only", "redis-server", "valkey-server"];
    run("apt-get", &[&apt[..], &install].concat(), folder)?;
    run("sh", &["-c", "for deb in cache/archives/*.deb; do dpkg -x \"$deb\" root; done"], folder)?;
    run("rm", &["-r", "cache", "lists"], folder)
}

/// Starts the server with its own linker and libraries. The server is called by its own name, by which it knows that it
/// is one.
fn wrapper(unpacked: &Path, name: &str, program: &str) -> Result<PathBuf> {
    let (root, path) = (unpacked.join("root/usr"), unpacked.join(name));
    let libraries = root.join("lib/x86_64-linux-gnu");
    let script = format!(
        "#!/bin/sh\nexec '{linker}' --library-path '{libraries}' '{server}' \"$@\"\n",
        linker = libraries.join("ld-linux-x86-64.so.2").display(),
        libraries = libraries.display(),
        server = root.join("bin").join(program).display(),
    );
    fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&path, mode).with_context(|| format!("cannot make {} a program", path.display()))?;
    Ok(path)
}
