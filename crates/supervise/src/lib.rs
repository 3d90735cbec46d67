//! What a process needs to be PID 1 beside one server: start it so that it cannot outlive its parent, see its end,
//! read its output, reap strangers, and become a newer version of itself without losing the child.
//!
//! Knows no Redis. Linux first; elsewhere everything works but the death of the child with its parent.

mod child;
mod end;
mod lines;
mod proc_stat;
mod reap;
mod signals;
mod spawn;
mod succession;
#[allow(unsafe_code)]
mod sys;

pub use child::{Child, Exit};
pub use lines::{Lines, MAX_LINE};
pub use proc_stat::{RunState, Vitals, own_vitals};
pub use reap::{OwnChildren, become_subreaper, reap_strangers};
pub use rustix::process::{Pid, Signal};
pub use signals::{Signals, Termination};
pub use spawn::{Spawn, SpawnError};
pub use succession::{AdoptError, Heirloom, SuccessionError, exec_successor};
#[cfg(target_os = "linux")]
pub use sys::watch as watch_descriptor;
