//! What is asked of an agent over HTTP, and how it says no. Used by the client and by the agent that answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::failover::Cause;

/// `GET`: the state, [`StateQuery`] in the query string. Answers [`crate::state::AgentState`].
pub const STATE: &str = "/v1/state";
/// `POST` of [`Switchover`]. Answers [`crate::failover::Failover`].
pub const SWITCHOVER: &str = "/v1/switchover";
/// `POST` of [`Stop`]. Answers 202; the agent ends its server, then itself.
pub const STOP: &str = "/v1/stop";
/// `POST`, Sentinels only: stale entries are removed from the Sentinel's file.
pub const PRUNE: &str = "/v1/sentinel/prune";

/// `POST` of [`Rebalance`], nodes of a cluster only. Answers [`Rebalanced`] when it has ended; who does not wait for that
/// any more ends it.
pub const REBALANCE: &str = "/v1/cluster/rebalance";

/// A long poll of the state ends after this many milliseconds at the latest.
pub const MAX_WAIT_MS: u64 = 60_000;

/// What the caller knows already. Empty: answer at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StateQuery {
    /// Answer when the revision is another one.
    pub after: Option<u64>,
    /// Answer at once when the agent's incarnation is another one.
    pub incarnation: Option<String>,
    /// Answer after so many milliseconds in any case, at most [`MAX_WAIT_MS`].
    pub wait_ms: Option<u64>,
}

/// The node is asked to hand its mastership over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switchover {
    /// Name of the node that shall lead; the best one when absent.
    #[serde(default)]
    pub to: Option<String>,
    /// [`Cause::Switchover`] or [`Cause::Stop`].
    pub cause: Cause,
    /// Id to follow it by, 12 hex digits; made by the agent when absent.
    #[serde(default)]
    pub id: Option<String>,
}

/// The agent is asked to end its server and itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// A master hands over first.
    pub hand_over: bool,
}

/// Slots are to be moved until each shard owns its share. What an earlier run has left half done is finished first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rebalance {
    /// How much each shard owns in proportion to the others, by its number; 0 empties it. None at all: nothing new is begun.
    pub weights: BTreeMap<u32, u32>,
    /// Nothing new is begun when slots have been moved for so many milliseconds.
    pub for_ms: u64,
}

/// What a [`Rebalance`] came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rebalanced {
    /// Slots that have a new owner.
    pub slots: u32,
    /// Keys that went with them.
    pub keys: u64,
    /// Slots that have yet to move.
    pub left: u32,
    /// How long they took, milliseconds.
    pub took_ms: u64,
}

/// Body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// What was not done, and why.
    pub error: String,
    /// What to do.
    pub next: String,
    /// The same request may well be granted after so long, milliseconds, and asking again is safe. Absent if it is of no
    /// use before something else is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// One that stands until something is done about it.
    pub fn new(error: impl Into<String>, next: impl Into<String>) -> Self {
        Self { error: error.into(), next: next.into(), retry_after_ms: None }
    }
}
