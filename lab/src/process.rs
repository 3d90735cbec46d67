//! Processes of others: found, recognised after a while, ended.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process that may be gone by now. Its pid may be another's then, so the time of its start is part of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Clock ticks since the machine started.
    started: u64,
}

impl Process {
    /// The process that has this pid now.
    pub(crate) fn find(pid: u32) -> Option<Self> {
        let (started, dead) = stat(pid)?;
        (!dead).then_some(Self { pid, started })
    }

    pub(crate) fn alive(self) -> bool {
        stat(self.pid) == Some((self.started, false))
    }

    /// Sends a signal, unless the process is gone.
    pub(crate) fn signal(self, signal: Signal) -> Result<()> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
        // The descriptor is taken first: what it names after the check cannot become another process.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
        if !self.alive() {
            return Ok(());
        }
        match pidfd_send_signal(process, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot end process {}", self.pid)),
        }
    }

    /// The name of its program, at most 15 characters of it.
    pub(crate) fn name(self) -> Option<String> {
        let name = fs::read_to_string(format!("/proc/{}/comm", self.pid)).ok()?;
        Some(name.trim_end().to_owned())
    }

    /// Its first child.
    pub(crate) fn child(self) -> Option<Self> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).ok()?;
        Self::find(children.split_whitespace().next()?.parse().ok()?)
    }

    pub(crate) fn save(self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(&self).context("cannot write a process as text")?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The process recorded there, if it still runs.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        let process: Self = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
        process.alive().then_some(process)
    }
}

/// When it started, and whether it has ended and only waits for its parent to notice.
fn stat(pid: u32) -> Option<(u64, bool)> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `42 (a name) S 1 …`: the name may have spaces and brackets, so what counts stands behind its last bracket.
fn parse_stat(stat: &str) -> Option<(u64, bool)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let started = fields.get(19)?.parse().ok()?;
    Some((started, matches!(*fields.first()?, "Z" | "X")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) (b c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        assert_eq!(parse_stat(stat), Some((4711, false)));
        assert_eq!(parse_stat(&stat.replace(" S ", " Z ")), Some((4711, true)));
        assert_eq!(parse_stat("42 (short"), None);
    }

    #[test]
    fn a_reused_pid_is_never_taken_for_the_old_process() {
        let me = Process::find(std::process::id()).unwrap();
        assert!(me.alive());
        let before = Process { started: me.started - 1, ..me };
        assert!(!before.alive());
        before.signal(Signal::KILL).unwrap();
    }
}
