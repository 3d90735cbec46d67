//! Waiting until a process may have ended.

#[cfg(target_os = "linux")]
pub(crate) use linux::EndWatch;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::EndWatch;

#[cfg(target_os = "linux")]
mod linux {
    use std::{io, os::fd::OwnedFd, time::Duration};

    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        process::{Pid, PidfdFlags, pidfd_open},
    };
    use tokio::io::unix::AsyncFd;

    use crate::sys;

    /// A pidfd: readable once the process has ended, and for ever after.
    #[derive(Debug)]
    pub(crate) struct EndWatch(AsyncFd<OwnedFd>);

    impl EndWatch {
        pub(crate) fn new(pid: Pid) -> io::Result<Self> {
            let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
            Ok(Self(sys::watch(pidfd)?))
        }

        /// Runs `check` until it gives something: now, and when the process has ended. Cancel-safe.
        pub(crate) async fn until<T>(&self, check: impl Fn() -> Option<T>) -> T {
            loop {
                if let Some(found) = check() {
                    return found;
                }
                match self.0.readable().await {
                    Ok(mut ready) => ready.clear_ready(),
                    // Only while the runtime shuts down, when nobody is polled any more.
                    Err(_) => std::future::pending().await,
                }
            }
        }

        /// Blocks until the process has ended, or the limit has passed.
        pub(crate) fn block(&self, limit: Duration) {
            let mut fds = [PollFd::new(self.0.get_ref(), PollFlags::IN)];
            let limit = Timespec::try_from(limit).ok();
            let _ = poll(&mut fds, limit.as_ref());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::{io, time::Duration};

    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    use tokio::signal::unix::{SignalKind, signal};

    /// SIGCHLD, whichever child it is for.
    #[derive(Debug)]
    pub(crate) struct EndWatch(Pid);

    impl EndWatch {
        pub(crate) fn new(pid: Pid) -> io::Result<Self> {
            drop(signal(SignalKind::child())?);
            Ok(Self(pid))
        }

        /// Runs `check` until it gives something: now, and when the process has ended. Cancel-safe.
        pub(crate) async fn until<T>(&self, check: impl Fn() -> Option<T>) -> T {
            let Ok(mut ended) = signal(SignalKind::child()) else {
                return std::future::pending().await;
            };
            loop {
                if let Some(found) = check() {
                    return found;
                }
                ended.recv().await;
            }
        }

        /// Blocks until the process has ended.
        pub(crate) fn block(&self, _limit: Duration) {
            let _ = waitid(WaitId::Pid(self.0), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        }
    }
}
