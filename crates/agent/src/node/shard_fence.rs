//! Holds the fence of a shard at the own server, by a task of its own: what the main loop waits for must not keep a master
//! that is cut off from being fenced in time.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use redoubt_election::Clock;
use redoubt_redis::Error;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    cluster::{ShardFence, hears_majority, leads, look_again},
    kept::Kept,
    metrics::Metrics,
    state::SharedState,
};

/// `min-replicas-to-write` that no shard reaches, whatever follows its master.
const CLOSED: u32 = 1_000_000;

/// What the resource says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShardTerms {
    /// Another node of the shard could lead.
    pub(super) has_replicas: bool,
    /// `durability.minReplicasToWrite`.
    pub(super) floor: u32,
    pub(super) node_timeout: Duration,
}

/// Holds the fence at one running server, until it is dropped.
pub(super) struct ShardFenceKeeper {
    terms: watch::Sender<ShardTerms>,
    _task: AbortOnDropHandle<()>,
}

/// What the task works with.
pub(super) struct ShardPost {
    pub(super) server: Kept,
    pub(super) clock: Clock,
    pub(super) shared: SharedState,
    pub(super) metrics: Arc<Metrics>,
}

impl ShardFenceKeeper {
    pub(super) fn start(post: ShardPost, terms: ShardTerms) -> Self {
        let (terms, told) = watch::channel(terms);
        let keeper = Keeper {
            post,
            terms: told,
            fence: ShardFence::OPEN,
            set: None,
            closed: false,
            failed: String::new(),
        };
        Self { terms, _task: AbortOnDropHandle::new(tokio::spawn(keeper.keep())) }
    }

    /// What is so from now on.
    pub(super) fn tell(&self, terms: ShardTerms) {
        self.terms.send_if_modified(|told| std::mem::replace(told, terms) != terms);
    }
}

struct Keeper {
    post: ShardPost,
    terms: watch::Receiver<ShardTerms>,
    fence: ShardFence,
    /// `min-replicas-to-write` as it was set.
    set: Option<u32>,
    /// It was closed when it was last set.
    closed: bool,
    /// Why the last try failed, as told.
    failed: String,
}

impl Keeper {
    async fn keep(mut self) {
        loop {
            let terms = *self.terms.borrow_and_update();
            match self.hold(terms).await {
                Ok(()) => self.failed.clear(),
                Err(error) => {
                    self.post.server.close();
                    let told = error.to_string();
                    if self.failed != told {
                        if self.fence.is_closed() == self.closed {
                            tracing::debug!(%error, "the fence could not be looked after; tried again");
                        } else {
                            tracing::warn!(%error, "the fence could not be set; tried again");
                        }
                        self.failed = told;
                    }
                }
            }
            tokio::select! {
                told = self.terms.changed() => if told.is_err() { return },
                () = tokio::time::sleep(look_again(terms.node_timeout)) => {}
            }
        }
    }

    async fn hold(&mut self, terms: ShardTerms) -> Result<(), Error> {
        let nodes = self.post.server.get().await?.cluster_nodes().await?;
        self.fence = if leads(&nodes) && terms.has_replicas {
            let heard = hears_majority(&nodes, Timestamp::now().as_millisecond(), terms.node_timeout);
            self.fence.after(heard, self.post.clock.now())
        } else {
            ShardFence::OPEN
        };
        // An agent before this one may have closed it.
        if self.set.is_none() && self.fence.is_in_doubt() {
            return Ok(());
        }
        let closed = self.fence.is_closed();
        let wanted = if closed { CLOSED } else { terms.floor };
        if self.set != Some(wanted) {
            let value = wanted.to_string();
            self.post.server.get().await?.config_set(&[("min-replicas-to-write", &value)]).await?;
            self.set = Some(wanted);
            self.post.metrics.own().fence(Some(u64::from(wanted)));
        }
        match (std::mem::replace(&mut self.closed, closed), closed) {
            (false, true) => self.post.shared.notice(
                "FenceClosed",
                "no majority of the masters is in reach: no writes until one is, since it may elect another master for this shard",
                true,
            ),
            (true, false) => self.post.shared.notice(
                "FenceOpened",
                "a majority of the masters is in reach again, or this node leads no more: the fence is open",
                false,
            ),
            _ => {}
        }
        Ok(())
    }
}
