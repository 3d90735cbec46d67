//! What can go wrong between us and a server.

use std::{sync::Arc, time::Duration};

use crate::{codec::Fault, value::Mismatch};

/// A failed call: where, which command (never its arguments: they may be secrets), and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection could be made.
    #[error("cannot connect to {peer}: {why}")]
    Connect {
        /// `host:port` or the path of the socket.
        peer: Arc<str>,
        /// What the system or TLS said.
        why: String,
    },
    /// No whole answer in time. The connection is given up, since the answer may still come.
    #[error("{peer} did not answer {command} within {after:?}")]
    Timeout {
        /// `host:port` or the path of the socket.
        peer: Arc<str>,
        /// Which command, or `connect`.
        command: String,
        /// How long it was given.
        after: Duration,
    },
    /// The connection ended, or was given up by an earlier failure.
    #[error("connection to {peer} is closed ({command}): {why}")]
    Closed {
        /// `host:port` or the path of the socket.
        peer: Arc<str>,
        /// Which command.
        command: String,
        /// How it ended.
        why: String,
    },
    /// What came is not RESP.
    #[error("{peer} answered {command} with something that is not the Redis protocol: {fault}")]
    Protocol {
        /// `host:port` or the path of the socket.
        peer: Arc<str>,
        /// Which command.
        command: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The server does not know user and password, or wants some.
    #[error("{peer} refused the log-in of {user}: {message}")]
    Auth {
        /// `host:port` or the path of the socket.
        peer: Arc<str>,
        /// Who asked, `default` when no user is named.
        user: String,
        /// The server's words.
        message: String,
    },
    /// The server answered with an error.
    #[error("{peer} refused {command}: {code} {message}")]
    Server {
        /// `host:port` or the path of the socket.
        peer: Arc<str>,
        /// Which command.
        command: String,
        /// `READONLY`, `LOADING`, `NOPERM`, `ERR`, ….
        code: String,
        /// The server's words.
        message: String,
    },
    /// The server answered something else than this command's reply.
    #[error("{peer} answered {command} unexpectedly: {mismatch}")]
    Unexpected {
        /// `host:port` or the path of the socket.
        peer: Arc<str>,
        /// Which command.
        command: String,
        /// What was expected, what came.
        mismatch: Mismatch,
    },
}

impl Error {
    /// The code of an error reply.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The server itself answered, so it is alive, whatever it said.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Auth { .. } | Self::Server { .. } | Self::Unexpected { .. })
    }

    /// Where it happened.
    #[must_use]
    pub fn peer(&self) -> &str {
        match self {
            Self::Connect { peer, .. }
            | Self::Timeout { peer, .. }
            | Self::Closed { peer, .. }
            | Self::Protocol { peer, .. }
            | Self::Auth { peer, .. }
            | Self::Server { peer, .. }
            | Self::Unexpected { peer, .. } => peer,
        }
    }
}

/// Commands whose second word is part of their name.
const CONTAINERS: [&str; 14] = [
    "ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "FUNCTION", "LATENCY", "MEMORY", "MODULE",
    "OBJECT", "SCRIPT", "SENTINEL", "SLOWLOG",
];

/// The name of a command for messages: one word, or two where the second names a subcommand.
pub(crate) fn command_name(args: &[impl AsRef<[u8]>]) -> String {
    let word = |index: usize| args.get(index).and_then(|arg| as_word(arg.as_ref()));
    let Some(first) = word(0) else { return "(a command)".to_owned() };
    match word(1) {
        Some(second) if CONTAINERS.contains(&first.as_str()) => format!("{first} {second}"),
        _ => first,
    }
}

fn as_word(arg: &[u8]) -> Option<String> {
    let is_word = !arg.is_empty() && arg.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'-');
    is_word.then(|| String::from_utf8_lossy(arg).to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_named_without_its_arguments() {
        let cases: [(&[&str], &str); 5] = [
            (&["auth", "s3cret"], "AUTH"),
            (&["CONFIG", "SET", "requirepass", "s3cret"], "CONFIG SET"),
            (&["SENTINEL", "is-master-down-by-addr", "::1"], "SENTINEL IS-MASTER-DOWN-BY-ADDR"),
            (&["CLIENT", "12"], "CLIENT"),
            (&[], "(a command)"),
        ];
        for (args, name) in cases {
            assert_eq!(command_name(args), name);
        }
    }
}
