//! The binary as people use it, on real servers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod bad_input;
mod clients;
mod cluster;
mod convert;
mod lab;
mod promises;
mod words;
