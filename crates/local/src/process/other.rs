//! Processes where there is no `/proc`: a number alone tells them apart, and their end is asked for.

use std::{io, net::SocketAddrV4, time::Duration};

use rustix::process::{Signal, test_kill_process};

use super::{ProcessId, kill, pid_of};

/// Between two looks at a process that is not our child. Without process file descriptors there is no event to wait
/// for; ten looks a second cost nothing that could be measured.
const LOOK: Duration = Duration::from_millis(100);

/// A process that is not our child.
#[derive(Debug)]
pub(crate) struct Adopted {
    id: ProcessId,
}

impl Adopted {
    /// `None` when it does not run any more.
    pub(crate) fn open(id: &ProcessId) -> io::Result<Option<Self>> {
        Ok(id.is_alive().then(|| Self { id: id.clone() }))
    }

    pub(crate) fn id(&self) -> &ProcessId {
        &self.id
    }

    pub(crate) async fn ended(&self) {
        while self.id.is_alive() {
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        kill(self.id.pid, signal)
    }
}

/// The process that has this number now. When it started is not known here.
pub(super) fn identify(pid: u32) -> Option<ProcessId> {
    match test_kill_process(pid_of(pid).ok()?) {
        Ok(()) | Err(rustix::io::Errno::PERM) => Some(ProcessId { pid, start: None }),
        Err(_) => None,
    }
}

/// Command lines of others are not shown here.
pub(crate) fn find(_arguments: &[String]) -> Option<ProcessId> {
    None
}

/// Names of others are not shown here.
pub(crate) fn name_of(_pid: u32) -> Option<String> {
    None
}

/// Who listens is not shown here.
pub(crate) fn listener(_address: SocketAddrV4) -> Option<u32> {
    None
}
