//! A node in a cluster: what its server knows of it, as what it may start, and what it lacks while it runs.
//!
//! The masters elect, and the servers carry on by themselves most of the way. What they cannot know is here: that a
//! server which ended is dead at once, that its data is gone, and which shard a node belongs to. [`boot`], [`fence`]
//! and [`tend`] are pure; [`lead`] asks a replica to stand for election.

mod boot;
mod fence;
#[cfg(test)]
mod fixture;
mod lead;
mod memory;
mod rebalance;
mod tend;
mod view;

pub(crate) use boot::{ACCEPT_LOSS, Decision, StartAs, Survey, decide, is_forgotten, is_led};
pub(crate) use fence::{ShardFence, hears_majority, leads, look_again};
pub(crate) use lead::{Ask, Candidate, ask, candidates, reached_by_majority};
pub(crate) use memory::{Memory, load};
pub(crate) use rebalance::rebalance;
pub(crate) use tend::{Situation, Tend, is_amiss, next};
pub(crate) use view::ClusterSeen;
