//! One engine per state folder.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    time::Duration,
};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{
    error::{LocalError, io_error},
    paths::StateDir,
    process::ProcessId,
};

/// A look at the lock holds it for some microseconds: a few tries tell an engine from people who look.
const MAX_ATTEMPTS: u32 = 20;

/// A process that was killed gives its lock back when the kernel has taken it apart: tries, [`BREATH`] apart (5 s).
const MAX_DYING: u32 = 500;
/// See [`MAX_DYING`].
const BREATH: Duration = Duration::from_millis(10);

/// Who looks after a state folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineProcess {
    /// Its process id.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
}

/// What the lock tells.
enum Held {
    Free,
    By(EngineProcess),
    /// For the moment between the lock and the first line: by somebody who is about to say who.
    Unsaid,
}

/// Held as long as the engine runs. The kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct EngineLock {
    file: File,
}

impl EngineLock {
    /// Takes the lock, or says who has it.
    pub fn take(state: &StateDir) -> Result<Self, LocalError> {
        let path = state.engine_lock();
        let file = open(state)?;
        for attempt in 1.. {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) => match Self::holder(state)? {
                    // Somebody only looked, for some microseconds.
                    None if attempt < MAX_ATTEMPTS => {}
                    holder => return Err(taken(state, holder.map(|process| process.pid))),
                },
                Err(error) => return Err(io_error("lock", path)(error.into())),
            }
        }
        let mut lock = Self { file };
        lock.write(&EngineProcess { pid: std::process::id(), since: Timestamp::now() })
            .map_err(io_error("write", path))?;
        Ok(lock)
    }

    /// Who looks after this folder now. The file alone proves nothing: only a held lock does. The lock of an engine
    /// that was killed a moment ago is waited for, and so is the name of one that has just taken it.
    pub fn holder(state: &StateDir) -> Result<Option<EngineProcess>, LocalError> {
        let mut last = None;
        for _ in 0..MAX_DYING {
            match Self::held(state)? {
                Held::Free => return Ok(None),
                Held::By(engine) if ProcessId::of(engine.pid).is_some() => return Ok(Some(engine)),
                Held::By(engine) => last = Some(engine),
                Held::Unsaid => last = None,
            }
            breathe();
        }
        last.map(Some).ok_or_else(|| taken(state, None))
    }

    fn held(state: &StateDir) -> Result<Held, LocalError> {
        let path = state.engine_lock();
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Held::Free),
            Err(error) => return Err(io_error("open", path)(error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {
                release(&file);
                return Ok(Held::Free);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(io_error("lock", path)(error.into())),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io_error("read", &path))?;
        Ok(serde_json::from_str(&text).map_or(Held::Unsaid, Held::By))
    }

    fn write(&mut self, process: &EngineProcess) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(serde_json::to_string(process)?.as_bytes())?;
        self.file.write_all(b"\n")
    }
}

impl Drop for EngineLock {
    fn drop(&mut self) {
        release(&self.file);
    }
}

/// To close the file is not enough: a child that was forked a moment ago, and runs no program of its own yet, has it, too
/// (flock(2)).
fn release(file: &File) {
    if let Err(error) = flock(file, FlockOperation::Unlock) {
        tracing::warn!(%error, "the lock of the state folder is held until this process ends");
    }
}

fn open(state: &StateDir) -> Result<File, LocalError> {
    let path = state.engine_lock();
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_error("open", &path))
}

#[expect(clippy::disallowed_methods, reason = "the kernel tells nobody when it has taken a process apart")]
fn breathe() {
    std::thread::sleep(BREATH);
}

fn taken(state: &StateDir, pid: Option<u32>) -> LocalError {
    LocalError::EngineRuns { state_dir: state.root().to_path_buf(), pid }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_engine_is_told_who_has_the_folder_and_gets_it_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(dir.path()).unwrap();
        assert_eq!(EngineLock::holder(&state).unwrap(), None);
        let lock = EngineLock::take(&state).unwrap();
        let me = std::process::id();
        let error = EngineLock::take(&state).unwrap_err();
        assert!(matches!(error, LocalError::EngineRuns { pid: Some(pid), .. } if pid == me), "{error}");
        assert_eq!(EngineLock::holder(&state).unwrap().unwrap().pid, me);
        let forked = lock.file.try_clone().unwrap();
        drop(lock);
        assert_eq!(
            EngineLock::holder(&state).unwrap(),
            None,
            "a forked child has it open, and holds nothing"
        );
        drop(forked);
        assert_eq!(EngineLock::holder(&state).unwrap(), None, "a file that stays behind holds nothing");
        EngineLock::take(&state).unwrap();
    }
}
