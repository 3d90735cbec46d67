//! What the engine remembers between two passes: only how often to try. Lost at a restart, and nothing is lost by it.

use jiff::{SignedDuration, Timestamp};

use super::{Step, Waiting};
use crate::platform::Workload;

/// An attempt is forgotten when nobody asked for the step again for this long after it was due.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(10);

/// What was done before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// What the platform was last told, in this life of the engine.
    pub applied: Option<Box<Workload>>,
    /// Steps taken since all was well, one entry for each: no more than a few per member.
    pub attempts: Vec<Attempt>,
    /// Slots a second, when some were moved last.
    pub slots_per_second: Option<u32>,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Which.
    pub step: Step,
    /// How often in a row.
    pub tries: u32,
    /// Not again before.
    pub due: Timestamp,
    /// Why it failed; `None`: it was done, and its effect is not seen yet.
    pub failure: Option<String>,
}

impl Memory {
    /// How often this step was tried since all was well.
    #[must_use]
    pub fn tries(&self, step: &Step) -> u32 {
        self.attempt(step).map_or(0, |attempt| attempt.tries)
    }

    /// Remembers that this step was tried, and drops what is long past.
    pub fn tried(&mut self, step: Step, failure: Option<String>, now: Timestamp, pause: SignedDuration) {
        let tries = self.tries(&step).saturating_add(1);
        self.attempts.retain(|old| {
            !old.step.is_same_as(&step) && old.due.saturating_add(FORGOTTEN).is_ok_and(|end| now < end)
        });
        let due = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
        self.attempts.push(Attempt { step, tries, due, failure });
    }

    /// A part of this step was done: the rest may follow at once.
    pub fn advanced(&mut self, step: &Step) {
        self.attempts.retain(|old| !old.step.is_same_as(step));
    }

    /// All is well, or something else is asked for: what failed before may be tried at once.
    pub fn forget(&mut self) {
        self.attempts.clear();
        self.slots_per_second = None;
    }

    /// The last attempt at this step.
    pub(crate) fn attempt(&self, step: &Step) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.step.is_same_as(step))
    }
}

impl Attempt {
    pub(super) fn waiting(&self) -> Waiting {
        let (reason, why) = match self.failed() {
            Some(failed) => ("StepFailed", failed),
            None => ("StepTaken", format!("{}; its effect is not seen yet", self.step)),
        };
        Waiting { reason, why, until: Some(self.due) }
    }

    /// In a sentence, if it failed.
    pub(super) fn failed(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        Some(format!("{} failed: {failure}; it is tried again", self.step))
    }
}
