//! The election on real redis-server and redis-sentinel processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests fail the test and tell their figures"
)]

mod access;
mod agents;
mod broken_off;
mod corners;
mod crash;
mod hand_over;
mod harness;
mod rows;
mod single;
mod writers;
