//! The fence at the own server, held by a task of its own, on a connection of its own: what the main loop waits for (a
//! vote, a configuration on trial, a disk) must not keep a master that is cut off from being fenced in time.

use std::{sync::Arc, time::Duration};

use redoubt_election::{
    Clock, Fence, FenceState, FenceTerms, FenceView, Moment, SentinelViews, fence, fence_changes_at,
};
use redoubt_redis::{Connection, Connector, Endpoint, Error};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{metrics::Metrics, state::SharedState};

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
    pub(super) server: Endpoint,
    /// As the Sentinels name it.
    pub(super) me: Endpoint,
    pub(super) connector: Connector,
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
            connection: None,
            silent_since: None,
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
    connection: Option<Connection>,
    silent_since: Option<Moment>,
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
        if (self.set != Some(wanted) || lifted)
            && let Err(error) = self.set(wanted, facts.leads).await
        {
            self.connection = None;
            let told = error.to_string();
            if self.failed != told {
                tracing::warn!(%error, "the fence could not be set; tried again");
                self.failed = told;
            }
            return Some(self.post.clock.now() + RETRY);
        }
        self.failed.clear();
        fence_changes_at(&view)
    }

    async fn set(&mut self, wanted: Fence, leads: bool) -> Result<(), Error> {
        let (replicas, lag) =
            (wanted.min_replicas_to_write.to_string(), wanted.min_replicas_max_lag_s.to_string());
        let pairs = [("min-replicas-max-lag", lag.as_str()), ("min-replicas-to-write", replicas.as_str())];
        let kept = self.connection.take().filter(|connection| !connection.is_broken());
        let connection = match kept {
            Some(connection) => connection,
            None => self.post.connector.connect(&self.post.server).await?,
        };
        self.connection.insert(connection).config_set(&pairs).await?;
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

/// A majority is in reach. A master that comes back from behind a partition finds Sentinels that answer before it knows
/// whom they name: its fence stays raised until a majority names it.
fn is_named(views: &SentinelViews, facts: &Facts, me: &Endpoint) -> bool {
    let master = facts.leads && facts.bootstrapped;
    views.majority_in_reach() && (!master || views.named() == Some(me))
}
