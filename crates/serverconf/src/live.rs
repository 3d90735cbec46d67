//! A changed configuration, carried into a running server.
//!
//! Expected flow: the candidate is tried ([`crate::check`]), the server asked what it has (`CONFIG GET *`), the way
//! planned ([`plan_live`]) and gone ([`apply_live`]), and last the file written anew. `appendonly` is not among it: see
//! [`crate::aof`]. Neither is `min-replicas-to-write`, which is the fence's.

mod access;
mod apply;
mod plan;
mod same;
mod unwritten;

pub use access::{apply_access, set_access};
pub use apply::{ApplyError, Left, apply_live};
pub use plan::{Change, plan_live, removed};
pub use unwritten::{Overruled, Unwritten, unwritten};
