//! Why an agent could not be asked.

use std::time::Duration;

use redoubt_redis::Endpoint;

/// An agent could not be asked, or said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// No connection, or it broke: nobody knows whether the request arrived.
    #[error("agent {agent} cannot be reached: {why}")]
    Unreachable {
        /// Which agent.
        agent: Endpoint,
        /// The system's words.
        why: String,
    },
    /// No answer in time: nobody knows whether the request was carried out.
    #[error("agent {agent} did not answer {what} within {} ms", .after.as_millis())]
    Timeout {
        /// Which agent.
        agent: Endpoint,
        /// What was asked.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The agent does not take this token.
    #[error("agent {agent} refused the token of this Redis")]
    Unauthorized {
        /// Which agent.
        agent: Endpoint,
    },
    /// The agent understood and said no.
    #[error("agent {agent} refused: {error}")]
    Refused {
        /// Which agent.
        agent: Endpoint,
        /// HTTP status.
        status: u16,
        /// What was not done, and why.
        error: String,
        /// What to do.
        next: String,
        /// See [`crate::requests::Refusal::retry_after_ms`].
        retry_after: Option<Duration>,
    },
    /// What came back is not what an agent of this version says.
    #[error("agent {agent} answered what cannot be understood: {why}")]
    Protocol {
        /// Which agent.
        agent: Endpoint,
        /// What was wrong with it.
        why: String,
    },
}

impl AgentError {
    /// What to do about it, for people.
    #[must_use]
    pub fn next(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "see whether the agent runs and its address is right",
            Self::Timeout { .. } => "see whether the agent, or its machine, is stalled; asking again is safe",
            Self::Unauthorized { .. } => {
                "see whether the agent has the current secrets; another Redis may answer there"
            }
            Self::Refused { next, .. } => next,
            Self::Protocol { .. } => {
                "see which version the agent has: one version older or newer is understood"
            }
        }
    }

    /// Nobody answered: the agent may be gone, or not there yet.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. })
    }
}
