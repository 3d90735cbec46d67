//! Redis Cluster from outside: what it is, what is wrong with it, and slots moved between its masters.
//!
//! [`look`] gives a [`Cluster`]; [`check`] says what is wrong with it; [`plan`] decides, without I/O, what to move;
//! [`Mover`] moves it. The rest is what people know from `redis-cli --cluster`: create, repair, members.

mod access;
mod check;
mod cluster;
mod create;
mod error;
mod guard;
mod look;
mod members;
mod mover;
pub mod plan;
mod repair;
mod settle;

pub use access::Access;
pub use check::{Finding, check};
pub use cluster::{Cluster, Node, View};
pub use create::create;
pub use error::SlotsError;
pub use guard::Guard;
pub use look::{look, strays};
pub use members::{add, call, remove, spread};
pub use mover::{Event, Method, Mover, Options, Stop, Summary};
pub use repair::{Repair, Repairs, mark_strays, planned, repair};
pub use settle::{is_unfinished, look_settled};
