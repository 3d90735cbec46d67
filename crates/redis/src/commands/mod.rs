//! The commands we use, one method each.

mod config;
mod sentinel;
mod server;
