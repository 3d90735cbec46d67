//! Has the way that clients take lead to the master, beside whatever else is done for the Redis: a step may take a
//! minute, and a master may change in the middle of it.

use std::sync::Arc;

use redoubt_api::{CheckedRedis, Key};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::TROUBLE;
use crate::{
    agents::Sights,
    backoff::Backoff,
    gate::Gate,
    look::Look,
    platform::{Platform, PlatformError},
    world::{MemberView, World},
};

/// Leads clients until it is dropped.
pub(super) struct Guide {
    set: watch::Sender<Option<(CheckedRedis, World)>>,
    trouble: watch::Receiver<Option<PlatformError>>,
    _task: AbortOnDropHandle<()>,
}

impl Guide {
    pub(super) fn start<P: Platform>(key: Key, gate: Arc<Gate<P>>, sights: watch::Receiver<Sights>) -> Self {
        let (set, seen) = watch::channel(None);
        let (faults, trouble) = watch::channel(None);
        let task = tokio::spawn(lead(key, gate, seen, sights, faults));
        Self { set, trouble, _task: AbortOnDropHandle::new(task) }
    }

    /// Members, addresses and resource are like this now. What the agents say is followed by itself.
    pub(super) fn follow(&self, redis: &CheckedRedis, world: &World) {
        self.set.send_replace(Some((redis.clone(), world.clone())));
    }

    /// The Redis is gone.
    pub(super) fn clear(&self) {
        self.set.send_replace(None);
    }

    /// Clients cannot be led any more, or can again.
    pub(super) async fn changed(&mut self) {
        if self.trouble.changed().await.is_err() {
            // The task ends with this.
            std::future::pending::<()>().await;
        }
    }

    /// Why clients may not be led to the master now.
    pub(super) fn trouble(&self) -> Result<(), PlatformError> {
        self.trouble.borrow().clone().map_or(Ok(()), Err)
    }
}

async fn lead<P: Platform>(
    key: Key,
    gate: Arc<Gate<P>>,
    mut set: watch::Receiver<Option<(CheckedRedis, World)>>,
    mut sights: watch::Receiver<Sights>,
    trouble: watch::Sender<Option<PlatformError>>,
) {
    let mut backoff = Backoff::new(TROUBLE.0, TROUBLE.1);
    loop {
        let masters = masters(set.borrow_and_update().as_ref(), &sights.borrow_and_update());
        let led = if masters.is_empty() { Ok(()) } else { gate.lead(&key, &masters).await };
        let again = async {
            match &led {
                Ok(()) => std::future::pending().await,
                Err(_) => tokio::time::sleep(backoff.next()).await,
            }
        };
        if let Err(error) = &led {
            warn!(redis = %key.name, %error, "clients may not be led to the master");
        }
        trouble.send_if_modified(|trouble| {
            let before = std::mem::replace(trouble, led.clone().err());
            before != *trouble
        });
        tokio::select! {
            changed = set.changed() => if changed.is_err() { return },
            changed = sights.changed() => if changed.is_err() { return },
            () = again => continue,
        }
        if led.is_ok() {
            backoff.clear();
        }
    }
}

/// Whom a majority of the Sentinels names, in a cluster who leads each shard, by what is known now.
fn masters(set: Option<&(CheckedRedis, World)>, sights: &Sights) -> Vec<String> {
    let Some((redis, world)) = set else { return Vec::new() };
    let now = |view: &MemberView| sights.view(view.member.clone());
    let world = World::new(world.at, world.identity.clone(), world.members.iter().map(now).collect());
    let look = Look::new(redis, &world);
    let of_shards = look.shards().into_iter().filter_map(|shard| shard.master);
    of_shards.chain(look.master()).map(|view| view.member.name.clone()).collect()
}
