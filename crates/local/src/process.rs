//! Processes that outlive us: told apart from a stranger with the same number, watched, signalled.

use std::io;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
#[path = "process/linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "process/other.rs"]
mod system;

pub(crate) use system::{Adopted, find, listener, name_of};

/// One process and no other, also after its number was given to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// Its number.
    pub(crate) pid: u32,
    /// When it started, as the system counts; `None` where the system does not tell.
    pub(crate) start: Option<String>,
}

impl ProcessId {
    /// The process that has this number now; `None` when there is none, or only what is left of one.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        system::identify(pid)
    }

    /// It still runs.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).is_some_and(|now| now == *self)
    }
}

/// A process that is watched: a child of ours, or one that an engine before us started.
#[derive(Debug)]
pub(crate) enum Process {
    /// Ours: its end has to be collected.
    Child(tokio::process::Child, ProcessId),
    /// Somebody else's.
    Adopted(Adopted),
}

impl Process {
    /// Takes over a process that runs already; `None` when it does not run any more.
    pub(crate) fn adopt(id: &ProcessId) -> io::Result<Option<Self>> {
        Ok(Adopted::open(id)?.map(Self::Adopted))
    }

    /// Which one.
    pub(crate) fn id(&self) -> &ProcessId {
        match self {
            Self::Child(_, id) => id,
            Self::Adopted(adopted) => adopted.id(),
        }
    }

    /// Waits until it has ended, and says how, for people. Can be dropped and called again.
    pub(crate) async fn ended(&mut self) -> String {
        match self {
            Self::Child(child, _) => match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => format!("its end could not be collected: {error}"),
            },
            Self::Adopted(adopted) => {
                adopted.ended().await;
                "it was started by an engine before this one, which alone could see how it ended".to_owned()
            }
        }
    }

    /// Sends a signal. A process that has ended is fine.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let sent = match self {
            // Not collected yet, so the number is still its own.
            Self::Child(child, _) => child.id().map_or(Ok(()), |pid| kill(pid, signal)),
            Self::Adopted(adopted) => adopted.signal(signal),
        };
        match sent {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(()),
            other => other,
        }
    }
}

fn kill(pid: u32, signal: Signal) -> io::Result<()> {
    Ok(rustix::process::kill_process(pid_of(pid)?, signal)?)
}

fn pid_of(pid: u32) -> io::Result<Pid> {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{pid} is no process id")))
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn sleeper() -> tokio::process::Child {
        tokio::process::Command::new("sleep")
            .arg("600")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    #[tokio::test]
    async fn the_end_of_an_adopted_process_is_noticed_and_its_number_is_not_trusted_afterwards() {
        let mut child = sleeper();
        let id = ProcessId::of(child.id().unwrap()).unwrap();
        assert!(id.is_alive());
        let mut adopted = Process::adopt(&id).unwrap().unwrap();
        adopted.signal(Signal::KILL).unwrap();
        adopted.ended().await;
        assert!(!id.is_alive(), "what is left of a process is no process");
        assert!(Process::adopt(&id).unwrap().is_none());
        child.wait().await.unwrap();
        adopted.signal(Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn a_stranger_with_the_same_number_is_not_adopted() {
        let child = sleeper();
        let mut id = ProcessId::of(child.id().unwrap()).unwrap();
        if let Some(start) = &mut id.start {
            start.push('0');
            assert!(Process::adopt(&id).unwrap().is_none());
            assert!(!id.is_alive());
        }
    }

    #[tokio::test]
    async fn the_end_of_a_child_says_how() {
        let mut child = sleeper();
        let id = ProcessId::of(child.id().unwrap()).unwrap();
        child.start_kill().unwrap();
        let mut process = Process::Child(child, id);
        assert!(process.ended().await.contains("signal: 9"));
        process.signal(Signal::TERM).unwrap();
    }
}
