//! The platform on this machine: every node and Sentinel is a process with a loopback address of its own, and a
//! folder (the state folder) is the "API server" and holds the volumes.

mod address;
mod backoff;
mod connection;
mod ending;
mod engine;
mod error;
mod feed;
mod files;
mod given;
mod identity;
mod last_words;
mod launch;
mod local;
mod lock;
mod minder;
mod names;
mod nudges;
mod paths;
mod platform;
mod process;
mod publish;
mod removal;
mod roster;
mod servers;
mod set;
mod stopping;
mod store;
#[cfg(test)]
mod testing;
mod view;
mod watching;

pub use connection::{APPLICATION_USER, Connection};
pub use engine::{EngineOptions, LocalEngine};
pub use error::LocalError;
pub use feed::FileReport;
pub use local::{Deleted, Local, LocalMember};
pub use lock::{EngineLock, EngineProcess};
pub use paths::{MemberDir, SetDir, StateDir};
pub use platform::{LocalPlatform, PlatformOptions};
pub use servers::{REDIS_SERVER_VARIABLE, VALKEY_SERVER_VARIABLE};
pub use stopping::{OnProgress, Progress};
pub use store::{Applied, Store, Stored};
pub use view::StatusWatch;
