//! When a server that does not answer is hanging, and when it is only busy.

use std::time::{Duration, Instant};

use redoubt_supervise::{RunState, Vitals};

/// Of each second without an answer, this much CPU time means work (a script, a big command), not a hang.
const BUSY_PER_SECOND: Duration = Duration::from_millis(100);

/// Looks are a second apart at most, and wait a second for the answer: beyond that nobody listened, because this agent was
/// itself stopped, or starved, or its whole machine was. Not all of that silence is the server's.
const LISTENED_AT_MOST: Duration = Duration::from_secs(2);

/// One look at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// When.
    pub(crate) at: Instant,
    /// It answered, be it with `LOADING` or `BUSY`.
    pub(crate) answered: bool,
    /// What the system says of its process; `None` where it says nothing.
    pub(crate) vitals: Option<Vitals>,
}

/// Follows one server. A frozen master cannot be told from a dead one by anybody but its own agent, and would
/// acknowledge writes when it wakes up: so it is ended.
#[derive(Debug)]
pub(crate) struct HangWatch {
    limit: Duration,
    last: Look,
    silent_for: Duration,
}

impl HangWatch {
    /// Begins with a server that is alive now.
    pub(crate) fn new(limit: Duration, now: Instant) -> Self {
        Self { limit, last: Look { at: now, answered: true, vitals: None }, silent_for: Duration::ZERO }
    }

    /// Takes a look into account; true when the server hangs.
    pub(crate) fn hangs(&mut self, look: Look) -> bool {
        if look.answered || self.busy(look) {
            self.silent_for = Duration::ZERO;
        } else {
            self.silent_for += look.at.duration_since(self.last.at).min(LISTENED_AT_MOST);
        }
        self.last = look;
        self.silent_for >= self.limit
    }

    /// How long the server has shown no life while somebody looked.
    pub(crate) fn silent_for(&self) -> Duration {
        self.silent_for
    }

    /// How much more silence makes a hang.
    pub(crate) fn left(&self) -> Duration {
        self.limit.saturating_sub(self.silent_for())
    }

    /// Works, or would if the machine gave it a processor: another process in its place would get no more of one.
    fn busy(&self, look: Look) -> bool {
        let Some(now) = look.vitals else { return false };
        let elapsed = look.at.duration_since(self.last.at);
        let worked = self.last.vitals.is_some_and(|before| {
            let used = now.cpu_time.saturating_sub(before.cpu_time);
            !elapsed.is_zero() && used >= BUSY_PER_SECOND.mul_f64(elapsed.as_secs_f64())
        });
        worked || now.state == RunState::Running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at these milliseconds: what each says of (answered, its state, CPU milliseconds used in all). Which of them says
    /// that it hangs.
    fn hangs_at(looks: impl IntoIterator<Item = (u64, bool, RunState, u64)>) -> Option<usize> {
        let start = Instant::now();
        let mut watch = HangWatch::new(Duration::from_secs(3), start);
        looks.into_iter().position(|(at, answered, state, cpu)| {
            let vitals = Vitals { state, cpu_time: Duration::from_millis(cpu), resident_bytes: 0 };
            watch.hangs(Look { at: start + Duration::from_millis(at), answered, vitals: Some(vitals) })
        })
    }

    /// Every half second.
    fn half_seconds() -> impl Iterator<Item = u64> {
        (1..60).map(|n| n * 500)
    }

    #[test]
    fn a_frozen_server_hangs_after_the_limit() {
        let looks = half_seconds().map(|at| (at, at == 500, RunState::Stopped, 10));
        assert_eq!(hangs_at(looks), Some(6));
    }

    #[test]
    fn one_that_waits_for_what_never_comes_hangs_as_well() {
        for state in [RunState::Sleeping, RunState::DiskSleep] {
            let looks = half_seconds().map(|at| (at, false, state, 10));
            assert_eq!(hangs_at(looks), Some(5), "{state:?}");
        }
    }

    #[test]
    fn a_busy_script_is_not_a_hang() {
        let looks = half_seconds().map(|at| (at, false, RunState::Sleeping, at * 9 / 10));
        assert_eq!(hangs_at(looks), None);
    }

    #[test]
    fn a_server_that_gets_no_processor_is_not_ended_for_it() {
        let looks = half_seconds().map(|at| (at, false, RunState::Running, 10));
        assert_eq!(hangs_at(looks), None);
    }

    #[test]
    fn an_answer_starts_the_count_again() {
        let looks = half_seconds().map(|at| (at, at % 2500 == 0, RunState::Sleeping, 10));
        assert_eq!(hangs_at(looks), None);
    }

    /// Whoever comes back to life together with its server gives it time to answer.
    #[test]
    fn silence_while_the_agent_itself_was_away_is_not_the_servers() {
        let away = |after: &[u64]| {
            let looks = [500, 1000].into_iter().chain(after.iter().map(|after| 60_000 + after));
            hangs_at(looks.map(|at| (at, at < 2000, RunState::Sleeping, 10)))
        };
        assert_eq!(away(&[0]), None);
        assert_eq!(away(&[0, 900]), None);
        assert_eq!(away(&[0, 900, 1000]), Some(4));
    }
}
