//! The change of master: a Sentinel election, won by the agent that knows.
//!
//! Sentinel elects who may announce a new master, in an epoch, by a majority. Nothing in its protocol says that only
//! a Sentinel may ask for those votes. So the agent whose server just died, or that hands over, asks for them at once,
//! promotes the replica with the most data, and announces it as any Sentinel would; everybody learns of it the way
//! they always do.

pub mod agentless;
mod driver;
mod fence;
mod machine;
mod moment;
mod request;
mod rescue;
mod views;
mod watch;

pub use driver::{Context, change_master, look_at_master, named_now};
pub use fence::{
    ALONE_FOR, FRESH, Fence, FenceState, FenceTerms, FenceView, fence, fence_changes_at, max_lag_s,
};
pub use moment::{Clock, Moment};
pub use request::{Report, Request, Verdict, new_id};
pub use rescue::{
    ABANDONED_AFTER, ASTRAY_AFTER, Action, GONE_AFTER, JITTER, MISPLACED_AFTER, Mine, NamedMaster, Rescue,
    SENTINEL_VOTE_AFTER, Situation,
};
pub use views::{SentinelViews, Vote};
pub use watch::{News, Watch, WatchEvent, watch};
