//! What the API server refused, and what to do about it.

use redoubt_engine::platform::PlatformError;

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No cluster could be found or reached.
    #[error(
        "no Kubernetes cluster can be used: {0}; set KUBECONFIG, or run this in a pod with a service account"
    )]
    Config(String),
    /// The port for metrics and health is taken.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// Where.
        address: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// Another operator leads now.
    #[error("the lease {lease} was lost ({why}); this process ends so that only one operator works")]
    LeaseLost {
        /// Which.
        lease: String,
        /// How.
        why: String,
    },
}

/// Something that was asked of the API server was not done.
pub(crate) fn refused(what: String, error: &kube::Error) -> PlatformError {
    match error {
        kube::Error::Api(status) => {
            PlatformError { next: next(status).to_owned(), why: status.message.clone(), what }
        }
        other => PlatformError {
            what,
            why: deepest(other),
            next: "it is tried again; see whether the API server can be reached".to_owned(),
        },
    }
}

/// The API server says that there is no such object.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// The API server says that it is there already, or has changed meanwhile.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// The operator may not ask that.
pub(crate) fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

fn next(status: &kube::core::Status) -> &'static str {
    let message = &status.message;
    match status.code {
        403 if message.contains("exceeded quota") => "raise the quota of the namespace, or ask for less",
        403 if message.contains("violates PodSecurity") => {
            "the pods keep to the restricted standard; see what the namespace enforces beyond it"
        }
        403 if message.contains("because it is being terminated") => {
            "nothing: the namespace is being deleted, and this goes with it"
        }
        403 => "grant it to the operator's service account (`redoubt manifests` prints the rules)",
        404 if message.contains("namespaces") => "create the namespace",
        409 if status.reason == "Conflict" => "it is tried again: somebody changed it at the same moment",
        409 => {
            "another object of this name is there and is not Redoubt's: remove it, or give the Redis another name"
        }
        422 if message.contains("range is full") => {
            "no Service address is free: remove Services, or have the service range of the cluster widened"
        }
        422 => "correct the field and apply the resource again",
        _ => "it is tried again; see whether the API server is well",
    }
}

/// The innermost reason says most: `connection refused` rather than `client error`.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let (outer, inner) = (error.to_string(), reason.to_string());
    if outer.contains(&inner) { outer } else { format!("{outer}: {inner}") }
}
