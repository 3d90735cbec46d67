//! Watches the agents of a set by long polls.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use redoubt_wire::client::AgentClient;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    survey::Answers,
    target::{Agent, Target},
};

/// An agent answers in well under a millisecond; one that does not within this is as good as gone.
const ANSWER: Duration = Duration::from_secs(2);
/// A long poll is renewed after this, so that an agent whose machine vanished is noticed.
const POLL: Duration = Duration::from_secs(5);
/// Pause before an agent that did not answer is asked again: short against the seconds that recovery takes.
const RETRY: Duration = Duration::from_millis(50);

/// Asks every agent once.
pub async fn survey(target: &Target) -> Answers {
    let ask = |agent: Agent| async move {
        let state = tokio::time::timeout(ANSWER, agent.client.state()).await;
        (agent.name, state.ok().and_then(Result::ok))
    };
    join_all(target.agents().into_iter().map(ask)).await.into_iter().collect()
}

/// Knows what every agent said last. Its tasks end with it.
pub(crate) struct Watcher {
    answers: watch::Receiver<Answers>,
    _tasks: JoinSet<()>,
}

impl Watcher {
    /// Asks every agent once, then follows them.
    pub(crate) async fn start(target: &Target) -> Self {
        let (sender, answers) = watch::channel(survey(target).await);
        let mut tasks = JoinSet::new();
        for agent in target.agents() {
            tasks.spawn(follow(agent.name, agent.client, sender.clone()));
        }
        Self { answers, _tasks: tasks }
    }

    /// What every agent said last.
    pub(crate) fn now(&self) -> Answers {
        self.answers.borrow().clone()
    }

    /// Waits until the answers are as wanted; `false` when they were not within the limit.
    pub(crate) async fn until(&mut self, limit: Duration, wanted: impl FnMut(&Answers) -> bool) -> bool {
        tokio::time::timeout(limit, self.answers.wait_for(wanted)).await.is_ok_and(|met| met.is_ok())
    }
}

async fn follow(name: String, agent: Arc<AgentClient>, answers: watch::Sender<Answers>) {
    let mut known: Option<(String, u64)> = None;
    while !answers.is_closed() {
        let answer = match &known {
            None => agent.state().await,
            Some((incarnation, revision)) => agent.state_after(incarnation, *revision, POLL).await,
        };
        known = answer.as_ref().ok().map(|state| (state.incarnation.clone(), state.revision));
        answers.send_if_modified(|all| {
            let seen = all.insert(name.clone(), answer.ok());
            seen.as_ref() != all.get(&name)
        });
        if known.is_none() {
            tokio::time::sleep(RETRY).await;
        }
    }
}
