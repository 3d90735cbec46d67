//! The fence: what keeps a master that should not be one any more from acknowledging writes.
//!
//! Redis refuses writes by itself when fewer than `min-replicas-to-write` replicas have been heard of within
//! `min-replicas-max-lag`. It does so also while its agent is frozen or dead, which is the point. What the agent does
//! is to set the number, from what it sees, each time that changes:
//!
//! 1. armed (1) by default;
//! 2. lifted for a lone survivor, as long as a Sentinel majority confirms it, again and again;
//! 3. raised to all other nodes while no Sentinel majority answers: a master with some of its replicas on the wrong
//!    side of a partition must stop before the other side elects. Once one of them was missing it is closed, to more
//!    than there are: when the partition ends, what a replica said before it was pointed elsewhere still arrives, and
//!    would open the door for some milliseconds (9 writes were acknowledged, and lost).
//!
//! Who has a node elected promotes it with the fence closed and lifts it when a majority names the node, until the first
//! replica has attached: some milliseconds in which clients would otherwise meet `NOREPLICAS`, an error that no client
//! library tries again. Should that agent die in between, the node's own sets it again.

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

/// How long every other node must have been in reach again before a closed fence is only raised. A replica says each
/// second how far it is: by then it has said so anew, and what was on its way before has come with the end of its link.
const WHOLE_FOR: Duration = Duration::from_secs(RAISED_LAG_S + 1);

/// What the resource says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FenceTerms {
    /// Data nodes of the set.
    pub nodes: u32,
    /// `durability.minReplicasToWrite`.
    pub floor: u32,
    /// `durability.maxReplicaLag`.
    pub max_lag: Duration,
    /// `sentinel.downAfter`.
    pub down_after: Duration,
}

/// What the decision is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FenceView {
    /// Now.
    pub now: Moment,
    /// What the resource says.
    pub terms: FenceTerms,
    /// The set has had a master that a majority named, with a replica in sync.
    pub bootstrapped: bool,
    /// Since when no Sentinel majority is in reach or, for a master, names it; `None` while one does.
    pub silent_since: Option<Moment>,
    /// When a Sentinel majority last named this node in an answer that was asked for.
    pub majority_named_me: Option<Moment>,
    /// When a node was last seen missing among the replicas in reach.
    pub missing_at: Option<Moment>,
    /// Since when every other node has been a replica in reach; `None` while one is missing.
    pub whole_since: Option<Moment>,
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
    /// No majority answers, and a node was seen missing since.
    Closed,
}

/// What the server of a node should be set to. Replicas are set like masters: the fence must be there when they
/// are promoted, and it does nothing before.
#[must_use]
pub fn fence(view: &FenceView) -> Fence {
    let state = state(view);
    let wanted = match state {
        FenceState::Open | FenceState::Lifted => 0,
        FenceState::Armed => 1,
        FenceState::Raised => view.terms.nodes.saturating_sub(1),
        FenceState::Closed => view.terms.nodes,
    };
    let lag = max_lag_s(view.terms.max_lag, view.terms.down_after);
    Fence {
        min_replicas_to_write: wanted.max(view.terms.floor),
        min_replicas_max_lag_s: match state {
            FenceState::Raised | FenceState::Closed => lag.min(RAISED_LAG_S),
            FenceState::Open | FenceState::Armed | FenceState::Lifted => lag,
        },
        state,
    }
}

fn state(view: &FenceView) -> FenceState {
    if view.terms.nodes < 2 || !view.bootstrapped {
        return FenceState::Open;
    }
    if let Some(raised) = raise_at(view).filter(|at| *at <= view.now) {
        let missing = view.missing_at.is_some_and(|at| at >= raised);
        let whole = view.whole_since.is_some_and(|since| view.now.since(since) >= WHOLE_FOR);
        return if missing && !whole { FenceState::Closed } else { FenceState::Raised };
    }
    let confirmed = view.majority_named_me.is_some_and(|named| view.now.since(named) < FRESH);
    let alone = view.alone_since.is_some_and(|since| {
        // The word must be younger than the loneliness: what was said before the replicas went is no answer to it.
        view.now.since(since) >= ALONE_FOR && view.majority_named_me >= Some(since)
    });
    if confirmed && alone { FenceState::Lifted } else { FenceState::Armed }
}

fn raise_at(view: &FenceView) -> Option<Moment> {
    view.silent_since.map(|since| since + view.terms.down_after * RAISE_AFTER_TENTHS / 10)
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
    let lift = view.alone_since.map(|since| since + ALONE_FOR);
    let stale = view.majority_named_me.map(|named| named + FRESH);
    let whole = view.silent_since.and(view.whole_since).map(|since| since + WHOLE_FOR);
    [raise_at(view), lift, stale, whole].into_iter().flatten().filter(|at| *at > view.now).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::ms(100_000);

    const TERMS: FenceTerms = FenceTerms {
        nodes: 3,
        floor: 0,
        max_lag: Duration::from_secs(10),
        down_after: Duration::from_secs(5),
    };

    /// A master of three nodes, a majority in reach, replicas attached.
    fn usual() -> FenceView {
        FenceView {
            now: NOW,
            terms: TERMS,
            bootstrapped: true,
            silent_since: None,
            missing_at: None,
            whole_since: Some(ago(60_000)),
            majority_named_me: None,
            alone_since: None,
        }
    }

    fn ago(milliseconds: u64) -> Moment {
        Moment::ms(100_000 - milliseconds)
    }

    #[test]
    fn each_part_of_the_fence_stands_where_it_should() {
        use FenceState::{Armed, Closed, Lifted, Open, Raised};
        let alone = |since: u64, named: Option<u64>| FenceView {
            alone_since: Some(ago(since)),
            majority_named_me: named.map(ago),
            ..usual()
        };
        let unheard = |since: u64| FenceView { silent_since: Some(ago(since)), ..usual() };
        let missing = |at: u64, whole: Option<u64>| FenceView {
            missing_at: Some(ago(at)),
            whole_since: whole.map(ago),
            ..unheard(2000)
        };
        let of = |nodes, view: FenceView| FenceView { terms: FenceTerms { nodes, ..TERMS }, ..view };
        let cases = [
            ("usual", usual(), 1, Armed),
            ("one node", of(1, usual()), 0, Open),
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
                FenceView { silent_since: Some(ago(2500)), ..alone(5000, Some(500)) },
                2,
                Raised,
            ),
            ("silent, a node was missing before", missing(1501, Some(1400)), 2, Raised),
            ("silent, a node is missing since", missing(1500, None), 3, Closed),
            ("silent, whole again just now", missing(1000, Some(999)), 3, Closed),
            (
                "silent, whole again",
                FenceView { missing_at: Some(ago(3500)), whole_since: Some(ago(3000)), ..unheard(9000) },
                2,
                Raised,
            ),
            ("five nodes, silent", of(5, unheard(2000)), 4, Raised),
            ("two nodes, silent", of(2, unheard(2000)), 1, Raised),
        ];
        for (name, view, replicas, state) in cases {
            let fence = fence(&view);
            assert_eq!((fence.min_replicas_to_write, fence.state), (replicas, state), "{name}");
        }
    }

    #[test]
    fn a_raised_fence_counts_out_a_lost_replica_sooner() {
        let lag = |silent, max_lag| {
            let terms = FenceTerms { max_lag: Duration::from_secs(max_lag), ..TERMS };
            let view = FenceView { silent_since: Some(ago(silent)), terms, ..usual() };
            fence(&view).min_replicas_max_lag_s
        };
        assert_eq!([lag(100, 10), lag(500, 10), lag(500, 1)], [3, 2, 1]);
    }

    #[test]
    fn what_the_user_asked_for_is_a_floor_to_all_of_it() {
        let terms = FenceTerms { floor: 2, ..TERMS };
        let lifted =
            FenceView { terms, alone_since: Some(ago(5000)), majority_named_me: Some(ago(100)), ..usual() };
        assert_eq!(fence(&lifted).min_replicas_to_write, 2);
        assert_eq!(fence(&FenceView { terms, bootstrapped: false, ..usual() }).min_replicas_to_write, 2);
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
        assert_eq!(fence_changes_at(&usual()), None);
        let silent = FenceView { silent_since: Some(ago(100)), ..usual() };
        assert_eq!(fence_changes_at(&silent), Some(Moment::ms(100_400)));
        let lifted =
            FenceView { alone_since: Some(ago(5000)), majority_named_me: Some(ago(1700)), ..usual() };
        assert_eq!(fence_changes_at(&lifted), Some(Moment::ms(100_300)));
    }
}
