//! How long to wait before the next try.

use std::time::{Duration, Instant};

use rand::RngExt as _;

/// Exponential, with jitter, forgotten after a time without failure.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
    last: Option<Instant>,
}

impl Backoff {
    /// From `first` to `most`.
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first, last: None }
    }

    /// The pause before the next try. `now` is when the last one failed.
    pub(crate) fn pause(&mut self, now: Instant) -> Duration {
        let calm = self.most * 2;
        if self.last.is_some_and(|last| now.duration_since(last) > calm) {
            self.reset();
        }
        self.last = Some(now);
        let pause = self.next;
        self.next = (self.next * 2).min(self.most);
        pause.mul_f64(rand::rng().random_range(0.75..1.25))
    }

    /// The next pause is the first one again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_most_and_begin_anew_after_calm() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let start = Instant::now();
        let pauses: Vec<_> = (0..6).map(|_| backoff.pause(start).as_millis()).collect();
        assert!(pauses[0] <= 125 && pauses[5] >= 750 && pauses[5] <= 1250, "{pauses:?}");
        assert!(backoff.pause(start + Duration::from_secs(10)).as_millis() <= 125);
    }
}
