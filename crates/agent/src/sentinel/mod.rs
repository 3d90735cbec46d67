//! The life of a Sentinel's agent: learn who leads, start the Sentinel so that nothing is left to discover, keep its
//! memory across restarts.

mod learn;
mod look;
mod reconfigure;
mod serve;

use std::{fs, io, path::PathBuf, time::Duration};

use redoubt_serverconf::{
    SentinelLaunch,
    sentinel::{Memory, refresh_sentinel_conf},
    sentinel_conf,
};
use redoubt_supervise::Spawn;
use redoubt_wire::{
    config::{SentinelConfig, SentinelEntry},
    requests::Refusal,
    state::Phase,
};
use tokio::sync::oneshot;

use self::serve::After;
use crate::{
    agent::Agent,
    backoff::Backoff,
    fault::Fault,
    server::{Server, StartError},
};

const FIRST_RESTART: Duration = Duration::from_millis(50);
const SLOWEST_RESTART: Duration = Duration::from_secs(15);

/// A Sentinel.
pub(crate) struct Sentinel {
    agent: Agent,
    me: SentinelEntry,
    /// Who waits for stale entries to be gone.
    pruning: Vec<oneshot::Sender<Result<(), Refusal>>>,
}

/// Lives until it is asked to stop.
pub(crate) async fn run(agent: Agent) -> Result<(), Fault> {
    let name = agent.args.name.clone();
    let entry =
        agent.set.sentinel().and_then(|config| config.sentinels.iter().find(|entry| entry.name == name));
    let me = entry.cloned().ok_or(Fault::NotInSet { name })?;
    let mut sentinel = Sentinel { agent, me, pruning: Vec::new() };
    let mut backoff = Backoff::new(FIRST_RESTART, SLOWEST_RESTART);
    loop {
        let Some(conf) = sentinel.prepare().await? else { return Ok(()) };
        let failed = match sentinel.start(&conf).await {
            Ok(mut server) => match sentinel.serve(&mut server).await {
                After::Stopped => return Ok(()),
                After::Again => continue,
                After::Ended(how) => how,
            },
            Err(fault) => fault.to_string(),
        };
        sentinel.agent.shared.update(|state| state.server_pid = None);
        sentinel.agent.shared.notice("SentinelEnded", failed.as_str(), true);
        sentinel.set_phase(Phase::Backoff { why: failed });
        if sentinel.rest(backoff.pause(std::time::Instant::now())).await {
            return Ok(());
        }
    }
}

impl Sentinel {
    fn conf_path(&self) -> PathBuf {
        self.agent.args.data.join("sentinel.conf")
    }

    fn config(&self) -> Option<&SentinelConfig> {
        self.agent.set.sentinel()
    }

    fn bind(&self) -> String {
        self.agent.args.bind.clone().unwrap_or_else(|| self.me.server.host.clone())
    }

    /// The file to start with: what this Sentinel remembers, or, when it remembers nothing, what the others know.
    /// `None`: asked to stop.
    async fn prepare(&mut self) -> Result<Option<String>, Fault> {
        if let Some(conf) = self.remembered()? {
            return Ok(Some(conf));
        }
        let Some((master, epochs)) = self.learn().await else { return Ok(None) };
        let launch =
            SentinelLaunch { bind: self.bind(), data_dir: self.agent.args.data.clone(), master, epochs };
        sentinel_conf(&self.agent.set, &self.me, &self.agent.secrets, &launch)
            .map(Some)
            .ok_or_else(|| Fault::NotInSet { name: self.me.name.clone() })
    }

    fn remembered(&self) -> Result<Option<String>, Fault> {
        let path = self.conf_path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Fault::Data { path, source }),
        };
        let set = &self.agent.set;
        let data = &self.agent.args.data;
        Ok(refresh_sentinel_conf(&text, set, &self.me, &self.agent.secrets, &self.bind(), data))
    }

    /// What the Sentinel's own file says now.
    fn memory(&self) -> Option<Memory> {
        let text = fs::read_to_string(self.conf_path()).ok()?;
        Memory::read(&text, &self.config()?.master_name)
    }

    async fn start(&self, conf: &str) -> Result<Server, StartError> {
        self.set_phase(Phase::Starting);
        let path = self.conf_path();
        let spawn = Spawn::new(&self.agent.args.server_binary)
            .arg(&path)
            .arg("--sentinel")
            .dir(&self.agent.args.data);
        let mut endpoint = self.me.server.clone();
        endpoint.host = self.bind();
        Server::start(&spawn, (&path, conf), &self.agent.own, endpoint, self.agent.sentinels.clone()).await
    }

    fn set_phase(&self, phase: Phase) {
        self.agent.shared.update_sentinel(|sentinel| {
            if phase != Phase::Running {
                sentinel.quorum_ok = false;
            }
            sentinel.phase = phase;
        });
    }
}
