//! The calls that Rust cannot check. Nothing else in the workspace is `unsafe`.

use std::{
    io, mem,
    os::{
        fd::{FromRawFd as _, OwnedFd, RawFd},
        unix::process::CommandExt as _,
    },
    process::Command,
    ptr,
};

use rustix::process::Pid;

/// Signals that ask a process to end; see [`crate::Termination`].
const TERMINATION: [libc::c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

/// Makes the program end by SIGKILL when the thread that starts it ends.
///
/// The parent may be gone before the child can ask for that signal; so the child looks once more who its parent is.
pub(crate) fn die_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let parent = rustix::process::getpid();
        let ask = move || {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            if rustix::process::getppid() == Some(parent) {
                Ok(())
            } else {
                Err(rustix::io::Errno::SRCH.into())
            }
        };
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; this closure makes two system
        // calls and neither allocates nor locks.
        unsafe { command.pre_exec(ask) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// Makes the program start with the signals of [`TERMINATION`] held back until it calls [`accept_termination`].
pub(crate) fn hold_termination(command: &mut Command) {
    // SAFETY: the closure makes one system call on a signal set on its own stack, and neither allocates nor locks.
    unsafe { command.pre_exec(|| change_termination_mask(libc::SIG_BLOCK)) };
}

/// Lets the signals held back by [`hold_termination`] arrive.
pub(crate) fn accept_termination() -> io::Result<()> {
    change_termination_mask(libc::SIG_UNBLOCK)
}

fn change_termination_mask(how: libc::c_int) -> io::Result<()> {
    // SAFETY: an all-zero sigset_t is a valid value to initialise, and every pointer is to a live local.
    let error = unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in TERMINATION {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::pthread_sigmask(how, &raw const set, ptr::null_mut())
    };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// A child that has ended and is not reaped yet, and leaves it so. `None` when there is none, or no child at all.
pub(crate) fn peek_ended() -> Option<Pid> {
    // SAFETY: an all-zero siginfo_t is valid, the pointer is to a live local, and si_pid is set by every
    // successful waitid (0 when nothing has ended).
    let pid = unsafe {
        let mut info: libc::siginfo_t = mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        if libc::waitid(libc::P_ALL, 0, &raw mut info, options) != 0 {
            return None;
        }
        info.si_pid()
    };
    Pid::from_raw(pid)
}

/// Registers a descriptor with the runtime, to be told when it becomes readable.
#[cfg(target_os = "linux")]
pub fn watch(fd: OwnedFd) -> io::Result<tokio::io::unix::AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is one open descriptor with one number for as long as it lives, and the AsyncFd owns it.
    let watched =
        unsafe { tokio::io::unix::AsyncFd::register_with_interest(fd, tokio::io::Interest::READABLE) };
    watched.map_err(io::Error::from)
}

/// Takes over a descriptor that an earlier program image of this process left open.
pub(crate) fn take_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD only asks whether the number is open.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and the heirloom that names it is consumed: it was released by its former
    // owner with `into_raw_fd`, and nothing else in this new program knows the number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
