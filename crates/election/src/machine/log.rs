//! What is written down of a change while it goes on.

use redoubt_redis::Endpoint;

use crate::Moment;

/// Steps with their ends, and the figures of the report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Log {
    pub(crate) steps: Vec<(&'static str, Moment)>,
    pub(crate) epoch: Option<u64>,
    pub(crate) new_master: Option<Endpoint>,
    pub(crate) old_offset: Option<u64>,
    pub(crate) new_offset: Option<u64>,
    pub(crate) announced_at: Option<Moment>,
}

impl Log {
    /// A step has ended. One that is repeated at once is one step that took longer.
    pub(crate) fn step(&mut self, step: &'static str, now: Moment) {
        match self.steps.last_mut() {
            Some((last, at)) if *last == step => *at = now,
            _ => self.steps.push((step, now)),
        }
    }
}
