//! Masters of a cluster that have come to lie together, in one zone or on one machine: with it the votes of most masters
//! could go, and with them every election. They are spread again by one hand-over at a time, as far as there are replicas
//! elsewhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Next, Step};
use crate::{look::Look, world::MemberView};

/// A hand-over that brings the masters nearer to being evenly spread, once everybody is well. A shard moves to a place
/// that has at least two masters less than where it is, or makes room there for another.
pub(super) fn spread(look: &Look<'_>) -> Option<Next> {
    let shards = look.shards();
    let mut led = Vec::new();
    for shard in &shards {
        let others = shard.nodes.iter().filter(|view| !shard.is_led_by(view));
        led.push(Led {
            at: domain(shard.master?)?,
            others: others.map(|view| domain(view)).collect::<Option<_>>()?,
        });
    }
    let loads = loads(&led);
    let Move { shard, to } = next(&led)?;
    let (at, shard) = (led[shard].at, &shards[shard]);
    let heir = look.heir_in(shard, |view| domain(view) == Some(to))?;
    let why = format!(
        "masters are spread over zones and machines again: {} are at {at}, {} at {to}",
        loads[at], loads[to]
    );
    let (from, to) = (shard.master?.member.name.clone(), Some(heir.member.name.clone()));
    Some(Next::Step(Step::Handover { from, to, why }))
}

fn domain(view: &MemberView) -> Option<&str> {
    view.member.domain.as_deref()
}

/// Where a shard is led, and where it could be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Led<'a> {
    at: &'a str,
    others: BTreeSet<&'a str>,
}

/// A shard is to be led elsewhere.
#[derive(Debug, PartialEq, Eq)]
struct Move<'a> {
    shard: usize,
    to: &'a str,
}

/// How many shards are led where.
fn loads<'a>(led: &[Led<'a>]) -> BTreeMap<&'a str, usize> {
    let mut loads: BTreeMap<_, _> =
        led.iter().flat_map(|shard| &shard.others).map(|domain| (*domain, 0)).collect();
    for shard in led {
        *loads.entry(shard.at).or_default() += 1;
    }
    loads
}

/// The last move of the shortest chain from the fullest place to one with at least two masters less: taken from the end,
/// no place is ever fuller than before.
fn next<'a>(led: &[Led<'a>]) -> Option<Move<'a>> {
    let loads = loads(led);
    let mut full: Vec<_> = loads.iter().collect();
    full.sort_by_key(|(_, load)| std::cmp::Reverse(**load));
    full.into_iter().find_map(|(from, load)| {
        let (mut seen, mut queue) = (BTreeSet::from([*from]), VecDeque::from([*from]));
        while let Some(at) = queue.pop_front() {
            let moves = led.iter().enumerate().filter(|(_, shard)| shard.at == at);
            for (shard, to) in moves.flat_map(|(shard, led)| led.others.iter().map(move |to| (shard, *to))) {
                if loads[to] + 2 <= *load {
                    return Some(Move { shard, to });
                }
                if seen.insert(to) {
                    queue.push_back(to);
                }
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        plan::Plan,
        scene::{CLUSTER, Scene},
    };

    fn led<'a>(shards: &[(&'a str, &'a str)]) -> Vec<Led<'a>> {
        shards.iter().map(|(at, others)| Led { at, others: others.split_whitespace().collect() }).collect()
    }

    #[test]
    fn a_shard_goes_where_fewer_are_led() {
        for (shards, moved) in [
            (&[("a", "b"), ("a", "b"), ("c", "b")][..], Some((0, "b"))),
            // As even as it gets.
            (&[("a", "b"), ("b", "c"), ("c", "a")], None),
            (&[("a", "b"), ("a", "b"), ("b", "a")], None),
            // No copies elsewhere.
            (&[("a", "a"), ("a", ""), ("b", "c")], None),
            // Room is made first: nothing can go straight from a to c.
            (&[("a", "b"), ("a", "b"), ("b", "c")], Some((2, "c"))),
        ] {
            let moved = moved.map(|(shard, to)| Move { shard, to });
            assert_eq!(next(&led(shards)), moved, "{shards:?}");
        }
    }

    proptest! {
        #[test]
        fn it_ends_and_no_place_is_ever_fuller_than_the_fullest_was(
            shards in prop::collection::vec((0..5_usize, prop::collection::btree_set(0..5_usize, 0..4)), 1..20)
        ) {
            const PLACES: [&str; 5] = ["a", "b", "c", "d", "e"];
            let place = |(at, others): &(usize, BTreeSet<usize>)| Led {
                at: PLACES[*at],
                others: others.iter().map(|other| PLACES[*other]).collect(),
            };
            let mut shards: Vec<Led<'_>> = shards.iter().map(place).collect();
            let fullest = |shards: &[Led<'_>]| loads(shards).into_values().max().unwrap();
            let before = fullest(&shards);
            let mut moves = 0;
            while let Some(Move { shard, to }) = next(&shards) {
                let from = std::mem::replace(&mut shards[shard].at, to);
                shards[shard].others.remove(to);
                shards[shard].others.insert(from);
                prop_assert!(fullest(&shards) <= before);
                moves += 1;
                prop_assert!(moves < 100);
            }
        }
    }

    fn on(scene: Scene, places: [&'static str; 6]) -> Scene {
        CLUSTER.into_iter().zip(places).fold(scene, |scene, (node, place)| {
            scene.member(node, move |view| view.member.domain = Some(place.to_owned()))
        })
    }

    #[test]
    fn a_cluster_whose_masters_lie_together_hands_over_one_of_them() {
        let together = || on(Scene::cluster(), ["a", "b", "a", "c", "a", "b"]);
        let Some(Step::Handover { from, to, why }) = together().plan().step else { panic!("a hand-over") };
        assert_eq!((from.as_str(), to.as_deref()), ("cart-shard-0-0", Some("cart-shard-0-1")));
        assert!(why.contains("3 are at a, 0 at b"), "{why}");
        // First everybody is well.
        let unwell = together().syncing("cart-shard-0-1").plan();
        assert!(unwell.step.is_none() && unwell.waiting.is_some(), "{unwell:?}");
        let spread = on(Scene::cluster(), ["a", "b", "b", "c", "c", "a"]);
        assert_eq!(spread.plan(), Plan::default());
    }

    #[test]
    fn where_nobody_knows_the_places_nobody_is_moved() {
        let half = on(Scene::cluster(), ["a", "b", "a", "c", "a", "b"])
            .member("cart-shard-1-1", |view| view.member.domain = None);
        assert_eq!(half.plan(), Plan::default());
        assert_eq!(Scene::cluster().plan(), Plan::default());
    }
}
