//! Even load, with the fewest slots moved.

use redoubt_redis::cluster::{NodeId, SlotSet};

use super::{Move, apportion};

/// A master and how much of the whole it should own.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Who.
    pub node: NodeId,
    /// What it owns now.
    pub slots: SlotSet,
    /// Relative to the others; 0 empties it.
    pub weight: f64,
}

/// Moves that leave everybody with its share, rounded down or up. Nothing when nobody is further than `threshold`
/// percent of its share away from it. No smaller number of slots would do. Nobody gives and takes.
#[must_use]
pub fn rebalance(shares: &[Share], threshold: f64) -> Vec<Move> {
    let total: usize = shares.iter().map(|share| share.slots.len()).sum();
    let weights: Vec<f64> = shares.iter().map(|share| share.weight).collect();
    if weights.iter().sum::<f64>() <= 0.0 || !is_uneven(shares, total, threshold) {
        return Vec::new();
    }
    // Who has one more than the rounded-down share keeps it: so nothing moves for the sake of rounding.
    let wanted = apportion(total, &weights, |index, floor| shares[index].slots.len() > floor);
    let mut takers: Vec<(usize, usize)> = Vec::new();
    let mut givers: Vec<(usize, Vec<u16>)> = Vec::new();
    for (index, share) in shares.iter().enumerate() {
        let has = share.slots.len();
        if has < wanted[index] {
            takers.push((index, wanted[index] - has));
        } else if has > wanted[index] {
            // From the end: what stays, and what goes, is in one piece where it was.
            givers.push((index, share.slots.iter().rev().take(has - wanted[index]).collect()));
        }
    }
    pair_up(shares, givers, takers)
}

fn is_uneven(shares: &[Share], total: usize, threshold: f64) -> bool {
    let sum: f64 = shares.iter().map(|share| share.weight).sum();
    shares.iter().any(|share| {
        #[expect(clippy::cast_precision_loss, reason = "at most 16384")]
        let (total, has) = (total as f64, share.slots.len() as f64);
        let wanted = total * share.weight / sum;
        if wanted == 0.0 { has > 0.0 } else { (has - wanted).abs() / wanted * 100.0 > threshold }
    })
}

/// The biggest giver serves the biggest taker first: few pairs, and in ranges.
fn pair_up(
    shares: &[Share],
    mut givers: Vec<(usize, Vec<u16>)>,
    mut takers: Vec<(usize, usize)>,
) -> Vec<Move> {
    givers.sort_by_key(|(index, slots)| (slots.len(), usize::MAX - index));
    takers.sort_by_key(|(index, wanted)| (usize::MAX - wanted, *index));
    let mut moves = Vec::new();
    for (taker, mut lacking) in takers {
        while lacking > 0 {
            let Some((giver, slots)) = givers.last_mut() else { break };
            let count = lacking.min(slots.len());
            let part: SlotSet = slots.drain(slots.len() - count..).collect();
            lacking -= count;
            let (from, to) = (shares[*giver].node.clone(), shares[taker].node.clone());
            moves.push(Move { from, to, slots: part });
            if slots.is_empty() {
                givers.pop();
            }
        }
    }
    moves
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Slots and weights, the threshold, and how many slots move.
    type Case<'a> = (&'a [(u32, f64)], f64, usize);

    fn id(number: usize) -> NodeId {
        format!("{number:040x}").parse().unwrap()
    }

    /// Masters with so many slots each, in one piece.
    fn shares(of: &[(u32, f64)]) -> Vec<Share> {
        let mut next = 0u16;
        let share = |(number, (count, weight)): (usize, &(u32, f64))| {
            let end = next + u16::try_from(*count).unwrap();
            let slots: SlotSet = (next..end).collect();
            next = end;
            Share { node: id(number), slots, weight: *weight }
        };
        of.iter().enumerate().map(share).collect()
    }

    fn moved(moves: &[Move]) -> usize {
        moves.iter().map(|one| one.slots.len()).sum()
    }

    fn after(shares: &[Share], moves: &[Move]) -> Vec<SlotSet> {
        let mut slots: Vec<SlotSet> = shares.iter().map(|share| share.slots.clone()).collect();
        let index = |node: &NodeId| shares.iter().position(|share| share.node == *node).unwrap();
        for one in moves {
            for slot in one.slots.iter() {
                assert!(slots[index(&one.from)].remove(slot), "given without owning it: {slot}");
                assert!(slots[index(&one.to)].insert(slot));
            }
        }
        slots
    }

    #[test]
    fn known_cases_move_the_known_number() {
        let thirds = [(5461, 1.0), (5461, 1.0), (5462, 1.0)];
        let cases: [Case<'_>; 6] = [
            (&thirds, 2.0, 0),
            (&[(5461, 1.0), (5461, 0.9), (5462, 1.1)], 2.0, 545),
            (&[(5461, 1.0), (5461, 1.0), (5462, 1.0), (0, 1.0)], 2.0, 4096),
            (&[(16384, 1.0), (0, 1.0), (0, 1.0)], 2.0, 10922),
            (&[(8192, 1.0), (8192, 0.0)], 2.0, 8192),
            (&[(5500, 1.0), (5422, 1.0), (5462, 1.0)], 2.0, 0),
        ];
        for (of, threshold, count) in cases {
            assert_eq!(moved(&rebalance(&shares(of), threshold)), count, "{of:?}");
        }
    }

    proptest! {
        #[test]
        fn everybody_gets_its_share_and_nothing_moves_in_vain(
            of in vec((0u32..400, 0u8..5), 1..8), threshold in prop_oneof![Just(0.0), Just(2.0)],
        ) {
            let of: Vec<(u32, f64)> = of.into_iter().map(|(count, weight)| (count, f64::from(weight))).collect();
            let (shares, total) = (shares(&of), of.iter().map(|(count, _)| count).sum::<u32>());
            let sum: f64 = of.iter().map(|(_, weight)| weight).sum();
            let moves = rebalance(&shares, threshold);
            let now = after(&shares, &moves);
            if moves.is_empty() {
                return Ok(());
            }
            let (mut surplus, mut missing) = (0.0, 0.0f64);
            for (slots, (had, weight)) in now.iter().zip(&of) {
                let exact = f64::from(total) * weight / sum;
                let has = f64::from(u32::try_from(slots.len()).unwrap());
                prop_assert!((has - exact).abs() < 1.0, "{has} of {exact}");
                surplus += (f64::from(*had) - exact.ceil()).max(0.0);
                // Every slot above the rounded-up share has to go, and every one missing to the rounded-down share to come.
                missing += (exact.floor() - f64::from(*had)).max(0.0);
            }
            let count = f64::from(u32::try_from(moved(&moves)).unwrap());
            prop_assert!((count - surplus.max(missing)).abs() < 0.5, "{count} of {surplus} or {missing}");
            for one in &moves {
                prop_assert!(moves.iter().all(|other| other.to != one.from), "gives and takes");
            }
        }
    }
}
