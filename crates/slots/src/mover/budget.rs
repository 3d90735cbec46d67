//! How much one MIGRATE may carry, learnt from how long they take.

use std::time::Duration;

use super::window::Key;

/// What a key costs beside its bytes: DUMP, RESTORE and DEL of a small one take as long as 400 bytes of a big one.
const PER_KEY: u64 = 400;
/// 100 keys of 100 bytes: 1.5 ms on a slow machine.
const START: u64 = 64 * 1024;
const LEAST: u64 = 4 * 1024;
const MOST: u64 = 8 * 1024 * 1024;
/// Part of the longest pause that the way may take: whoever moves slots from afar is farther from the target than the
/// source is.
const FARTHEST: f32 = 0.4;

/// The cost one batch may have, so that the source stands still for about half of `max_pause`.
#[derive(Debug)]
pub(super) struct Budget {
    cost: u64,
    /// The way to the target and back. A smaller batch takes it as well, and more batches take it more often.
    way: Duration,
    /// What is left of the longest pause beside the way.
    room: Duration,
}

impl Budget {
    pub(super) fn new(max_pause: Duration, round_trip: Duration) -> Self {
        let way = round_trip.min(max_pause.mul_f32(FARTHEST));
        Self { cost: START, way, room: max_pause.saturating_sub(way) }
    }

    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    pub(super) fn of(key: &Key) -> u64 {
        key.bytes + PER_KEY
    }

    /// A batch of this cost kept the source busy for so long.
    pub(super) fn took(&mut self, cost: u64, time: Duration) {
        let work = time.saturating_sub(self.way);
        if work > self.room.mul_f32(0.6) {
            self.cost = (self.cost / 10 * 7).max(LEAST);
        } else if work < self.room.mul_f32(0.35) && cost >= self.cost / 10 * 8 {
            self.cost = (self.cost / 20 * 23).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_settle_below_the_longest_pause() {
        for bytes_per_ms in [2_000, 50_000, 500_000] {
            let mut budget = Budget::new(Duration::from_millis(5), Duration::ZERO);
            for _ in 0..200 {
                let cost = budget.cost();
                budget.took(cost, Duration::from_micros(cost * 1000 / bytes_per_ms));
            }
            let settled = Duration::from_micros(budget.cost() * 1000 / bytes_per_ms);
            let range = Duration::from_micros(1500)..Duration::from_millis(4);
            assert!(range.contains(&settled), "{settled:?} at {bytes_per_ms}");
        }
    }

    #[test]
    fn a_target_that_is_far_away_makes_batches_no_smaller() {
        let settled = |round_trip: Duration| {
            let mut budget = Budget::new(Duration::from_millis(5), round_trip);
            for _ in 0..200 {
                let cost = budget.cost();
                budget.took(cost, round_trip + Duration::from_micros(cost / 50));
            }
            budget.cost()
        };
        let (near, far) = (settled(Duration::ZERO), settled(Duration::from_millis(1)));
        assert!(far >= near / 10 * 7, "{far} beside {near}");
        // Whoever is an ocean away from the target keeps to the pause all the same.
        let mut budget = Budget::new(Duration::from_millis(5), Duration::from_millis(100));
        for _ in 0..200 {
            budget.took(budget.cost(), Duration::from_millis(5));
        }
        assert_eq!(budget.cost(), LEAST);
    }

    #[test]
    fn a_small_batch_says_nothing_about_big_ones() {
        let mut budget = Budget::new(Duration::from_millis(5), Duration::ZERO);
        budget.took(1000, Duration::from_micros(10));
        assert_eq!(budget.cost(), START);
    }
}
