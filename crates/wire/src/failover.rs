//! The record of one change of master, from its cause to its end, under one id.

use jiff::Timestamp;
use redoubt_redis::Endpoint;
use serde::{Deserialize, Serialize};

/// Why a change of master was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The server's process ended.
    Crash,
    /// The server did not answer within `hangLimit` and was ended.
    Hang,
    /// Somebody asked for it.
    Switchover,
    /// The node is being stopped.
    Stop,
    /// The master cannot write its files, and refuses writes for it.
    Disk,
    /// An agent came back and found its node still named master, without the right to lead.
    Return,
    /// Another agent voted and did not finish.
    Rescue,
    /// Everything was down, and the most advanced node leads.
    Outage,
    /// The Sentinels did it by themselves.
    Sentinel,
}

impl Cause {
    /// The one word that people, metrics and JSON have for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Switchover => "switchover",
            Self::Stop => "stop",
            Self::Disk => "disk",
            Self::Return => "return",
            Self::Rescue => "rescue",
            Self::Outage => "outage",
            Self::Sentinel => "sentinel",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "result")]
pub enum Outcome {
    /// A Sentinel majority names the new master.
    Done,
    /// Stopped before anything was changed, or taken back.
    Stopped {
        /// What stood in the way.
        why: String,
    },
}

/// One step and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepTime {
    /// Name of the step: `vote`, `pause`, `promote`, `announce`, ….
    pub step: String,
    /// Time from the start of the failover to the end of this step, microseconds.
    pub at_us: u64,
}

/// One change of master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    /// Follows the event through logs, agents, engine and status: 12 hex digits.
    pub id: String,
    /// Why.
    pub cause: Cause,
    /// Node whose agent led it, if an agent did.
    pub led_by: Option<String>,
    /// Epoch of the vote, once there is one.
    pub epoch: Option<u64>,
    /// Names of the Sentinels that voted for it.
    pub votes: Vec<String>,
    /// The master before.
    pub old_master: Option<Endpoint>,
    /// The master after.
    pub new_master: Option<Endpoint>,
    /// Replication offset of the old master as last known, bytes.
    pub old_offset: Option<u64>,
    /// Replication offset of the new master when it was chosen, bytes.
    pub new_offset: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
    /// From start to announcement, milliseconds.
    pub duration_ms: u64,
    /// The steps, in order.
    pub steps: Vec<StepTime>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Failover {
    /// Bytes of replication stream that the new master had not received, where both offsets are known.
    #[must_use]
    pub fn bytes_behind(&self) -> Option<u64> {
        Some(self.old_offset?.saturating_sub(self.new_offset?))
    }
}
