//! Clusters of real servers, moved about and broken.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod atomic;
mod bad_input;
mod broken;
mod client;
mod deaths;
mod harness;
mod interrupted;
mod moving;
mod shape;
mod tls;
mod writers;
