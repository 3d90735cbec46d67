//! Blows that `redoubt drill` has no word for: what Kubernetes, or a machine's memory, does to a set.

use std::{
    fs,
    process::{Command, Stdio},
};

use redoubt_drill::{ClientKind, Drill, DrillResult, Sabotage, Saboteur, Scenario, Target};
use redoubt_kubernetes::{Remote, RemoteOptions};
use redoubt_wire::failover::Failover;

/// Writers of every game.
const WRITERS: u32 = 4;
const PATIENCE: &str = "180s";

/// What is done to the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// `kill -9` of the server in the master's pod.
    Kill,
    /// `kubectl delete pod`.
    Delete,
    /// `kubectl drain` of the master's node.
    Drain,
    /// `kubectl delete pod --force --grace-period=0`.
    DeleteByForce,
    /// `kill -9` of the agent, from outside the pod: the container ends with it.
    KillContainer,
    /// Other `resources`: every node restarts.
    Resources,
}

impl Blow {
    pub(crate) const ALL: [Self; 6] =
        [Self::Kill, Self::Delete, Self::Drain, Self::DeleteByForce, Self::KillContainer, Self::Resources];

    /// In a word or two.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kill => "server killed",
            Self::Delete => "pod deleted",
            Self::Drain => "node drained",
            Self::DeleteByForce => "pod deleted by force",
            Self::KillContainer => "container killed",
            Self::Resources => "resources changed",
        }
    }

    /// What the drill takes it for.
    fn scenario(self) -> Scenario {
        match self {
            Self::Kill => Scenario::KillMaster,
            Self::Delete | Self::Drain => Scenario::StopMaster,
            Self::DeleteByForce | Self::KillContainer => Scenario::KillAgent,
            Self::Resources => Scenario::Roll,
        }
    }
}

/// Strikes once while clients write, and accounts for every write.
pub(crate) async fn play(
    namespace: &str,
    redis: &str,
    blow: Blow,
    client: ClientKind,
    shard: Option<u32>,
) -> Result<DrillResult, String> {
    let options = RemoteOptions { namespace: Some(namespace.to_owned()), ..RemoteOptions::default() };
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let remote = Remote::open(&options).await.map_err(|error| said(&error))?;
    let config = remote.config(redis).await.map_err(|error| said(&error))?;
    let secrets = remote.secrets(redis).await.map_err(|error| said(&error))?;
    let service = remote.master_address(redis).await.map_err(|error| said(&error))?;
    let target = Target { service, ..Target::new(config, secrets) };
    let drill = Drill {
        scenario: blow.scenario(),
        shard,
        client,
        writers: WRITERS,
        duration: std::time::Duration::from_secs(5),
        force: false,
    };
    let kubernetes = Kubernetes { remote, namespace: namespace.to_owned(), redis: redis.to_owned(), blow };
    let played = redoubt_drill::run(&target, &drill, &kubernetes, &|_| (), std::future::pending()).await;
    kubernetes.put_right();
    played.map_err(|error| said(&error))
}

struct Kubernetes {
    remote: Remote,
    namespace: String,
    redis: String,
    blow: Blow,
}

impl Kubernetes {
    fn kubectl(&self, args: &[&str]) -> Result<String, Sabotage> {
        let what = format!("kubectl {}", args.join(" "));
        let fail = |why: String| Sabotage { what: what.clone(), why, next: "see the cluster".to_owned() };
        let output = Command::new("kubectl")
            .args(["--namespace", &self.namespace])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| fail(error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(fail(String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    fn node_of(&self, pod: &str) -> Result<String, Sabotage> {
        self.kubectl(&["get", "pod", pod, "--output", "jsonpath={.spec.nodeName}"])
    }

    /// Drained nodes take pods again.
    fn put_right(&self) {
        if self.blow == Blow::Drain
            && let Err(error) = self.kubectl(&["uncordon", "--selector", "kubernetes.io/hostname"])
        {
            eprintln!("nodes stay cordoned: {error}");
        }
    }

    async fn exec(&self, pod: &str, command: &str) -> Result<(), Sabotage> {
        let done = self.remote.exec(pod, &["sh", "-c", command]).await;
        done.map_err(|error| Sabotage {
            what: format!("`{command}` in {pod}"),
            why: error.to_string(),
            next: "see the pod".to_owned(),
        })
    }
}

impl Saboteur for Kubernetes {
    async fn kill_server(&self, member: &str) -> Result<(), Sabotage> {
        self.exec(member, "kill -9 $(pidof redis-server)").await
    }

    async fn freeze_server(&self, member: &str) -> Result<(), Sabotage> {
        self.exec(member, "kill -STOP $(pidof redis-server)").await
    }

    async fn thaw_server(&self, member: &str) -> Result<(), Sabotage> {
        self.exec(member, "kill -CONT $(pidof redis-server)").await
    }

    async fn kill_agent(&self, member: &str) -> Result<(), Sabotage> {
        if self.blow == Blow::DeleteByForce {
            let force = ["delete", "pod", member, "--force", "--grace-period=0", "--wait=false"];
            return self.kubectl(&force).map(drop);
        }
        let id = self.kubectl(&[
            "get",
            "pod",
            member,
            "--output",
            "jsonpath={.status.containerStatuses[0].containerID}",
        ])?;
        kill_first_process(id.rsplit('/').next().unwrap_or_default())
    }

    async fn stop_agent(&self, member: &str) -> Result<(), Sabotage> {
        if self.blow != Blow::Drain {
            return self.kubectl(&["delete", "pod", member, "--wait=false"]).map(drop);
        }
        let node = self.node_of(member)?;
        let drain = ["drain", &node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout", PATIENCE];
        // Other tests have pods there too.
        let own = format!("app.kubernetes.io/instance={}", self.redis);
        self.kubectl(&[&drain[..], &["--pod-selector", &own]].concat()).map(drop)
    }

    async fn roll(&self) -> Result<(), Sabotage> {
        let requests =
            self.kubectl(&["get", "redis", &self.redis, "--output", "jsonpath={.spec.resources}"])?;
        let memory = if requests.contains("40Mi") { "48Mi" } else { "40Mi" };
        let patch = format!(r#"{{"spec":{{"resources":{{"requests":{{"memory":"{memory}"}}}}}}}}"#);
        self.kubectl(&["patch", "redis", &self.redis, "--type=merge", "--patch", &patch]).map(drop)
    }

    async fn switchover(&self, master: &str) -> Result<Failover, Sabotage> {
        Err(Sabotage {
            what: format!("{master} did not hand over"),
            why: "no blow asks for that".to_owned(),
            next: "use `redoubt drill`".to_owned(),
        })
    }
}

/// The container's agent, as this machine sees it: where the nodes are processes of this machine, as in a lab.
fn kill_first_process(container: &str) -> Result<(), Sabotage> {
    let fail = |why: String| Sabotage {
        what: format!("cannot kill the agent of the container {container}"),
        why,
        next: "use a lab, as root".to_owned(),
    };
    let of_container = |pid: u32| {
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        !container.is_empty() && cgroup.contains(container) && line.contains("redoubt-agent\0")
    };
    let pids = fs::read_dir("/proc").map_err(|error| fail(error.to_string()))?;
    let pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids.into_iter().find(|pid| of_container(*pid));
    let pid = pid.and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
    let pid = pid.ok_or_else(|| fail("no process of this machine is it".to_owned()))?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).map_err(|error| fail(error.to_string()))
}
