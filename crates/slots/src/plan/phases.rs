//! What may go on at the same time.

use super::Move;

/// Groups of moves, one after the other. Within a group no node gives and takes: MIGRATE blocks its server until the
/// target has answered, so two servers that migrate to each other, or a ring of them, stand still until the time-out.
#[must_use]
pub fn phases(moves: Vec<Move>) -> Vec<Vec<Move>> {
    let mut phases: Vec<Vec<Move>> = Vec::new();
    for one in moves {
        let fits =
            |phase: &&mut Vec<Move>| phase.iter().all(|other| other.from != one.to && other.to != one.from);
        match phases.iter_mut().find(fits) {
            Some(phase) => phase.push(one),
            None => phases.push(vec![one]),
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use redoubt_redis::cluster::SlotSet;

    use super::*;

    proptest! {
        #[test]
        fn nobody_ever_gives_and_takes_at_once(pairs in vec((0u8..6, 0u8..6), 0..30)) {
            let id = |number: u8| format!("{number:040x}").parse().unwrap();
            let moves: Vec<Move> = pairs
                .into_iter()
                .filter(|(from, to)| from != to)
                .enumerate()
                .map(|(slot, (from, to))| Move {
                    from: id(from),
                    to: id(to),
                    slots: SlotSet::from_iter([u16::try_from(slot).unwrap()]),
                })
                .collect();
            let phases = phases(moves.clone());
            for phase in &phases {
                prop_assert!(phase.iter().all(|one| phase.iter().all(|other| other.to != one.from)));
            }
            let mut all: Vec<Move> = phases.into_iter().flatten().collect();
            let key = |one: &Move| one.slots.iter().next();
            all.sort_by_key(key);
            prop_assert_eq!(all, moves);
        }
    }
}
