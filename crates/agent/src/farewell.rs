//! A pod that is told to end serves on for a moment.
//!
//! kube-proxy carries changes of Services in at most once a second (`minSyncPeriod`), and the end of a pod is one by
//! itself. A master that hands over within that second leaves the clients of its Service with nobody until it is over; a
//! Sentinel that ends at once leaves those who are sent to it without an answer, just while a master on the same machine
//! hands over.

use std::time::Duration;

use tokio::time::Instant;

/// After it, kube-proxy carries the next change in at once.
const SERVICES_SETTLE: Duration = Duration::from_millis(1100);
/// A hand-over that begins then is over by this.
const HANDED_OVER: Duration = Duration::from_secs(2);

/// When a data node that was told to end goes about it.
pub(crate) fn of_node(grace: Duration) -> Instant {
    Instant::now() + SERVICES_SETTLE.min(grace / 4)
}

/// What is left to it of its grace then.
pub(crate) fn left(grace: Duration) -> Duration {
    grace.saturating_sub(SERVICES_SETTLE.min(grace / 4))
}

/// When a Sentinel does.
pub(crate) fn of_sentinel(grace: Duration) -> Instant {
    Instant::now() + HANDED_OVER.min(grace / 2)
}

/// Waits for it; for ever when there is none.
pub(crate) async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
