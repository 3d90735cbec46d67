//! An agent without a server: it takes an agent's command line, listens on both of its addresses, answers its state,
//! and writes down how it was ended.
//!
//! The file `behaviour` in its data folder makes it misbehave: `crash` ends it at once, `deaf` makes it take no notice
//! of being told to end.

use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use redoubt_redis::Endpoint;
use redoubt_wire::{
    API_VERSION,
    config::SetConfig,
    requests::{STATE, STOP},
    state::{AgentRole, AgentState, NodeState, OnDisk, Phase, Replication, SentinelState},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};

type Fault = Box<dyn Error>;

/// One per set: who ended, in which order, and why.
const JOURNAL: &str = "journal";

struct Agent {
    name: String,
    config: PathBuf,
    data: PathBuf,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Fault::from).and_then(|runtime| runtime.block_on(run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("cannot go on: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn tell(message: &str) {
    let line = serde_json::json!({"level": "ERROR", "fields": {"message": message}});
    // Its log may be gone with the test's folder.
    let _ = writeln!(std::io::stdout(), "{line}");
}

async fn run() -> Result<(), Fault> {
    let agent = Agent::from_arguments()?;
    let behaviour = fs::read_to_string(agent.data.join("behaviour")).unwrap_or_default();
    if behaviour == "crash" {
        return Err("told to crash".into());
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let (server, endpoint, state) = agent.part()?;
    let _server = TcpListener::bind((server.host.as_str(), server.port)).await?;
    let listener = TcpListener::bind((endpoint.host.as_str(), endpoint.port)).await?;
    loop {
        let end = tokio::select! {
            connection = listener.accept() => answer(connection?.0, &state).await.unwrap_or_default(),
            _ = terminate.recv() => Some("SIGTERM".to_owned()),
        };
        if let Some(how) = end.filter(|_| behaviour != "deaf") {
            return agent.note(&how);
        }
    }
}

impl Agent {
    fn from_arguments() -> Result<Self, Fault> {
        let arguments: Vec<String> = std::env::args().collect();
        let of = |option: &str| {
            let at = arguments.iter().position(|argument| argument == option)?;
            arguments.get(at + 1).cloned()
        };
        let required = |option: &str| of(option).ok_or(format!("{option} is missing"));
        if arguments.get(1).is_none_or(|first| first != "redis" && first != "sentinel") {
            return Err("the first argument is not what to look after".into());
        }
        required("--server-binary")?;
        fs::read_to_string(Path::new(&required("--secrets")?).join("token"))?;
        Ok(Self {
            name: required("--name")?,
            config: required("--config")?.into(),
            data: required("--data")?.into(),
        })
    }

    /// Where its server and itself listen, and what it says. The first node leads.
    fn part(&self) -> Result<(Endpoint, Endpoint, AgentState), Fault> {
        let config: SetConfig = serde_json::from_slice(&fs::read(&self.config)?)?;
        if let Some(node) = config.node(&self.name) {
            let first = config.nodes.first().is_some_and(|first| first.name == self.name);
            let state = self.state(AgentRole::Node(NodeState {
                phase: Phase::Running,
                replication: first.then(|| Replication::Master { replicas: Vec::new() }),
                ready: true,
                joined: false,
                on_disk: OnDisk::Nothing,
                disk_fault: None,
                cluster: None,
                live: None,
            }));
            return Ok((node.server.clone(), node.agent.clone(), state));
        }
        let sentinels = config.sentinel().map(|sentinel| &sentinel.sentinels);
        let sentinel = sentinels.and_then(|all| all.iter().find(|entry| entry.name == self.name));
        let sentinel = sentinel.ok_or_else(|| format!("{} is not in the configuration", self.name))?;
        let state: SentinelState = serde_json::from_value(serde_json::json!({
            "phase": {"phase": "running"}, "master": null, "epoch": 0, "currentEpoch": 0,
            "knownSentinels": [], "knownReplicas": [], "quorumOk": true,
        }))?;
        Ok((sentinel.server.clone(), sentinel.agent.clone(), self.state(AgentRole::Sentinel(state))))
    }

    fn state(&self, role: AgentRole) -> AgentState {
        AgentState {
            api_version: API_VERSION,
            agent_version: "0.0.0".to_owned(),
            name: self.name.clone(),
            incarnation: std::process::id().to_string(),
            revision: 1,
            config: None,
            config_fault: None,
            restart_needed: Vec::new(),
            server_pid: None,
            server_version: None,
            role,
            last_failover: None,
            notices: Vec::new(),
        }
    }

    fn note(&self, how: &str) -> Result<(), Fault> {
        let set = self.config.parent().and_then(Path::parent).ok_or("no folder of the set")?;
        let mut journal = OpenOptions::new().append(true).create(true).open(set.join(JOURNAL))?;
        // One write, so that those who end together do not mix their lines.
        journal.write_all(format!("{} {how}\n", self.name).as_bytes())?;
        Ok(())
    }
}

/// Answers one request; gives the reason to end, if the request was one.
async fn answer(stream: TcpStream, state: &AgentState) -> Result<Option<String>, Fault> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    stream.read_line(&mut request).await?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let (status, answer) = match request.split(' ').nth(1) {
        Some(path) if path.starts_with(STATE) => ("200 OK", serde_json::to_string(state)?),
        Some(STOP) => ("202 Accepted", String::new()),
        _ => ("404 Not Found", String::new()),
    };
    let length = answer.len();
    let answer =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok((status.starts_with("202")).then(|| String::from_utf8_lossy(&body).into_owned()))
}
