//! How much one MIGRATE may carry, learnt from how long they take.

use std::time::Duration;

use super::window::Key;

/// What a key costs beside its bytes: DUMP, RESTORE and DEL of a small one take as long as 400 bytes of a big one.
const PER_KEY: u64 = 400;
/// 100 keys of 100 bytes: 1.5 ms on a slow machine.
const START: u64 = 64 * 1024;
const LEAST: u64 = 4 * 1024;
const MOST: u64 = 8 * 1024 * 1024;

/// The cost one batch may have, so that the source stands still for about half of `max_pause`.
#[derive(Debug)]
pub(super) struct Budget {
    cost: u64,
    max_pause: Duration,
}

impl Budget {
    pub(super) fn new(max_pause: Duration) -> Self {
        Self { cost: START, max_pause }
    }

    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    pub(super) fn of(key: &Key) -> u64 {
        key.bytes + PER_KEY
    }

    /// A batch of this cost kept the source busy for so long.
    pub(super) fn took(&mut self, cost: u64, time: Duration) {
        if time > self.max_pause.mul_f32(0.6) {
            self.cost = (self.cost / 10 * 7).max(LEAST);
        } else if time < self.max_pause.mul_f32(0.35) && cost >= self.cost / 10 * 8 {
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
            let mut budget = Budget::new(Duration::from_millis(5));
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
    fn a_small_batch_says_nothing_about_big_ones() {
        let mut budget = Budget::new(Duration::from_millis(5));
        budget.took(1000, Duration::from_micros(10));
        assert_eq!(budget.cost(), START);
    }
}
