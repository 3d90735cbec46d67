//! How long to wait before an agent that ended is started again.

use std::time::Duration;

/// The second start in a row waits this long; each one after it twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No pause is longer: somebody who mends the cause does not want to wait.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// An agent that ran for this long had started: what keeps it from starting it finds out within a second, and its
/// server's faults are its own to wait out.
pub(crate) const STABLE: Duration = Duration::from_secs(5);

/// Counts the ends in a row of one agent.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The agent ended after so long. `noise` from 0 to 1 spreads those that ended together.
    pub(crate) fn ended(&mut self, ran: Duration, noise: f64) -> Duration {
        if ran >= STABLE {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        // The first one at once: one death is an accident, and somebody waits for the node.
        let Some(doublings) = self.failures.checked_sub(2) else { return Duration::ZERO };
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings.min(16)).min(MAX_PAUSE);
        pause.mul_f64(0.5 + noise.clamp(0.0, 1.0) / 2.0)
    }

    /// Ends in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_end_costs_nothing_the_next_ones_more_and_never_too_much() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> =
            (0..12).map(|_| backoff.ended(Duration::from_millis(5), 1.0).as_millis()).collect();
        assert_eq!(pauses[..4], [0, 100, 200, 400]);
        assert_eq!(pauses[9..], [10_000, 10_000, 10_000]);
        assert_eq!(backoff.ended(Duration::from_millis(5), 0.0).as_millis(), 5_000);
        assert_eq!(backoff.ended(STABLE, 1.0), Duration::ZERO);
        assert_eq!(backoff.failures(), 1);
    }
}
