//! Votes and quorum.

use crate::value::{Mismatch, Value};

/// The reply to SENTINEL IS-MASTER-DOWN-BY-ADDR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// This Sentinel holds the master for down.
    pub down: bool,
    /// For whom it voted; `None` when no vote was asked for, or none was ever given.
    pub leader: Option<String>,
    /// The epoch of that vote.
    pub leader_epoch: u64,
}

/// The reply to SENTINEL CKQUORUM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// Enough Sentinels are usable to agree and to elect.
    pub ok: bool,
    /// The Sentinel's words.
    pub message: String,
}

impl Vote {
    /// Reads the reply.
    pub fn from_value(value: &Value) -> Result<Self, Mismatch> {
        let [down, leader, epoch] = value.as_array()? else {
            return Err(Mismatch::new("down, leader and epoch", value.describe()));
        };
        let leader = leader.as_str()?;
        Ok(Self {
            down: down.as_i64()? == 1,
            leader: (leader != "*").then(|| leader.to_owned()),
            leader_epoch: epoch.as_u64()?,
        })
    }
}
