//! The writers and the account of a drill alone, for sets without agents: plain Sentinel, to compare with.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::{
    Drill, DrillError, Target,
    account::{Span, ceil_ms, longest_pause, timeline},
    client::PATIENCE,
    key::Keys,
    readback,
    run::FIRST_WRITE,
    writer::Crew,
};

/// Writers at work while the caller breaks something.
///
/// Expected flow: [`Ride::start`], the blow, [`Ride::struck`] in the same moment, the set whole again, [`Ride::end`].
/// Dropped, the writers end at once; their keys expire within an hour.
pub struct Ride<'a> {
    target: &'a Target,
    keys: Keys,
    crew: Crew,
    start: Instant,
    event: Duration,
}

/// What the event cost the writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Toll {
    /// As [`crate::DrillResult::write_gap_ms`].
    pub write_gap_ms: Option<u64>,
    /// Acknowledged writes that the final master does not have. `None`: it could not be asked.
    pub lost: Option<u64>,
}

impl<'a> Ride<'a> {
    /// Sends off the writers this drill would have, and waits until one has got through.
    pub async fn start(target: &'a Target, drill: &Drill) -> Result<Self, DrillError> {
        let keys = Keys::anywhere();
        let start = Instant::now();
        let crew = Crew::start(std::slice::from_ref(target), drill, &keys, start)?;
        if timeout(FIRST_WRITE, crew.tally().first_acknowledged()).await.is_err() {
            let why = crew.tally().last_error().unwrap_or_else(|| "no writer had an answer".to_owned());
            return Err(DrillError::NoWrites { after_s: FIRST_WRITE.as_secs(), why });
        }
        Ok(Self { target, keys, crew, start, event: start.elapsed() })
    }

    /// The blow falls now.
    pub fn struck(&mut self) {
        self.event = self.start.elapsed();
    }

    /// Stops the writers, reads what was acknowledged back from the node that leads now, and removes it there.
    pub async fn end(self, master: &str) -> Toll {
        let logs = self.crew.stop().await;
        let span = Span { event: self.event, end: self.start.elapsed() };
        let mut lost = None;
        if let Some(node) = self.target.config.node(master) {
            lost = readback::lost(self.target, node, &self.keys, &logs).await.ok();
            // What cannot be removed expires within an hour.
            let _ = readback::remove(self.target, node, &self.keys, &logs).await;
        }
        Toll {
            write_gap_ms: longest_pause(timeline(&logs).into_iter(), span, PATIENCE).map(ceil_ms),
            lost: lost.map(|lost| lost.len() as u64),
        }
    }
}
