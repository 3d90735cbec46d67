//! Who may start as what: decided from what was gathered, before a server runs.
//!
//! The rule behind all of it: nobody ever starts as an empty or outdated master over live data. [`decide`] is pure;
//! [`gather`] asks the Sentinels and the other agents.

mod decide;
mod gather;

pub(crate) use decide::{Decision, Election, PeerAnswer, SentinelAnswer, Survey, compare, decide};
pub(crate) use gather::{ask_nodes, gather};
