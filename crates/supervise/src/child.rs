//! A child process and its one owner.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, kill_process_group, waitid,
};

use crate::{Lines, OwnChildren, Vitals, end::EndWatch, proc_stat};

/// How long dropping a live child may block. A killed process ends within milliseconds; one that gives back many
/// gigabytes, or hangs in the disk, takes longer, and is left to [`crate::reap_strangers`].
const DROP_LIMIT: Duration = Duration::from_secs(1);

/// A child process. Its owner: nobody else signals it or collects its end.
///
/// Guarantees:
/// - its end is seen once, kept, and answered to every [`Child::wait`];
/// - no signal ever reaches another process that got the same id later;
/// - when it has ended, what is left of its process group is ended too (a saving child of a dead server would
///   otherwise replace a file of its successor);
/// - dropping it ends it.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    watch: EndWatch,
    output: OwnedFd,
    own: OwnChildren,
    exit: Mutex<Option<Exit>>,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody can say: something else in this process collected its end.
    Unknown,
}

impl Exit {
    /// It ended by itself, with code 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    fn of(status: &WaitIdStatus) -> Self {
        let code = status.exit_status().map(Self::Code);
        code.or_else(|| status.terminating_signal().map(Self::Signal)).unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(libc::SIGKILL) => write!(f, "signal 9 (killed; out of memory, if nobody did it)"),
            Self::Signal(libc::SIGSEGV) => write!(f, "signal 11 (a crash of the program)"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => write!(f, "unknown"),
        }
    }
}

impl Child {
    pub(crate) fn own(pid: Pid, output: OwnedFd, own: &OwnChildren) -> io::Result<Self> {
        own.add(pid);
        let watch = EndWatch::new(pid).inspect_err(|_| own.remove(pid))?;
        Ok(Self { pid, watch, output, own: own.clone(), exit: Mutex::default() })
    }

    /// Its process id, kept after its end.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.collect()
    }

    /// Waits for its end. Can be cancelled and called again, also at once from several places.
    pub async fn wait(&self) -> Exit {
        self.watch.until(|| self.collect()).await
    }

    /// Sends a signal to it alone. Nothing happens after its end.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // Held, so that it cannot be reaped (and its id given away) meanwhile.
        let exit = self.lock();
        if exit.is_none() { gone_is_fine(kill_process(self.pid, signal)) } else { Ok(()) }
    }

    /// Ends it and its process group, without appeal. Its end is still to be waited for.
    pub fn kill(&self) -> io::Result<()> {
        let exit = self.lock();
        if exit.is_none() { gone_is_fine(kill_process_group(self.pid, Signal::KILL)) } else { Ok(()) }
    }

    /// Asks it to end (SIGTERM), and ends it (SIGKILL) when it has not after `grace`. Can be cancelled at any point.
    pub async fn stop(&self, grace: Duration) -> Exit {
        if let Err(error) = self.signal(Signal::TERM) {
            tracing::warn!(pid = self.pid.as_raw_pid(), %error, "SIGTERM was refused");
        }
        if let Ok(exit) = tokio::time::timeout(grace, self.wait()).await {
            return exit;
        }
        if let Err(error) = self.kill() {
            tracing::warn!(pid = self.pid.as_raw_pid(), %error, "SIGKILL was refused");
        }
        self.wait().await
    }

    /// The lines it writes. One reader at a time, and there must always be one: a child whose pipe is full (64 KiB
    /// on Linux) stands still at its next line.
    pub fn lines(&self) -> io::Result<Lines> {
        Lines::new(self.output()?, Vec::new())
    }

    /// Processor time used and what it is doing now; `None` after its end, and where there is no `/proc`.
    #[must_use]
    pub fn vitals(&self) -> Option<Vitals> {
        let exit = self.lock();
        if exit.is_none() { proc_stat::read(self.pid) } else { None }
    }

    /// A second descriptor of its output.
    pub(crate) fn output(&self) -> io::Result<OwnedFd> {
        self.output.try_clone()
    }

    /// Lets go of it without ending it.
    pub(crate) fn release(self) -> Pid {
        self.own.remove(self.pid);
        *self.lock() = Some(Exit::Unknown);
        self.pid
    }

    fn collect(&self) -> Option<Exit> {
        let mut exit = self.lock();
        if exit.is_none() {
            *exit = reap(self.pid);
            if exit.is_some() {
                self.own.remove(self.pid);
            }
        }
        *exit
    }

    fn lock(&self) -> MutexGuard<'_, Option<Exit>> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.collect().is_some() {
            return;
        }
        let _ = self.kill();
        self.watch.block(DROP_LIMIT);
        if self.collect().is_none() {
            self.own.remove(self.pid);
        }
    }
}

/// Collects the end of a child, if it has ended. What is left of its group goes first: as long as the child is not
/// reaped, the group's id is its own.
fn reap(pid: Pid) -> Option<Exit> {
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    match waitid(WaitId::Pid(pid), ended | WaitIdOptions::NOWAIT) {
        Ok(None) => return None,
        Ok(Some(_)) => drop(kill_process_group(pid, Signal::KILL)),
        Err(_) => return Some(Exit::Unknown),
    }
    match waitid(WaitId::Pid(pid), ended) {
        Ok(status) => status.as_ref().map(Exit::of),
        Err(_) => Some(Exit::Unknown),
    }
}

fn gone_is_fine(sent: rustix::io::Result<()>) -> io::Result<()> {
    match sent {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
