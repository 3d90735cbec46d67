//! The agents of one Redis: each is followed by a long poll, and asked afresh when something depends on it.

mod link;
mod watcher;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use redoubt_redis::Endpoint;
use secrecy::SecretString;
use tokio::sync::watch;

pub use self::link::{AgentLink, Dial, Http};
use self::watcher::{Seen, Watcher};
use crate::{
    platform::Member,
    world::{MemberView, Observed},
};

/// A healthy agent answers within milliseconds. One that is silent for longer (frozen, cut off) must not keep the others
/// from being heard: it becomes unknown when its own deadline of 5 s has passed.
const FRESH: Duration = Duration::from_secs(1);

/// The agents of one Redis.
pub(crate) struct Agents<D: Dial> {
    dial: Arc<D>,
    watchers: BTreeMap<String, Watcher<D::Link>>,
    sights: watch::Sender<Sights>,
    changes: watch::Receiver<Sights>,
}

/// What is known of the agents that are followed, for those who follow none themselves. Changes with every change of
/// what an agent says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sights(BTreeMap<String, watch::Receiver<Seen>>);

impl Sights {
    /// What is known of a member.
    pub(crate) fn view(&self, member: Member) -> MemberView {
        let state = self.0.get(&member.name).and_then(|seen| seen.borrow().state.clone());
        MemberView { member, state }
    }
}

impl<D: Dial> Agents<D> {
    pub(crate) fn new(dial: Arc<D>) -> Self {
        let (sights, changes) = watch::channel(Sights::default());
        Self { dial, watchers: BTreeMap::new(), sights, changes }
    }

    /// Follows these agents and no others. Waits until each new one has answered once or failed to: what is merely not
    /// asked yet must not look like silence.
    pub(crate) async fn follow(&mut self, agents: &BTreeMap<String, Endpoint>, token: &Arc<SecretString>) {
        self.watchers
            .retain(|name, watcher| watcher.is_alive() && agents.get(name) == Some(watcher.endpoint()));
        let before = self.watchers.len();
        for (name, endpoint) in agents {
            if !self.watchers.contains_key(name) {
                let link = self.dial.dial(endpoint, token);
                self.watchers
                    .insert(name.clone(), Watcher::start(endpoint.clone(), link, self.sights.clone()));
            }
        }
        self.list();
        if self.watchers.len() > before {
            self.looked(|watcher| watcher.looks_after(0)).await;
        }
    }

    /// Follows nobody; connections are closed.
    pub(crate) fn clear(&mut self) {
        self.watchers.clear();
        self.list();
    }

    /// Who is followed is no news by itself: what they say is.
    fn list(&self) {
        let seen = self.watchers.iter().map(|(name, watcher)| (name.clone(), watcher.seen()));
        let seen = Sights(seen.collect());
        self.sights.send_if_modified(|sights| {
            *sights = seen;
            false
        });
    }

    /// What is known of a member.
    pub(crate) fn view(&self, member: Member) -> MemberView {
        self.sights.borrow().view(member)
    }

    /// What is known of all, as it changes.
    pub(crate) fn sights(&self) -> watch::Receiver<Sights> {
        self.sights.subscribe()
    }

    /// Something about an agent changed.
    pub(crate) async fn changed(&mut self) {
        // The sender lives in this very struct.
        let _ = self.changes.changed().await;
    }

    /// Asks everybody now; who does not answer is unknown from then on.
    pub(crate) async fn refresh(&self) {
        self.looked(Watcher::look_again).await;
    }

    async fn looked<'a, F: Future<Output = ()>>(&'a self, look: impl Fn(&'a Watcher<D::Link>) -> F) {
        let looks = futures::future::join_all(self.watchers.values().map(look));
        // Late ones go on by themselves and report when they are done.
        let _ = tokio::time::timeout(FRESH, looks).await;
    }

    /// The token is not, or no more, that of these agents.
    pub(crate) fn is_refused(&self) -> bool {
        self.watchers.values().any(Watcher::is_refused)
    }

    pub(crate) fn link(&self, name: &str) -> Option<Arc<D::Link>> {
        self.watchers.get(name).map(Watcher::link)
    }

    /// The oldest observation there is.
    pub(crate) fn oldest(&self) -> Option<jiff::Timestamp> {
        self.watchers.values().filter_map(Watcher::state).map(|Observed { at, .. }| at).min()
    }
}

#[cfg(test)]
mod tests;
