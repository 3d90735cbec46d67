//! Makes a broken cluster whole, as far as that can be done without losing a key.

mod act;
mod copies;
mod heirs;
mod plan;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use redoubt_redis::{Endpoint, cluster::NodeId};
use tokio::time::{Instant, sleep};

pub use heirs::mark_strays;
pub use plan::Repair;

use crate::{
    access::Access,
    cluster::{Cluster, Node},
    error::SlotsError,
    guard::Guard,
    look,
    mover::{Event, Options},
    settle,
};

/// One kind of trouble a round: unknown nodes, owners, open slots, keys at the wrong node, and each may uncover the next.
const ROUNDS: usize = 12;
/// A forgotten node stays out for a minute: who forgot it tells the others to do so as well (Redis 7.2, Valkey), and a
/// node they meet meanwhile is forgotten again.
const BAN: Duration = Duration::from_secs(75);
/// Within so long a node hears from each of the others, and would forget another one again.
const WORD: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_secs(1);

/// What a repair may do, and whom it tells.
pub struct Repairs<'a> {
    /// How nodes are reached.
    pub access: &'a Access,
    /// Any of them.
    pub entry: &'a Endpoint,
    /// How keys are moved.
    pub options: &'a Options,
    /// Of two different copies of a key, that of the node which does not own its slot wins.
    pub replace: bool,
    /// Told of each repair before it is made.
    pub tell: &'a (dyn Fn(&Repair) + Send + Sync),
    /// Told of keys as they move.
    pub report: &'a (dyn Fn(Event) + Send + Sync),
}

/// What the first round would do. Later rounds depend on what it finds.
pub async fn planned(access: &Access, cluster: &Cluster) -> Result<Vec<Repair>, SlotsError> {
    Ok(plan::plan(cluster, &keys(access, cluster).await?))
}

/// Repairs until nothing is left that can be repaired. Gives the cluster as it is then.
pub async fn repair(repairs: &Repairs<'_>) -> Result<Cluster, SlotsError> {
    introduce(repairs).await?;
    let mut last = Vec::new();
    for _ in 0..ROUNDS {
        let cluster = settle::look_settled(repairs.access, repairs.entry).await?;
        let next = planned(repairs.access, &cluster).await?;
        if next.is_empty() || next == last {
            return Ok(cluster);
        }
        let guard = Guard::take(repairs.access, &cluster).await?;
        for one in &next {
            (repairs.tell)(one);
        }
        until_served(repairs, &next).await?;
        act::all(repairs, &cluster, &guard, &next).await?;
        last = next;
    }
    look::look(repairs.access, repairs.entry).await
}

/// Has nodes meet until they know each other for good, or the ban of a forgotten one must be over.
async fn introduce(repairs: &Repairs<'_>) -> Result<(), SlotsError> {
    let end = Instant::now() + BAN;
    let mut cluster = settle::look_settled(repairs.access, repairs.entry).await?;
    let (mut told, mut strangers_at) = (Vec::new(), None);
    loop {
        let now = Instant::now();
        for (by, node) in plan::strangers(&cluster) {
            repairs.access.connect(&by).await?.cluster_meet(&node).await?;
            let one = Repair::Meet { by, node };
            if !told.contains(&one) {
                (repairs.tell)(&one);
                told.push(one);
            }
            strangers_at = Some(now);
        }
        if strangers_at.is_none_or(|at| now > at + WORD) || now > end {
            return Ok(());
        }
        sleep(AGAIN).await;
        cluster = look::look(repairs.access, repairs.entry).await?;
    }
}

/// A node that has just started refuses MIGRATE for a few seconds.
async fn until_served(repairs: &Repairs<'_>, next: &[Repair]) -> Result<(), SlotsError> {
    let ends = next.iter().flat_map(|one| match one {
        Repair::Finish { from, to, .. } | Repair::Fetch { from, to, .. } => vec![from, to],
        _ => Vec::new(),
    });
    let ends: BTreeSet<&NodeId> = ends.collect();
    if ends.is_empty() {
        return Ok(());
    }
    let serves = |node: &Node| node.view.as_ref().is_ok_and(|view| view.info.is_ok == Some(true));
    let serve = |cluster: &Cluster| ends.iter().all(|id| cluster.node(id).is_some_and(serves));
    settle::until(repairs.access, repairs.entry, "the nodes whose keys have to move serve", serve).await?;
    Ok(())
}

/// Keys that are not at the only owner of their slot. Of slots with several owners, those of each.
async fn keys(access: &Access, cluster: &Cluster) -> Result<plan::Keys, SlotsError> {
    let mut keys: plan::Keys = BTreeMap::new();
    for (node, slot, count) in look::strays(access, cluster).await? {
        keys.entry(slot).or_default().insert(node, count);
    }
    for node in cluster.masters() {
        let contested: Vec<u16> = node.slots.iter().filter(|slot| cluster.owner(*slot).is_none()).collect();
        let counts = look::count(&mut access.connect(&node.endpoint).await?, &contested).await?;
        for (slot, count) in contested.into_iter().zip(counts) {
            keys.entry(slot).or_default().insert(node.id.clone(), count);
        }
    }
    Ok(keys)
}
