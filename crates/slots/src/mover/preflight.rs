//! What is counted and refused before anything moves.

use std::collections::BTreeMap;

use redoubt_redis::cluster::NodeId;

use crate::{access::Access, cluster::Cluster, error::SlotsError, look, plan::Move};

/// Keys of every slot that is to be moved.
pub(super) async fn count(
    access: &Access,
    cluster: &Cluster,
    moves: &[Move],
) -> Result<BTreeMap<u16, u64>, SlotsError> {
    let mut counts = BTreeMap::new();
    for one in moves {
        let Some(source) = cluster.node(&one.from) else { continue };
        let mut connection = access.connect(&source.endpoint).await?;
        let slots: Vec<u16> = one.slots.iter().collect();
        let found = look::count(&mut connection, &slots).await?;
        counts.extend(slots.into_iter().zip(found));
    }
    Ok(counts)
}

/// Refuses what would not fit, by the average size of a source's keys: a target that runs out of memory leaves slots
/// half moved, or evicts what it has.
pub(super) fn room(
    cluster: &Cluster,
    moves: &[Move],
    expected: &BTreeMap<u16, u64>,
) -> Result<(), SlotsError> {
    let mut wanted: BTreeMap<&NodeId, u64> = BTreeMap::new();
    for one in moves {
        let view = cluster.node(&one.from).and_then(|node| node.view.as_ref().ok());
        let Some((view, used)) = view.and_then(|view| Some((view, view.used_memory?))) else { continue };
        let keys: u64 = one.slots.iter().filter_map(|slot| expected.get(&slot)).sum();
        let average = used.saturating_sub(EMPTY) / view.keys.max(1);
        *wanted.entry(&one.to).or_default() += keys * average;
    }
    for (target, wanted) in wanted {
        let Some(node) = cluster.node(target) else { continue };
        let Ok(view) = &node.view else { continue };
        let (Some(used), Some(limit)) = (view.used_memory, view.max_memory.filter(|limit| *limit > 0)) else {
            continue;
        };
        let free = limit.saturating_sub(used);
        if wanted > free {
            return Err(SlotsError::NoRoom { target: node.endpoint.clone(), wanted, free });
        }
    }
    Ok(())
}

/// An empty server in cluster mode uses about 1.5 MB.
const EMPTY: u64 = 1_500_000;
