//! A probe process that speaks, and looks at processes from outside.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use redoubt_supervise::{Lines, OwnChildren, Spawn};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A child that runs this script.
pub fn shell(script: &str) -> (redoubt_supervise::Child, Lines) {
    let child = Spawn::new("sh").arg("-c").arg(script).spawn(&OwnChildren::default()).unwrap();
    let lines = child.lines().unwrap();
    (child, lines)
}

/// A probe; ended when dropped.
pub struct Probe {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Probe {
    pub fn start(scene: &str, args: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_redoubt-supervise-probe"))
            .arg(scene)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, stdin, stdout: BufReader::new(stdout) }
    }

    /// The next line; it must begin with this word, and the rest is returned.
    pub fn hear(&mut self, word: &str) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let rest = line.strip_prefix(word).and_then(|rest| rest.strip_prefix(' '));
        rest.unwrap_or_else(|| panic!("expected {word:?}, heard {line:?}")).trim_end().to_owned()
    }

    /// The next line says this word and a process id.
    pub fn hear_pid(&mut self, word: &str) -> Pid {
        pid(&self.hear(word))
    }

    pub fn tell(&mut self) {
        self.stdin.write_all(b"go on\n").unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A named pipe: whoever opens it waits for the other side.
pub fn fifo() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    (dir, path)
}

pub fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// Waits for the end of any process, reaped or not.
pub fn wait_for_end(pid: Pid) {
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let limit = Timespec::try_from(PATIENCE).unwrap();
    let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)).unwrap();
    assert_eq!(ended, 1, "process {} still runs", pid.as_raw_pid());
}

pub fn exists(pid: Pid) -> bool {
    std::path::Path::new(&format!("/proc/{}", pid.as_raw_pid())).exists()
}

/// Waits until not even a zombie is left. The kernel tells nobody but the parent, so this looks again and again.
#[allow(clippy::disallowed_methods)]
pub fn wait_until_reaped(pid: Pid) {
    let start = Instant::now();
    while exists(pid) {
        assert!(start.elapsed() < PATIENCE, "process {} is left as a zombie", pid.as_raw_pid());
        std::thread::sleep(Duration::from_millis(5));
    }
}
