//! What a drill can break, and how its writers find the master.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// `kill -9` of the master's server.
    KillMaster,
    /// `SIGSTOP` of the master's server: it hangs, with its connections open.
    FreezeMaster,
    /// `kill -9` of every node's server at once.
    RestartAll,
    /// `kill -9` of a replica's server.
    KillReplica,
    /// `kill -9` of a Sentinel.
    KillSentinel,
    /// `kill -9` of the master's server and its agent together, as an out-of-memory kill of a container does.
    KillAgent,
    /// The master's agent is asked to stop, as by the deletion of its pod or the drain of its machine.
    StopMaster,
    /// A planned hand-over.
    Switchover,
    /// A restart of every node, one at a time, as an upgrade would.
    Roll,
}

/// How the writers find the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientKind {
    /// Asks the Sentinels, on every error and on every `+switch-master`.
    Sentinel,
    /// Asks every node its `ROLE` and follows the one that says master and takes writes.
    Role,
    /// Connects to the one address of the Service that leads to the master, again on every error.
    Service,
    /// Asks the Sentinels when it connects, and connects again only on an error.
    ErrorOnly,
}

/// A word that names no scenario or client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of {known}")]
pub struct UnknownWord {
    /// What was written.
    pub word: String,
    /// What could have been.
    pub known: String,
}

impl Scenario {
    /// All of them, in the order in which help names them.
    pub const ALL: [Self; 9] = [
        Self::KillMaster,
        Self::FreezeMaster,
        Self::RestartAll,
        Self::KillReplica,
        Self::KillSentinel,
        Self::KillAgent,
        Self::StopMaster,
        Self::Switchover,
        Self::Roll,
    ];

    /// As it is written on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KillMaster => "kill-master",
            Self::FreezeMaster => "freeze-master",
            Self::RestartAll => "restart-all",
            Self::KillReplica => "kill-replica",
            Self::KillSentinel => "kill-sentinel",
            Self::KillAgent => "kill-agent",
            Self::StopMaster => "stop-master",
            Self::Switchover => "switchover",
            Self::Roll => "roll",
        }
    }

    /// What it does, in one line.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::KillMaster => "kill -9 of the master's server",
            Self::FreezeMaster => "SIGSTOP of the master's server, as if it hung",
            Self::RestartAll => "kill -9 of every node's server at once",
            Self::KillReplica => "kill -9 of a replica's server",
            Self::KillSentinel => "kill -9 of a Sentinel",
            Self::KillAgent => "kill -9 of the master's agent and server together; a pod is deleted by force",
            Self::StopMaster => "a planned end of the master's agent: SIGTERM; a pod is deleted",
            Self::Switchover => "a planned hand-over to another node",
            Self::Roll => "a restart of every node, one at a time, as an upgrade would",
        }
    }
}

impl ClientKind {
    /// All of them, in the order in which help names them.
    pub const ALL: [Self; 4] = [Self::Sentinel, Self::Role, Self::Service, Self::ErrorOnly];

    /// As it is written on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sentinel => "sentinel",
            Self::Role => "role",
            Self::Service => "service",
            Self::ErrorOnly => "error-only",
        }
    }

    /// What it does, in one line.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Sentinel => "asks the Sentinels, on every error and on +switch-master",
            Self::Role => "asks every node its ROLE and follows the master",
            Self::Service => "connects to the Service NAME-master of a cluster, again on every error",
            Self::ErrorOnly => "asks the Sentinels when it connects, and connects again only on an error",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for ClientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Scenario {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        find(word, &Self::ALL, Self::name)
    }
}

impl FromStr for ClientKind {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        find(word, &Self::ALL, Self::name)
    }
}

fn find<T: Copy>(word: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, UnknownWord> {
    all.iter().copied().find(|one| name(*one) == word).ok_or_else(|| UnknownWord {
        word: word.to_owned(),
        known: all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_on_the_command_line_and_in_json_is_the_same_word() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.name().parse(), Ok(scenario));
            assert_eq!(serde_json::to_string(&scenario).unwrap(), format!("{:?}", scenario.name()));
        }
        for client in ClientKind::ALL {
            assert_eq!(client.name().parse(), Ok(client));
            assert_eq!(serde_json::to_string(&client).unwrap(), format!("{:?}", client.name()));
        }
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let error = "kill-everything".parse::<Scenario>().unwrap_err().to_string();
        assert!(error.contains("kill-master, freeze-master"), "{error}");
    }
}
