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

/// How often a hand-over is asked for that is taken back each time.
const TRIES: u32 = 3;

/// Has a master hand over, to `to` or to the best replica. What was taken back and may work at the next try, as when a server
/// was too slow to be paused, is asked for again when the agent says so; `told` hears why, and how long that is from now. An
/// agent whose node does not lead any more says no, so that what was carried out after all is not done twice.
pub(crate) async fn switchover(
    agent: &AgentClient,
    to: Option<&str>,
    told: impl Fn(&AgentError, Duration),
) -> Result<Failover, AgentError> {
    for _ in 1..TRIES {
        match agent.switchover(to, Cause::Switchover, None).await {
            Err(error @ AgentError::Refused { retry_after: Some(after), .. }) => {
                told(&error, after);
                tokio::time::sleep(after).await;
            }
            answer => return answer,
        }
    }
    agent.switchover(to, Cause::Switchover, None).await
}

/// Has a master hand over to the best replica, for a drill.
pub(crate) async fn hand_over(agent: &AgentClient, what: String) -> Result<Failover, Sabotage> {
    let failover = switchover(agent, None, |_, _| {}).await.map_err(|error| unasked(&what, &error))?;
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

#[cfg(test)]
mod tests {
    use std::{cell::Cell, sync::Arc};

    use redoubt_redis::Endpoint;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        task::JoinHandle,
    };

    use super::*;

    const LATER: &str = r#"{"error":"the master could not be paused","next":"ask again","retryAfterMs":1}"#;
    const NEVER: &str = r#"{"error":"cart-0 follows cart-1","next":"ask cart-1"}"#;
    const DONE: &str = r#"{"id":"0123456789ab","cause":"switchover","startedAt":"2026-01-02T03:04:05Z","votes":[],
        "durationMs":21,"steps":[],"outcome":{"result":"done"}}"#;

    /// An agent that gives each of these answers to a connection of its own.
    async fn agent(answers: Vec<(u16, &'static str)>) -> (AgentClient, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = Endpoint::new("127.0.0.1", listener.local_addr().unwrap().port());
        let served = tokio::spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"}") {
                    assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
                }
                let head =
                    format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}", body.len());
                stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
            }
        });
        (AgentClient::new(at, Arc::new("t0ken".to_owned().into())), served)
    }

    #[tokio::test]
    async fn a_hand_over_that_was_taken_back_is_asked_for_again() {
        let (agent, served) = agent(vec![(409, LATER), (409, LATER), (200, DONE)]).await;
        let told = Cell::new(0);
        let done = switchover(&agent, None, |error, after| {
            assert!(error.to_string().ends_with("the master could not be paused"), "{error}");
            assert_eq!(after, Duration::from_millis(1));
            told.set(told.get() + 1);
        });
        assert_eq!(done.await.unwrap().outcome, Outcome::Done);
        assert_eq!(told.get(), 2);
        served.await.unwrap();
    }

    #[tokio::test]
    async fn a_hand_over_is_not_asked_for_without_end_nor_where_that_is_of_no_use() {
        for answers in [vec![(409, LATER); 3], vec![(409, LATER), (409, NEVER)], vec![(409, NEVER)]] {
            let (agent, served) = agent(answers).await;
            let refused = switchover(&agent, None, |_, _| {}).await;
            assert!(matches!(refused, Err(AgentError::Refused { .. })), "{refused:?}");
            served.await.unwrap();
        }
    }
}
