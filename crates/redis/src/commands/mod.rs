//! The commands we use, one method each.

mod cluster;
mod config;
mod sentinel;
mod server;
