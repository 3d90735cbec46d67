//! Gathers the world of one Redis: the platform's members and what their agents say.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use redoubt_api::{CheckedRedis, Key};
use secrecy::SecretString;
use tokio::sync::watch;

use super::grown;
use crate::{
    agents::{Agents, Dial, Sights},
    gate::Gate,
    platform::{Identity, Member, Platform, PlatformError},
    world::{Counts, World},
};

/// Gathers the world of one Redis.
pub(super) struct Observer<P, D: Dial> {
    key: Key,
    gate: Arc<Gate<P>>,
    agents: Agents<D>,
    /// For how many members it was asked.
    identity: Option<(Counts, Identity)>,
    token: Option<Arc<SecretString>>,
}

impl<P: Platform, D: Dial> Observer<P, D> {
    pub(super) fn new(key: Key, gate: Arc<Gate<P>>, dial: Arc<D>) -> Self {
        Self { key, gate, agents: Agents::new(dial), identity: None, token: None }
    }

    pub(super) async fn observe(&mut self, redis: &CheckedRedis) -> Result<World, PlatformError> {
        let members = self.gate.observe(&self.key).await?;
        let existing = Counts::existing(&members);
        let (identity, shortage) = match self.identify(redis, Counts::wanted(redis).max(existing)).await {
            Ok(identity) => (identity, None),
            // What runs is looked after also when there are no addresses for more.
            Err(error) if existing != Counts::default() => {
                (self.identify(redis, existing).await?, Some(error.to_string()))
            }
            Err(error) => return Err(error),
        };
        self.follow(&members, &identity).await?;
        let views = members.into_iter().map(|member| self.agents.view(member)).collect();
        let unfit = self.gate.unfit(&self.key).await?;
        Ok(World { shortage, unfit, ..World::new(Timestamp::now(), identity, views) })
    }

    async fn identify(&mut self, redis: &CheckedRedis, counts: Counts) -> Result<Identity, PlatformError> {
        if let Some((known, identity)) = &self.identity
            && *known == counts
        {
            return Ok(identity.clone());
        }
        let identity = self.gate.identify(&grown(redis, counts)).await?;
        self.identity = Some((counts, identity.clone()));
        Ok(identity)
    }

    async fn follow(&mut self, members: &[Member], identity: &Identity) -> Result<(), PlatformError> {
        // Before the first members there may be no token yet.
        if members.is_empty() {
            self.agents.clear();
            return Ok(());
        }
        let token = self.token().await?;
        let address = |member: &Member| Some((member.name.clone(), identity.agent(&member.name)?.clone()));
        let running = members.iter().filter(|member| member.running);
        let agents: BTreeMap<_, _> = running.filter_map(address).collect();
        self.agents.follow(&agents, &token).await;
        Ok(())
    }

    /// Read again when an agent refused it: it may have been rotated.
    async fn token(&mut self) -> Result<Arc<SecretString>, PlatformError> {
        if let Some(token) = &self.token
            && !self.agents.is_refused()
        {
            return Ok(Arc::clone(token));
        }
        let token = self.gate.token(&self.key).await?;
        if self.token.as_ref().is_some_and(|old| !same(old, &token)) {
            self.agents.clear();
        }
        self.token = Some(Arc::clone(&token));
        Ok(token)
    }
}

impl<P, D: Dial> Observer<P, D> {
    pub(super) async fn refresh(&self) {
        self.agents.refresh().await;
    }

    pub(super) async fn changed(&mut self) {
        self.agents.changed().await;
    }

    pub(super) fn sights(&self) -> watch::Receiver<Sights> {
        self.agents.sights()
    }

    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.agents.oldest()
    }

    pub(super) fn link(&self, name: &str) -> Option<Arc<D::Link>> {
        self.agents.link(name)
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref().map(|(_, identity)| identity)
    }

    pub(super) fn forget_identity(&mut self) {
        self.identity = None;
    }

    pub(super) fn clear(&mut self) {
        self.agents.clear();
        self.identity = None;
        self.token = None;
    }
}

fn same(old: &SecretString, new: &SecretString) -> bool {
    use secrecy::ExposeSecret as _;
    old.expose_secret() == new.expose_secret()
}
