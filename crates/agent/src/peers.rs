//! The other agents of the set.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redoubt_election::agentless;
use redoubt_redis::{Connector, Endpoint};
use redoubt_wire::{
    client::AgentClient,
    config::{NodeEntry, SetConfig},
    state::{AgentRole, AgentState, NodeState},
};
use secrecy::SecretString;

/// Clients of the other agents, made when first needed and kept.
pub(crate) struct Peers {
    token: Mutex<Arc<SecretString>>,
    clients: Mutex<HashMap<Endpoint, Arc<AgentClient>>>,
}

impl Peers {
    /// Agents of one set share a token.
    pub(crate) fn new(token: Arc<SecretString>) -> Self {
        Self { token: Mutex::new(token), clients: Mutex::default() }
    }

    /// From now on with this token.
    pub(crate) fn replace_token(&self, token: Arc<SecretString>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The state of one agent, if the one that answers there is `name` and does so in time.
    pub(crate) async fn state(&self, name: &str, agent: &Endpoint, within: Duration) -> Option<AgentState> {
        let client = self.client(agent);
        match tokio::time::timeout(within, client.state()).await {
            Ok(Ok(state)) if state.name == name => Some(state),
            Ok(Ok(state)) => {
                tracing::warn!(%agent, expected = name, found = state.name, "another agent answers at this address");
                None
            }
            Ok(Err(error)) => {
                tracing::debug!(%agent, %error, "agent does not answer");
                None
            }
            Err(_) => None,
        }
    }

    /// The state of another data node: by its agent, or by its server where it may have no agent.
    pub(crate) async fn node_state(
        &self,
        set: &SetConfig,
        servers: &Connector,
        node: &NodeEntry,
        within: Duration,
    ) -> Option<NodeState> {
        match self.state(&node.name, &node.agent, within).await.map(|state| state.role) {
            Some(AgentRole::Node(state)) => Some(state),
            None if set.agentless => {
                agentless::state(&set.uid, &servers.with_deadline(within), &node.server).await
            }
            Some(AgentRole::Sentinel(_)) | None => None,
        }
    }

    fn client(&self, agent: &Endpoint) -> Arc<AgentClient> {
        let token = Arc::clone(&self.token.lock().unwrap_or_else(PoisonError::into_inner));
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client =
            clients.entry(agent.clone()).or_insert_with(|| Arc::new(AgentClient::new(agent.clone(), token)));
        Arc::clone(client)
    }
}
