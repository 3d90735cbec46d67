//! Why a drill was not held.

use crate::{ClientKind, Sabotage, Scenario};

/// A drill that was not held, or not to its end. Its keys are removed all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrillError {
    /// The set is not whole.
    #[error("{redis} is not healthy, so nothing was broken: {}", .troubles.join("; "))]
    Unhealthy {
        /// Name of the `Redis`.
        redis: String,
        /// What is wrong.
        troubles: Vec<String>,
    },
    /// The set has nothing for this scenario or client.
    #[error("{what} needs {needs}, which {redis} does not have")]
    Impossible {
        /// The scenario or client.
        what: String,
        /// What is missing.
        needs: &'static str,
        /// Name of the `Redis`.
        redis: String,
    },
    /// Such clients connect to what the Sentinels announce.
    #[error("the client {client} goes where the Sentinels send it, and that cannot be reached from here")]
    OutOfReach {
        /// The client.
        client: ClientKind,
    },
    /// No writer got through before anything was broken.
    #[error("no write was acknowledged within {} s, so nothing was broken: {why}", .after_s)]
    NoWrites {
        /// How long it was tried.
        after_s: u64,
        /// The last error of a writer.
        why: String,
    },
    /// The blow could not be struck.
    #[error(transparent)]
    Sabotage(#[from] Sabotage),
    /// Somebody stopped the drill.
    #[error("the drill {scenario} was interrupted; its keys are removed")]
    Interrupted {
        /// Which.
        scenario: Scenario,
    },
}

impl DrillError {
    /// What to do next, for people.
    #[must_use]
    pub fn next(&self) -> &str {
        match self {
            Self::Unhealthy { .. } => "wait until it is whole, or pass --yes to break it all the same",
            Self::Impossible { .. } => "choose another scenario or client",
            Self::OutOfReach { .. } => {
                "choose --client role, or hold the drill where the addresses of the members are reached"
            }
            Self::NoWrites { .. } => "see whether the master takes writes, and whether the password is right",
            Self::Sabotage(sabotage) => &sabotage.next,
            Self::Interrupted { .. } => "see whether the set is whole again before the next drill",
        }
    }
}
