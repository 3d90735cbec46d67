//! Clusters of real servers, moved about and broken.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod atomic;
mod bad_input;
mod broken;
mod client;
mod deaths;
mod failovers;
mod harness;
mod interrupted;
mod moving;
mod network;
mod shape;
mod tls;
mod writers;
