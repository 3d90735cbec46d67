//! Becoming another program (a newer version of this one) without losing the child.
//!
//! Expected flow: [`Child::into_heirloom`], its text to the successor (an environment variable), [`exec_successor`];
//! there [`Child::adopt`].
//!
//! Guarantees: the child does not notice; its end is seen even if it falls between the two; no line of its output is
//! lost; it still dies with its parent; a SIGTERM in between reaches the successor.
//!
//! Caveat: other children of this process (throw-away servers of a check) have no owner afterwards.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsRawFd as _, IntoRawFd as _, OwnedFd, RawFd},
        unix::process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{Pid, WaitId, WaitIdOptions, waitid},
};
use serde::{Deserialize, Serialize};

use crate::{Child, Lines, OwnChildren, sys};

/// A child on its way to the successor. Dropping it leaves the child running without an owner.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "the child has no owner until the heirloom is adopted"]
pub struct Heirloom {
    pid: i32,
    output: RawFd,
    /// The beginning of a line whose end was not there yet.
    rest: String,
}

/// A child could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The process is not a child of this one.
    #[error("process {pid} is no child of this process: {source}; start the server anew")]
    NotOurChild {
        /// The process.
        pid: i32,
        /// The system's words.
        source: io::Error,
    },
    /// Its output pipe cannot be read.
    #[error("cannot take over descriptor {fd}, the output of process {pid}: {source}")]
    Output {
        /// The process.
        pid: i32,
        /// The descriptor.
        fd: RawFd,
        /// The system's words.
        source: io::Error,
    },
    /// Its end cannot be watched.
    #[error("cannot watch process {pid}: {source}")]
    Watch {
        /// The process.
        pid: i32,
        /// The system's words.
        source: io::Error,
    },
}

/// This process stays what it is.
#[derive(Debug, thiserror::Error)]
pub enum SuccessionError {
    /// Called from another thread: the main thread would end, and with it, by its death signal, every child.
    #[error("only the main thread may exec a successor: the children would die with it")]
    NotMainThread,
    /// The program is missing or may not be executed.
    #[error("cannot exec {}: {source}; the present version goes on", program.display())]
    Exec {
        /// The program.
        program: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

impl Child {
    /// Prepares it for the successor. `lines` is its reader, whose unfinished line goes along.
    pub fn into_heirloom(self, lines: Option<Lines>) -> io::Result<Heirloom> {
        let output = self.output()?;
        fcntl_setfd(&output, FdFlags::empty())?;
        let rest = lines.map(Lines::into_rest).unwrap_or_default();
        let pid = self.release();
        Ok(Heirloom {
            pid: pid.as_raw_pid(),
            output: output.into_raw_fd(),
            rest: String::from_utf8_lossy(&rest).into_owned(),
        })
    }

    /// Takes over a child: in the successor, or in this process when exec failed. Gives the reader of its output.
    pub fn adopt(heirloom: Heirloom, own: &OwnChildren) -> Result<(Self, Lines), AdoptError> {
        let Heirloom { pid: raw, output: fd, rest } = heirloom;
        let pid = our_child(raw).map_err(|source| AdoptError::NotOurChild { pid: raw, source })?;
        let broken = |source| AdoptError::Output { pid: raw, fd, source };
        let output = sys::take_inherited(fd).and_then(close_on_exec).map_err(broken)?;
        let lines = Lines::new(output.try_clone().map_err(broken)?, rest.into_bytes()).map_err(broken)?;
        let child = Self::own(pid, output, own).map_err(|source| AdoptError::Watch { pid: raw, source })?;
        Ok((child, lines))
    }
}

/// Becomes `program`. Returns only when that failed.
///
/// Flush logs first: other threads end. From the main thread only; see [`SuccessionError::NotMainThread`].
pub fn exec_successor<A: AsRef<OsStr>>(program: &Path, args: &[A], env: &[(&str, &str)]) -> SuccessionError {
    if !on_main_thread() {
        return SuccessionError::NotMainThread;
    }
    let mut command = Command::new(program);
    command.args(args).envs(env.iter().copied());
    sys::hold_termination(&mut command);
    let source = command.exec();
    if let Err(error) = sys::accept_termination() {
        tracing::error!(%error, "SIGTERM is still held back after a failed exec");
    }
    SuccessionError::Exec { program: program.to_owned(), source }
}

#[cfg(target_os = "linux")]
fn on_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

#[cfg(not(target_os = "linux"))]
fn on_main_thread() -> bool {
    true
}

fn our_child(raw: i32) -> io::Result<Pid> {
    let pid = Pid::from_raw(raw).filter(|_| raw > 0).ok_or(io::ErrorKind::InvalidInput)?;
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)?;
    Ok(pid)
}

fn close_on_exec(fd: OwnedFd) -> io::Result<OwnedFd> {
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    tracing::debug!(fd = fd.as_raw_fd(), "took over the output of a child");
    Ok(fd)
}
