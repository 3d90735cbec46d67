//! The servers' own configuration: rendered from what the agents are told, tried on a throw-away server before it is
//! used, and carried into running servers without a restart where that is possible.
//!
//! Rendering and planning are pure. What touches processes, connections or files is in `trial`, `live::apply`,
//! `aof::driver` and `files`.

pub mod acl;
pub mod aof;
mod call;
mod directive;
pub mod files;
#[cfg(test)]
mod fixture;
pub mod live;
pub mod node;
pub mod sentinel;
pub mod trial;

pub use call::Call;
pub use live::{
    ApplyError, Change, Overruled, Unwritten, apply_access, apply_live, plan_live, removed, set_access,
    unwritten,
};
pub use node::{CLUSTER_MEMORY, ELECTABLE, Login, NO_FAILOVER, NOT_ELECTABLE, NodeLaunch, Start, node_conf};
pub use sentinel::{
    Epochs, Memory, SentinelChange, SentinelChanges, SentinelLaunch, Stale, plan_sentinel,
    refresh_sentinel_conf, sentinel_conf, stale_entries,
};
pub use trial::{Refusal, TrialError, check, check_sentinel, defaults, sweep};
