//! Strangers: children that somebody else started and left to this process, because it is PID 1 or a subreaper.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, timeout},
};

use crate::sys;

/// How long an ended process is left to whoever else in this program may have started it (a library, say) before it
/// counts as a stranger. Owners collect within milliseconds.
const OWNER_LIMIT: Duration = Duration::from_secs(1);

/// The children that have an owner in this process. Made once, handed to every [`crate::Spawn::spawn`].
#[derive(Debug, Clone, Default)]
pub struct OwnChildren(Arc<Mutex<BTreeSet<i32>>>);

impl OwnChildren {
    pub(crate) fn add(&self, pid: Pid) {
        self.lock().insert(pid.as_raw_pid());
    }

    pub(crate) fn remove(&self, pid: Pid) {
        self.lock().remove(&pid.as_raw_pid());
    }

    fn has(&self, pid: Pid) -> bool {
        self.lock().contains(&pid.as_raw_pid())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes orphaned descendants become children of this process, as if it were PID 1. Linux only.
pub fn become_subreaper() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Reaps strangers, for ever. Never touches a child with an owner.
///
/// The kernel shows one ended child at a time; while that one waits for its owner, strangers behind it wait too.
pub async fn reap_strangers(own: OwnChildren) -> io::Result<()> {
    let mut child_ended = signal(SignalKind::child())?;
    let mut waiting = None;
    loop {
        waiting = reap_ended(&own, waiting);
        if waiting.is_some() {
            let _ = timeout(OWNER_LIMIT, child_ended.recv()).await;
        } else {
            child_ended.recv().await;
        }
    }
}

/// Reaps what is no one's; gives the ended process that may still have an owner, and since when it is seen.
fn reap_ended(own: &OwnChildren, mut waiting: Option<(Pid, Instant)>) -> Option<(Pid, Instant)> {
    while let Some(pid) = sys::peek_ended() {
        let since = waiting.filter(|(known, _)| *known == pid).map_or_else(Instant::now, |(_, since)| since);
        if own.has(pid) || since.elapsed() < OWNER_LIMIT {
            return Some((pid, since));
        }
        waiting = None;
        let ended = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        tracing::debug!(pid = pid.as_raw_pid(), ?ended, "reaped a process that others left behind");
    }
    None
}
