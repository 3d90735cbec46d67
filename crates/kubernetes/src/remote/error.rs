//! Why something could not be asked of a cluster.

use redoubt_api::ResourceKind;
use redoubt_engine::platform::PlatformError;

use crate::error::refused;

/// Why something could not be asked of a cluster.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No cluster could be found or reached.
    #[error("no Kubernetes cluster can be used: {0}")]
    Config(String),
    /// There is none of this name.
    #[error("there is no {} {name:?} in namespace {namespace}", kind.name())]
    NoSuchResource {
        /// Which kind.
        kind: ResourceKind,
        /// What was asked for.
        name: String,
        /// Where.
        namespace: String,
        /// What there is.
        known: Vec<String>,
    },
    /// There is no pod of this name.
    #[error("there is no node or Sentinel {name:?}")]
    NoSuchMember {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Nothing was made for it yet.
    #[error("{name} is not started yet")]
    NotYet {
        /// The Redis.
        name: String,
    },
    /// Something is there and cannot be understood.
    #[error("{what} cannot be used: {why}")]
    Unfit {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// The API server, or a pod, did not do it.
    #[error("{what}: {why}")]
    Refused {
        /// What was not done.
        what: String,
        /// Why.
        why: String,
        /// What to do.
        next: String,
    },
}

impl RemoteError {
    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> &str {
        match self {
            Self::Config(_) => {
                "name a file with --kubeconfig or KUBECONFIG, and a context of it with --context"
            }
            Self::NoSuchResource { kind: ResourceKind::Redis, .. } => {
                "`kubectl get redis -A` shows all of them"
            }
            Self::NoSuchResource { .. } => "`kubectl get redisfailovers -A` shows all of them",
            Self::NoSuchMember { .. } => "`kubectl get pods` shows those of this namespace",
            Self::NotYet { .. } => "see with `kubectl describe redis` what keeps it from being started",
            Self::Unfit { .. } => "see whether this program is as new as the operator",
            Self::Refused { next, .. } => next,
        }
    }

    pub(super) fn refused(what: String, error: &kube::Error) -> Self {
        let PlatformError { what, why, next } = refused(what, error);
        let next = match error {
            kube::Error::Api(status) if status.code == 403 => {
                "have somebody grant you that in this namespace".to_owned()
            }
            _ => next,
        };
        Self::Refused { what, why, next }
    }
}
