//! Starting a child.

use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::Pid;

use crate::{Child, OwnChildren, sys};

/// A program to start as a child.
///
/// The child
/// - is ended by the kernel (SIGKILL) when the **thread** that started it ends. Start it from the main thread, on a
///   `current_thread` runtime; a worker thread may end earlier than the process. Linux only;
/// - leads a process group of its own, so that a terminal's Ctrl-C does not reach it, and whatever it leaves behind
///   (a server's saving child, say) can be ended with it;
/// - reads nothing, and writes standard output and standard error to one pipe: see [`Child::lines`].
#[derive(Debug, Clone)]
pub struct Spawn {
    program: PathBuf,
    args: Vec<OsString>,
    dir: Option<PathBuf>,
    env: Vec<(OsString, OsString)>,
}

/// A child could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No pipe for its output.
    #[error("cannot make a pipe for the output of {}: {source}", program.display())]
    Pipe {
        /// What was to be started.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The program, or its folder, is missing or may not be used.
    #[error("cannot start {}{}: {source}; check that it is installed and may be executed", program.display(), in_dir(dir.as_deref()))]
    Start {
        /// What was to be started.
        program: PathBuf,
        /// In which folder.
        dir: Option<PathBuf>,
        /// Why not.
        source: io::Error,
    },
    /// It runs no more: it was ended, because its end could not have been seen.
    #[error("cannot watch process {pid}, just started: {source}; it was ended again")]
    Watch {
        /// Its process id.
        pid: i32,
        /// Why not.
        source: io::Error,
    },
}

fn in_dir(dir: Option<&Path>) -> String {
    dir.map(|dir| format!(" in {}", dir.display())).unwrap_or_default()
}

impl Spawn {
    /// This program, looked up in `PATH` unless it has a slash.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new(), dir: None, env: Vec::new() }
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With these further arguments.
    #[must_use]
    pub fn args<T: Into<OsString>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// In this folder, instead of the parent's.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// With this variable besides the parent's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts it. When this returns, the program itself runs: exec has succeeded.
    pub fn spawn(&self, own: &OwnChildren) -> Result<Child, SpawnError> {
        let pipe = |source| SpawnError::Pipe { program: self.program.clone(), source };
        let (output, theirs) = io::pipe().map_err(pipe)?;
        let stderr = theirs.try_clone().map_err(pipe)?;
        let pid = self.start(theirs.into(), stderr.into())?;
        Child::own(pid, output.into(), own).map_err(|source| {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
            SpawnError::Watch { pid: pid.as_raw_pid(), source }
        })
    }

    fn start(&self, stdout: OwnedFd, stderr: OwnedFd) -> Result<Pid, SpawnError> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        sys::die_with_parent(&mut command);
        let started = command.spawn();
        started.map(|child| Pid::from_child(&child)).map_err(|source| SpawnError::Start {
            program: self.program.clone(),
            dir: self.dir.clone(),
            source,
        })
    }
}
