//! What commands ask of agents, wherever those are.

use std::{borrow::Borrow, time::Duration};

use futures::future::join_all;
use redoubt_drill::Sabotage;
use redoubt_wire::{
    client::{AgentClient, AgentError},
    failover::{Cause, Failover, Outcome},
};

use crate::report::Answers;

/// What each of these agents says now, within a time.
pub(crate) async fn ask<A: Borrow<AgentClient>>(agents: &[(String, A)], within: Duration) -> Answers {
    let one = async |(name, agent): &(String, A)| {
        let agent: &AgentClient = agent.borrow();
        let answer = tokio::time::timeout(within, agent.state()).await.unwrap_or_else(|_| {
            Err(AgentError::Timeout { agent: agent.endpoint().clone(), what: "its state", after: within })
        });
        (name.clone(), answer)
    };
    join_all(agents.iter().map(one)).await.into_iter().collect()
}

/// Has a master hand over to the best replica, for a drill.
pub(crate) async fn hand_over(agent: &AgentClient, what: String) -> Result<Failover, Sabotage> {
    let failover =
        agent.switchover(None, Cause::Switchover, None).await.map_err(|error| unasked(&what, &error))?;
    match failover.outcome.clone() {
        Outcome::Done => Ok(failover),
        Outcome::Stopped { why } => Err(Sabotage {
            what,
            why,
            next: "see `redoubt status`, and try again when it is healthy".to_owned(),
        }),
    }
}

/// An agent did not do what a drill asked of it.
pub(crate) fn unasked(what: &str, error: &AgentError) -> Sabotage {
    Sabotage { what: what.to_owned(), why: error.to_string(), next: error.next().to_owned() }
}
