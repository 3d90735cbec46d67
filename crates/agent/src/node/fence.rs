//! The fence at the own server, held by a task of its own, on a connection of its own: what the main loop waits for (a
//! vote, a configuration on trial, a disk) must not keep a master that is cut off from being fenced in time.

use std::{sync::Arc, time::Duration};

use redoubt_election::{
    ALONE_FOR, Clock, Fence, FenceState, FenceTerms, FenceView, Moment, SentinelViews, fence,
    fence_changes_at,
};
use redoubt_redis::{Endpoint, Error};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{kept::Kept, metrics::Metrics, state::SharedState};

/// A server that did not take the fence is asked again after this.
const RETRY: Duration = Duration::from_millis(200);

/// What the main loop knows that the fence depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) terms: FenceTerms,
    pub(super) leads: bool,
    pub(super) bootstrapped: bool,
    /// A Sentinel majority last named this node, in an answer that was asked for.
    pub(super) confirmed: Option<Moment>,
    /// When this master was last seen without one of the other nodes.
    pub(super) missing_at: Option<Moment>,
    /// Since when every other node has been in reach of this master.
    pub(super) whole_since: Option<Moment>,
    /// Since when this master has no replica online.
    pub(super) alone_since: Option<Moment>,
    /// When the server was seen without the fence: who had it elected lifted it, and may have died since.
    pub(super) found_lifted: Option<Moment>,
}

/// Holds the fence at one running server, until it is dropped.
pub(super) struct FenceKeeper {
    facts: watch::Sender<Option<Facts>>,
    _task: AbortOnDropHandle<()>,
}

/// What the task works with.
pub(super) struct Post {
    pub(super) server: Kept,
    /// As the Sentinels name it.
    pub(super) me: Endpoint,
    pub(super) views: watch::Receiver<SentinelViews>,
    pub(super) clock: Clock,
    pub(super) shared: SharedState,
    pub(super) metrics: Arc<Metrics>,
}

impl FenceKeeper {
    /// Begins; the fence stays as it is until the first facts are told.
    pub(super) fn start(post: Post) -> Self {
        let (facts, told) = watch::channel(None);
        let keeper = Keeper {
            post,
            facts: told,
            silent_since: None,
            standing: None,
            set: None,
            set_at: None,
            failed: String::new(),
        };
        Self { facts, _task: AbortOnDropHandle::new(tokio::spawn(keeper.keep())) }
    }

    /// What is so from now on.
    pub(super) fn tell(&self, facts: Facts) {
        self.facts.send_if_modified(|told| {
            let news = told.as_ref() != Some(&facts);
            *told = Some(facts);
            news
        });
    }
}

struct Keeper {
    post: Post,
    facts: watch::Receiver<Option<Facts>>,
    silent_since: Option<Moment>,
    standing: Option<Standing>,
    set: Option<Fence>,
    set_at: Option<Moment>,
    /// Why the last try failed, as told.
    failed: String,
}

impl Keeper {
    async fn keep(mut self) {
        loop {
            let again = self.hold().await;
            let wake = async {
                match again {
                    Some(at) => tokio::time::sleep_until(self.post.clock.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                told = self.facts.changed() => if told.is_err() { return },
                heard = self.post.views.changed() => if heard.is_err() { return },
                () = wake => {}
            }
        }
    }

    /// Sets what is to be set; gives when to look again though nothing has happened.
    async fn hold(&mut self) -> Option<Moment> {
        let facts = self.facts.borrow_and_update().clone()?;
        let now = self.post.clock.now();
        let named = is_named(&self.post.views.borrow_and_update(), &facts, &self.post.me);
        self.silent_since = if named { None } else { self.silent_since.or(Some(now)) };
        let view = FenceView {
            now,
            terms: facts.terms,
            bootstrapped: facts.bootstrapped,
            silent_since: self.silent_since,
            missing_at: facts.missing_at,
            whole_since: facts.whole_since,
            majority_named_me: facts.confirmed,
            alone_since: facts.alone_since,
        };
        let wanted = fence(&view);
        let lifted = wanted.min_replicas_to_write > 0 && facts.found_lifted > self.set_at;
        let free_at = self.stand(&facts, now).free_at();
        let left_over = free_at.is_some_and(|at| now >= at && self.set_at < Some(at));
        if (self.set != Some(wanted) || lifted || left_over)
            && let Err(error) = self.set(wanted, facts.leads).await
        {
            self.post.server.close();
            let told = error.to_string();
            if self.failed != told {
                tracing::warn!(%error, "the fence could not be set; tried again");
                self.failed = told;
            }
            return Some(self.post.clock.now() + RETRY);
        }
        self.failed.clear();
        free_at.filter(|at| *at > now).into_iter().chain(fence_changes_at(&view)).min()
    }

    fn stand(&mut self, facts: &Facts, now: Moment) -> Standing {
        let named = self.post.views.borrow().named() == Some(&self.post.me);
        let standing = Standing::after(self.standing, facts.leads, named, now);
        self.standing = Some(standing);
        standing
    }

    async fn set(&mut self, wanted: Fence, leads: bool) -> Result<(), Error> {
        let (replicas, lag) =
            (wanted.min_replicas_to_write.to_string(), wanted.min_replicas_max_lag_s.to_string());
        let pairs = [("min-replicas-max-lag", lag.as_str()), ("min-replicas-to-write", replicas.as_str())];
        self.post.server.get().await?.config_set(&pairs).await?;
        self.set_at = Some(self.post.clock.now());
        let before = self.set.replace(wanted).map(|fence| fence.state);
        self.post.metrics.own().fence(Some(u64::from(wanted.min_replicas_to_write)));
        if leads && before.is_some_and(|before| before != wanted.state) {
            self.tell(wanted.state);
        }
        Ok(())
    }

    fn tell(&self, state: FenceState) {
        let (reason, message, warning) = match state {
            FenceState::Lifted => (
                "FenceLifted",
                "no replica is in reach and a Sentinel majority names this master: it takes writes alone",
                true,
            ),
            FenceState::Raised => (
                "FenceRaised",
                "no Sentinel majority is in reach: writes need every replica, since another master may be elected",
                true,
            ),
            FenceState::Closed => (
                "FenceClosed",
                "neither a Sentinel majority nor every replica is in reach: no writes until a majority names this master, or all replicas have been back for a while",
                true,
            ),
            FenceState::Armed | FenceState::Open => {
                ("FenceArmed", "writes need a replica in reach, as usual", false)
            }
        };
        self.post.shared.notice(reason, message, warning);
    }
}

/// What this node is, and since when. While it leads and no majority has named it, an election of another agent may be
/// under way, and that agent has the fence of this node: closed until the announcement, lifted until the first replica is
/// back. Should it die in between, nobody else would set the fence again: `INFO` does not tell what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    leads: bool,
    named: bool,
    since: Moment,
}

impl Standing {
    fn after(before: Option<Self>, leads: bool, named: bool, now: Moment) -> Self {
        let named = leads && named;
        before.filter(|before| (before.leads, before.named) == (leads, named)).unwrap_or(Self {
            leads,
            named,
            since: now,
        })
    }

    /// From when on no election has this node's fence any more.
    fn free_at(self) -> Option<Moment> {
        (self.named || !self.leads).then(|| self.since + ALONE_FOR)
    }
}

/// A majority is in reach. A master that comes back from behind a partition finds Sentinels that answer before it knows
/// whom they name: its fence stays raised until a majority names it.
fn is_named(views: &SentinelViews, facts: &Facts, me: &Endpoint) -> bool {
    let master = facts.leads && facts.bootstrapped;
    views.majority_in_reach() && (!master || views.named() == Some(me))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fence_is_this_agents_again_once_the_election_is_over() {
        let steps = [
            // At, leads, named; and from when on the fence is this agent's.
            (0, false, false, Some(300)),
            (100, false, true, Some(300)),
            (1000, true, false, None),
            (1005, true, true, Some(1305)),
            (1200, true, true, Some(1305)),
            (5000, true, false, None),
            (5100, false, false, Some(5400)),
            (6000, true, true, Some(6300)),
        ];
        let mut standing = None;
        for (at, leads, named, free) in steps {
            let now = Standing::after(standing, leads, named, Moment::ms(at));
            assert_eq!(now.free_at(), free.map(Moment::ms), "at {at} ms");
            standing = Some(now);
        }
    }
}
