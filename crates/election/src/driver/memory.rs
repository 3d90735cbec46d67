//! What is remembered from one request to the next: it bounds what many of them do together.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use redoubt_wire::config::SetConfig;
use tokio::time::Instant;

use crate::{
    Verdict,
    machine::{Ask, PAUSE, PAUSE_PART},
};

/// Shared by all clones of a [`super::Context`].
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The pauses of late: when each began, and how long it lasts.
    pauses: Mutex<Vec<(Instant, Duration)>>,
    /// Until when Sentinel is left to its own failover, and why.
    stands_down: Mutex<Option<(Instant, String)>>,
}

impl Memory {
    /// What the master may be paused now. A pause also holds Sentinel's hello and its PING: all within `downAfter`
    /// count together.
    pub(super) fn pause_left(&self, set: &SetConfig, now: Instant) -> Duration {
        let Some(config) = set.sentinel() else { return Duration::ZERO };
        let down_after = Duration::from_millis(config.down_after_ms);
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.retain(|(began, _)| now.duration_since(*began) < down_after);
        let spent: Duration = pauses.iter().map(|(_, lasts)| *lasts).sum();
        (down_after / PAUSE_PART).saturating_sub(spent).min(PAUSE)
    }

    /// Takes note of what is asked of the master. A pause counts in full until it is taken back, also when nobody is
    /// left to take it back.
    pub(super) fn see(&self, ask: &Ask, now: Instant) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        match ask {
            Ask::Pause { hold } => pauses.push((now, *hold)),
            Ask::Unpause | Ask::Release => {
                if let Some((began, lasts)) = pauses.last_mut() {
                    *lasts = now.duration_since(*began).min(*lasts);
                }
            }
            _ => {}
        }
    }

    /// Takes note of how a request ended: whose votes led nowhere must not ask for more of them at once.
    pub(super) fn ended(&self, verdict: &Verdict, led_nowhere: bool, now: Instant) {
        let mut stands_down = self.stands_down.lock().unwrap_or_else(PoisonError::into_inner);
        *stands_down = match verdict {
            Verdict::RetryAfter { why, after } if led_nowhere => Some((now + *after, why.clone())),
            _ => None,
        };
    }

    /// The answer to a request that comes too early.
    pub(super) fn too_early(&self, now: Instant) -> Option<Verdict> {
        let stands_down = self.stands_down.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, why) = stands_down.as_ref()?;
        let after = until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        let why =
            format!("Sentinel's own failover is left some time, since the last votes led nowhere: {why}");
        Some(Verdict::RetryAfter { why, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn whose_votes_led_nowhere_stands_down_for_that_time() {
        let (memory, now) = (Memory::default(), Instant::now());
        let retry = Verdict::RetryAfter { why: "NOPERM".to_owned(), after: 21 * SECOND };
        memory.ended(&retry, false, now);
        assert_eq!(memory.too_early(now), None, "an ordinary retry");
        memory.ended(&retry, true, now);
        let later = memory.too_early(now + 20 * SECOND);
        assert!(matches!(later, Some(Verdict::RetryAfter { after: SECOND, .. })), "{later:?}");
        assert_eq!(memory.too_early(now + 21 * SECOND), None);
    }

    #[test]
    fn pauses_count_together_and_a_broken_off_one_counts_in_full() {
        let (memory, set, now) = (Memory::default(), crate::machine::model_set(3, 3), Instant::now());
        let ten_ms = Duration::from_millis(10);
        memory.see(&Ask::Pause { hold: PAUSE }, now);
        memory.see(&Ask::Release, now + ten_ms);
        assert_eq!(memory.pause_left(&set, now + ten_ms), PAUSE, "some are left for another");
        memory.see(&Ask::Pause { hold: PAUSE }, now + ten_ms);
        assert_eq!(memory.pause_left(&set, now + SECOND) + PAUSE + ten_ms, 5 * SECOND / PAUSE_PART);
        assert_eq!(memory.pause_left(&set, now + 6 * SECOND), PAUSE);
    }
}
