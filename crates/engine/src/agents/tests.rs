use std::sync::atomic::{AtomicU32, Ordering};

use redoubt_wire::{
    client::AgentError,
    failover::{Cause, Failover},
    requests::{Rebalance, Rebalanced},
    state::AgentState,
};
use tokio::{sync::watch, time::Instant};

use super::*;
use crate::{platform::MemberKind, scene};

/// An agent whose state a test sets; `None` is silence.
#[derive(Clone)]
struct Puppet {
    state: watch::Receiver<Option<AgentState>>,
    asked: Arc<AtomicU32>,
    /// Long polls come back at once.
    hollow: bool,
}

impl Puppet {
    fn answer(&self) -> Result<AgentState, AgentError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let silence = || AgentError::Unreachable { agent: Endpoint::new("a", 1), why: "silence".to_owned() };
        self.state.borrow().clone().ok_or_else(silence)
    }
}

impl AgentLink for Puppet {
    async fn state(&self) -> Result<AgentState, AgentError> {
        self.answer()
    }

    async fn state_after(&self, _: &str, revision: u64, wait: Duration) -> Result<AgentState, AgentError> {
        let mut state = self.state.clone();
        let other = state
            .wait_for(|state| state.as_ref().is_none_or(|state| self.hollow || state.revision != revision));
        let _ = tokio::time::timeout(wait, other).await;
        self.answer()
    }

    async fn switchover(&self, _: Option<&str>, _: Cause, _: Option<&str>) -> Result<Failover, AgentError> {
        unreachable!("nobody asks for it")
    }

    async fn prune(&self) -> Result<(), AgentError> {
        unreachable!("nobody asks for it")
    }

    async fn rebalance(&self, _: &Rebalance) -> Result<Rebalanced, AgentError> {
        unreachable!("nobody asks for it")
    }
}

impl Dial for Puppet {
    type Link = Self;

    fn dial(&self, _: &Endpoint, _: &Arc<SecretString>) -> Self {
        self.clone()
    }
}

struct Stage {
    state: watch::Sender<Option<AgentState>>,
    asked: Arc<AtomicU32>,
    agents: Agents<Puppet>,
}

impl Stage {
    async fn with(state: Option<AgentState>, hollow: bool) -> Self {
        let (sender, state) = watch::channel(state);
        let asked = Arc::new(AtomicU32::new(0));
        let mut agents = Agents::new(Arc::new(Puppet { state, asked: Arc::clone(&asked), hollow }));
        let one = BTreeMap::from([("cart-0".to_owned(), Endpoint::new("a", 1))]);
        agents.follow(&one, &Arc::new("t".to_owned().into())).await;
        Self { state: sender, asked, agents }
    }

    fn revision(&self) -> Option<u64> {
        let member = Member {
            name: "cart-0".to_owned(),
            kind: MemberKind::Node,
            ordinal: 0,
            template: String::new(),
            running: true,
            leaving: false,
            trouble: None,
            domain: None,
        };
        self.agents.view(member).agent().map(|state| state.revision)
    }

    async fn heard(&mut self, revision: Option<u64>) {
        while self.revision() != revision {
            self.agents.changed().await;
        }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

fn state(revision: u64) -> AgentState {
    let node = scene::node_state(true, &scene::node_endpoint(0), Vec::new());
    let state = scene::agent("cart-0", String::new(), redoubt_wire::state::AgentRole::Node(node));
    AgentState { revision, ..state }
}

#[tokio::test(start_paused = true)]
async fn what_is_followed_is_known_at_once_and_changes_are_heard() {
    let mut stage = Stage::with(Some(state(1)), false).await;
    assert_eq!(stage.revision(), Some(1));
    stage.state.send_replace(Some(state(2)));
    stage.heard(Some(2)).await;
    stage.state.send_replace(None);
    stage.heard(None).await;
    stage.state.send_replace(Some(state(3)));
    stage.heard(Some(3)).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_asked_again_and_again_is_still_heard_at_once() {
    let mut stage = Stage::with(Some(state(1)), false).await;
    for _ in 0..10 {
        stage.agents.refresh().await;
    }
    stage.state.send_replace(Some(state(2)));
    let before = Instant::now();
    stage.heard(Some(2)).await;
    assert!(before.elapsed() < Duration::from_millis(100), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_agent_whose_long_poll_does_not_wait_is_not_asked_without_end() {
    let stage = Stage::with(Some(state(1)), true).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(stage.asked() < 40, "{} times", stage.asked());
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_gone_is_asked_every_few_seconds() {
    let stage = Stage::with(None, false).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!((10..40).contains(&stage.asked()), "{} times", stage.asked());
}
