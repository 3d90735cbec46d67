//! Finds and ends every process that descends from a test, by a mark in its environment.

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::members::gone;

/// Carries the mark. Children inherit it, agents and servers included.
const NAME: &str = "REDOUBT_TEST_LAB";
/// A process that was killed is gone within this, also on a busy machine.
const GONE: Duration = Duration::from_secs(20);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A mark no other test has.
#[derive(Debug)]
pub(crate) struct Marked {
    value: String,
}

impl Marked {
    pub(crate) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { value: format!("{}-{number}", std::process::id()) }
    }

    /// This command and all that comes of it.
    pub(crate) fn mark(&self, command: &mut Command) {
        command.env(NAME, &self.value);
    }

    /// The processes that carry the mark.
    pub(crate) fn pids(&self) -> Vec<Pid> {
        let wanted = format!("{NAME}={}", self.value);
        let carries = |pid: &str| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
        };
        let numbers =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        numbers.filter(|name| carries(name)).filter_map(|name| Pid::from_raw(name.parse().ok()?)).collect()
    }
}

impl Marked {
    /// `kill -9` for all of them: again and again, since an engine or an agent may start another one while it is being
    /// looked for. False: some are still there.
    pub(crate) fn end_all(&self) -> bool {
        let since = Instant::now();
        while since.elapsed() < GONE {
            let left = self.pids();
            if left.is_empty() {
                return true;
            }
            for pid in &left {
                let _ = kill_process(*pid, Signal::KILL);
            }
            // The mark goes before the process does, and before its locks and ports are free.
            left.into_iter().for_each(gone);
            #[expect(
                clippy::disallowed_methods,
                reason = "a test waits for processes of others, without a runtime"
            )]
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        if !self.end_all() {
            eprintln!("processes of a test are still there: {:?}", self.pids());
        }
    }
}
