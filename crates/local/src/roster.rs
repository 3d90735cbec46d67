//! The members of a set as its files tell: for those who have no minders, and for the order in which a set ends.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use redoubt_api::RedisStatus;
use redoubt_engine::platform::MemberKind;
use redoubt_wire::{
    client::AgentClient,
    config::SetConfig,
    secrets::Secrets,
    state::{AgentRole, AgentState, Replication},
};
use secrecy::SecretString;

use crate::{
    ending::Way, error::LocalError, files, identity::KeptIdentity, launch::AgentRecord, names::parse_member,
    paths::SetDir, process::ProcessId,
};

/// An agent on this machine that does not say who leads within this time is not waited for.
const ROLE_DEADLINE: Duration = Duration::from_secs(1);

/// Where no configuration tells: what Kubernetes gives its pods.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// One set, read from its folder.
#[derive(Debug, Clone)]
pub(crate) struct Roster {
    pub(crate) name: String,
    pub(crate) dir: SetDir,
}

/// A member that is wanted, running or not.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: MemberKind,
    pub(crate) ordinal: u32,
    pub(crate) record: AgentRecord,
}

impl Entry {
    /// Its agent's process, if it runs.
    pub(crate) fn process(&self) -> Option<ProcessId> {
        self.record.process.clone().filter(ProcessId::is_alive)
    }
}

impl Roster {
    pub(crate) fn new(name: &str, dir: SetDir) -> Self {
        Self { name: name.to_owned(), dir }
    }

    pub(crate) fn config(&self) -> Result<Option<SetConfig>, LocalError> {
        files::read_json(&self.dir.config())
    }

    pub(crate) fn status(&self) -> Result<Option<RedisStatus>, LocalError> {
        files::read_json(&self.dir.status())
    }

    pub(crate) fn secrets(&self) -> Result<Secrets, LocalError> {
        Ok(Secrets::load(&self.dir.secrets())?)
    }

    pub(crate) fn token(&self) -> Result<Arc<SecretString>, LocalError> {
        Ok(Arc::new(self.secrets()?.token.current().clone()))
    }

    /// The members that are wanted: those with a note of their agent, in order.
    pub(crate) fn members(&self) -> Result<Vec<Entry>, LocalError> {
        let mut members = Vec::new();
        for name in self.dir.member_names()? {
            let Some((kind, ordinal)) = parse_member(&self.name, &name) else { continue };
            let record = match AgentRecord::load(&self.dir.member(&name)) {
                Ok(record) => record,
                // Its agent may run all the same, and can be found without the note.
                Err(LocalError::Malformed { path, why }) => {
                    tracing::warn!(redis = self.name, path = %path.display(), why, "a note cannot be read");
                    Some(AgentRecord::empty())
                }
                Err(error) => return Err(error),
            };
            members.extend(record.map(|record| Entry { name, kind, ordinal, record }));
        }
        members.sort_unstable_by_key(|member| (member.kind, member.ordinal));
        Ok(members)
    }

    /// The agent of a member, also of one that is in no configuration any more.
    pub(crate) fn client(&self, kind: MemberKind, ordinal: u32) -> Result<Option<AgentClient>, LocalError> {
        let Some(identity) = KeptIdentity::load(&self.dir)? else { return Ok(None) };
        let token = self.token()?;
        Ok(identity.block.place(kind, ordinal).map(|place| AgentClient::new(place.agent_endpoint(), token)))
    }

    /// How a member ends when its set ends: asked, if it can be asked.
    pub(crate) fn last_way(&self, member: &Entry) -> Way {
        self.client(member.kind, member.ordinal).ok().flatten().map_or(Way::HandOver, Way::Last)
    }

    /// How long its members may take to end.
    pub(crate) fn grace(&self) -> Duration {
        let config = self.config().ok().flatten();
        config.map_or(DEFAULT_GRACE, |config| Duration::from_millis(config.grace_period_ms))
    }

    /// The order in which members end when all of them do: first the Sentinels, so that nobody starts an election;
    /// then the replicas; the master last, so that it holds all that any of them holds.
    pub(crate) async fn last_to_end(&self, members: &[Entry]) -> [Vec<Entry>; 3] {
        let masters = self.masters(members).await;
        let mut groups = [const { Vec::new() }; 3];
        for member in members {
            let group = match member.kind {
                MemberKind::Sentinel => 0,
                MemberKind::Node if masters.contains(&member.name) => 2,
                MemberKind::Node => 1,
            };
            groups[group].push(member.clone());
        }
        groups
    }

    /// Names of the nodes that say now that they lead: one, but for the moments of a failover.
    pub(crate) async fn masters(&self, members: &[Entry]) -> Vec<String> {
        let leads = join_all(members.iter().map(|member| self.leads(member))).await;
        let masters = members.iter().zip(leads).filter(|(_, leads)| *leads);
        masters.map(|(member, _)| member.name.clone()).collect()
    }

    async fn leads(&self, member: &Entry) -> bool {
        if member.kind == MemberKind::Sentinel || member.process().is_none() {
            return false;
        }
        let Ok(Some(agent)) = self.client(member.kind, member.ordinal) else { return false };
        match tokio::time::timeout(ROLE_DEADLINE, agent.state()).await {
            Ok(Ok(state)) => is_master(&state),
            _ => self.status().ok().flatten().and_then(|status| status.master).as_ref() == Some(&member.name),
        }
    }
}

fn is_master(state: &AgentState) -> bool {
    match &state.role {
        AgentRole::Node(node) => matches!(node.replication, Some(Replication::Master { .. })),
        AgentRole::Sentinel(_) => false,
    }
}
