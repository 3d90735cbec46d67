//! Pauses that double, with jitter, so that what fails is not hurried and many do not come at once.

use std::time::Duration;

/// How long to wait before the next try. Cleared on success.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    tries: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, tries: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.tries = 0;
    }

    /// The pause before the next try.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = pause(self.first, self.most, self.tries);
        self.tries = self.tries.saturating_add(1);
        jittered(pause)
    }
}

/// The pause after so many tries before this one.
pub(crate) fn pause(first: Duration, most: Duration, tries: u32) -> Duration {
    // 2^16 first pauses are hours: whatever comes after is `most`.
    first.saturating_mul(1 << tries.min(16)).min(most)
}

/// Up to a fifth more or less.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.8 + 0.4 * rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_most() {
        let (first, most) = (Duration::from_secs(1), Duration::from_mins(1));
        let pauses: Vec<u64> = [0, 1, 2, 5, 6, 40].map(|tries| pause(first, most, tries).as_secs()).to_vec();
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60]);
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        for _ in 0..1000 {
            let pause = jittered(Duration::from_secs(10)).as_secs_f64();
            assert!((8.0..=12.0).contains(&pause), "{pause}");
        }
    }
}
