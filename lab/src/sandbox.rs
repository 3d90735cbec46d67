//! Sets of namespaces. Whatever runs in one ends with its first process, at once and by the kernel's hand; its mounts and
//! links end with it. The room holds the control plane, and the nodes: so one signal ends a whole lab, whatever state
//! it is in.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tokio::process::Command;

use crate::{
    process::Process,
    run::{self, wait_for},
};

const START_LIMIT: Duration = Duration::from_secs(30);
/// Longer than any process needs to end once it is killed, its memory being given back.
const END_LIMIT: Duration = Duration::from_mins(1);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A set of namespaces, and the folder with records and logs of its processes.
#[derive(Debug, Clone)]
pub(crate) struct Sandbox {
    pub(crate) init: Process,
    folder: PathBuf,
}

impl Sandbox {
    /// Makes one inside another, or directly on the machine.
    pub(crate) async fn start(outer: Option<&Self>, pause: &Path, name: &str, folder: &Path) -> Result<Self> {
        let folder = &folder.join("processes");
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut command = outer.map_or_else(|| Command::new("unshare"), |outer| outer.command("unshare"));
        command.args([
            "--fork",
            "--kill-child",
            "--pid",
            "--mount-proc",
            "--mount",
            "--net",
            "--uts",
            "--ipc",
        ]);
        // Volumes that the room mounts later appear in its nodes; nothing that a node mounts appears elsewhere.
        command.args(["--propagation", if outer.is_some() { "slave" } else { "private" }, "--"]);
        command.arg(pause).arg(name);
        let launcher = spawn(&mut command, &folder.join("init.log"))?;
        let init = wait_for(&format!("the namespaces of {name}"), START_LIMIT, async || {
            let mut process = launcher;
            while process.name().as_deref() != Some("pause") {
                process = process.child().with_context(|| said(&folder.join("init.log")))?;
            }
            Ok(process)
        })
        .await?;
        init.save(&folder.join("init.json"))?;
        Ok(Self { init, folder: folder.to_owned() })
    }

    /// The one recorded below this folder, if it still runs.
    pub(crate) fn load(folder: &Path) -> Option<Self> {
        let folder = folder.join("processes");
        let init = Process::load(&folder.join("init.json"))?;
        Some(Self { init, folder })
    }

    /// A command that will run inside.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.pid.to_string()]);
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--"]).arg(program);
        command.env_clear().env("PATH", PATH).current_dir("/");
        command
    }

    /// Runs a few lines of shell inside, which end at the first failure.
    pub(crate) async fn shell(&self, script: &str) -> Result<String> {
        run::output_with(self.command("sh").arg("-eu"), script).await
    }

    /// Starts a program that stays, and records it by its name.
    pub(crate) async fn daemon(&self, name: &str, command: &mut Command) -> Result<()> {
        if self.running(name).is_some() {
            bail!("{name} runs already");
        }
        let launcher = spawn(command, &self.log(name))?;
        let process = wait_for(&format!("the start of {name}"), START_LIMIT, async || {
            launcher.child().with_context(|| said(&self.log(name)))
        })
        .await?;
        process.save(&self.record(name))
    }

    pub(crate) fn running(&self, name: &str) -> Option<Process> {
        Process::load(&self.record(name))
    }

    /// Fails if the program has ended, with the last of what it wrote.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        self.running(name).map(drop).with_context(|| format!("{name} has ended; {}", said(&self.log(name))))
    }

    /// Ends one program, and waits until it is gone.
    pub(crate) async fn stop(&self, name: &str, signal: Signal) -> Result<()> {
        let Some(process) = self.running(name) else { bail!("{name} does not run") };
        end(process, signal, name).await
    }

    /// Ends everything inside at once.
    pub(crate) async fn kill(&self) -> Result<()> {
        end(self.init, Signal::KILL, "the namespaces").await
    }

    fn record(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

async fn end(process: Process, signal: Signal, name: &str) -> Result<()> {
    process.signal(signal)?;
    wait_for(&format!("the end of {name}"), END_LIMIT, async || {
        if process.alive() {
            bail!("process {} is still there", process.pid);
        }
        Ok(())
    })
    .await
}

/// Starts a program that outlives this one: no terminal, no group of ours that Ctrl-C reaches.
fn spawn(command: &mut Command, log: &Path) -> Result<Process> {
    let file = File::options().create(true).append(true).open(log);
    let file = file.with_context(|| format!("cannot write {}", log.display()))?;
    let second = file.try_clone().with_context(|| format!("cannot write {}", log.display()))?;
    let child = command.stdin(Stdio::null()).stdout(file).stderr(second).process_group(0).spawn();
    let child = child.with_context(|| format!("cannot run {}", command.as_std().get_program().display()))?;
    let pid = child.id().context("a process ended as it started")?;
    Process::find(pid).with_context(|| said(log))
}

/// The end of a log, for an error.
fn said(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    let last: Vec<&str> = lines.into_iter().rev().collect();
    format!("{} ends with:\n{}", log.display(), last.join("\n"))
}
