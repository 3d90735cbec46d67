//! Time as an argument.

use std::{ops::Add, time::Duration};

/// A point on a clock that never goes back: how long after the clock's own start. Pure code is handed one and
/// never asks; moments of different clocks have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub Duration);

impl Moment {
    /// When the clock started.
    pub const START: Self = Self(Duration::ZERO);

    /// So many milliseconds after the clock started.
    #[must_use]
    pub const fn ms(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// How long ago the earlier moment was; nothing if it is still to come.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

/// The clock of the process: the edge hands out its moments.
#[derive(Debug, Clone, Copy)]
pub struct Clock(tokio::time::Instant);

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment(self.0.elapsed())
    }

    /// The instant to sleep until.
    #[must_use]
    pub fn instant(&self, at: Moment) -> tokio::time::Instant {
        self.0 + at.0
    }
}
