//! Waits until the nodes of a cluster agree: what one of them was told reaches the others over the bus.

use std::time::Duration;

use redoubt_redis::{Endpoint, cluster::SlotSet};
use tokio::time::{Instant, sleep};

use crate::{
    access::Access,
    check::{Finding, check},
    cluster::Cluster,
    error::SlotsError,
    look::look,
};

/// Nodes gossip every second with some of the others; a few rounds reach all, on a busy machine as well.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// What one node was told reaches the others within milliseconds, if it is told at once.
pub(crate) const SOON: Duration = Duration::from_millis(10);
const LATER: Duration = Duration::from_millis(100);

/// Looks again until the cluster is as wanted.
pub(crate) async fn until(
    access: &Access,
    entry: &Endpoint,
    what: &str,
    wanted: impl Fn(&Cluster) -> bool,
) -> Result<Cluster, SlotsError> {
    let end = Instant::now() + PATIENCE;
    let mut pause = SOON;
    loop {
        let seen = look(access, entry).await;
        match seen {
            Ok(cluster) if wanted(&cluster) => return Ok(cluster),
            Err(error) if Instant::now() > end => return Err(error),
            Ok(_) if Instant::now() > end => {
                return Err(SlotsError::Waited { what: what.to_owned(), seconds: PATIENCE.as_secs() });
            }
            _ => rest(&mut pause).await,
        }
    }
}

/// A cluster whose nodes agree, or the last look at one whose nodes do not within a few seconds.
pub async fn look_settled(access: &Access, entry: &Endpoint) -> Result<Cluster, SlotsError> {
    /// A slot that changed its owner is known everywhere within a second or two; a node that was cut off, or has just
    /// started, waits up to five before it serves again.
    const MOMENT: Duration = Duration::from_secs(10);
    let end = Instant::now() + MOMENT;
    let mut pause = SOON;
    loop {
        let cluster = look(access, entry).await?;
        if Instant::now() > end || !may_pass(&check(&cluster)) {
            return Ok(cluster);
        }
        rest(&mut pause).await;
    }
}

/// The next one is longer.
async fn rest(pause: &mut Duration) {
    sleep(*pause).await;
    *pause = (*pause * 2).min(LATER);
}

/// The bus may mend some of it without us. That a node calls the cluster down has a reason while slots are nobody's; a
/// node that takes a slot learns nothing of its owner from the bus.
pub(crate) fn may_pass(findings: &[Finding]) -> bool {
    let is_uncovered = findings.iter().any(|finding| matches!(finding, Finding::Uncovered(_)));
    let open = open(findings);
    findings.iter().any(|finding| match finding {
        Finding::Disagreed(slots) => !slots.without(&open).is_empty(),
        Finding::Contested(_) | Finding::Forgotten { .. } => true,
        Finding::Down { .. } => !is_uncovered,
        _ => false,
    })
}

/// Nothing but open slots is wrong, and what nodes think of their owners: so a run that broke off leaves a cluster.
#[must_use]
pub fn is_unfinished(findings: &[Finding]) -> bool {
    let open = open(findings);
    findings.iter().all(|finding| match finding {
        Finding::Open { .. } => true,
        Finding::Disagreed(slots) => slots.without(&open).is_empty(),
        _ => false,
    })
}

fn open(findings: &[Finding]) -> SlotSet {
    let slot = |finding: &Finding| match finding {
        Finding::Open { slot, .. } => Some(*slot),
        _ => None,
    };
    findings.iter().filter_map(slot).collect()
}
