//! Ids made at random.

use std::fmt::Write as _;

use rand::RngExt as _;

/// Id of one life of an agent: 16 hex digits.
pub(crate) fn incarnation() -> String {
    hex(8)
}

/// Id of a data set: 32 hex digits.
pub(crate) fn data_set() -> String {
    hex(16)
}

fn hex(bytes: usize) -> String {
    let mut random = rand::rng();
    (0..bytes).fold(String::with_capacity(bytes * 2), |mut text, _| {
        let _ = write!(text, "{:02x}", random.random::<u8>());
        text
    })
}
