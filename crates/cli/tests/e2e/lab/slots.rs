//! Lets only so many heavy tests run at the same time, whatever processes they run in.

use std::fs::{self, File};

use rustix::fs::{FlockOperation, flock};

use super::wait::wait_for;

/// Two cores carry two sets with their servers and clients; more would measure the machine.
const SLOTS: usize = 2;

/// A place among the heavy tests. The kernel lets go of it when the test's process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Slot {
    _held: Vec<File>,
}

impl Slot {
    /// One of the places.
    pub(crate) fn one() -> Self {
        let mut found = None;
        wait_for("a place among the heavy tests", 1800, || {
            found = (0..SLOTS).find_map(take);
            found.is_some()
        });
        Self { _held: found.into_iter().collect() }
    }

    /// All of them: for a test that measures.
    pub(crate) fn all() -> Self {
        let mut held = Vec::new();
        for slot in 0..SLOTS {
            wait_for("the machine for itself", 1800, || {
                held.extend(take(slot));
                held.len() > slot
            });
        }
        Self { _held: held }
    }
}

fn take(slot: usize) -> Option<File> {
    let dir = env!("CARGO_TARGET_TMPDIR");
    fs::create_dir_all(dir).unwrap();
    let file = File::create(format!("{dir}/heavy-{slot}.lock")).unwrap();
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok().map(|()| file)
}
