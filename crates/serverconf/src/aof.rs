//! Turning the append-only file on and off without losing a key.
//!
//! A server loads *either* the AOF *or* the RDB, by what its configuration says; the other one may be old, or missing:
//! Redis 7 with `appendonly yes` beside an RDB alone comes up with 0 keys. So a small record beside the data,
//! `persistence.json`, says which of them holds it ([`Holds`]), and the configuration follows the record.
//!
//! # Expected flow
//! Before each start [`prepare`] reads record and files and says what the server has to load; the record is put right
//! first. While the server runs, [`settle`] brings it to what is wanted, one small step at a time:
//!
//! ```text
//! on:  Rdb -> record TurningOn  -> CONFIG SET appendonly yes -> wait for the rewrite -> record Aof
//! off: Aof -> CONFIG SET appendonly no -> record TurningOff -> BGSAVE, wait -> record Rdb -> remove the old AOF
//! ```
//!
//! A change of mind on the way takes effect when the way under way has come to its end.
//!
//! An AOF does not say where its data stands in a master's history: a replica that loads one is copied anew. So a server
//! that ends as planned saves an RDB too ([`LastSave`]), and one that starts to follow loads that and has its AOF turned
//! on again, as above:
//!
//! ```text
//! Aof -> SHUTDOWN SAVE, wait -> record Saved -> starts as master: record Aof; as replica: record Rdb
//! ```
//!
//! # Guarantees
//! Server and agent may be killed between any two steps: the next start loads files that hold all that was written
//! before the last step. What is written while the AOF is off and the RDB not yet saved is as safe as it is without
//! AOF, no more.
//!
//! # Assumptions
//! The names of the files are the servers' defaults, as [`crate::node_conf`] writes them. Nobody else writes to the
//! folder while there is a record.

mod boot;
mod disk;
mod driver;
#[cfg(test)]
mod model;
mod record;
mod step;

pub use boot::{AtStart, StartsAs, Unloadable, at_start};
pub use disk::{AofFiles, Disk, Fingerprint, RdbFile};
pub use driver::{AofError, Driver, LastSave, prepare, settle};
pub use record::{Holds, RECORD};
pub use step::{Step, View, next};
