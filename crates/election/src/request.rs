//! What is asked of an election, and what it reports.

use std::time::Duration;

use redoubt_redis::Endpoint;
use redoubt_wire::failover::{Cause, Failover};

/// A wanted change of master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Follows the event everywhere: 12 hex digits, made anew for each request. The Sentinels see it too: it
    /// begins the id that they vote for.
    pub id: String,
    /// Why.
    pub cause: Cause,
    /// The master to be replaced: whom the Sentinels must still name, or there is nothing to do.
    pub replaces: Endpoint,
    /// Name of the node that shall lead; `None` takes the one with the highest offset. Needed for
    /// [`Cause::Outage`], where the records have decided.
    pub to: Option<String>,
    /// Replication offset of the master as last known, for the report, bytes.
    pub old_offset: Option<u64>,
    /// Replication id of the master as last known: only nodes of its history can be chosen.
    pub history: Option<String>,
    /// Highest epoch heard of (see [`crate::SentinelViews::epoch`]); 0 when nothing is known. Saves rounds that
    /// ask in an epoch that is spent.
    pub epoch_heard: u64,
}

/// An id for a [`Request`], or for a change of master that was none of ours: 12 hex digits.
#[must_use]
pub fn new_id() -> String {
    format!("{:012x}", rand::random_range(0_u64..1 << 48))
}

impl Request {
    /// A planned change: the master lives, and nothing it acknowledged may be lost.
    #[must_use]
    pub fn is_hand_over(&self) -> bool {
        matches!(self.cause, Cause::Switchover | Cause::Stop | Cause::Disk)
    }

    /// Its own agent asks, and has seen its end: nobody needs to look whether it lives. An agent that has only just
    /// started has seen nothing: a pod deleted by force may serve on beside its successor of the same name.
    pub(crate) fn knows_it_dead(&self) -> bool {
        matches!(self.cause, Cause::Crash | Cause::Hang)
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The record of it, for status, events and logs.
    pub failover: Failover,
    /// What the caller does next.
    pub verdict: Verdict,
}

/// What the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// A Sentinel majority names the new master.
    Done,
    /// There is nothing to do, or it cannot be done as asked. Asking again as it is changes nothing.
    Stopped {
        /// What stood in the way, for people.
        why: String,
    },
    /// It did not work now. What had been begun is taken back, or is left to the rescuers.
    RetryAfter {
        /// What stood in the way, for people.
        why: String,
        /// How long to wait before asking again, if the cause is still there.
        after: Duration,
    },
}

impl Verdict {
    /// What stood in the way.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::Stopped { why } | Self::RetryAfter { why, .. } => Some(why),
        }
    }
}
