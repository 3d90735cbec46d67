//! Game days: writers with a real client, while something is broken, and an honest account of it.
//!
//! Expected flow: [`run`] surveys the set, starts writers, breaks one thing through a [`Saboteur`], waits until the
//! set is whole again, reads every acknowledged key back from the master, and removes its keys.

mod account;
mod client;
mod error;
mod key;
mod plan;
mod readback;
mod result;
mod ride;
mod run;
mod saboteur;
mod scenario;
mod survey;
mod target;
mod watch;
mod writer;

pub use error::DrillError;
pub use result::{DrillResult, LogLine, MAX_LOST_KEYS, Step};
pub use ride::{Ride, Toll};
pub use run::{Drill, Progress, run};
pub use saboteur::{Sabotage, Saboteur};
pub use scenario::{ClientKind, Scenario, UnknownWord};
pub use survey::{Answers, Health, assess};
pub use target::Target;
pub use watch::survey;
