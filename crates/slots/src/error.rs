//! Why something about a cluster could not be done.

use redoubt_redis::{Endpoint, Error};

use crate::check::Finding;

/// Findings that an error names: a move that was cut off leaves hundreds.
const SAID: usize = 5;

/// What failed, where and why; [`SlotsError::next`] says what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SlotsError {
    /// A call failed.
    #[error(transparent)]
    Redis(#[from] Error),
    /// The given address does not let us in.
    #[error(transparent)]
    NoEntry(Error),
    /// The address is that of a server, but of no cluster.
    #[error("{entry} is no node of a cluster: it runs without cluster-enabled")]
    NoCluster {
        /// The address that was given.
        entry: Endpoint,
    },
    /// The server wants a password.
    #[error("{entry} wants a password")]
    NoPassword {
        /// The address that was given.
        entry: Endpoint,
    },
    /// What was asked for makes no sense for this cluster.
    #[error("{0}")]
    Refused(String),
    /// Something is wrong with the cluster.
    #[error("the cluster is not healthy: {}", said(.0))]
    Unhealthy(Vec<Finding>),
    /// Somebody else moves slots.
    #[error("somebody else moves slots in this cluster: {who} is connected to {node}")]
    Busy {
        /// The other one's name and address.
        who: String,
        /// Where it was seen.
        node: Endpoint,
    },
    /// A target would run out of memory.
    #[error("{target} has no room: about {wanted} bytes would come, {free} are free of its maxmemory")]
    NoRoom {
        /// Which.
        target: Endpoint,
        /// What would come.
        wanted: u64,
        /// What is free.
        free: u64,
    },
    /// Keys could not be moved.
    #[error("slot {slot} could not be moved from {source_node} to {target}: {why}")]
    Move {
        /// Which.
        slot: u16,
        /// From where.
        source_node: Endpoint,
        /// To where.
        target: Endpoint,
        /// What the server said.
        why: String,
    },
    /// Something did not come to be in time.
    #[error("waited {seconds} s in vain: {what}")]
    Waited {
        /// For what.
        what: String,
        /// How long.
        seconds: u64,
    },
}

impl SlotsError {
    /// What the first look at a cluster may meet.
    pub(crate) fn entry(entry: &Endpoint, error: Error) -> Self {
        let Error::Server { code, message, .. } = &error else { return Self::NoEntry(error) };
        match code.as_str() {
            "NOAUTH" => Self::NoPassword { entry: entry.clone() },
            _ if message.contains("cluster support disabled") => Self::NoCluster { entry: entry.clone() },
            _ => Self::Redis(error),
        }
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::Redis(error) | Self::NoEntry(error) if reason(error).is_some() => {
                reason(error).unwrap_or_default().to_owned()
            }
            Self::NoEntry(_) => {
                "see that a server runs there and that it can be reached from here; if it speaks TLS, add --tls".to_owned()
            }
            Self::Redis(_) | Self::Waited { .. } => "see `redoubt cluster check`, then run this again".to_owned(),
            Self::NoCluster { .. } => "name a node that runs with `cluster-enabled yes`".to_owned(),
            Self::NoPassword { .. } => {
                "put it into the environment variable REDOUBT_CLUSTER_PASSWORD, or run this on a terminal to be asked".to_owned()
            }
            Self::Refused(_) => "nothing was changed; `redoubt cluster nodes` shows what there is".to_owned(),
            Self::Unhealthy(_) => "`redoubt cluster fix` repairs what can be repaired; nothing was changed".to_owned(),
            Self::Busy { .. } => "wait until it has ended; nothing was changed".to_owned(),
            Self::NoRoom { .. } => "raise maxmemory there, or move fewer slots; nothing was changed".to_owned(),
            Self::Move { .. } => {
                "both nodes keep their keys; once the cause is gone, run this or `redoubt cluster fix` again".to_owned()
            }
        }
    }
}

/// What to do about a log-in or a greeting that failed.
fn reason(error: &Error) -> Option<&'static str> {
    let why = match error {
        Error::Auth { .. } => return Some("check the user and the password"),
        Error::Connect { why, .. } | Error::Closed { why, .. } => why,
        _ => return None,
    };
    // The words of rustls.
    let causes = [
        ("certificate not valid for name", "name with --sni what the certificates are made out to"),
        (
            "invalid peer certificate",
            "name with --cacert the authority that has signed the servers' certificates",
        ),
        ("fatal alert", "the servers want to see a certificate: show one with --cert and --key"),
    ];
    causes.into_iter().find(|(words, _)| why.contains(words)).map(|(_, next)| next)
}

/// The first few: `redoubt cluster check` tells all.
fn said(findings: &[Finding]) -> String {
    let mut said: Vec<String> = findings.iter().take(SAID).map(ToString::to_string).collect();
    if let Some(more @ 1..) = findings.len().checked_sub(SAID) {
        said.push(format!("and {more} more; see `redoubt cluster check`"));
    }
    said.join("; ")
}
