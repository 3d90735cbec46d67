//! The end of a lab. The kernel does most of it: with the room's first process go all others, the mounts and the links.

use std::{fs, io, time::Duration};

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use tokio::process::Command;

use crate::{
    cgroups,
    layout::{self, Lab},
    process::Process,
    run::{self, wait_for},
};

const LIMIT: Duration = Duration::from_mins(1);

/// Ends everything of this lab, and removes what it had, whatever state it is in.
pub(crate) async fn down(lab: Lab) -> Result<()> {
    for room in rooms(lab)? {
        room.signal(Signal::KILL)?;
    }
    wait_for("the end of all processes", LIMIT, async || {
        anyhow::ensure!(processes(lab)?.is_empty(), "some are left");
        Ok(())
    })
    .await?;
    remove_link(lab).await?;
    let cgroup = layout::cgroup_of(lab);
    wait_for("the end of all containers", LIMIT, async || cgroups::remove(&cgroup)).await?;
    remove_state(lab)
}

/// Processes that hold the room's namespaces: found by their name, for the record of a crashed lab may be missing.
fn rooms(lab: Lab) -> Result<Vec<Process>> {
    let name = lab.link();
    matching(|arguments| {
        arguments.len() == 2 && arguments[0].ends_with("/redoubt-lab/bin/pause") && arguments[1] == name
    })
}

/// The first processes of the room and the nodes, and those that wait at their door.
fn processes(lab: Lab) -> Result<Vec<Process>> {
    rooms(lab)
}

fn matching(is_it: impl Fn(&[String]) -> bool) -> Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let name = entry.context("cannot read /proc")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that ends while we look is not there.
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&line);
        let arguments: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
        if is_it(&arguments) {
            found.extend(Process::find(pid));
        }
    }
    Ok(found)
}

/// The link goes with the namespace at its other end, which takes the kernel a while.
async fn remove_link(lab: Lab) -> Result<()> {
    let link = lab.link();
    if !fs::exists(format!("/sys/class/net/{link}")).context("cannot look for the lab's link")? {
        return Ok(());
    }
    let removed = run::output(Command::new("ip").args(["link", "delete", &link])).await;
    match removed {
        Err(_) if !fs::exists(format!("/sys/class/net/{link}")).unwrap_or(true) => Ok(()),
        removed => removed.map(drop),
    }
}

fn remove_state(lab: Lab) -> Result<()> {
    let state = lab.state();
    match fs::remove_dir_all(&state) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed.with_context(|| format!("cannot remove {}", state.display()))?,
    }
    match state.parent().map(fs::remove_dir) {
        Some(Err(error))
            if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) =>
        {
            Err(error).context("cannot remove the folder of labs")
        }
        _ => Ok(()),
    }
}
