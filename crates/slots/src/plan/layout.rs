//! Who leads and who follows whom in a new cluster.

use std::collections::{BTreeMap, btree_map::Entry};

use redoubt_redis::cluster::{SLOTS, SlotSet};

use super::apportion;

/// A new cluster; nodes are numbers in the order they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Masters and their slots.
    pub masters: Vec<(usize, SlotSet)>,
    /// Replicas and their masters.
    pub replicas: Vec<(usize, usize)>,
}

/// A majority of masters has to be left when one is gone.
const FEWEST_MASTERS: usize = 3;

/// Lays out a cluster on nodes of these hosts. Masters are spread over hosts, and a replica is on another host than its
/// master wherever that is possible.
pub fn layout(hosts: &[String], replicas: usize) -> Result<Layout, String> {
    let count = hosts.len() / (replicas + 1);
    if count < FEWEST_MASTERS {
        return Err(format!(
            "{} nodes with {replicas} replicas a master make {count} masters; at least {FEWEST_MASTERS} are needed, so \
             {} nodes",
            hosts.len(),
            FEWEST_MASTERS * (replicas + 1)
        ));
    }
    let order = alternate(hosts);
    let (masters, rest) = order.split_at(count);
    let masters = evenly(masters);
    let leaders: Vec<(&str, usize)> = masters.iter().map(|(node, _)| (hosts[*node].as_str(), 0)).collect();
    let followers: Vec<&str> = rest.iter().map(|node| hosts[*node].as_str()).collect();
    let followed = spread(&leaders, &followers);
    let replicas = rest.iter().zip(followed).map(|(node, leader)| (*node, masters[leader].0)).collect();
    Ok(Layout { masters, replicas })
}

/// Lays out a cluster where each node has its shard already: the first node of a shard leads it, the others follow.
pub fn layout_of_shards<Shard: Ord>(shards: impl IntoIterator<Item = Shard>) -> Layout {
    let mut first = BTreeMap::new();
    let (mut masters, mut replicas) = (Vec::new(), Vec::new());
    for (node, shard) in shards.into_iter().enumerate() {
        match first.entry(shard) {
            Entry::Occupied(master) => replicas.push((node, *master.get())),
            Entry::Vacant(place) => masters.push(*place.insert(node)),
        }
    }
    Layout { masters: evenly(&masters), replicas }
}

/// All slots, in runs of the same length.
fn evenly(masters: &[usize]) -> Vec<(usize, SlotSet)> {
    let counts = apportion(usize::from(SLOTS), &vec![1.0; masters.len()], |_, _| false);
    let mut next = 0..SLOTS;
    masters.iter().zip(counts).map(|(node, count)| (*node, next.by_ref().take(count).collect())).collect()
}

/// Gives each replica a master: one with the fewest replicas, on another host if there is one. Masters come with the
/// replicas they have already.
#[must_use]
pub fn spread(masters: &[(&str, usize)], replicas: &[&str]) -> Vec<usize> {
    let mut counts: Vec<usize> = masters.iter().map(|(_, count)| *count).collect();
    let mut chosen = vec![0; replicas.len()];
    let mut waiting: Vec<usize> = (0..replicas.len()).collect();
    while !waiting.is_empty() {
        let Some(fewest) = counts.iter().min().copied() else { break };
        // Of all pairs of a needy master and a waiting replica, one on two hosts; else any.
        let needy = || (0..masters.len()).filter(|master| counts[*master] == fewest);
        let apart = needy().find_map(|master| {
            let place = waiting.iter().position(|replica| replicas[*replica] != masters[master].0)?;
            Some((master, place))
        });
        let Some((master, place)) = apart.or_else(|| Some((needy().next()?, 0))) else { break };
        chosen[waiting.remove(place)] = master;
        counts[master] += 1;
    }
    // The last ones had no choice: they change places with one for whom it makes no difference.
    for unlucky in 0..replicas.len() {
        let apart =
            |replica: usize, master: usize| masters.get(master).is_some_and(|m| m.0 != replicas[replica]);
        if apart(unlucky, chosen[unlucky]) {
            continue;
        }
        let other = (0..replicas.len())
            .find(|other| apart(unlucky, chosen[*other]) && apart(*other, chosen[unlucky]));
        if let Some(other) = other {
            chosen.swap(unlucky, other);
        }
    }
    chosen
}

/// One node of each host in turn.
fn alternate(hosts: &[String]) -> Vec<usize> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order: Vec<(usize, usize)> = hosts
        .iter()
        .enumerate()
        .map(|(node, host)| {
            let turn = seen.entry(host).or_default();
            *turn += 1;
            (*turn, node)
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, node)| node).collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn too_few_nodes_are_refused_with_the_number_needed() {
        let hosts = vec!["a".to_owned(); 5];
        assert!(layout(&hosts, 1).unwrap_err().contains("6 nodes"));
        assert!(layout(&hosts, 0).is_ok());
    }

    #[test]
    fn replicas_are_apart_from_their_masters_on_three_hosts() {
        let hosts: Vec<String> = ["a", "a", "b", "b", "c", "c"].map(str::to_owned).to_vec();
        let layout = layout(&hosts, 1).unwrap();
        assert!(
            layout.replicas.iter().all(|(replica, master)| hosts[*replica] != hosts[*master]),
            "{layout:?}"
        );
    }

    #[test]
    fn the_first_node_of_each_shard_leads_it() {
        let layout = layout_of_shards([0, 1, 0, 2, 2, 1]);
        assert_eq!(layout.replicas, [(2, 0), (4, 3), (5, 1)]);
        let owned: Vec<_> = layout.masters.iter().map(|(node, slots)| (*node, slots.to_string())).collect();
        let expected = [(0, "0-5461"), (1, "5462-10922"), (3, "10923-16383")];
        assert_eq!(owned, expected.map(|(node, slots)| (node, slots.to_owned())));
    }

    proptest! {
        // Each looks at all slots one by one.
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_slot_has_one_owner_and_every_replica_a_master(
            hosts in vec("[a-d]", 3..20), replicas in 0usize..3,
        ) {
            let Ok(layout) = layout(&hosts, replicas) else {
                prop_assert!(hosts.len() < 3 * (replicas + 1));
                return Ok(());
            };
            let owned: usize = layout.masters.iter().map(|(_, slots)| slots.len()).sum();
            let all: SlotSet = layout.masters.iter().flat_map(|(_, slots)| slots.iter()).collect();
            prop_assert_eq!((owned, all), (usize::from(SLOTS), SlotSet::all()));
            for (master, _) in &layout.masters {
                let own = layout.replicas.iter().filter(|(_, of)| of == master).count();
                prop_assert!(own >= replicas, "{own} of {replicas}");
            }
            prop_assert_eq!(layout.masters.len() + layout.replicas.len(), hosts.len());
        }
    }
}
