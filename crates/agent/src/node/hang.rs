//! When a server that does not answer is hanging, and when it is only busy.

use std::time::{Duration, Instant};

/// Of each second without an answer, this much CPU time means work (a script, a big command), not a hang.
const BUSY_PER_SECOND: Duration = Duration::from_millis(100);

/// One look at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// When.
    pub(crate) at: Instant,
    /// It answered, be it with `LOADING` or `BUSY`.
    pub(crate) answered: bool,
    /// CPU time its process has used in all; `None` where the system does not tell.
    pub(crate) cpu: Option<Duration>,
}

/// Follows one server. A frozen master cannot be told from a dead one by anybody but its own agent, and would
/// acknowledge writes when it wakes up: so it is ended.
#[derive(Debug)]
pub(crate) struct HangWatch {
    limit: Duration,
    /// The last look that showed life.
    alive: Look,
    last: Look,
}

impl HangWatch {
    /// Begins with a server that is alive now.
    pub(crate) fn new(limit: Duration, now: Instant) -> Self {
        let look = Look { at: now, answered: true, cpu: None };
        Self { limit, alive: look, last: look }
    }

    /// Takes a look into account; true when the server hangs.
    pub(crate) fn hangs(&mut self, look: Look) -> bool {
        if look.answered || self.busy(look) {
            self.alive = look;
        }
        self.last = look;
        look.at.duration_since(self.alive.at) >= self.limit
    }

    /// How long the server has shown no life.
    pub(crate) fn silent_for(&self) -> Duration {
        self.last.at.duration_since(self.alive.at)
    }

    /// How much more silence makes a hang.
    pub(crate) fn left(&self) -> Duration {
        self.limit.saturating_sub(self.silent_for())
    }

    fn busy(&self, look: Look) -> bool {
        let (Some(before), Some(now)) = (self.last.cpu, look.cpu) else { return false };
        let elapsed = look.at.duration_since(self.last.at);
        !elapsed.is_zero() && now.saturating_sub(before) >= BUSY_PER_SECOND.mul_f64(elapsed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every half second: what each says of (answered, CPU milliseconds used in all).
    fn hangs_at(looks: &[(bool, u64)]) -> Option<usize> {
        let start = Instant::now();
        let mut watch = HangWatch::new(Duration::from_secs(3), start);
        (1..).zip(looks).position(|(n, (answered, cpu))| {
            watch.hangs(Look {
                at: start + Duration::from_millis(500) * n,
                answered: *answered,
                cpu: Some(Duration::from_millis(*cpu)),
            })
        })
    }

    #[test]
    fn a_frozen_server_hangs_after_the_limit() {
        assert_eq!(
            hangs_at(&[
                (true, 10),
                (false, 10),
                (false, 10),
                (false, 10),
                (false, 10),
                (false, 10),
                (false, 10),
                (false, 10)
            ]),
            Some(6)
        );
    }

    #[test]
    fn a_busy_script_is_not_a_hang() {
        let looks: Vec<_> = (0..60).map(|n| (false, n * 480)).collect();
        assert_eq!(hangs_at(&looks), None);
    }

    #[test]
    fn an_answer_starts_the_count_again() {
        let looks: Vec<_> = (0..60).map(|n| (n % 5 == 0, 10)).collect();
        assert_eq!(hangs_at(&looks), None);
    }
}
