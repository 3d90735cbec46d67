//! Against real servers: the one that is installed, or the one that `REDOUBT_TEST_SERVER` names.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod commands;
mod connection;
mod sentinel;
mod server;
mod tls;
