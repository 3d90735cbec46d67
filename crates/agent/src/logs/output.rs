//! Standard output that never makes the agent wait.
//!
//! A pipe whose reader stands still is full after 64 KiB; an agent that blocked there could not fail over any more.
//! So a line that cannot be written is dropped, and the next one that can be says how many were.

use std::{
    fs::File,
    io::Write as _,
    os::fd::AsFd as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A writable pipe takes this many bytes at once without blocking (`PIPE_BUF` on Linux; 512 is POSIX' least, and what
/// macOS grants).
const PIECE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };
/// A reader that is only slow gets this long to take the next piece, nanoseconds; one that let a line be dropped is
/// not waited for again until it reads.
const PATIENCE_NS: i64 = 10_000_000;

/// Where lines go.
#[derive(Debug)]
pub(super) struct Output(Mutex<State>);

#[derive(Debug)]
struct State {
    file: File,
    /// Lines since the last one that was written.
    dropped: u64,
    /// The last line was written in part.
    torn: bool,
}

impl Output {
    /// Writes there.
    pub(super) fn new(file: File) -> Self {
        Self(Mutex::new(State { file, dropped: 0, torn: false }))
    }

    /// Writes a line, or drops it. When lines were dropped before it, `report` makes a line of their number.
    pub(super) fn line(&self, line: &str, report: impl FnOnce(u64) -> String) {
        let mut state = self.lock();
        let written = match state.dropped {
            0 => state.write(line),
            dropped => state.write(&report(dropped)) && state.write(line),
        };
        state.dropped = if written { 0 } else { state.dropped + 1 };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, line: &str) -> bool {
        let patience = if self.dropped == 0 { PATIENCE_NS } else { 0 };
        if self.torn && self.piece(b"\n", patience) {
            self.torn = false;
        }
        if self.torn {
            return false;
        }
        let mut begun = false;
        for piece in line.as_bytes().chunks(PIECE) {
            if !self.piece(piece, if begun { PATIENCE_NS } else { patience }) {
                self.torn = begun;
                return false;
            }
            begun = true;
        }
        true
    }

    fn piece(&mut self, piece: &[u8], patience_ns: i64) -> bool {
        let patience = Timespec { tv_sec: 0, tv_nsec: patience_ns };
        let fd = self.file.as_fd();
        let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
        let ready = poll(&mut fds, Some(&patience)).is_ok_and(|ready| ready == 1)
            && fds[0].revents().contains(PollFlags::OUT);
        ready && self.file.write_all(piece).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::fd::OwnedFd};

    use super::*;

    fn report(dropped: u64) -> String {
        format!("dropped {dropped}\n")
    }

    #[test]
    fn a_reader_that_stands_still_stops_nobody_and_is_told_what_it_missed() {
        let (mut theirs, ours) = std::io::pipe().unwrap();
        let output = Output::new(OwnedFd::from(ours).into());
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..1000 {
            output.line(&line, report);
        }
        let mut taken = vec![0; 512 * 1024];
        let first = theirs.read(&mut taken).unwrap();
        assert_eq!(first % line.len(), 0);
        output.line("last\n", report);
        drop(output);
        let mut rest = String::new();
        theirs.read_to_string(&mut rest).unwrap();
        let missed = 1000 - first / line.len();
        assert_eq!(rest, format!("dropped {missed}\nlast\n"));
    }

    #[test]
    fn a_long_line_that_breaks_off_does_not_swallow_the_next() {
        let (mut theirs, ours) = std::io::pipe().unwrap();
        let output = Output::new(OwnedFd::from(ours).into());
        output.line(&format!("{}\n", "x".repeat(1024 * 1024)), report);
        let mut taken = vec![0; 512 * 1024];
        theirs.read(&mut taken).map(|read| assert!(read > 0)).unwrap();
        output.line("last\n", report);
        drop(output);
        let mut rest = String::new();
        theirs.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "\ndropped 1\nlast\n");
    }

    #[test]
    fn a_closed_reader_is_no_fault() {
        let (theirs, ours) = std::io::pipe().unwrap();
        drop(theirs);
        Output::new(OwnedFd::from(ours).into()).line("nobody reads this\n", report);
    }
}
