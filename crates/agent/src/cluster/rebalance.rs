//! Moves slots until each shard owns its share.
//!
//! Guarantees: what an earlier run left half done is finished first, and nothing is begun while anything else is wrong.
//! Cut off anywhere, every key is at one end of an open slot, and the next run goes on from there. A shard without slots
//! is given one, and no more before it serves that: only then can a replica be elected in place of its master.
//!
//! Caveats: see `redoubt_slots` on what clients notice, and on what an end that dies with open slots leaves behind.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use redoubt_redis::{
    Endpoint,
    cluster::{SLOTS, SlotSet},
};
use redoubt_slots::{
    Access, Cluster, Event, Guard, Mover, Node, Options, Repair, Repairs, SlotsError, Stop, check,
    is_unfinished, look_settled,
    plan::{self, Move, Share},
    repair,
};
use redoubt_wire::{
    config::SetConfig,
    requests::{Rebalance, Rebalanced, Refusal},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// No batch of keys shall keep a server from its clients for longer: a tenth of what planned work may be felt for. Less
/// would move next to nothing on a machine that is busy.
const MAX_PAUSE: Duration = Duration::from_millis(10);

/// Moves until every shard has its share, the time of the wish has passed, or it is enough.
pub(crate) async fn rebalance(
    access: &Access,
    entry: &Endpoint,
    set: &SetConfig,
    wish: &Rebalance,
    enough: &CancellationToken,
) -> Result<Rebalanced, Refusal> {
    let weights = &wish.weights;
    let options = Options { max_pause: MAX_PAUSE, ..Options::default() };
    let cluster = mended(access, entry, &options).await.map_err(refusal)?;
    if weights.is_empty() {
        return Ok(Rebalanced::default());
    }
    let guard = Guard::take(access, &cluster).await.map_err(refusal)?;
    let shares = shares(set, &cluster, weights).map_err(|why| refusal(SlotsError::Refused(why)))?;
    let wanted = plan::rebalance(&shares, 0.0);
    if let Some(refusal) = holds_strays(&cluster, &wanted) {
        return Err(refusal);
    }
    let total = count(&wanted);
    let keys = AtomicU64::new(0);
    let report = |event: Event| match event {
        Event::Keys { keys: moved, .. } => {
            keys.fetch_add(moved, Ordering::Relaxed);
        }
        Event::FallsBack { why } => tracing::warn!(%why, "the rest of these slots goes by MIGRATE"),
        Event::Total { .. } | Event::Slot { .. } | Event::BigKey { .. } => {}
    };
    let now = beginnings(&shares, &wanted).unwrap_or(wanted);
    let mover = Mover { access, cluster: &cluster, options: &options, report: &report };
    let (began, (stop, asked)) = (Instant::now(), watch::channel(false));
    let run = mover.run(&guard, now, Stop::new(asked));
    tokio::pin!(run);
    let summary = tokio::select! {
        summary = &mut run => summary,
        _ = timeout(Duration::from_millis(wish.for_ms), enough.cancelled()) => {
            stop.send_replace(true);
            run.await
        }
    };
    let slots = summary.map_err(refusal)?.slots;
    Ok(Rebalanced {
        slots: u32::try_from(slots).unwrap_or(u32::MAX),
        keys: keys.load(Ordering::Relaxed),
        left: u32::try_from(total.saturating_sub(slots)).unwrap_or(u32::MAX),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// The cluster, once nothing is wrong with it.
async fn mended(access: &Access, entry: &Endpoint, options: &Options) -> Result<Cluster, SlotsError> {
    let cluster = look_settled(access, entry).await?;
    let findings = check(&cluster);
    if findings.is_empty() {
        return Ok(cluster);
    }
    if !is_unfinished(&findings) {
        return Err(SlotsError::Unhealthy(findings));
    }
    let tell = |one: &Repair| tracing::info!("{one}");
    let repairs = Repairs { access, entry, options, replace: false, tell: &tell, report: &|_| () };
    let cluster = repair(&repairs).await?;
    match check(&cluster) {
        left if left.is_empty() => Ok(cluster),
        left => Err(SlotsError::Unhealthy(left)),
    }
}

/// Who owns how much, and should. Nothing of a shard that owns nothing and shall not.
fn shares(set: &SetConfig, cluster: &Cluster, weights: &BTreeMap<u32, u32>) -> Result<Vec<Share>, String> {
    let mut shares = Vec::new();
    for (shard, weight) in weights {
        let Some(master) = master(set, cluster, *shard)? else {
            if *weight == 0 {
                continue;
            }
            return Err(format!("shard {shard} has no master to give slots to"));
        };
        let (node, slots) = (master.id.clone(), master.slots.clone());
        shares.push(Share { node, slots, weight: f64::from(*weight) });
    }
    let owned: SlotSet = shares.iter().flat_map(|share| share.slots.iter().collect::<Vec<_>>()).collect();
    if owned.len() == usize::from(SLOTS) {
        return Ok(shares);
    }
    let others = SlotSet::all().without(&owned);
    Err(format!("{} are owned by no shard that is named", others.outline()))
}

/// Who owns the slots of a shard; of one that owns none, its only node that follows nobody.
fn master<'a>(set: &SetConfig, cluster: &'a Cluster, shard: u32) -> Result<Option<&'a Node>, String> {
    let is_inside =
        |node: &&Node| set.node_at(&node.endpoint).is_some_and(|entry| entry.shard == Some(shard));
    let masters: Vec<&Node> = cluster.masters().filter(is_inside).collect();
    let owners: Vec<&Node> = masters.iter().copied().filter(|node| !node.slots.is_empty()).collect();
    match (&owners[..], &masters[..]) {
        ([owner], _) => Ok(Some(owner)),
        ([], [idle]) => Ok(Some(idle)),
        ([], []) => Ok(None),
        _ => Err(format!("shard {shard} has {} masters", masters.len())),
    }
}

/// Keys at a node without slots are nobody's. With their slots they would be served again, also those that clients have
/// deleted since.
fn holds_strays(cluster: &Cluster, moves: &[Move]) -> Option<Refusal> {
    let mut targets = moves.iter().filter_map(|one| cluster.node(&one.to));
    let (target, keys) = targets.find_map(|node| {
        let keys = node.keys().filter(|keys| *keys > 0 && node.slots.is_empty())?;
        Some((&node.endpoint, keys))
    })?;
    Some(Refusal::new(
        format!("{target} owns no slot and holds {keys} keys, from which nobody is served"),
        "`redoubt cluster fix` brings them to the owners of their slots; if they are old, empty that node's data folder instead",
    ))
}

/// One slot for each target that owns none; nothing, if there is no such target.
fn beginnings(shares: &[Share], moves: &[Move]) -> Option<Vec<Move>> {
    let fresh = shares.iter().filter(|share| share.slots.is_empty());
    let first = |share: &Share| {
        let one = moves.iter().find(|one| one.to == share.node)?;
        Some(Move { slots: one.slots.iter().take(1).collect(), ..one.clone() })
    };
    let firsts: Vec<Move> = fresh.filter_map(first).collect();
    (!firsts.is_empty()).then_some(firsts)
}

fn count(moves: &[Move]) -> usize {
    moves.iter().map(|one| one.slots.len()).sum()
}

fn refusal(error: SlotsError) -> Refusal {
    match error {
        SlotsError::NoRoom { .. } => Refusal::new(
            format!("spec.shards and spec.weights ask for more than fits: {error}"),
            "raise spec.config.maxmemory, or ask for more shards; nothing was moved",
        ),
        error => Refusal::new(error.to_string(), error.next()),
    }
}

#[cfg(test)]
mod tests {
    use redoubt_redis::cluster::{ClusterInfo, ClusterNodes};
    use redoubt_slots::View;

    use super::*;
    use crate::cluster::fixture::{ID, at, set};

    /// Three shards that share all slots as given, the first node of each its master.
    fn cluster(slots: [&str; 4]) -> Cluster {
        let node = |shard: usize| {
            let number = u32::try_from(shard).unwrap();
            let line = format!(
                "{} {}:6379@16379 myself,master - 0 0 1 connected {}\n",
                ID[shard],
                at(number, 0).host,
                slots[shard]
            );
            let nodes = ClusterNodes::parse(&line).unwrap();
            let view = View {
                info: ClusterInfo::default(),
                keys: 0,
                used_memory: None,
                max_memory: None,
                version: None,
                nodes,
            };
            Node {
                id: view.nodes.myself.id.clone(),
                endpoint: at(number, 0),
                is_master: true,
                master: None,
                slots: view.nodes.myself.slots.clone(),
                is_failed: false,
                view: Ok(view),
            }
        };
        Cluster { nodes: (0..4).map(node).collect() }
    }

    fn planned(slots: [&str; 4], weights: [u32; 4]) -> Result<(usize, Vec<Move>), String> {
        let weights = (0..).zip(weights).collect();
        let shares = shares(&set(4, 2), &cluster(slots), &weights)?;
        let moves = plan::rebalance(&shares, 0.0);
        Ok((count(&moves), beginnings(&shares, &moves).unwrap_or(moves)))
    }

    const THIRDS: [&str; 4] = ["0-5460", "5461-10922", "10923-16383", ""];

    #[test]
    fn a_shard_without_slots_gets_one_before_it_gets_more() {
        let (total, first) = planned(THIRDS, [1; 4]).unwrap();
        assert_eq!((total, count(&first)), (4096, 1));
        assert_eq!(first[0].to.as_str(), ID[3]);
        let (total, moves) = planned(["0-5460", "5461-10922", "10923-16382", "16383"], [1; 4]).unwrap();
        assert_eq!((total, count(&moves)), (4095, 4095));
    }

    #[test]
    fn a_shard_of_no_weight_gives_all_and_one_that_has_given_all_is_left_alone() {
        let (total, moves) =
            planned(["0-4095", "4096-8191", "8192-12287", "12288-16383"], [1, 1, 1, 0]).unwrap();
        assert_eq!(total, 4096);
        assert!(moves.iter().all(|one| one.from.as_str() == ID[3]));
        assert_eq!(planned(THIRDS, [1, 1, 1, 0]).unwrap(), (0, Vec::new()));
    }

    #[test]
    fn slots_that_are_somebody_elses_are_not_passed_over() {
        let mut weights: BTreeMap<u32, u32> = (0..4).map(|shard| (shard, 1)).collect();
        weights.remove(&0);
        let said = shares(&set(4, 2), &cluster(THIRDS), &weights).unwrap_err();
        assert!(said.contains("5461 slots (0-5460)"), "{said}");
    }

    #[test]
    fn two_masters_of_one_shard_are_no_place_for_slots() {
        let mut two = cluster(THIRDS);
        let mut second = two.nodes[3].clone();
        (second.endpoint, second.id) = (at(3, 1), ID[0].replace('a', "9").parse().unwrap());
        two.nodes.push(second);
        let weights = (0..4).map(|shard| (shard, 1)).collect();
        let said = shares(&set(4, 2), &two, &weights).unwrap_err();
        assert!(said.contains("shard 3 has 2 masters"), "{said}");
    }

    #[test]
    fn no_slot_goes_to_a_node_that_holds_keys_of_an_earlier_life() {
        let mut full = cluster(THIRDS);
        let weights = (0..4).map(|shard| (shard, 1)).collect();
        let moves = plan::rebalance(&shares(&set(4, 2), &full, &weights).unwrap(), 0.0);
        assert_eq!(holds_strays(&full, &moves), None);
        full.nodes[3].view.as_mut().unwrap().keys = 7;
        let refused = holds_strays(&full, &moves).unwrap();
        assert!(refused.error.contains("127.1.3.0:6379 owns no slot and holds 7 keys"), "{refused:?}");
        // Of a shard that owns slots, these may be its own.
        full.nodes[0].view.as_mut().unwrap().keys = 7;
        full.nodes[3].view.as_mut().unwrap().keys = 0;
        assert_eq!(holds_strays(&full, &moves), None);
    }

    #[test]
    fn a_target_without_room_names_the_field() {
        let said = refusal(SlotsError::NoRoom { target: at(1, 0), wanted: 10, free: 5 });
        assert!(
            said.error.starts_with("spec.shards") && said.next.contains("spec.config.maxmemory"),
            "{said:?}"
        );
    }
}
