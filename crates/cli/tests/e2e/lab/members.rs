//! The members of the sets in a lab: how they are, connections to them, and their deaths.

use std::{cell::Cell, collections::BTreeMap, fs, path::PathBuf};

use redis::{Client, Connection, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use super::{Lab, wait::wait_or_tell, wait_for};

/// How long a set may take to be whole again, seconds: `recoveryDeadline` and as much for a busy machine.
const WHOLE: u64 = 120;

/// The name by which agents log in.
pub(crate) const AGENT: &str = "redoubt-agent";

/// A connection with the rights of an agent.
pub(crate) struct AgentConnection {
    pub(crate) connection: Connection,
    pub(crate) password: String,
}

impl Lab {
    /// The whole status and the live figures.
    #[track_caller]
    pub(crate) fn status(&self, name: &str) -> Value {
        self.run(["status", name, "-o", "json"]).ok().json()
    }

    /// Name of the master, if a Sentinel majority names one.
    #[track_caller]
    pub(crate) fn master(&self, name: &str) -> String {
        self.status(name)["master"].as_str().expect("a master").to_owned()
    }

    /// Names of the data nodes.
    #[track_caller]
    pub(crate) fn nodes(&self, name: &str) -> Vec<String> {
        names(&self.status(name)["nodes"])
    }

    /// Names of the nodes that are not the master.
    #[track_caller]
    pub(crate) fn replicas(&self, name: &str) -> Vec<String> {
        let master = self.master(name);
        self.nodes(name).into_iter().filter(|node| *node != master).collect()
    }

    /// Names of the Sentinels.
    #[track_caller]
    pub(crate) fn sentinels(&self, name: &str) -> Vec<String> {
        names(&self.status(name)["sentinels"])
    }

    /// Waits until the set is Ready, one node leads, all others follow it in sync, and every Sentinel names it, in one
    /// epoch and with nobody on its lists who is not there. None of them was ever reset.
    #[track_caller]
    pub(crate) fn whole(&self, name: &str) -> Value {
        let status = self.until(name, "it is whole", is_whole);
        for sentinel in names(&status["sentinels"]) {
            assert!(!self.log(name, &sentinel).contains("+reset-master"), "{sentinel} was reset");
        }
        status
    }

    /// Waits until this is so of the status; fails with the status as it was last.
    #[track_caller]
    pub(crate) fn until(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.until_within(name, WHOLE, what, is_so)
    }

    /// The same, for what takes longer than to be whole again.
    #[track_caller]
    pub(crate) fn until_within(
        &self,
        name: &str,
        seconds: u64,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let status = Cell::new(Value::Null);
        wait_or_tell(
            seconds,
            || {
                let now = self.run(["status", name, "-o", "json"]).ok().json();
                let met = is_so(&now);
                status.set(now);
                met
            },
            || format!("{name}: {what}: {:#}", status.take()),
        );
        status.take()
    }

    /// How an application connects.
    #[track_caller]
    pub(crate) fn connection(&self, name: &str) -> Value {
        self.run(["connection", name, "-o", "json", "--show-password"]).ok().json()
    }

    /// A connection to a node or Sentinel, as an application has it.
    #[track_caller]
    pub(crate) fn connect(&self, name: &str, member: &str) -> Connection {
        let password = if member.contains("-sentinel-") { "sentinelPassword" } else { "password" };
        let password = self.connection(name)[password].as_str().expect("a password").to_owned();
        self.connect_with(name, member, Some(&password)).unwrap()
    }

    /// A connection with this password, or none.
    pub(crate) fn connect_with(
        &self,
        name: &str,
        member: &str,
        password: Option<&str>,
    ) -> redis::RedisResult<Connection> {
        let (host, port) = self.address(name, member);
        let mut settings = RedisConnectionInfo::default();
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        let info = ConnectionAddr::Tcp(host, port).into_connection_info()?.set_redis_settings(settings);
        Client::open(info)?.get_connection_with_timeout(std::time::Duration::from_secs(10))
    }

    /// A connection to a node, as its agent has it.
    #[track_caller]
    pub(crate) fn connect_as_agent(&self, name: &str, node: &str) -> AgentConnection {
        let secret = self.state().join("redis").join(name).join("secrets/agent-password");
        let password = fs::read_to_string(secret).unwrap().trim().to_owned();
        let settings = RedisConnectionInfo::default().set_username(AGENT).set_password(&password);
        let (host, port) = self.address(name, node);
        let info =
            ConnectionAddr::Tcp(host, port).into_connection_info().unwrap().set_redis_settings(settings);
        let connection = Client::open(info).unwrap().get_connection().unwrap();
        AgentConnection { connection, password }
    }

    /// Where a node or Sentinel is.
    #[track_caller]
    pub(crate) fn address(&self, name: &str, member: &str) -> (String, u16) {
        let status = self.status(name);
        let mut all = ["nodes", "sentinels"].into_iter().flat_map(|kind| status[kind].as_array().unwrap());
        let entry =
            all.find(|entry| entry["name"] == member).unwrap_or_else(|| panic!("no {member} in {status:#}"));
        let (host, port) = entry["address"].as_str().unwrap().rsplit_once(':').unwrap();
        (host.to_owned(), port.parse().unwrap())
    }

    /// The process of a node's server, or of a Sentinel.
    #[track_caller]
    pub(crate) fn server(&self, name: &str, member: &str) -> Pid {
        let live = &self.status(name)["live"];
        let kind = if member.contains("-sentinel-") { "sentinels" } else { "nodes" };
        pid(&live[kind][member]["serverPid"]).unwrap_or_else(|| panic!("no process of {member} in {live:#}"))
    }

    /// The processes of all servers and Sentinels.
    #[track_caller]
    pub(crate) fn servers(&self, name: &str) -> BTreeMap<String, Pid> {
        let live = &self.status(name)["live"];
        let all = ["nodes", "sentinels"].into_iter().flat_map(|kind| live[kind].as_object().unwrap());
        all.filter_map(|(member, figures)| Some((member.clone(), pid(&figures["serverPid"])?))).collect()
    }

    /// Waits until each of these members has another server than this one. Right after a death the status may still be
    /// that from before.
    #[track_caller]
    pub(crate) fn restarted(&self, name: &str, before: &BTreeMap<String, Pid>) {
        self.until(name, "each has another server", |status| {
            before.iter().all(|(member, old)| {
                let live = ["nodes", "sentinels"].map(|kind| &status["live"][kind][member]["serverPid"]);
                live.into_iter().find_map(pid).is_some_and(|now| now != *old)
            })
        });
    }

    /// The process of a member's agent.
    #[track_caller]
    pub(crate) fn agent(&self, name: &str, member: &str) -> Pid {
        let note: Value = serde_json::from_slice(&fs::read(self.note(name, member)).unwrap()).unwrap();
        pid(&note["process"]["pid"]).expect("an agent that runs")
    }

    /// As the note of a member is when its engine dies before it can write down which process the agent is.
    pub(crate) fn unnote(&self, name: &str, member: &str) {
        let file = self.note(name, member);
        let mut note: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        note["process"] = Value::Null;
        fs::write(file, note.to_string()).unwrap();
    }

    fn note(&self, name: &str, member: &str) -> PathBuf {
        self.state().join("redis").join(name).join("nodes").join(member).join("agent.json")
    }

    /// Copies of everything that the nodes of a set have asked for since they are there, by any of their servers.
    pub(crate) fn full_copies(&self, name: &str) -> usize {
        self.copies(name).lines().filter(|line| line.contains("Full resync from ")).count()
    }

    /// Which of its files hold a node's data, by its record.
    pub(crate) fn holds(&self, name: &str, node: &str) -> String {
        let record = fs::read(self.data(name, node).join("persistence.json")).unwrap();
        serde_json::from_slice::<Value>(&record).unwrap()["holds"].as_str().unwrap().to_owned()
    }

    /// What the servers said of copies, whole and partial: for the message of a failure.
    pub(crate) fn copies(&self, name: &str) -> String {
        let logs: Vec<String> = self.nodes(name).iter().map(|node| self.log(name, node)).collect();
        let mut lines: Vec<&str> =
            logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains("resync")).collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// What the agents of the nodes noticed of masters that come and go: for the message of a failure.
    pub(crate) fn history(&self, name: &str) -> String {
        const NEWS: [&str; 7] = [
            "MasterChanged",
            "MasterDeposed",
            "MasterRestored",
            "Rescue",
            "ServerEnded",
            "ServerHangs",
            "Fence",
        ];
        let logs: Vec<String> = self.nodes(name).iter().map(|node| self.log(name, node)).collect();
        let tells = |line: &&str| NEWS.iter().any(|news| line.contains(&format!("\"reason\":\"{news}")));
        let mut lines: Vec<&str> = logs.iter().flat_map(|log| log.lines().filter(tells)).collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// What a member's agent said.
    pub(crate) fn log(&self, name: &str, member: &str) -> String {
        let log = self.state().join("redis").join(name).join("nodes").join(member).join("agent.log");
        fs::read_to_string(log).unwrap()
    }
}

/// `kill -9`.
#[track_caller]
pub(crate) fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
}

/// Waits until a process is gone.
#[track_caller]
pub(crate) fn gone(pid: Pid) {
    wait_for(&format!("process {pid:?} is gone"), 20, || test_kill_process(pid).is_err() || is_zombie(pid));
}

/// Nobody has collected it yet. While one of its threads still ends, its sockets are open.
fn is_zombie(pid: Pid) -> bool {
    let proc = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let stat = fs::read_to_string(proc.join("stat")).unwrap_or_default();
    let ended = stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'));
    ended && fs::read_dir(proc.join("task")).is_ok_and(|threads| threads.count() == 1)
}

/// The condition of this type is true.
pub(crate) fn is(status: &Value, condition: &str) -> bool {
    let all = status["conditions"].as_array().unwrap();
    all.iter().any(|one| one["type"] == condition && one["status"] == "True")
}

fn is_whole(status: &Value) -> bool {
    let nodes = status["live"]["nodes"].as_object().unwrap();
    let sentinels = status["live"]["sentinels"].as_object().unwrap();
    let Some(master) = status["master"].as_str() else { return false };
    let address = status["nodes"].as_array().unwrap().iter().find(|node| node["name"] == master);
    let Some(address) = address.map(|node| &node["address"]) else { return false };
    let first = sentinels.values().next().map(|sentinel| &sentinel["epoch"]);
    is(status, "Ready")
        && nodes.iter().all(|(name, node)| match node["role"].as_str() {
            Some("master") => name == master,
            Some("replica") => node["link"] == "up" && node["follows"] == *address,
            _ => false,
        })
        && sentinels.values().all(|sentinel| {
            sentinel["master"] == *address
                && Some(&sentinel["epoch"]) == first
                && sentinel["knownSentinels"] == sentinels.len() - 1
                && sentinel["knownReplicas"] == nodes.len() - 1
        })
}

fn names(members: &Value) -> Vec<String> {
    members.as_array().unwrap().iter().map(|member| member["name"].as_str().unwrap().to_owned()).collect()
}

fn pid(value: &Value) -> Option<Pid> {
    Pid::from_raw(i32::try_from(value.as_i64()?).ok()?)
}
