//! How one `Redis` is: its status, and beside it what its agents say at this moment.

use std::collections::BTreeMap;

use redoubt_api::{Condition, ConditionStatus, ConditionType, RedisStatus, Role};
use redoubt_redis::Endpoint;
use redoubt_wire::{
    client::AgentError,
    config::SetConfig,
    state::{AgentRole, AgentState, Live as NodeFigures, Phase, Replication},
};
use serde::Serialize;

/// What each agent answered.
pub(crate) type Answers = BTreeMap<String, Result<AgentState, AgentError>>;

/// How one `Redis` is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Which of its versions was applied last: `status` tells of it once `observedGeneration` is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Who watches it, where that can be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Its `.status`.
    #[serde(flatten)]
    pub status: RedisStatus,
    /// What its agents say now.
    pub live: Live,
    /// Why what they say is not Ready, whatever the status says: an engine that has just started shows what the one
    /// before it saw.
    #[serde(skip)]
    pub contradicted: Option<String>,
}

/// Who watches the resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Engine {
    /// Somebody does.
    pub running: bool,
    /// The process, where it is one of this machine.
    pub pid: Option<u32>,
}

/// What changes all the time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Live {
    /// By name of the node.
    pub nodes: BTreeMap<String, LiveNode>,
    /// By name of the Sentinel.
    pub sentinels: BTreeMap<String, LiveSentinel>,
}

/// A node now.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LiveNode {
    /// Its agent answers.
    pub reachable: bool,
    /// Where it stands in its life, or why nobody knows.
    pub state: String,
    /// What its server says it is.
    pub role: Option<Role>,
    /// A replica's link to its master: `up`, `down` or `syncing`.
    pub link: Option<&'static str>,
    /// Whom a replica follows.
    pub follows: Option<Endpoint>,
    /// Replicas attached to a master.
    pub attached_replicas: Option<usize>,
    /// Replication offset, bytes.
    pub offset: Option<u64>,
    /// Bytes of the master's stream that a replica has not received.
    pub lag_bytes: Option<u64>,
    /// Seconds since a replica last heard from its master.
    pub last_io_seconds: Option<u64>,
    /// Memory used by data and overhead, bytes.
    pub memory_bytes: Option<u64>,
    /// Keys in all databases.
    pub keys: Option<u64>,
    /// Connected clients.
    pub clients: Option<u64>,
    /// Commands per second.
    pub ops_per_second: Option<u64>,
    /// Full copies served since the server started.
    pub full_syncs: Option<u64>,
    /// The server's process.
    pub server_pid: Option<u32>,
    /// The server's version.
    pub server_version: Option<String>,
}

/// A Sentinel now.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LiveSentinel {
    /// Its agent answers.
    pub reachable: bool,
    /// Where it stands in its life, or why nobody knows.
    pub state: String,
    /// Whom it names master.
    pub master: Option<Endpoint>,
    /// Its config epoch.
    pub epoch: Option<u64>,
    /// Other Sentinels it knows.
    pub known_sentinels: Option<usize>,
    /// Replicas it knows.
    pub known_replicas: Option<usize>,
    /// It sees enough Sentinels to elect.
    pub quorum: Option<bool>,
    /// The Sentinel's process.
    pub server_pid: Option<u32>,
}

impl Report {
    /// The condition `Ready` is true, and told of the resource as it was applied last.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_current() && is_ready(&self.status)
    }

    /// The status tells of the resource as it was applied last.
    pub(crate) fn is_current(&self) -> bool {
        self.generation.is_none_or(|applied| self.status.observed_generation >= applied)
    }

    /// Where the master is reached; in a cluster the first one that is known, which tells clients of the others.
    pub(crate) fn master_address(&self) -> Option<&str> {
        let mut leaders = self.status.shards.iter().filter_map(|shard| shard.master.as_deref());
        let master = self.status.master.as_deref().or_else(|| leaders.next())?;
        self.status.nodes.iter().find(|node| node.name == master).map(|node| node.address.as_str())
    }
}

/// The condition `Ready` is true.
pub(crate) fn is_ready(status: &RedisStatus) -> bool {
    readiness(status).is_some_and(|condition| condition.status == ConditionStatus::True)
}

/// The condition `Ready`.
pub(crate) fn readiness(status: &RedisStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.kind == ConditionType::Ready)
}

impl Live {
    /// What these answers say.
    pub(crate) fn new(config: &SetConfig, answers: &Answers) -> Self {
        let mut live = Self::default();
        for node in &config.nodes {
            live.nodes.insert(node.name.clone(), LiveNode::new(answers.get(&node.name)));
        }
        for sentinel in config.sentinel().into_iter().flat_map(|sentinel| &sentinel.sentinels) {
            live.sentinels.insert(sentinel.name.clone(), LiveSentinel::new(answers.get(&sentinel.name)));
        }
        live.measure_lag(config);
        live
    }

    /// At least one agent answers.
    pub(crate) fn anybody_answers(&self) -> bool {
        self.nodes.values().any(|node| node.reachable)
            || self.sentinels.values().any(|sentinel| sentinel.reachable)
    }

    /// A lag is known where a replica's master is, and both offsets.
    fn measure_lag(&mut self, config: &SetConfig) {
        let offsets: BTreeMap<Endpoint, u64> = config
            .nodes
            .iter()
            .filter_map(|node| Some((node.server.clone(), self.nodes.get(&node.name)?.offset?)))
            .collect();
        for node in self.nodes.values_mut() {
            let master = node.follows.as_ref().and_then(|master| offsets.get(master));
            node.lag_bytes = master.zip(node.offset).map(|(master, own)| master.saturating_sub(own));
        }
    }
}

impl LiveNode {
    fn new(answer: Option<&Result<AgentState, AgentError>>) -> Self {
        let state = match known(answer) {
            Ok(state) => state,
            Err(state) => return Self { state, ..Self::default() },
        };
        let AgentRole::Node(node) = &state.role else {
            return Self { state: "a Sentinel answers here".to_owned(), ..Self::default() };
        };
        let mut live = Self {
            reachable: true,
            state: phase(&node.phase),
            server_pid: state.server_pid,
            server_version: state.server_version.clone(),
            ..Self::default()
        };
        match &node.replication {
            Some(Replication::Master { replicas }) => {
                live.role = Some(Role::Master);
                live.attached_replicas = Some(replicas.len());
            }
            Some(Replication::Replica { master, link_up, syncing }) => {
                live.role = Some(Role::Replica);
                live.follows = Some(master.clone());
                live.link = Some(link(*link_up, *syncing));
            }
            None => {}
        }
        if let Some(figures) = &node.live {
            live.measure(figures);
        }
        live
    }

    fn measure(&mut self, figures: &NodeFigures) {
        self.offset = Some(figures.offset);
        self.last_io_seconds = figures.last_io_s;
        self.memory_bytes = Some(figures.used_memory);
        self.keys = Some(figures.keys);
        self.clients = Some(figures.clients);
        self.ops_per_second = Some(figures.ops_per_s);
        self.full_syncs = Some(figures.full_syncs);
    }
}

impl LiveSentinel {
    fn new(answer: Option<&Result<AgentState, AgentError>>) -> Self {
        let state = match known(answer) {
            Ok(state) => state,
            Err(state) => return Self { state, ..Self::default() },
        };
        let AgentRole::Sentinel(sentinel) = &state.role else {
            return Self { state: "a data node answers here".to_owned(), ..Self::default() };
        };
        Self {
            reachable: true,
            state: phase(&sentinel.phase),
            master: sentinel.master.clone(),
            epoch: Some(sentinel.epoch),
            known_sentinels: Some(sentinel.known_sentinels.len()),
            known_replicas: Some(sentinel.known_replicas.len()),
            quorum: Some(sentinel.quorum_ok),
            server_pid: state.server_pid,
        }
    }
}

/// The state of an agent, or why there is none.
fn known(answer: Option<&Result<AgentState, AgentError>>) -> Result<&AgentState, String> {
    match answer {
        Some(Ok(state)) => Ok(state),
        Some(Err(error)) if error.is_silence() => Err("its agent does not answer".to_owned()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("nobody asked".to_owned()),
    }
}

fn link(up: bool, syncing: bool) -> &'static str {
    match (syncing, up) {
        (true, _) => "syncing",
        (false, true) => "up",
        (false, false) => "down",
    }
}

fn phase(phase: &Phase) -> String {
    match phase {
        Phase::Waiting { why, .. } => format!("waiting: {why}"),
        Phase::Starting => "starting".to_owned(),
        Phase::Loading => "loading".to_owned(),
        Phase::Running => "running".to_owned(),
        Phase::Backoff { why } => format!("restarting: {why}"),
        Phase::Stopping => "stopping".to_owned(),
    }
}
