//! Follows one agent: what it says is always at hand, and a change wakes whoever cares.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use redoubt_redis::Endpoint;
use redoubt_wire::{client::AgentError, state::AgentState};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use super::{AgentLink, Sights};
use crate::{backoff::Backoff, world::Observed};

/// At rest an agent is heard once a minute.
const POLL: Duration = Duration::from_mins(1);
/// An agent takes some 50 ms to start; one that is gone costs a refused connection every few seconds.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// An agent that changes all the time is heard at most twenty times a second.
const BREATH: Duration = Duration::from_millis(50);

/// What was seen of one agent.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(super) state: Option<Observed<AgentState>>,
    fault: Option<AgentError>,
    /// Counts answers and failures.
    looks: u64,
}

/// Follows one agent until it is dropped.
pub(super) struct Watcher<L> {
    endpoint: Endpoint,
    link: Arc<L>,
    seen: watch::Receiver<Seen>,
    now: Arc<Notify>,
    task: AbortOnDropHandle<()>,
}

impl<L: AgentLink> Watcher<L> {
    pub(super) fn start(endpoint: Endpoint, link: L, sights: watch::Sender<Sights>) -> Self {
        let (sender, seen) = watch::channel(Seen::default());
        let (link, now) = (Arc::new(link), Arc::new(Notify::new()));
        let task = tokio::spawn(follow(Arc::clone(&link), sender, Arc::clone(&now), sights));
        Self { endpoint, link, seen, now, task: AbortOnDropHandle::new(task) }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// False only after a fault of our own.
    pub(super) fn is_alive(&self) -> bool {
        !self.task.is_finished()
    }

    pub(super) fn link(&self) -> Arc<L> {
        Arc::clone(&self.link)
    }

    pub(super) fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    pub(super) fn state(&self) -> Option<Observed<AgentState>> {
        self.seen.borrow().state.clone()
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self.seen.borrow().fault, Some(AgentError::Unauthorized { .. }))
    }

    /// Until it has been looked at more often than this.
    pub(super) async fn looks_after(&self, looks: u64) {
        // An error means the task ended, which it does only with this watcher.
        let _ = self.seen.clone().wait_for(|seen| seen.looks > looks).await;
    }

    /// Breaks off the long poll and asks at once.
    pub(super) async fn look_again(&self) {
        let looks = self.seen.borrow().looks;
        self.now.notify_one();
        self.looks_after(looks).await;
    }
}

async fn follow<L: AgentLink>(
    link: Arc<L>,
    seen: watch::Sender<Seen>,
    now: Arc<Notify>,
    sights: watch::Sender<Sights>,
) {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    let mut at_once = true;
    loop {
        let began = Instant::now();
        let known = known(&seen).filter(|_| !at_once);
        let (answer, polled) = ask(link.as_ref(), known, &now).await;
        let failed = answer.is_err();
        let news = record(&seen, answer, Timestamp::now());
        if news {
            sights.send_modify(|_| ());
        }
        // A long poll that comes back at once with nothing new is broken, and must not be made again and again.
        let hollow = polled && !news && began.elapsed() < RETRY.1;
        let pause = if failed || hollow {
            backoff.next()
        } else {
            backoff.clear();
            BREATH.saturating_sub(began.elapsed())
        };
        // Whoever asks for a fresh look does not wait for the pause.
        at_once = tokio::time::timeout(pause, now.notified()).await.is_ok();
    }
}

/// Waits for a change of what is known, until somebody wants to know at once. True: the long poll answered.
async fn ask<L: AgentLink>(
    link: &L,
    known: Option<(String, u64)>,
    now: &Notify,
) -> (Result<AgentState, AgentError>, bool) {
    let Some((incarnation, revision)) = known else { return (link.state().await, false) };
    tokio::select! {
        answer = link.state_after(&incarnation, revision, POLL) => (answer, true),
        () = now.notified() => (link.state().await, false),
    }
}

fn known(seen: &watch::Sender<Seen>) -> Option<(String, u64)> {
    seen.borrow().state.as_ref().map(|state| (state.value.incarnation.clone(), state.value.revision))
}

/// Keeps the answer; true if it says something new. Offsets and memory are not news.
fn record(seen: &watch::Sender<Seen>, answer: Result<AgentState, AgentError>, at: Timestamp) -> bool {
    let mut news = false;
    seen.send_modify(|seen| {
        seen.looks += 1;
        let before = seen.state.as_ref().map(|old| (old.value.incarnation.clone(), old.value.revision));
        match answer {
            Ok(state) => {
                news = before.as_ref() != Some(&(state.incarnation.clone(), state.revision));
                seen.state = Some(Observed { value: state, at });
                seen.fault = None;
            }
            Err(error) => {
                let refused = matches!(error, AgentError::Unauthorized { .. });
                news = before.is_some() || (refused && seen.fault.as_ref() != Some(&error));
                tracing::debug!(%error, next = error.next(), "an agent is silent");
                seen.state = None;
                seen.fault = Some(error);
            }
        }
    });
    news
}
