//! What the kernel says of a running process (`/proc/<pid>/stat`, see proc(5)).

use std::time::Duration;

use rustix::process::Pid;

/// Processor time used so far, and what the process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// What it is doing now.
    pub state: RunState,
    /// User and system time of all its threads, without its children. Counts in ticks of 10 ms on Linux.
    pub cpu_time: Duration,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
}

/// What a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Runs, or waits for a processor.
    Running,
    /// Waits for something to happen.
    Sleeping,
    /// Waits for a disk, and cannot be interrupted.
    DiskSleep,
    /// Stopped by a signal (SIGSTOP) or by a debugger.
    Stopped,
    /// Has ended.
    Ended,
    /// In a state this program does not know.
    Other(char),
}

/// Those of this process itself.
#[must_use]
pub fn own_vitals() -> Option<Vitals> {
    read_at("/proc/self/stat")
}

pub(crate) fn read(pid: Pid) -> Option<Vitals> {
    read_at(&format!("/proc/{}/stat", pid.as_raw_pid()))
}

/// Nothing where there is no `/proc`.
fn read_at(path: &str) -> Option<Vitals> {
    let text = std::fs::read(path).ok()?;
    parse(
        &String::from_utf8_lossy(&text),
        rustix::param::clock_ticks_per_second(),
        rustix::param::page_size(),
    )
}

/// The second field is the program's name in parentheses, and may hold blanks and parentheses itself.
fn parse(stat: &str, ticks_per_second: u64, page_size: usize) -> Option<Vitals> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = RunState::of(fields.next()?.chars().next()?);
    // The state was field 3; utime and stime are 14 and 15, rss (pages) is 24.
    let mut fields = fields.skip(10).map(str::parse::<u64>);
    let ticks = fields.next()?.ok()?.checked_add(fields.next()?.ok()?)?;
    let millis = ticks.checked_mul(1000)?.checked_div(ticks_per_second)?;
    let pages = fields.nth(8)?.ok()?;
    let resident_bytes = pages.checked_mul(u64::try_from(page_size).ok()?)?;
    Some(Vitals { state, cpu_time: Duration::from_millis(millis), resident_bytes })
}

impl RunState {
    fn of(letter: char) -> Self {
        match letter {
            'R' => Self::Running,
            'S' | 'I' => Self::Sleeping,
            'D' => Self::DiskSleep,
            'T' | 't' => Self::Stopped,
            'Z' | 'X' | 'x' => Self::Ended,
            other => Self::Other(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "17 (a) R (b) D 1 17 17 0 -1 4194560 100 0 0 0 250 50 7 9 20 0 1 0 100 1000 10 184";
        let vitals = parse(stat, 100, 4096).unwrap();
        let (state, cpu_time) = (RunState::DiskSleep, Duration::from_secs(3));
        assert_eq!(vitals, Vitals { state, cpu_time, resident_bytes: 40_960 });
    }

    #[test]
    fn what_is_no_stat_line_gives_nothing() {
        for text in ["", "17", "17 (x)", "17 (x) R", "17 (x) R 1 17 17 0 -1 4194560 100 0 0 0 a b", ")"] {
            assert_eq!(parse(text, 100, 4096), None, "{text}");
        }
    }
}
