//! A machine of its own for each test: a state folder, fake agents, and nothing left behind.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use redoubt_api::{CheckedRedis, Key, Source};
use redoubt_engine::{
    Counts,
    platform::{Member, MemberKind, Platform as _, Workload},
    set_config, template,
};
use redoubt_local::{Local, LocalPlatform, PlatformOptions, Progress, StateDir};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A state folder whose members end with it.
pub(crate) struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn state(&self) -> StateDir {
        StateDir::create(self.dir.path()).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn local(&self) -> Local {
        Local::new(self.state())
    }

    pub(crate) fn options() -> PlatformOptions {
        PlatformOptions {
            executable: Some(env!("CARGO_BIN_EXE_redoubt-fake-agent").into()),
            single_address: false,
        }
    }

    pub(crate) fn platform(&self) -> LocalPlatform {
        LocalPlatform::open(self.state(), Self::options()).unwrap()
    }

    /// Who ended, in order, and why.
    pub(crate) fn journal(&self, name: &str) -> Vec<String> {
        let journal = self.state().set(name).root().join("journal");
        std::fs::read_to_string(journal).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Makes a member misbehave from its next start on.
    pub(crate) fn behave(&self, set: &str, member: &str, behaviour: &str) {
        let data = self.state().set(set).member(member).data();
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("behaviour"), behaviour).unwrap();
    }

    /// Processes that have this folder in their command line.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let folder = self.state().root().to_string_lossy().into_owned();
        let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&folder)
        })
        .collect()
    }
}

impl Machine {
    /// Waits until so many processes are there: one that is just becoming another program has no command line.
    pub(crate) async fn processes_become(&self, count: usize) {
        let look = async {
            while self.processes().len() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, look).await;
        assert!(seen.is_ok(), "{} processes instead of {count}", self.processes().len());
    }
}

impl Drop for Machine {
    /// Also those that were started this very moment and have no command line yet: they are noted down.
    fn drop(&mut self) {
        let members = self.state().set_names().unwrap_or_default().into_iter();
        let noted = members.flat_map(|name| self.local().members(&name).unwrap_or_default());
        noted.filter_map(|member| member.pid).chain(self.processes()).for_each(kill);
    }
}

/// `SIGKILL`.
pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// A resource of this name with this spec, in YAML flow style.
pub(crate) fn redis(name: &str, spec: &str) -> CheckedRedis {
    let text = resource(name, spec);
    let batch = redoubt_api::read(&[Source { file: "test.yaml", text: &text }]);
    assert!(batch.faults.is_empty(), "{:?}", batch.faults);
    batch.accepted[0].checked.clone()
}

pub(crate) fn resource(name: &str, spec: &str) -> String {
    format!("---\napiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

/// What the engine would ask for.
pub(crate) async fn workload(platform: &LocalPlatform, redis: &CheckedRedis) -> Workload {
    let identity = platform.identify(redis).await.unwrap();
    let counts = Counts::wanted(redis);
    Workload {
        redis: redis.clone(),
        nodes: counts.nodes,
        shards: counts.shards,
        sentinels: counts.sentinels,
        config: set_config(redis, &identity, counts),
        template: template(redis),
    }
}

/// Applies a resource as the engine would.
pub(crate) async fn apply(platform: &LocalPlatform, redis: &CheckedRedis) {
    let workload = workload(platform, redis).await;
    platform.apply(&workload).await.unwrap();
}

/// Waits, by the platform's own notices, until the members are as wanted.
pub(crate) async fn members_until(
    platform: &LocalPlatform,
    key: &Key,
    wanted: impl Fn(&[Member]) -> bool,
) -> Vec<Member> {
    let look = async {
        loop {
            let members = platform.observe(key).await.unwrap();
            if wanted(&members) {
                return members;
            }
            platform.changed().await;
        }
    };
    if let Ok(members) = tokio::time::timeout(PATIENCE, look).await {
        return members;
    }
    panic!("not as wanted: {:?}", platform.observe(key).await)
}

pub(crate) fn names(members: &[Member]) -> Vec<&str> {
    members.iter().map(|member| member.name.as_str()).collect()
}

pub(crate) fn all_run(members: &[Member]) -> bool {
    members.iter().all(|member| member.running)
}

/// Process ids by member, as the folder tells.
pub(crate) fn pids(machine: &Machine, set: &str) -> Vec<(String, u32)> {
    let members = machine.local().members(set).unwrap();
    members.into_iter().filter_map(|member| Some((member.name, member.pid?))).collect()
}

pub(crate) fn pid_of(machine: &Machine, set: &str, member: &str) -> u32 {
    pids(machine, set).into_iter().find(|(name, _)| name == member).unwrap().1
}

/// Waits until the agents of a set answer: they are told to end over HTTP.
pub(crate) async fn answering(machine: &Machine, set: &str) {
    for (name, agent) in machine.local().agents(set).unwrap() {
        let asked = async {
            while agent.state().await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{name} does not answer"));
    }
}

pub(crate) fn silent(_: Progress<'_>) {}

pub(crate) fn kinds(members: &[Member]) -> (usize, usize) {
    let of = |kind| members.iter().filter(|member| member.kind == kind).count();
    (of(MemberKind::Node), of(MemberKind::Sentinel))
}

pub(crate) fn write(path: impl Into<PathBuf>, text: &str) {
    let path = path.into();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
