//! Starting the agent of one member.

use std::{fs, io, net::SocketAddrV4, os::unix::process::CommandExt as _, path::PathBuf, process::Stdio};

use jiff::Timestamp;
use redoubt_engine::platform::MemberKind;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::{
    address::{Place, can_listen, endpoint},
    error::LocalError,
    files::{self, Worth},
    paths::{MemberDir, SetDir},
    process::{self, Process, ProcessId},
};

/// An agent's log that is longer than this when the agent starts is put aside: some 40,000 lines.
const MAX_LOG: u64 = 8 << 20;

/// Everything it takes to start the agent of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    /// `cart-0`.
    pub(crate) member: String,
    pub(crate) kind: MemberKind,
    /// The agent's program.
    pub(crate) executable: PathBuf,
    pub(crate) set: SetDir,
    pub(crate) place: Place,
    pub(crate) wish: Wish,
}

/// What may differ from one start of a member to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wish {
    /// Digest of all that takes a new process.
    pub(crate) template: String,
    /// The server's program.
    pub(crate) server: PathBuf,
}

/// What is kept of a member that is wanted (`agent.json`), for the next engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentRecord {
    #[serde(flatten)]
    pub(crate) wish: Wish,
    /// Its agent; `None` while it is being started.
    pub(crate) process: Option<ProcessId>,
    /// When it was started.
    pub(crate) started_at: Timestamp,
}

impl AgentRecord {
    pub(crate) fn load(dir: &MemberDir) -> Result<Option<Self>, LocalError> {
        files::read_json(&dir.agent())
    }

    /// Instead of a note that cannot be read.
    pub(crate) fn empty() -> Self {
        Self { wish: Wish::default(), process: None, started_at: Timestamp::UNIX_EPOCH }
    }
}

impl Launch {
    pub(crate) fn dir(&self) -> MemberDir {
        self.set.member(&self.member)
    }

    fn signature(&self) -> Vec<String> {
        signature(&self.set, self.kind, &self.member)
    }

    /// Starts the agent. What cannot be noted down is told and does not stop it: a full disk must not keep a member
    /// from coming back, and [`Launch::adopt`] finds an agent without a note too.
    pub(crate) fn start(&self) -> Result<Process, LocalError> {
        let dir = self.dir();
        files::private_dir(&dir.data())?;
        self.note(&self.begun(None));
        let child = self.command()?.spawn().map_err(|source| LocalError::Spawn {
            member: self.member.clone(),
            program: self.executable.clone(),
            source,
        })?;
        // A child is there, or waits to be collected, until it was waited for: its number is its own.
        let pid = child.id().unwrap_or_default();
        let id = ProcessId::of(pid).unwrap_or(ProcessId { pid, start: None });
        self.note(&self.begun(Some(id.clone())));
        Ok(Process::Child(child, id))
    }

    /// In a process group of its own and without our terminal: Ctrl-C, the end of a terminal, and the end of the
    /// engine are not meant for it.
    fn command(&self) -> Result<Command, LocalError> {
        let dir = self.dir();
        put_log_aside(&dir);
        let log = files::append(&dir.log())?;
        let errors = log.try_clone().map_err(crate::error::io_error("write", dir.log()))?;
        let mut command = std::process::Command::new(&self.executable);
        command
            .args(self.signature())
            .arg("--server-binary")
            .arg(&self.wish.server)
            .current_dir(dir.root())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        let mut command = Command::from(command);
        command.kill_on_drop(false);
        Ok(command)
    }

    fn begun(&self, process: Option<ProcessId>) -> AgentRecord {
        AgentRecord { wish: self.wish.clone(), process, started_at: Timestamp::now() }
    }

    fn note(&self, record: &AgentRecord) {
        if let Err(error) = files::write_json(&self.dir().agent(), record, Worth::Passing) {
            tracing::warn!(node = self.member, %error, "the process of an agent is not noted down");
        }
    }

    /// The agent that an engine before us started, if it runs.
    pub(crate) fn adopt(&self, record: &AgentRecord) -> Option<Process> {
        let noted = record.process.clone().filter(ProcessId::is_alive);
        let is_noted = noted.is_some();
        // That engine may have ended between the start and the note.
        let id = noted.or_else(|| process::find(&self.signature()))?;
        match Process::adopt(&id) {
            Ok(process) => {
                // Who only reads the notes would say for ever that it does not run.
                if process.is_some() && !is_noted {
                    self.note(&AgentRecord { process: Some(id), ..record.clone() });
                }
                process
            }
            Err(error) => {
                tracing::warn!(node = self.member, pid = id.pid, %error, "a running agent cannot be watched");
                None
            }
        }
    }

    /// An address of this member where it could not listen now, and why.
    pub(crate) fn taken_address(&self) -> Option<(SocketAddrV4, io::Error)> {
        [self.place.server, self.place.agent]
            .into_iter()
            .find_map(|address| can_listen(address).err().map(|error| (address, error)))
    }

    /// The same with who listens there: that takes a look at every process.
    pub(crate) fn address_taken(&self, address: SocketAddrV4, error: &io::Error) -> LocalError {
        let named = |pid| (pid, process::name_of(pid).unwrap_or_default());
        LocalError::AddressTaken {
            member: self.member.clone(),
            endpoint: endpoint(address),
            why: error.to_string(),
            holder: process::listener(address).map(named),
        }
    }
}

/// What of an agent's command line is its own: no other agent of this machine has the same.
pub(crate) fn signature(set: &SetDir, kind: MemberKind, member: &str) -> Vec<String> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let kind = match kind {
        MemberKind::Node => "redis",
        MemberKind::Sentinel => "sentinel",
    };
    let options = [
        ("--name", member.to_owned()),
        ("--config", text(set.config())),
        ("--secrets", text(set.secrets())),
        ("--data", text(set.member(member).data())),
    ];
    let options = options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]);
    std::iter::once(kind.to_owned()).chain(options).collect()
}

fn put_log_aside(dir: &MemberDir) {
    let long = fs::metadata(dir.log()).is_ok_and(|meta| meta.len() > MAX_LOG);
    if long && let Err(error) = fs::rename(dir.log(), dir.old_log()) {
        tracing::warn!(log = %dir.log().display(), %error, "a long log is not put aside");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::StateDir;

    /// Whoever reads the notes alone has to see that it runs.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_agent_whose_engine_ended_before_it_noted_it_is_found_and_noted() {
        use std::os::unix::fs::PermissionsExt as _;

        use crate::address::Block;

        let folder = tempfile::tempdir().unwrap();
        let set = StateDir::create(folder.path()).unwrap().set("cart");
        let executable = folder.path().join("agent");
        fs::write(&executable, "#!/bin/sh\nkill -STOP $$\n").unwrap();
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o700)).unwrap();
        let place = Block::Addresses(9, 9).place(MemberKind::Node, 0).unwrap();
        let (member, kind) = ("cart-0".to_owned(), MemberKind::Node);
        let launch = Launch { member, kind, executable, set, place, wish: Wish::default() };
        let mut process = launch.start().unwrap();
        let begun = AgentRecord { process: None, ..AgentRecord::load(&launch.dir()).unwrap().unwrap() };
        launch.note(&begun);
        // It has the command line of an agent once it is one.
        let adopted = loop {
            match launch.adopt(&begun) {
                Some(adopted) => break adopted,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!(adopted.id(), process.id());
        let noted = AgentRecord { process: Some(process.id().clone()), ..begun };
        assert_eq!(AgentRecord::load(&launch.dir()).unwrap(), Some(noted));
        process.signal(rustix::process::Signal::KILL).unwrap();
        process.ended().await;
    }

    #[test]
    fn a_long_log_is_put_aside_and_a_short_one_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let member = StateDir::create(folder.path()).unwrap().set("cart").member("cart-0");
        files::private_dir(member.root()).unwrap();
        for (length, aside) in [(MAX_LOG, false), (MAX_LOG + 1, true)] {
            let log = files::append(&member.log()).unwrap();
            log.set_len(length).unwrap();
            put_log_aside(&member);
            assert_eq!((member.log().exists(), member.old_log().exists()), (!aside, aside), "{length}");
        }
    }
}
