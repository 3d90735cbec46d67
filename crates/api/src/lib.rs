//! The resources people write: types, defaults, validation. No I/O.
//!
//! The way of a resource: text becomes a [`Redis`] ([`parse`]), which becomes a [`CheckedRedis`] ([`check`]);
//! [`read`] goes the whole way for all the files of a command at once. Every step reports all that is wrong, with
//! the path of the field, never only the first. A [`failover::RedisFailover`] becomes the [`Redis`] it amounts to
//! ([`failover::translate`]) and goes on from there.

mod batch;
mod check;
mod checked;
mod crd;
mod defaults;
pub mod failover;
mod finding;
pub mod raw;
mod schema;
mod secret;
mod status;
mod text;

pub use batch::{Accepted, Batch, Source, duplicates, read, read_with_failovers};
pub use check::{check, check_change, check_secret};
pub use checked::*;
pub use crd::{PLURAL, crd, failover_crd};
pub use finding::{Fault, Finding, Place, Warning};
pub use raw::{ADOPT, API_VERSION, KIND, Metadata, PAUSED, RESTARTED_AT, RawObject, Redis, RedisSpec};
pub use schema::schema;
pub use secret::{CheckedSecret, PASSWORD_KEY, Secret};
pub use status::*;
pub use text::{Document, Resource, parse};
