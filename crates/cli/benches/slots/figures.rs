//! What the rounds found.

use std::{collections::HashMap, fmt, time::Duration};

use crate::{data::Amount, tool::Tool};

/// One move by one tool.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) took: Duration,
    /// How long each answer to a client of the source took.
    pub(crate) waits: Vec<Duration>,
}

impl Round {
    fn wait_at(&self, part: f64) -> f64 {
        let mut waits: Vec<f64> = self.waits.iter().map(Duration::as_secs_f64).collect();
        waits.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let at = (waits.len() as f64 * part) as usize;
        waits.get(at.min(waits.len().saturating_sub(1))).map_or(0.0, |wait| wait * 1000.0)
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>7.2} s  GET p99 {:>6.2} ms of {}",
            self.took.as_secs_f64(),
            self.wait_at(0.99),
            self.waits.len()
        )
    }
}

/// All rounds of one case.
pub(crate) struct Figures {
    moved: Amount,
    rounds: HashMap<Tool, Vec<Round>>,
}

/// Smallest, median and largest.
struct Spread([f64; 3]);

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let last = figures.len().saturating_sub(1);
        Self([0, figures.len() / 2, last].map(|at| figures.get(at).copied().unwrap_or(f64::NAN)))
    }

    fn median(&self) -> f64 {
        self.0[1]
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [least, median, most] = self.0;
        let digits = if median < 10.0 { 2 } else { 0 };
        f.pad(&format!("{median:.digits$} [{least:.digits$}..{most:.digits$}]"))
    }
}

impl Figures {
    pub(crate) fn new(moved: Amount) -> Self {
        Self { moved, rounds: HashMap::new() }
    }

    pub(crate) fn add(&mut self, tool: Tool, round: Round) {
        self.rounds.entry(tool).or_default().push(round);
    }

    fn rounds(&self, tool: Tool) -> impl Iterator<Item = &Round> {
        self.rounds.get(&tool).into_iter().flatten()
    }

    fn speed(&self, tool: Tool) -> Spread {
        #[expect(clippy::cast_precision_loss, reason = "at most 16384")]
        let slots = self.moved.slots as f64;
        Spread::of(self.rounds(tool).map(|round| slots / round.took.as_secs_f64()))
    }

    fn waits(&self, tool: Tool, part: f64) -> Spread {
        Spread::of(self.rounds(tool).map(|round| round.wait_at(part)))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let (slots, keys, bytes) = (self.moved.slots as f64, self.moved.keys as f64, self.moved.bytes as f64);
        let Amount { slots: count, keys: all, .. } = self.moved;
        writeln!(f, "  {count} slots, {all} keys, {:.1} MB a move; medians [min..max]", bytes / 1e6)?;
        writeln!(
            f,
            "  {:<26}{:>24}{:>10}{:>8}{:>22}{:>22}",
            "", "slots/s", "kkeys/s", "MB/s", "GET p99 ms", "p99.9 ms"
        )?;
        for tool in Tool::ALL {
            let speed = self.speed(tool);
            let each = speed.median() / slots;
            let (p99, p999) = (self.waits(tool, 0.99), self.waits(tool, 0.999));
            writeln!(
                f,
                "  {tool:<26}{speed:>24}{:>10.1}{:>8.1}{p99:>22}{p999:>22}",
                each * keys / 1000.0,
                each * bytes / 1e6
            )?;
        }
        let (ours, default) = (self.speed(Tool::Redoubt).median(), self.speed(Tool::DEFAULT).median());
        let others = Tool::ALL.into_iter().filter(|tool| *tool != Tool::Redoubt);
        let best = others.map(|tool| self.speed(tool).median()).fold(f64::NAN, f64::max);
        let p99 = self.waits(Tool::Redoubt, 0.99).median() / self.waits(Tool::WIDEST, 0.99).median();
        writeln!(
            f,
            "  redoubt is {:.1} times as fast as redis-cli by default, {:.1} times as its best; its p99 is {p99:.2} of pipeline 1000's",
            ours / default,
            ours / best
        )
    }
}
