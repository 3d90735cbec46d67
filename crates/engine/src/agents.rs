//! The agents of one Redis: each is followed by a long poll, and asked afresh when something depends on it.

mod link;
mod watcher;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use redoubt_redis::Endpoint;
use secrecy::SecretString;
use tokio::sync::Notify;

pub use self::link::{AgentLink, Dial, Http};
use self::watcher::Watcher;
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
    changed: Arc<Notify>,
}

impl<D: Dial> Agents<D> {
    pub(crate) fn new(dial: Arc<D>) -> Self {
        Self { dial, watchers: BTreeMap::new(), changed: Arc::new(Notify::new()) }
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
                    .insert(name.clone(), Watcher::start(endpoint.clone(), link, Arc::clone(&self.changed)));
            }
        }
        if self.watchers.len() > before {
            self.looked(|watcher| watcher.looks_after(0)).await;
        }
    }

    /// Follows nobody; connections are closed.
    pub(crate) fn clear(&mut self) {
        self.watchers.clear();
    }

    /// What is known of a member.
    pub(crate) fn view(&self, member: Member) -> MemberView {
        let state = self.watchers.get(&member.name).and_then(Watcher::state);
        MemberView { member, state }
    }

    /// Something about an agent changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
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
