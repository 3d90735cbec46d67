//! A place for one test: its own state folder, its own processes, and nothing of either afterwards.

mod members;
mod preload;
mod processes;
mod sight;
mod slots;
mod wait;
mod wall;
mod writer;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) use self::{
    members::{AGENT, AgentConnection, gone, is, kill},
    sight::Sight,
    wait::wait_for,
    wall::{Wall, why_no_wall},
    writer::Writer,
};
use self::{processes::Marked, slots::Slot};

/// A folder, the processes started in it, and a place among those that may be busy at the same time.
///
/// Dropped, also by a failing test, it ends every process that was started from it, however deep.
pub(crate) struct Lab {
    // Fields are dropped in this order: the processes first, that they write nothing behind us.
    marked: Marked,
    dir: TempDir,
    /// Loaded into every process.
    preload: Option<PathBuf>,
    // Given free after the processes are gone.
    _slot: Option<Slot>,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Lab {
    /// For tests that start no server.
    pub(crate) fn light() -> Self {
        Self { marked: Marked::new(), dir: tempfile::tempdir().unwrap(), preload: None, _slot: None }
    }

    /// For tests that start servers: waits for a place among them.
    pub(crate) fn heavy() -> Self {
        Self { _slot: Some(Slot::one()), ..Self::light() }
    }

    /// For tests that measure: no other heavy test runs meanwhile.
    pub(crate) fn alone() -> Self {
        Self { _slot: Some(Slot::all()), ..Self::light() }
    }

    /// Heavy, with members that a [`Wall`] can keep from each other.
    pub(crate) fn apart() -> Self {
        Self { preload: Some(preload::own_address()), ..Self::heavy() }
    }

    /// Heavy, with disks that can be [slowed down](Self::slow_disk).
    pub(crate) fn slow_disks() -> Self {
        Self { preload: Some(preload::slow_disk()), ..Self::heavy() }
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// How many processes of this lab run.
    pub(crate) fn processes(&self) -> usize {
        self.marked.pids().len()
    }

    /// Kills every process of this lab, as a power cut does.
    #[track_caller]
    pub(crate) fn kill_everything(&self) {
        assert!(
            self.marked.end_all(),
            "processes that were killed are still there: {:?}",
            self.marked.pids()
        );
    }

    /// Where a node keeps its data.
    pub(crate) fn data(&self, name: &str, node: &str) -> PathBuf {
        self.state().join("redis").join(name).join("nodes").join(node).join("data")
    }

    /// From now on every write that this node forces to disk takes so long, or until this is called with 0.
    pub(crate) fn slow_disk(&self, name: &str, node: &str, delay: Duration) {
        let path = self.data(name, node).join("slow-disk");
        if delay.is_zero() {
            return fs::remove_file(path).unwrap();
        }
        let new = path.with_extension("new");
        fs::write(&new, delay.as_millis().to_string()).unwrap();
        fs::rename(&new, path).unwrap();
    }

    /// Writes a file into the folder and gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The command, ready to run: in the folder, with its own state folder, without a terminal.
    pub(crate) fn command<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
        command.args(args).current_dir(self.dir()).stdin(Stdio::null());
        command
            .env_remove("COLUMNS")
            .env("REDOUBT_STATE_DIR", self.state())
            .env("NO_COLOR", "1")
            .env_remove("REDOUBT_LOG");
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", library);
        }
        self.marked.mark(&mut command);
        command
    }

    /// Starts what this text says and leaves it running in the background, ready.
    #[track_caller]
    pub(crate) fn up(&self, text: &str) {
        self.file("redis.yaml", text);
        self.run(["up", "-f", "redis.yaml", "--detach"]).ok();
    }

    /// Applies another text in place of the one before, and waits until that is done.
    #[track_caller]
    pub(crate) fn apply(&self, text: &str) {
        self.file("redis.yaml", text);
        self.run(["apply", "-f", "redis.yaml"]).ok();
    }

    /// Runs the command to its end.
    pub(crate) fn run<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Said {
        Said::from(self.command(args).output().unwrap())
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// It ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }

    /// It failed in this way, and said why in these words.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing in {}", self.err);
        }
        self
    }

    /// Its data.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}
