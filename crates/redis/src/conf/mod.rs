//! The syntax of redis.conf and sentinel.conf (<https://redis.io/docs/latest/operate/oss_and_stack/management/config/>).

mod file;
mod words;

pub use file::{ConfFault, ConfFile};
pub use words::{WordsFault, join, quote, split};
