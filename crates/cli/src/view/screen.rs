//! What the live view shows. Pure.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::report::Report;

/// Messages kept at the foot of the view.
const MAX_MESSAGES: usize = 4;

/// Everything on the screen.
#[derive(Debug, Clone)]
pub(crate) struct Screen {
    /// The resources, by name.
    pub reports: Vec<Report>,
    /// Lines to paste, one for each of `reports`.
    pub paste: Vec<String>,
    /// Which of them is shown in full.
    pub selected: usize,
    /// What happened to the files, newest last.
    pub messages: VecDeque<String>,
    /// When this was read.
    pub now: Timestamp,
}

impl Screen {
    /// Nothing known yet.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { reports: Vec::new(), paste: Vec::new(), selected: 0, messages: VecDeque::new(), now }
    }

    /// Takes new reports; the one that was shown stays shown, also when others come or go.
    pub(crate) fn update(&mut self, reports: Vec<Report>, paste: Vec<String>, now: Timestamp) {
        let shown = self.shown().map(|report| report.name.clone());
        let kept = shown.and_then(|name| reports.iter().position(|report| report.name == name));
        self.selected = kept.unwrap_or_else(|| self.selected.min(reports.len().saturating_sub(1)));
        (self.reports, self.paste, self.now) = (reports, paste, now);
    }

    /// The one shown in full.
    pub(crate) fn shown(&self) -> Option<&Report> {
        self.reports.get(self.selected)
    }

    /// Shows the next one (or, with -1, the one before), around the corner.
    pub(crate) fn turn(&mut self, by: isize) {
        let count = self.reports.len().max(1);
        self.selected = self.selected.saturating_add(count).saturating_add_signed(by) % count;
    }

    /// Adds a message; the oldest gives way.
    pub(crate) fn tell(&mut self, message: String) {
        if self.messages.len() == MAX_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(message);
    }
}
