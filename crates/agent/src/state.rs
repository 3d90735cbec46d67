//! The state of this agent: one owner, one door that changes it, and those who wait for changes.

use std::{mem, sync::Arc, time::Duration};

use jiff::Timestamp;
use redoubt_wire::state::{AgentRole, AgentState, MAX_NOTICES, NodeState, Notice, OnDisk, SentinelState};
use tokio::sync::watch;

/// The shared state of an agent. Clones are the same state.
#[derive(Debug, Clone)]
pub(crate) struct SharedState(Arc<watch::Sender<Arc<AgentState>>>);

impl SharedState {
    /// Begins with this state.
    pub(crate) fn new(state: AgentState) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(state))))
    }

    /// The state now.
    pub(crate) fn snapshot(&self) -> Arc<AgentState> {
        Arc::clone(&self.0.borrow())
    }

    /// Changes the state. When anything but `live` is different afterwards, the revision grows and those who wait
    /// are woken; so it is fine to say again what is known already.
    pub(crate) fn update(&self, change: impl FnOnce(&mut AgentState)) {
        self.0.send_if_modified(|current| {
            let mut next = AgentState::clone(current);
            change(&mut next);
            next.revision = current.revision;
            let news = !same_but_live(current, &mut next);
            next.revision += u64::from(news);
            *current = Arc::new(next);
            news
        });
    }

    /// Changes the node's part; nothing on a Sentinel.
    pub(crate) fn update_node(&self, change: impl FnOnce(&mut NodeState)) {
        self.update(|state| {
            if let AgentRole::Node(node) = &mut state.role {
                change(node);
            }
        });
    }

    /// Changes the Sentinel's part; nothing on a node.
    pub(crate) fn update_sentinel(&self, change: impl FnOnce(&mut SentinelState)) {
        self.update(|state| {
            if let AgentRole::Sentinel(sentinel) = &mut state.role {
                change(sentinel);
            }
        });
    }

    /// Tells the engine, and the log, that something happened. `reason` is one CamelCase word.
    pub(crate) fn notice(&self, reason: &str, message: impl Into<String>, warning: bool) {
        let message = message.into();
        if warning {
            tracing::warn!(reason, "{message}");
        } else {
            tracing::info!(reason, "{message}");
        }
        self.update(|state| {
            let seq = state.notices.last().map_or(1, |last| last.seq + 1);
            let (reason, at) = (reason.to_owned(), Timestamp::now());
            state.notices.push(Notice { seq, at, reason, message, warning });
            let surplus = state.notices.len().saturating_sub(MAX_NOTICES);
            state.notices.drain(..surplus);
        });
    }

    /// The state once it is another than that of this incarnation and revision; after `limit` as it is.
    pub(crate) async fn wait_newer(&self, incarnation: &str, after: u64, limit: Duration) -> Arc<AgentState> {
        let mut changes = self.0.subscribe();
        let newer = changes.wait_for(|state| state.revision != after || state.incarnation != incarnation);
        // The sender lives as long as `self`, so the only failure is the time-out.
        drop(tokio::time::timeout(limit, newer).await);
        self.snapshot()
    }
}

/// Nothing is different but what changes all the time: `live`, and how far the record has come. `next` is left as it
/// was.
fn same_but_live(current: &AgentState, next: &mut AgentState) -> bool {
    let AgentRole::Node(before) = &current.role else { return current == next };
    let AgentRole::Node(after) = &mut next.role else { return false };
    let live = mem::replace(&mut after.live, before.live.clone());
    let offset = match (&mut after.on_disk, &before.on_disk) {
        (OnDisk::Data(after), OnDisk::Data(before)) => Some(mem::replace(&mut after.offset, before.offset)),
        _ => None,
    };
    let same = current == next;
    if let AgentRole::Node(after) = &mut next.role {
        after.live = live;
        if let (OnDisk::Data(record), Some(offset)) = (&mut after.on_disk, offset) {
            record.offset = offset;
        }
    }
    same
}

#[cfg(test)]
pub(crate) mod tests {
    use redoubt_wire::{
        API_VERSION,
        state::{Live, Phase, Record, Replication},
    };

    use super::*;

    /// A node that was just started.
    pub(crate) fn node() -> AgentState {
        let role = AgentRole::Node(NodeState { on_disk: OnDisk::Nothing, ..NodeState::new(Phase::Starting) });
        agent("cart-0", role)
    }

    /// A Sentinel that was just started.
    pub(crate) fn sentinel() -> AgentState {
        let role = AgentRole::Sentinel(SentinelState {
            phase: Phase::Starting,
            master: None,
            epoch: 0,
            current_epoch: 0,
            known_sentinels: Vec::new(),
            known_replicas: Vec::new(),
            quorum_ok: false,
        });
        agent("cart-sentinel-0", role)
    }

    fn agent(name: &str, role: AgentRole) -> AgentState {
        AgentState {
            api_version: API_VERSION,
            agent_version: "0.1.0".into(),
            name: name.into(),
            incarnation: "one".into(),
            revision: 1,
            config: None,
            config_fault: None,
            restart_needed: Vec::new(),
            server_pid: None,
            server_version: None,
            role,
            last_failover: None,
            notices: Vec::new(),
        }
    }

    fn live_offset(state: &AgentState) -> Option<u64> {
        let AgentRole::Node(node) = &state.role else { return None };
        node.live.as_ref().map(|live| live.offset)
    }

    #[test]
    fn only_what_others_should_react_to_makes_a_revision() {
        let state = SharedState::new(node());
        let revision = || state.snapshot().revision;
        state.update(|_| {});
        state.update(|state| state.revision = 99);
        state.update_node(|node| node.phase = Phase::Starting);
        state.update_sentinel(|sentinel| sentinel.epoch = 9);
        assert_eq!(revision(), 1);
        state.update_node(|node| node.live = Some(Live { offset: 7, ..Live::default() }));
        assert_eq!((revision(), live_offset(&state.snapshot())), (1, Some(7)));
        state.update_node(|node| node.replication = Some(Replication::Master { replicas: Vec::new() }));
        assert_eq!((revision(), live_offset(&state.snapshot())), (2, Some(7)));
        state.update_node(|node| node.on_disk = OnDisk::Data(record(7)));
        assert_eq!(revision(), 3);
        state.update_node(|node| node.on_disk = OnDisk::Data(record(8)));
        assert_eq!((revision(), record_offset(&state.snapshot())), (3, Some(8)));
        state.notice("Test", "something happened", false);
        assert_eq!(revision(), 4);
    }

    fn record(offset: u64) -> Record {
        Record {
            data_set: "set".into(),
            replid: "replid".into(),
            previous: None,
            offset,
            epoch: 1,
            master: true,
            link_up: false,
        }
    }

    fn record_offset(state: &AgentState) -> Option<u64> {
        match &state.role {
            AgentRole::Node(node) => node.on_disk.record().map(|record| record.offset),
            AgentRole::Sentinel(_) => None,
        }
    }

    #[test]
    fn notices_are_bounded_and_count_on() {
        let state = SharedState::new(sentinel());
        for n in 0..MAX_NOTICES + 5 {
            state.notice("Test", format!("notice {n}"), n % 2 == 0);
        }
        let notices = &state.snapshot().notices;
        assert_eq!(notices.len(), MAX_NOTICES);
        assert_eq!((notices[0].seq, notices[MAX_NOTICES - 1].seq), (6, MAX_NOTICES as u64 + 5));
    }

    /// Longer than any test; a wait of this length that ends was ended by what it waited for.
    const LONG: Duration = Duration::from_mins(10);

    #[tokio::test]
    async fn who_waits_is_woken_by_a_change_and_only_by_that() {
        let state = SharedState::new(node());
        let waiter = state.clone();
        let waiting = tokio::spawn(async move { waiter.wait_newer("one", 1, LONG).await });
        tokio::task::yield_now().await;
        state.update_node(|node| node.live = Some(Live::default()));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        state.update_node(|node| node.ready = true);
        assert_eq!(waiting.await.unwrap().revision, 2);
    }

    #[tokio::test]
    async fn who_knows_less_or_another_incarnation_is_answered_at_once() {
        let state = SharedState::new(node());
        state.wait_newer("one", 0, LONG).await;
        state.wait_newer("before", 1, LONG).await;
    }

    #[tokio::test]
    async fn a_wait_ends_at_its_limit() {
        let state = SharedState::new(node());
        assert_eq!(state.wait_newer("one", 1, Duration::from_millis(5)).await.revision, 1);
    }
}
