//! Processes of the benchmark: ended when dropped (an agent's server goes with it), measured from outside.

use std::{
    fs::{self, File},
    io,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::param::{clock_ticks_per_second, page_size};

/// A process, ours or a child of ours.
pub(crate) struct Process {
    pid: u32,
    child: Option<Child>,
}

/// What a process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Resident memory, bytes.
    pub(crate) resident: u64,
}

impl Usage {
    /// CPU used since then.
    pub(crate) fn cpu_since(&self, before: &Self) -> Duration {
        self.cpu.saturating_sub(before.cpu)
    }
}

impl Process {
    /// Starts a program; its output is thrown away.
    pub(crate) fn start(program: &Path, args: &[&str], env: &[(&str, String)]) -> io::Result<Self> {
        Self::start_to(program, args, env, Stdio::null())
    }

    /// Starts a program; what it writes goes to this file.
    pub(crate) fn start_logged(program: &Path, args: &[&str], log: &Path) -> io::Result<Self> {
        Self::start_to(program, args, &[], File::create(log)?.into())
    }

    fn start_to(program: &Path, args: &[&str], env: &[(&str, String)], out: Stdio) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(args).envs(env.iter().map(|(name, value)| (name, value)));
        let child = command.stdin(Stdio::null()).stdout(out).stderr(Stdio::null()).spawn()?;
        Ok(Self { pid: child.id(), child: Some(child) })
    }

    /// A process that somebody else started and ends.
    pub(crate) fn of(pid: u32) -> Self {
        Self { pid, child: None }
    }

    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        read(&stat).ok_or_else(|| io::Error::other(format!("/proc/{}/stat is not understood", self.pid)))
    }
}

/// Fields 14 and 15 are user and system time in ticks, 24 is resident memory in pages; see proc(5).
fn read(stat: &str) -> Option<Usage> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let cpu = Duration::from_millis((field(14)? + field(15)?) * 1000 / clock_ticks_per_second());
    Some(Usage { cpu, resident: field(24)? * u64::try_from(page_size()).ok()? })
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
