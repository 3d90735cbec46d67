//! The agents of the model, as the engine asks them.

use std::{sync::Arc, time::Duration};

use redoubt_redis::Endpoint;
use redoubt_wire::{
    client::AgentError,
    failover::{Cause, Failover, Outcome},
    requests::{Rebalance, Rebalanced},
    state::AgentState,
};
use secrecy::SecretString;

use super::{laws, platform::Shared};
use crate::{AgentLink, Dial, scene};

/// The way to the agents of the model.
pub(crate) struct ModelDial(pub(crate) Shared);

/// One agent of the model.
pub(crate) struct ModelLink {
    model: Shared,
    agent: Endpoint,
    name: String,
}

impl Dial for ModelDial {
    type Link = ModelLink;

    fn dial(&self, agent: &Endpoint, _: &Arc<SecretString>) -> ModelLink {
        let identity = scene::identity(crate::Counts { nodes: 9, sentinels: 9, shards: 0 });
        let nodes = identity.nodes.iter().map(|node| (&node.agent, &node.name));
        let mut all = nodes.chain(identity.sentinels.iter().map(|entry| (&entry.agent, &entry.name)));
        let name = all
            .find(|(endpoint, _)| *endpoint == agent)
            .map(|(_, name)| name.clone())
            .expect("a known agent");
        ModelLink { model: self.0.clone(), agent: agent.clone(), name }
    }
}

impl ModelLink {
    fn silence(&self) -> AgentError {
        AgentError::Unreachable { agent: self.agent.clone(), why: "it is silent".to_owned() }
    }

    fn no(&self, error: &str) -> AgentError {
        AgentError::Refused {
            agent: self.agent.clone(),
            status: 409,
            error: error.to_owned(),
            next: "look again".to_owned(),
            retry_after: None,
        }
    }

    /// Whoever is frozen takes a request and does not answer it.
    async fn thaw(&self) {
        let mut ticked = self.model.ticked();
        while self.model.lock().frozen.as_ref() == Some(&self.name) {
            ticked.changed().await.expect("the model lives");
        }
    }

    /// With a revision that stands for all it says.
    fn now(&self) -> Result<AgentState, AgentError> {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut state = self.model.lock().state(&self.name).ok_or_else(|| self.silence())?;
        let mut hasher = DefaultHasher::new();
        format!("{state:?}").hash(&mut hasher);
        state.revision = hasher.finish();
        Ok(state)
    }
}

impl AgentLink for ModelLink {
    async fn state(&self) -> Result<AgentState, AgentError> {
        self.model.lock().tally.requests += 1;
        self.thaw().await;
        self.now()
    }

    async fn state_after(
        &self,
        incarnation: &str,
        revision: u64,
        wait: Duration,
    ) -> Result<AgentState, AgentError> {
        self.model.lock().tally.requests += 1;
        let mut ticked = self.model.ticked();
        let changed = async {
            loop {
                let state = self.now()?;
                if state.revision != revision || state.incarnation != incarnation {
                    return Ok(state);
                }
                ticked.changed().await.expect("the model lives");
            }
        };
        let answer = tokio::time::timeout(wait, changed).await;
        self.thaw().await;
        answer.unwrap_or_else(|_| self.now())
    }

    async fn switchover(
        &self,
        to: Option<&str>,
        cause: Cause,
        id: Option<&str>,
    ) -> Result<Failover, AgentError> {
        let mut model = self.model.lock();
        if !model.unit(&self.name).is_some_and(super::unit::Unit::answers) {
            return Err(self.silence());
        }
        laws::may_hand_over(&model, &self.name);
        let Some(ordinal) = model.heir(&self.name, to) else { return Err(self.no("none is in sync")) };
        model.tally.writes += 1;
        model.promote(ordinal);
        Ok(Failover {
            id: id.unwrap_or("0123456789ab").to_owned(),
            cause,
            led_by: Some(self.name.clone()),
            epoch: Some(model.epoch),
            votes: Vec::new(),
            old_master: None,
            new_master: Some(scene::node_endpoint(ordinal)),
            old_offset: None,
            new_offset: None,
            started_at: model.at,
            duration_ms: 7,
            steps: Vec::new(),
            outcome: Outcome::Done,
        })
    }

    async fn rebalance(&self, _: &Rebalance) -> Result<Rebalanced, AgentError> {
        Err(self.no("no node of a cluster"))
    }

    async fn prune(&self) -> Result<(), AgentError> {
        let mut model = self.model.lock();
        laws::may_prune(&model, &self.name);
        model.tally.writes += 1;
        let unit = model.unit_mut(&self.name).filter(|unit| unit.answers()).ok_or_else(|| self.silence())?;
        unit.starts_in = 2;
        let config = unit.config.clone().ok_or_else(|| self.no("no configuration yet"))?;
        let sentinel = unit.sentinel_mut().ok_or_else(|| self.no("no Sentinel"))?;
        let entries = config.sentinel().map_or(&[][..], |config| &config.sentinels);
        sentinel.known_sentinels.retain(|id| entries.iter().any(|entry| entry.id == *id));
        sentinel.known_replicas.retain(|endpoint| config.node_at(endpoint).is_some());
        Ok(())
    }
}
