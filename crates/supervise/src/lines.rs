//! What a child writes, line by line.

use std::{io, os::fd::OwnedFd};

use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver};

/// Longest line, in bytes. A longer one comes in pieces. Redis cuts its own lines at 1 KiB; only its crash reports
/// have longer ones.
pub const MAX_LINE: usize = 16 * 1024;

/// The lines of a child. Bytes that are no UTF-8 become `\u{FFFD}`.
#[derive(Debug)]
pub struct Lines {
    pipe: Receiver,
    buffer: Vec<u8>,
    /// Up to here the buffer has no line end.
    searched: usize,
}

impl Lines {
    pub(crate) fn new(output: OwnedFd, rest: Vec<u8>) -> io::Result<Self> {
        Ok(Self { pipe: Receiver::from_owned_fd(output)?, buffer: rest, searched: 0 })
    }

    /// The next line, without its end. `None` when the child, and whoever else holds the pipe, has ended.
    /// Can be cancelled without losing anything.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.take_line() {
                return Some(line);
            }
            match self.pipe.read_buf(&mut self.buffer).await {
                Ok(0) => return self.take_last(),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot read the output of a child any more");
                    return self.take_last();
                }
            }
        }
    }

    pub(crate) fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    fn take_line(&mut self) -> Option<String> {
        let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(end) = end.map(|end| self.searched + end) else {
            self.searched = self.buffer.len();
            return (self.buffer.len() >= MAX_LINE).then(|| self.take(MAX_LINE, 0));
        };
        Some(if end > MAX_LINE { self.take(MAX_LINE, 0) } else { self.take(end, 1) })
    }

    fn take_last(&mut self) -> Option<String> {
        (!self.buffer.is_empty()).then(|| self.take(self.buffer.len(), 0))
    }

    fn take(&mut self, length: usize, line_end: usize) -> String {
        let text = String::from_utf8_lossy(&self.buffer[..length]);
        let line = text.strip_suffix('\r').unwrap_or(&text).to_owned();
        self.buffer.drain(..length + line_end);
        self.searched = 0;
        line
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn read_all(written: &[u8]) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (ours, mut theirs) = io::pipe().unwrap();
            theirs.write_all(written).unwrap();
            drop(theirs);
            let mut lines = Lines::new(ours.into(), Vec::new()).unwrap();
            let mut read = Vec::new();
            while let Some(line) = lines.next().await {
                read.push(line);
            }
            read
        })
    }

    #[test]
    fn a_last_line_without_end_is_a_line() {
        assert_eq!(read_all(b"one\r\n\ntwo"), ["one", "", "two"]);
    }

    #[test]
    fn an_overlong_line_comes_in_pieces() {
        let long = "x".repeat(2 * MAX_LINE + 5);
        let lines = read_all(format!("{long}\nend\n").as_bytes());
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [MAX_LINE, MAX_LINE, 5, 3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn no_line_is_lost_or_joined(lines in prop::collection::vec("[^\n\r]{0,200}", 0..20)) {
            let written = lines.iter().fold(String::new(), |written, line| written + line + "\n");
            prop_assert_eq!(read_all(written.as_bytes()), lines);
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            read_all(&bytes);
        }
    }
}
