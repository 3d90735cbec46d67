//! What is promised to users, each kept on real servers.

mod beginning;
mod comeback;
mod config;
mod data;
mod death;
mod disks;
mod drills;
mod handover;
mod in_a_row;
mod many;
mod pace;
mod partition;
mod recovery;
mod scaling;
mod shard_drills;
mod shard_outages;
mod shards;
mod shards_come_and_go;
mod slow_disks;
mod surroundings;
mod two_at_once;

use rustix::process::Pid;

use crate::lab::Lab;

/// The engine's process.
#[track_caller]
pub(crate) fn engine(lab: &Lab) -> Pid {
    engine_of(lab, "cart")
}

/// The process of the engine that looks after this set.
#[track_caller]
pub(crate) fn engine_of(lab: &Lab, name: &str) -> Pid {
    let pid = lab.status(name)["engine"]["pid"].as_i64().expect("an engine that runs");
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}
