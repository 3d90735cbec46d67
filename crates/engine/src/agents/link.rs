//! What the engine asks of an agent, and how it gets to one.

use std::{future::Future, sync::Arc, time::Duration};

use redoubt_redis::Endpoint;
use redoubt_wire::{
    client::{AgentClient, AgentError},
    failover::{Cause, Failover},
    requests::{Rebalance, Rebalanced},
    state::AgentState,
};
use secrecy::SecretString;

/// One agent.
pub trait AgentLink: Send + Sync + 'static {
    /// See [`AgentClient::state`].
    fn state(&self) -> impl Future<Output = Result<AgentState, AgentError>> + Send;

    /// See [`AgentClient::state_after`].
    fn state_after(
        &self,
        incarnation: &str,
        revision: u64,
        wait: Duration,
    ) -> impl Future<Output = Result<AgentState, AgentError>> + Send;

    /// See [`AgentClient::switchover`].
    fn switchover(
        &self,
        to: Option<&str>,
        cause: Cause,
        id: Option<&str>,
    ) -> impl Future<Output = Result<Failover, AgentError>> + Send;

    /// See [`AgentClient::prune`].
    fn prune(&self) -> impl Future<Output = Result<(), AgentError>> + Send;

    /// See [`AgentClient::rebalance`].
    fn rebalance(&self, wish: &Rebalance) -> impl Future<Output = Result<Rebalanced, AgentError>> + Send;
}

/// The way to agents.
pub trait Dial: Send + Sync + 'static {
    /// What it leads to.
    type Link: AgentLink;

    /// An agent that listens there and takes this token.
    fn dial(&self, agent: &Endpoint, token: &Arc<SecretString>) -> Self::Link;
}

/// Over HTTP, as real agents are reached.
#[derive(Debug, Clone, Copy, Default)]
pub struct Http;

impl Dial for Http {
    type Link = AgentClient;

    fn dial(&self, agent: &Endpoint, token: &Arc<SecretString>) -> AgentClient {
        AgentClient::new(agent.clone(), Arc::clone(token))
    }
}

impl AgentLink for AgentClient {
    async fn state(&self) -> Result<AgentState, AgentError> {
        self.state().await
    }

    async fn state_after(
        &self,
        incarnation: &str,
        revision: u64,
        wait: Duration,
    ) -> Result<AgentState, AgentError> {
        self.state_after(incarnation, revision, wait).await
    }

    async fn switchover(
        &self,
        to: Option<&str>,
        cause: Cause,
        id: Option<&str>,
    ) -> Result<Failover, AgentError> {
        self.switchover(to, cause, id).await
    }

    async fn prune(&self) -> Result<(), AgentError> {
        self.prune().await
    }

    async fn rebalance(&self, wish: &Rebalance) -> Result<Rebalanced, AgentError> {
        self.rebalance(wish).await
    }
}
