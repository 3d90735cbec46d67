//! What a Sentinel says (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>): its view of
//! masters, replicas and other Sentinels, its votes, its hello messages and what it publishes.

mod event;
mod fields;
mod hello;
mod views;
mod vote;

pub use event::{CHANNELS, Event, NEW_EPOCH, SWITCH_MASTER, VOTE_FOR_LEADER};
pub use fields::Flags;
pub use hello::{HELLO_CHANNEL, Hello};
pub use views::{MasterView, ReplicaView, SentinelView};
pub use vote::{Quorum, Vote};

pub(crate) use fields::list_of;
