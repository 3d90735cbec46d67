//! Breaks members of a set on this machine: signals to processes, requests to agents.

use jiff::Timestamp;
use redoubt_api::RESTARTED_AT;
use redoubt_drill::{Sabotage, Saboteur};
use redoubt_local::{Local, LocalError};
use redoubt_wire::{client::AgentClient, failover::Failover};
use rustix::process::{Pid, Signal, kill_process};

use crate::ask::{hand_over, unasked as remote};

/// Breaks members of one set.
pub(crate) struct LocalSaboteur {
    local: Local,
    name: String,
}

impl LocalSaboteur {
    pub(crate) fn new(local: &Local, name: &str) -> Self {
        Self { local: local.clone(), name: name.to_owned() }
    }

    fn agent(&self, member: &str) -> Result<AgentClient, LocalError> {
        let agents = self.local.agents(&self.name)?;
        let known = || agents.iter().map(|(name, _)| name.clone()).collect();
        let unknown = LocalError::NoSuchMember { name: member.to_owned(), known: known() };
        agents.into_iter().find(|(name, _)| name == member).map(|(_, agent)| agent).ok_or(unknown)
    }

    /// The agent knows its server; a pid file could be older than the process.
    async fn signal_server(&self, member: &str, signal: Signal) -> Result<(), Sabotage> {
        let what = format!("cannot signal the server of {member}");
        let agent = self.agent(member).map_err(|error| local(&what, &error))?;
        let state = agent.state().await.map_err(|error| remote(&what, &error))?;
        signal_process(&what, state.server_pid, signal)
    }
}

impl Saboteur for LocalSaboteur {
    async fn kill_server(&self, member: &str) -> Result<(), Sabotage> {
        self.signal_server(member, Signal::KILL).await
    }

    async fn freeze_server(&self, member: &str) -> Result<(), Sabotage> {
        self.signal_server(member, Signal::STOP).await
    }

    async fn thaw_server(&self, member: &str) -> Result<(), Sabotage> {
        self.signal_server(member, Signal::CONT).await
    }

    async fn kill_agent(&self, member: &str) -> Result<(), Sabotage> {
        self.signal_agent(member, Signal::KILL)
    }

    async fn stop_agent(&self, member: &str) -> Result<(), Sabotage> {
        self.signal_agent(member, Signal::TERM)
    }

    async fn roll(&self) -> Result<(), Sabotage> {
        let what = format!("cannot ask for a restart of the nodes of {}", self.name);
        self.ask_for_restart().map_err(|error| local(&what, &error))
    }

    async fn switchover(&self, master: &str) -> Result<Failover, Sabotage> {
        let what = format!("{master} did not hand over");
        let agent = self.agent(master).map_err(|error| local(&what, &error))?;
        hand_over(&agent, what).await
    }
}

impl LocalSaboteur {
    fn signal_agent(&self, member: &str, signal: Signal) -> Result<(), Sabotage> {
        let what = format!("cannot signal the agent of {member}");
        let pid = self.local.member(member).map_err(|error| local(&what, &error))?.pid;
        signal_process(&what, pid, signal)
    }

    fn ask_for_restart(&self) -> Result<(), LocalError> {
        if self.local.engine()?.is_none() {
            return Err(LocalError::EngineAbsent { state_dir: self.local.state_dir().root().to_path_buf() });
        }
        let store = self.local.store();
        let Some(mut redis) = store.get(&self.name)? else {
            return Err(LocalError::NotYet { name: self.name.clone() });
        };
        redis.metadata.annotations.insert(RESTARTED_AT.to_owned(), Timestamp::now().to_string());
        store.apply(&redis).map(|_| ())
    }
}

fn signal_process(what: &str, pid: Option<u32>, signal: Signal) -> Result<(), Sabotage> {
    let fail = |why: String, next: &str| Err(Sabotage { what: what.to_owned(), why, next: next.to_owned() });
    let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid.cast_signed())) else {
        return fail("it does not run".to_owned(), "wait until it is back, see `redoubt status`");
    };
    match kill_process(pid, signal) {
        Ok(()) => Ok(()),
        Err(error) => fail(error.to_string(), "run this as the user who runs the servers"),
    }
}

fn local(what: &str, error: &LocalError) -> Sabotage {
    Sabotage { what: what.to_owned(), why: error.to_string(), next: error.next() }
}
