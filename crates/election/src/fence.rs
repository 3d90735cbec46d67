//! The fence: what keeps a master that should not be one any more from acknowledging writes.
//!
//! Redis refuses writes by itself when fewer than `min-replicas-to-write` replicas have been heard of within
//! `min-replicas-max-lag`. It does so also while its agent is frozen or dead, which is the point. What the agent does
//! is to set the number, from what it sees, each time that changes:
//!
//! 1. armed (1) by default;
//! 2. lifted for a lone survivor, as long as a Sentinel majority confirms it, again and again;
//! 3. raised to all other nodes while no Sentinel majority answers: a master with some of its replicas on the wrong
//!    side of a partition must stop before the other side elects.
//!
//! Who has a node elected promotes it with the fence armed and lifts it when a majority names the node, until the first
//! replica has attached: some milliseconds in which clients would otherwise meet `NOREPLICAS`, an error that no client
//! library tries again. Should that agent die in between, the node's own arms it again.

use std::time::Duration;

use crate::Moment;

/// How old the majority's word may be when the fence is lifted on it, and while it stays lifted. Twice the pulse
/// with which an agent asks while it has no replica.
pub const FRESH: Duration = Duration::from_secs(2);

/// How long a master must have been without replicas before the fence is lifted. A promotion is followed by the
/// first replica within milliseconds; lifting in between would open the door for no gain.
pub const ALONE_FOR: Duration = Duration::from_millis(300);

/// The part of `downAfter` that may pass without a majority before the fence is raised. Who listens notices a link that
/// swallows packets after three tenths ([`crate::watch`]): 2 s of 5 s together.
const RAISE_AFTER_TENTHS: u32 = 1;

/// `min-replicas-max-lag` while the fence is raised. A replica says each second how far it is, and Redis counts whole
/// seconds: one in reach is never two behind. What was lost sooner is no longer counted sooner.
const RAISED_LAG_S: u64 = 2;

/// What the decision is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FenceView {
    /// Now.
    pub now: Moment,
    /// Data nodes of the set.
    pub nodes: u32,
    /// The set has had a master that a majority named, with a replica in sync.
    pub bootstrapped: bool,
    /// `durability.minReplicasToWrite`.
    pub floor: u32,
    /// `durability.maxReplicaLag`.
    pub max_lag: Duration,
    /// `sentinel.downAfter`.
    pub down_after: Duration,
    /// When a Sentinel majority was last in reach and, for a master, named it (or when the agent began to listen).
    pub majority_heard: Moment,
    /// When a Sentinel majority last named this node in an answer that was asked for.
    pub majority_named_me: Option<Moment>,
    /// Since when no replica is attached and online; `None` while one is.
    pub alone_since: Option<Moment>,
}

/// What the server should be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// `min-replicas-to-write`.
    pub min_replicas_to_write: u32,
    /// `min-replicas-max-lag`, seconds.
    pub min_replicas_max_lag_s: u64,
    /// Which of the three parts it is.
    pub state: FenceState,
}

/// Which part of the fence is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FenceState {
    /// There is none: one node, or not bootstrapped.
    Open,
    /// The default.
    Armed,
    /// A lone survivor, confirmed by a majority.
    Lifted,
    /// No majority answers.
    Raised,
}

/// What the server of a node should be set to. Replicas are set like masters: the fence must be there when they
/// are promoted, and it does nothing before.
#[must_use]
pub fn fence(view: &FenceView) -> Fence {
    let state = state(view);
    let wanted = match state {
        FenceState::Open | FenceState::Lifted => 0,
        FenceState::Armed => 1,
        FenceState::Raised => view.nodes.saturating_sub(1),
    };
    let lag = max_lag_s(view.max_lag, view.down_after);
    Fence {
        min_replicas_to_write: wanted.max(view.floor),
        min_replicas_max_lag_s: if state == FenceState::Raised { lag.min(RAISED_LAG_S) } else { lag },
        state,
    }
}

fn state(view: &FenceView) -> FenceState {
    if view.nodes < 2 || !view.bootstrapped {
        return FenceState::Open;
    }
    if view.now.since(view.majority_heard) >= view.down_after * RAISE_AFTER_TENTHS / 10 {
        return FenceState::Raised;
    }
    let confirmed = view.majority_named_me.is_some_and(|named| view.now.since(named) < FRESH);
    let alone = view.alone_since.is_some_and(|since| {
        // The word must be younger than the loneliness: what was said before the replicas went is no answer to it.
        view.now.since(since) >= ALONE_FOR && view.majority_named_me >= Some(since)
    });
    if confirmed && alone { FenceState::Lifted } else { FenceState::Armed }
}

/// `min-replicas-max-lag` in whole seconds: below `downAfter`, so that a master cut off stops before another may be
/// elected (it counts replicas once a second: the window is the lag and up to one second more), and at least 1.
#[must_use]
pub fn max_lag_s(max_lag: Duration, down_after: Duration) -> u64 {
    max_lag.as_secs().min(down_after.as_secs().saturating_sub(2)).max(1)
}

/// When [`fence`] may say something else though nothing has happened.
#[must_use]
pub fn fence_changes_at(view: &FenceView) -> Option<Moment> {
    let raise = view.majority_heard + view.down_after * RAISE_AFTER_TENTHS / 10;
    let lift = view.alone_since.map(|since| since + ALONE_FOR);
    let stale = view.majority_named_me.map(|named| named + FRESH);
    [Some(raise), lift, stale].into_iter().flatten().filter(|at| *at > view.now).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::ms(100_000);

    /// A master of three nodes, a majority just heard, replicas attached.
    fn usual() -> FenceView {
        FenceView {
            now: NOW,
            nodes: 3,
            bootstrapped: true,
            floor: 0,
            max_lag: Duration::from_secs(10),
            down_after: Duration::from_secs(5),
            majority_heard: Moment::ms(99_900),
            majority_named_me: None,
            alone_since: None,
        }
    }

    fn ago(milliseconds: u64) -> Moment {
        Moment::ms(100_000 - milliseconds)
    }

    #[test]
    fn each_part_of_the_fence_stands_where_it_should() {
        use FenceState::{Armed, Lifted, Open, Raised};
        let alone = |since: u64, named: Option<u64>| FenceView {
            alone_since: Some(ago(since)),
            majority_named_me: named.map(ago),
            ..usual()
        };
        let unheard = |since: u64| FenceView { majority_heard: ago(since), ..usual() };
        let cases = [
            ("usual", usual(), 1, Armed),
            ("one node", FenceView { nodes: 1, ..usual() }, 0, Open),
            ("before its first replica", FenceView { bootstrapped: false, ..usual() }, 0, Open),
            ("alone, and nobody was asked", alone(5000, None), 1, Armed),
            ("alone, and confirmed since", alone(5000, Some(500)), 0, Lifted),
            ("alone, and confirmed before that", alone(400, Some(500)), 1, Armed),
            ("alone, and confirmed too long ago", alone(5000, Some(2000)), 1, Armed),
            ("alone for a moment only", alone(100, Some(50)), 1, Armed),
            ("a majority out of reach for 0.4 s", unheard(400), 1, Armed),
            ("a majority out of reach for 0.5 s", unheard(500), 2, Raised),
            (
                "alone, confirmed, but now silent",
                FenceView { majority_heard: ago(2500), ..alone(5000, Some(500)) },
                2,
                Raised,
            ),
            ("five nodes, silent", FenceView { nodes: 5, ..unheard(2000) }, 4, Raised),
            ("two nodes, silent", FenceView { nodes: 2, ..unheard(2000) }, 1, Raised),
        ];
        for (name, view, replicas, state) in cases {
            let fence = fence(&view);
            assert_eq!((fence.min_replicas_to_write, fence.state), (replicas, state), "{name}");
        }
    }

    #[test]
    fn a_raised_fence_counts_out_a_lost_replica_sooner() {
        let lag = |silent, max_lag| {
            let view =
                FenceView { majority_heard: ago(silent), max_lag: Duration::from_secs(max_lag), ..usual() };
            fence(&view).min_replicas_max_lag_s
        };
        assert_eq!([lag(100, 10), lag(500, 10), lag(500, 1)], [3, 2, 1]);
    }

    #[test]
    fn what_the_user_asked_for_is_a_floor_to_all_of_it() {
        let lifted = FenceView {
            floor: 2,
            alone_since: Some(ago(5000)),
            majority_named_me: Some(ago(100)),
            ..usual()
        };
        assert_eq!(fence(&lifted).min_replicas_to_write, 2);
        assert_eq!(fence(&FenceView { floor: 2, bootstrapped: false, ..usual() }).min_replicas_to_write, 2);
    }

    #[test]
    fn a_master_cut_off_stops_before_another_may_be_elected() {
        let seconds = Duration::from_secs;
        for (max_lag, down_after, lag) in
            [(10, 5, 3), (2, 5, 2), (10, 3, 1), (10, 30, 10), (10, 1, 1), (0, 5, 1)]
        {
            assert_eq!(max_lag_s(seconds(max_lag), seconds(down_after)), lag, "{max_lag} {down_after}");
        }
    }

    #[test]
    fn the_next_change_is_announced() {
        assert_eq!(fence_changes_at(&usual()), Some(Moment::ms(100_400)));
        let lifted =
            FenceView { alone_since: Some(ago(5000)), majority_named_me: Some(ago(1700)), ..usual() };
        assert_eq!(fence_changes_at(&lifted), Some(Moment::ms(100_300)));
    }
}
