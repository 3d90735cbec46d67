//! What a request may be and how long it may take.

use std::time::Duration;

use redoubt_wire::requests::MAX_WAIT_MS;

/// Longest head of a request, bytes: a token of 512 and the usual headers take 1 KiB. hyper needs 8 KiB at least.
pub(crate) const HEAD: usize = 16 * 1024;
/// Longest body, bytes: the longest one names a node, a cause and an id.
pub(crate) const BODY: usize = 16 * 1024;
/// A hand-over or a pruning ends by itself long before.
pub(crate) const COMMAND: Duration = Duration::from_secs(30);
/// Moving slots ends by itself a few seconds after the time it was given; finishing what an earlier run left may take
/// longer, and goes on when nobody waits.
pub(crate) const REBALANCE: Duration = Duration::from_mins(1);
/// No request takes longer than the longest wait for a change and the time to read the server.
pub(crate) const REQUEST: Duration = Duration::from_millis(MAX_WAIT_MS + 15_000);
