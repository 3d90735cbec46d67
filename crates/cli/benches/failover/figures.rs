//! What the rounds found.

use std::{collections::HashMap, fmt};

use redoubt_drill::{ClientKind, Scenario};

use crate::plain::Way;

/// One round: one event, one kind of client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// Longest pause between acknowledged writes, milliseconds; `None`: writes did not come back.
    pub(crate) gap_ms: Option<u64>,
    /// Acknowledged writes that are gone; `None`: nobody could be asked.
    pub(crate) lost: Option<u64>,
}

/// All rounds, by event and client.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    redoubt: HashMap<(Scenario, ClientKind), Rounds>,
    plain: HashMap<(Way, ClientKind), Rounds>,
    cluster: HashMap<Scenario, Rounds>,
}

/// The rounds of one event and client.
#[derive(Debug, Default)]
pub(crate) struct Rounds(Vec<Round>);

impl Figures {
    pub(crate) fn of_redoubt(&mut self, scenario: Scenario, client: ClientKind, round: Round) {
        self.redoubt.entry((scenario, client)).or_default().0.push(round);
    }

    pub(crate) fn of_plain(&mut self, way: Way, client: ClientKind, round: Round) {
        self.plain.entry((way, client)).or_default().0.push(round);
    }

    pub(crate) fn of_cluster(&mut self, scenario: Scenario, round: Round) {
        self.cluster.entry(scenario).or_default().0.push(round);
    }

    pub(crate) fn cluster(&self, scenario: Scenario) -> Option<&Rounds> {
        self.cluster.get(&scenario)
    }

    pub(crate) fn redoubt(&self, scenario: Scenario, client: ClientKind) -> Option<&Rounds> {
        self.redoubt.get(&(scenario, client))
    }

    pub(crate) fn plain(&self, way: Way, client: ClientKind) -> Option<&Rounds> {
        self.plain.get(&(way, client))
    }
}

impl Rounds {
    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Shortest, median and longest gap, milliseconds. Of an even number of rounds the upper median: it never flatters.
    pub(crate) fn gaps(&self) -> [Option<u64>; 3] {
        let mut gaps: Vec<u64> = self.0.iter().map(|round| round.gap_ms.unwrap_or(u64::MAX)).collect();
        gaps.sort_unstable();
        let last = gaps.len().saturating_sub(1);
        [0, gaps.len() / 2, last].map(|at| gaps.get(at).copied().filter(|gap| *gap != u64::MAX))
    }

    /// Writes lost in all rounds together; `None` where one could not be counted.
    pub(crate) fn lost(&self) -> Option<u64> {
        self.0.iter().map(|round| round.lost).sum()
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gap_ms {
            Some(gap) => write!(f, "{gap:>6} ms")?,
            None => write!(f, " never back")?,
        }
        match self.lost {
            Some(lost) => write!(f, "  lost {lost}"),
            None => write!(f, "  lost unknown"),
        }
    }
}

/// How many processes wanted a core, on average over 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
