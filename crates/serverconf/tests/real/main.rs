//! Against real servers: the one that is installed, or the one that `REDOUBT_TEST_SERVER` names.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod access;
mod aof;
mod live;
mod sentinel;
mod server;
mod set;
mod trial;
mod whole;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

/// The binary under test; it is a Sentinel as well, with `--sentinel`.
fn binary() -> PathBuf {
    std::env::var_os("REDOUBT_TEST_SERVER").map_or_else(|| "redis-server".into(), PathBuf::from)
}

/// A loopback network of one test alone: `127.x.y`, from the process id and a count.
fn net() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id() * 32 + COUNT.fetch_add(1, Ordering::Relaxed) % 32;
    format!("127.{}.{}", 16 + (number >> 8) % 200, number % 256)
}
