//! Processes of this machine as a [`Platform`].

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redoubt_api::{CheckedRedis, Key, RedisStatus};
use redoubt_engine::platform::{Identity, Member, Platform, PlatformError, Publication, Workload};
use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use crate::{
    address::many_addresses,
    error::{LocalError, io_error},
    files,
    launch::Wish,
    nudges::Nudges,
    paths::StateDir,
    publish::publish,
    removal::remove_set,
    servers::Servers,
    set::{Common, Set},
};

/// A process that is just being started holds whatever its parent has open until it has become what it is to be:
/// for that long, a claim that was let go of may look taken.
const CLAIM_PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries to claim addresses: nobody tells when they become free.
const CLAIM_LOOK: Duration = Duration::from_millis(10);

/// The agent's program.
const AGENT: &str = "redoubt-agent";

/// How members run.
#[derive(Debug, Clone, Default)]
pub struct PlatformOptions {
    /// The agent's program; `redoubt-agent` beside this program when absent.
    pub executable: Option<PathBuf>,
    /// Ports of 127.0.0.1 instead of loopback addresses. Sets that have their addresses keep them.
    pub single_address: bool,
}

/// This machine. Members are processes that outlive the engine.
///
/// # Guarantees
/// An agent that ended is started again without the engine, at once the first time, with growing pauses when it
/// keeps ending. Agents that run when the platform is opened are adopted, never started twice.
///
/// # Assumptions
/// One platform per state folder: [`crate::EngineLock`] is held.
#[derive(Debug, Clone)]
pub struct LocalPlatform {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    common: Arc<Common>,
    servers: Servers,
    sets: Mutex<BTreeMap<String, Arc<Set>>>,
}

impl LocalPlatform {
    /// Opens the folder and adopts the agents of every set whose resource is there. A set that cannot be read is told
    /// and does not stop the others.
    pub fn open(state: StateDir, options: PlatformOptions) -> Result<Self, LocalError> {
        let executable = match options.executable {
            Some(executable) => executable,
            // Asked once: the name stays good when another version is put in its place.
            None => beside_this_program()?,
        };
        let single_address = options.single_address || !many_addresses();
        let common = Arc::new(Common { state, executable, single_address, nudges: Nudges::default() });
        let servers = Servers::from_environment();
        let platform = Self { inner: Arc::new(Inner { common, servers, sets: Mutex::default() }) };
        for name in platform.inner.common.state.set_names()? {
            if platform.inner.common.state.resource(&name).exists()
                && let Err(error) = platform.inner.set(&name)
            {
                tracing::error!(redis = name, %error, next = error.next(), "a set cannot be read");
            }
        }
        Ok(platform)
    }

    /// The name of the next set whose members changed. Can be dropped and called again.
    pub async fn changed(&self) -> String {
        self.inner.common.nudges.next().await
    }

    /// Passwords given by the user may have changed: puts them where the agents read them. What is wrong with one of
    /// them is told, and that set goes on with the one it has.
    pub(crate) fn given_secrets_changed(&self) {
        let sets: Vec<_> = self.inner.sets().values().map(Arc::clone).collect();
        for set in sets {
            if let Err(error) = set.settle_given_secret() {
                tracing::warn!(redis = set.name(), %error, next = error.next(), "the password stays as it is");
            }
        }
    }
}

impl Inner {
    fn sets(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Set>>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Members whose resource is gone are not started again: they are about to be deleted.
    fn set(&self, name: &str) -> Result<Arc<Set>, LocalError> {
        let wanted = self.common.state.resource(name).exists();
        match self.sets().entry(name.to_owned()) {
            Entry::Occupied(set) => Ok(Arc::clone(set.get())),
            Entry::Vacant(place) => {
                let set = Arc::new(Set::load(&self.common, name, wanted)?);
                Ok(Arc::clone(place.insert(set)))
            }
        }
    }

    async fn identify(&self, redis: &CheckedRedis) -> Result<Identity, LocalError> {
        let set = self.set(&redis.key.name)?;
        let until = Instant::now() + CLAIM_PATIENCE;
        loop {
            match set.identify(redis) {
                Err(LocalError::BlockTaken { .. }) if Instant::now() < until => sleep(CLAIM_LOOK).await,
                identity => return identity,
            }
        }
    }

    async fn apply(&self, workload: &Workload) -> Result<(), LocalError> {
        let set = self.set(&workload.redis.key.name)?;
        let _one_at_a_time = set.work.lock().await;
        let wish = self.settle(&set, workload).await?;
        set.settle_members(workload, &wish).await
    }

    async fn replace(&self, workload: &Workload, member: &str) -> Result<(), LocalError> {
        let set = self.set(&workload.redis.key.name)?;
        let _one_at_a_time = set.work.lock().await;
        let wish = self.settle(&set, workload).await?;
        set.replace(member, wish, workload.redis.spec.termination_grace_period).await
    }

    /// Everything that can be refused comes before anything that changes what runs.
    async fn settle(&self, set: &Set, workload: &Workload) -> Result<Wish, LocalError> {
        let server = self.servers.resolve(&workload.redis.spec).await?;
        set.settle_files(workload)?;
        Ok(Wish { template: workload.template.clone(), server })
    }

    async fn delete(&self, name: &str) -> Result<(), LocalError> {
        let set = self.set(name)?;
        {
            let _one_at_a_time = set.work.lock().await;
            set.end(set.grace()).await?;
            remove_set(set.dir())?;
        }
        self.sets().remove(name);
        Ok(())
    }
}

impl Platform for LocalPlatform {
    async fn identify(&self, redis: &CheckedRedis) -> Result<Identity, PlatformError> {
        let name = &redis.key.name;
        self.inner.identify(redis).await.map_err(at("find addresses for", name))
    }

    async fn observe(&self, key: &Key) -> Result<Vec<Member>, PlatformError> {
        let set = self.inner.set(&key.name).map_err(at("look at", &key.name))?;
        Ok(set.members())
    }

    async fn unfit(&self, key: &Key) -> Result<Vec<String>, PlatformError> {
        let set = self.inner.set(&key.name).map_err(at("look at", &key.name))?;
        Ok(set.unfit().into_iter().collect())
    }

    async fn apply(&self, workload: &Workload) -> Result<(), PlatformError> {
        self.inner.apply(workload).await.map_err(at("run", &workload.redis.key.name))
    }

    async fn replace(&self, workload: &Workload, member: &str) -> Result<(), PlatformError> {
        self.inner.replace(workload, member).await.map_err(at("replace", member))
    }

    async fn publish(&self, key: &Key, publication: &Publication) -> Result<(), PlatformError> {
        publish(&self.inner.common.state.set(&key.name), publication)
            .map_err(at("publish the status of", &key.name))
    }

    async fn published(&self, key: &Key) -> Result<Option<RedisStatus>, PlatformError> {
        let path = self.inner.common.state.set(&key.name).status();
        match files::read_json(&path) {
            // Not worth stopping for: it is written anew as soon as something is seen.
            Err(LocalError::Malformed { why, .. }) => {
                tracing::warn!(redis = key.name, why, "the last status cannot be read");
                Ok(None)
            }
            status => status.map_err(at("read the last status of", &key.name)),
        }
    }

    async fn delete(&self, key: &Key) -> Result<(), PlatformError> {
        self.inner.delete(&key.name).await.map_err(at("delete", &key.name))
    }

    async fn token(&self, key: &Key) -> Result<Arc<SecretString>, PlatformError> {
        let set = self.inner.set(&key.name).map_err(at("read the token of", &key.name))?;
        set.token().map_err(at("read the token of", &key.name))
    }
}

fn beside_this_program() -> Result<PathBuf, LocalError> {
    let own = std::env::current_exe().map_err(io_error("find", "the program of this process"))?;
    let program = own.with_file_name(AGENT);
    if program.is_file() { Ok(program) } else { Err(LocalError::NoAgent { program }) }
}

fn at(what: &str, name: &str) -> impl FnOnce(LocalError) -> PlatformError {
    let what = format!("cannot {what} {name}");
    move |error| error.for_platform(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_is_not_beside_this_program_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let opened = LocalPlatform::open(StateDir::create(dir.path()).unwrap(), PlatformOptions::default());
        let error = opened.unwrap_err();
        assert!(error.to_string().ends_with("/redoubt-agent is not there"), "{error}");
        assert!(error.next().contains("install redoubt-agent beside redoubt"), "{}", error.next());
    }
}
