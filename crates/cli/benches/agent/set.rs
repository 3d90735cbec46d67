//! A whole set, run by its agents alone: no engine.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use redoubt_redis::{Connector, Credentials, Endpoint};
use redoubt_wire::{
    AGENT_PORT, API_VERSION,
    config::{
        Access, Durability, NodeEntry, Persistence, SentinelConfig, SentinelEntry, SetConfig, Topology,
        sentinel_id,
    },
    secrets::{Secrets, generate_missing},
};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use crate::{
    Result,
    http::{Connection, wait_for_ok},
    process::Process,
};

const NODES: usize = 3;
const SENTINELS: usize = 3;
const UID: &str = "bench";
/// A pipeline of this many commands is a few hundred KiB.
const BATCH: usize = 1_000;

pub(crate) struct Set {
    config: SetConfig,
    /// Of the nodes, then of the Sentinels.
    agents: Vec<Process>,
    dir: TempDir,
}

impl Set {
    /// Starts all agents and waits until each is ready.
    pub(crate) fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let config = config();
        fs::write(dir.path().join("config.json"), serde_json::to_vec(&config)?)?;
        generate_missing(&dir.path().join("secrets"))?;
        let mut agents = Vec::new();
        let members = members(&config);
        for (kind, name, _) in &members {
            agents.push(start_agent(dir.path(), kind, name)?);
        }
        for (_, name, at) in &members {
            let log = dir.path().join(name).with_extension("log");
            wait_for_ok(at, "/readyz").map_err(|error| last_words(&error.to_string(), &log))?;
        }
        Ok(Self { config, agents, dir })
    }

    /// The number of the node whose server is master.
    pub(crate) fn master(&self) -> Result<usize> {
        for number in 0..NODES {
            let metrics = Connection::open(&self.agent_at(number))?.get("/metrics")?;
            if metrics.contains("role=\"master\"") {
                return Ok(number);
            }
        }
        Err("no node is master".into())
    }

    /// Writes so many keys of 100 bytes.
    pub(crate) fn fill(&self, node: usize, keys: usize) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let password = self.application_password()?.into();
        let connector = Connector::new(Some(Credentials { user: None, password }), Duration::from_secs(30));
        runtime.block_on(async {
            let mut connection = connector.connect(&self.config.nodes[node].server).await?;
            let value = "x".repeat(100);
            for batch in 0..keys / BATCH {
                let command =
                    |key: usize| vec!["SET".to_owned(), format!("key:{batch}:{key}"), value.clone()];
                let commands: Vec<_> = (0..BATCH).map(command).collect();
                for reply in connection.pipeline(&commands).await? {
                    reply?;
                }
            }
            Ok(())
        })
    }

    /// Where the server of a node listens.
    pub(crate) fn server(&self, node: usize) -> &Endpoint {
        &self.config.nodes[node].server
    }

    /// The agent of a node.
    pub(crate) fn agent(&self, node: usize) -> &Process {
        &self.agents[node]
    }

    /// Where the agent of a node answers.
    pub(crate) fn agent_at(&self, node: usize) -> String {
        self.config.nodes[node].agent.to_string()
    }

    /// The server of a node, for measuring.
    pub(crate) fn server_process(&self, node: usize) -> Result<Process> {
        let metrics = Connection::open(&self.agent_at(node))?.get("/metrics")?;
        let pid =
            metrics.lines().find_map(|line| line.strip_prefix("redis_process_id ")).ok_or("no process id")?;
        Ok(Process::of(pid.parse()?))
    }

    /// The password of `default`.
    pub(crate) fn application_password(&self) -> Result<String> {
        let secrets = Secrets::load(&self.dir.path().join("secrets"))?;
        Ok(secrets.application.current().expose_secret().to_owned())
    }
}

/// An address that no member has.
pub(crate) fn spare_address() -> String {
    Endpoint::new(host(NODES + SENTINELS), AGENT_PORT).to_string()
}

fn start_agent(dir: &Path, kind: &str, name: &str) -> Result<Process> {
    let path = |name: &str| dir.join(name).display().to_string();
    let (config, secrets, data) = (path("config.json"), path("secrets"), path(name));
    let args = [kind, "--name", name, "--config", &config, "--secrets", &secrets, "--data", &data];
    let log = dir.join(name).with_extension("log");
    Ok(Process::start_logged(Path::new(env!("CARGO_BIN_EXE_redoubt-agent")), &args, &log)?)
}

fn last_words(error: &str, log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let last: Vec<&str> = log.lines().rev().take(5).collect();
    format!("{error}\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"))
}

/// Kind, name and address of every agent.
fn members(config: &SetConfig) -> Vec<(&'static str, String, String)> {
    let nodes = config.nodes.iter().map(|node| ("redis", node.name.clone(), node.agent.to_string()));
    let sentinels = config.sentinel().into_iter().flat_map(|sentinel| &sentinel.sentinels);
    nodes.chain(sentinels.map(|entry| ("sentinel", entry.name.clone(), entry.agent.to_string()))).collect()
}

fn config() -> SetConfig {
    SetConfig {
        api_version: API_VERSION,
        name: "bench".to_owned(),
        namespace: "default".to_owned(),
        uid: UID.to_owned(),
        generation: 1,
        topology: Topology::Sentinel(SentinelConfig {
            master_name: "mymaster".to_owned(),
            quorum: 2,
            down_after_ms: 5_000,
            failover_timeout_ms: 10_000,
            parallel_syncs: 1,
            directives: BTreeMap::new(),
            sentinels: (0..SENTINELS).map(sentinel).collect(),
        }),
        nodes: (0..NODES).map(node).collect(),
        directives: BTreeMap::new(),
        persistence: Persistence {
            rdb_save: "3600 1 300 100".to_owned(),
            aof: true,
            aof_fsync: "everysec".to_owned(),
        },
        durability: Durability {
            min_replicas_to_write: 0,
            max_replica_lag_s: 3,
            recovery_deadline_ms: Some(60_000),
            hang_limit_ms: 3_000,
        },
        grace_period_ms: 30_000,
        agentless: false,
        bootstrap: None,
        access: Access::usual(true),
    }
}

fn node(number: usize) -> NodeEntry {
    let host = host(number);
    NodeEntry {
        shard: None,
        name: format!("bench-{number}"),
        server: Endpoint::new(host.clone(), 6379),
        agent: Endpoint::new(host, AGENT_PORT),
    }
}

fn sentinel(number: usize) -> SentinelEntry {
    let (name, host) = (format!("bench-sentinel-{number}"), host(NODES + number));
    SentinelEntry {
        id: sentinel_id(UID, &name),
        name,
        server: Endpoint::new(host.clone(), 26379),
        agent: Endpoint::new(host, AGENT_PORT),
    }
}

/// Loopback addresses of this run alone.
fn host(member: usize) -> String {
    let run = std::process::id();
    format!("127.{}.{}.{}", 200 + (run >> 8) % 50, run % 256, member + 1)
}
