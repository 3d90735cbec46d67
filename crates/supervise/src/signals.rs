//! The signals that ask this process to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::sys;

/// Why this process should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Termination {
    /// SIGTERM: an orderly stop.
    Terminate,
    /// SIGINT: Ctrl-C at a terminal.
    Interrupt,
    /// SIGHUP: the terminal is gone.
    Hangup,
}

/// The stream of these signals. Made first thing in `main`: until then they end the process at once (or, for PID 1,
/// are lost), except after [`crate::exec_successor`], which holds them back until this is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Starts to listen.
    pub fn new() -> io::Result<Self> {
        let signals = Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        sys::accept_termination()?;
        Ok(signals)
    }

    /// The next one. Can be cancelled without losing any; equal ones that come close together count once.
    pub async fn next(&mut self) -> Termination {
        tokio::select! {
            _ = self.terminate.recv() => Termination::Terminate,
            _ = self.interrupt.recv() => Termination::Interrupt,
            _ = self.hangup.recv() => Termination::Hangup,
        }
    }
}
