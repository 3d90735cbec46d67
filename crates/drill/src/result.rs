//! What a drill found, as people and programs read it.

use serde::{Deserialize, Serialize};

use crate::{ClientKind, Scenario};

/// What a drill found. The names of the fields are a promise to scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillResult {
    /// Part of every key the drill wrote.
    pub id: String,
    /// Name of the `Redis`.
    pub redis: String,
    /// What was broken.
    pub scenario: Scenario,
    /// In which shard of a cluster; `null`: in all of them, or in no cluster.
    #[serde(default)]
    pub shard: Option<u32>,
    /// How the writers found the master.
    pub client: ClientKind,
    /// How many wrote at once.
    pub writers: u32,
    /// Longest pause between two acknowledged writes of any writer, around the event, milliseconds, rounded up.
    /// `null`: writes did not come back.
    pub write_gap_ms: Option<u64>,
    /// The same for the single writer that waited longest.
    pub worst_writer_gap_ms: Option<u64>,
    /// Writes the servers acknowledged.
    pub acknowledged: u64,
    /// Tries that were not acknowledged: refused, timed out, or no connection.
    pub failed: u64,
    /// Acknowledged writes that the final master does not have. `null`: there was nobody to ask.
    pub lost: Option<u64>,
    /// The first of the lost keys, at most [`MAX_LOST_KEYS`].
    pub lost_keys: Vec<String>,
    /// Who led before.
    pub master_before: Option<String>,
    /// Who leads now.
    pub master_after: Option<String>,
    /// From the event until every node and Sentinel was whole again, milliseconds. `null`: not within the limit.
    pub healthy_after_ms: Option<u64>,
    /// What was still wrong at the end, for people.
    pub troubles: Vec<String>,
    /// The change of master that followed, under which logs, events and status know it.
    pub failover_id: Option<String>,
    /// Its steps.
    pub steps: Vec<Step>,
    /// What the drill did and saw.
    pub log: Vec<LogLine>,
}

/// How many lost keys are named.
pub const MAX_LOST_KEYS: usize = 20;

/// One step of a change of master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Name of the step.
    pub step: String,
    /// Microseconds from the start of the change to the end of this step.
    pub at_us: u64,
}

/// One thing the drill did or saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Milliseconds from the start of the drill.
    pub at_ms: u64,
    /// For people.
    pub what: String,
}

impl DrillResult {
    /// The set kept its promises: writes came back, none is lost, everything is whole again.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.lost == Some(0) && self.write_gap_ms.is_some() && self.healthy_after_ms.is_some()
    }
}
