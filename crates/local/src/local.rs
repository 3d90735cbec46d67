//! One state folder, for people: what is there, how it is, and how to stop it. Works beside a running engine and
//! without one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use redoubt_api::{Batch, RedisStatus};
use redoubt_engine::platform::MemberKind;
use redoubt_redis::Endpoint;
use redoubt_wire::{client::AgentClient, config::SetConfig, secrets::Secrets};

use crate::{
    connection::Connection,
    error::LocalError,
    given::{given_password, keep_secret},
    identity::KeptIdentity,
    lock::{EngineLock, EngineProcess},
    names::{is_object_name, parse_member},
    paths::StateDir,
    process::ProcessId,
    removal::{is_removed, remove_set},
    roster::Roster,
    set::VolumePolicy,
    stopping::{OnProgress, stop_engine, stop_set, stop_sets},
    store::{Applied, Store},
    view::StatusWatch,
};

/// One state folder.
#[derive(Debug, Clone)]
pub struct Local {
    state: StateDir,
}

/// One node or Sentinel as this machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMember {
    /// `cart-0`.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
    /// Its place in the order.
    pub ordinal: u32,
    /// Its agent's process, while it runs.
    pub pid: Option<u32>,
    /// The template its agent was started with the last time.
    pub template: String,
    /// When its agent was started the last time.
    pub started_at: Timestamp,
    /// Where its server is reached.
    pub server: Endpoint,
    /// Where its agent answers.
    pub agent: Endpoint,
    /// What its agent says.
    pub log: PathBuf,
    /// What its server keeps.
    pub data: PathBuf,
}

/// What is left of a deleted set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// Where its data is, if the resource asked to keep it.
    pub data: Option<PathBuf>,
}

impl Local {
    /// Opens a folder that is there.
    pub fn open(path: &Path) -> Result<Self, LocalError> {
        StateDir::existing(path).map(Self::new)
    }

    /// Opens a folder, and makes it when it is not there.
    pub fn create(path: &Path) -> Result<Self, LocalError> {
        StateDir::create(path).map(Self::new)
    }

    /// This folder.
    #[must_use]
    pub fn new(state: StateDir) -> Self {
        Self { state }
    }

    /// Where everything is.
    #[must_use]
    pub fn state_dir(&self) -> &StateDir {
        &self.state
    }

    /// The engine that looks after it, if one runs.
    pub fn engine(&self) -> Result<Option<EngineProcess>, LocalError> {
        EngineLock::holder(&self.state)
    }

    /// The resources that were applied.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(self.state.clone())
    }

    /// Applies what was accepted of some files, and says for each resource what that came to. Where a password is
    /// missing or not fit, nothing at all is applied.
    pub fn apply(&self, batch: &Batch) -> Result<Vec<(String, Applied)>, LocalError> {
        let given_here = |name: &str| batch.secrets.iter().any(|secret| secret.key.name == name);
        for accepted in &batch.accepted {
            let secret = accepted.checked.spec.auth.secret_name.as_deref();
            if !secret.is_some_and(given_here) {
                given_password(&self.state, &accepted.checked)?;
            }
        }
        for secret in &batch.secrets {
            keep_secret(&self.state, secret)?;
        }
        let store = self.store();
        let apply = |redis: &redoubt_api::Redis| Ok((redis.metadata.name.clone(), store.apply(redis)?));
        batch.accepted.iter().map(|accepted| apply(&accepted.redis)).collect()
    }

    /// How a set is, as the engine saw it last; `None` as long as no engine saw it.
    pub fn status(&self, name: &str) -> Result<Option<RedisStatus>, LocalError> {
        self.roster(name)?.status()
    }

    /// The configuration of a set; `None` as long as no engine made one.
    pub fn config(&self, name: &str) -> Result<Option<SetConfig>, LocalError> {
        self.roster(name)?.config()
    }

    /// The passwords of a set.
    pub fn secrets(&self, name: &str) -> Result<Secrets, LocalError> {
        self.roster(name)?.secrets()
    }

    /// The members of a set, nodes first.
    pub fn members(&self, name: &str) -> Result<Vec<LocalMember>, LocalError> {
        let roster = self.roster(name)?;
        let Some(identity) = KeptIdentity::load(&roster.dir)? else { return Ok(Vec::new()) };
        let member = |entry: crate::roster::Entry| {
            let place = identity.block.place(entry.kind, entry.ordinal)?;
            let dir = roster.dir.member(&entry.name);
            Some(LocalMember {
                pid: entry.process().map(|process| process.pid),
                template: entry.record.wish.template,
                started_at: entry.record.started_at,
                server: place.server_endpoint(),
                agent: place.agent_endpoint(),
                log: dir.log(),
                data: dir.data(),
                name: entry.name,
                kind: entry.kind,
                ordinal: entry.ordinal,
            })
        };
        Ok(roster.members()?.into_iter().filter_map(member).collect())
    }

    /// A node or Sentinel by its name alone.
    pub fn member(&self, member: &str) -> Result<LocalMember, LocalError> {
        let mut known = Vec::new();
        for name in self.state.set_names()? {
            if parse_member(&name, member).is_some() {
                let members = self.members(&name)?;
                if let Some(found) = members.into_iter().find(|found| found.name == member) {
                    return Ok(found);
                }
            }
            known.extend(
                Roster::new(&name, self.state.set(&name)).members()?.into_iter().map(|entry| entry.name),
            );
        }
        Err(LocalError::NoSuchMember { name: member.to_owned(), known })
    }

    /// The agents of a set, by the names of their members.
    pub fn agents(&self, name: &str) -> Result<Vec<(String, AgentClient)>, LocalError> {
        let token = self.roster(name)?.token()?;
        let members = self.members(name)?;
        Ok(members
            .into_iter()
            .map(|member| (member.name, AgentClient::new(member.agent, Arc::clone(&token))))
            .collect())
    }

    /// How an application connects to a set. Who leads is asked now, so that it is right without an engine too.
    pub async fn connection(&self, name: &str) -> Result<Connection, LocalError> {
        let roster = self.roster(name)?;
        let Some(config) = roster.config()? else {
            return Err(LocalError::NotYet { name: name.to_owned() });
        };
        let masters = roster.masters(&roster.members()?).await;
        Ok(Connection::new(&config, &roster.secrets()?, masters.first().map(String::as_str)))
    }

    /// Tells when a status, a resource or a set changes.
    pub fn watch(&self) -> Result<StatusWatch, LocalError> {
        StatusWatch::new(self.state.clone())
    }

    /// Stops everything: the engine first, then in every set the Sentinels, the replicas, and the master last with its
    /// data saved. Nothing is handed over, nothing is removed.
    pub async fn down(&self, progress: OnProgress<'_>) -> Result<(), LocalError> {
        stop_engine(&self.state, progress).await?;
        let _no_engine_meanwhile = EngineLock::take(&self.state)?;
        self.stop_all(progress).await
    }

    /// Stops all members, for the holder of the lock.
    pub(crate) async fn stop_all(&self, progress: OnProgress<'_>) -> Result<(), LocalError> {
        let names = self.state.set_names()?;
        let rosters: Vec<_> = names.iter().map(|name| Roster::new(name, self.state.set(name))).collect();
        stop_sets(&rosters, progress).await
    }

    /// Deletes a set and waits until it is gone. Done here when no engine runs.
    pub async fn delete(&self, name: &str, progress: OnProgress<'_>) -> Result<Deleted, LocalError> {
        let roster = self.roster(name)?;
        let policy = self.volume_policy(&roster)?;
        self.store().delete(name)?;
        loop {
            match EngineLock::take(&self.state) {
                Ok(_lock) => {
                    stop_set(&roster, progress).await?;
                    remove_set(&roster.dir)?;
                    break;
                }
                Err(LocalError::EngineRuns { pid, .. }) => {
                    self.engine_deletes(&roster, pid).await?;
                    if is_removed(&roster.dir) {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let kept = policy.keep_after_deletion && roster.dir.root().exists();
        Ok(Deleted { data: kept.then(|| roster.dir.root().to_path_buf()) })
    }

    /// What the resource says now counts, also when no engine has seen it yet.
    fn volume_policy(&self, roster: &Roster) -> Result<VolumePolicy, LocalError> {
        match self.store().read(&roster.name)? {
            Some(Ok(stored)) if roster.dir.root().exists() => {
                let policy = VolumePolicy::of(&stored.checked);
                policy.keep(&roster.dir)?;
                Ok(policy)
            }
            _ => VolumePolicy::load(&roster.dir),
        }
    }

    /// Returns when the set is gone, or the engine is.
    async fn engine_deletes(&self, roster: &Roster, engine: Option<u32>) -> Result<(), LocalError> {
        let mut watch = self.watch()?;
        let id = engine.and_then(ProcessId::of);
        let process = id.map(|id| crate::process::Process::adopt(&id)).transpose();
        let mut engine = process.ok().flatten().flatten();
        while !is_removed(&roster.dir) {
            let Some(engine) = &mut engine else { return Ok(()) };
            tokio::select! {
                () = watch.changed() => {}
                _ = engine.ended() => return Ok(()),
            }
        }
        Ok(())
    }

    fn roster(&self, name: &str) -> Result<Roster, LocalError> {
        let set = self.state.set(name);
        let known = is_object_name(name) && (self.state.resource(name).exists() || set.config().exists());
        if known {
            return Ok(Roster::new(name, set));
        }
        Err(LocalError::NoSuchRedis {
            name: name.to_owned(),
            state_dir: self.state.root().to_path_buf(),
            known: self.store().names().unwrap_or_default(),
        })
    }
}
