//! Probes. Both ask the agent, which knows why a server does not answer.

use k8s_openapi::{
    api::core::v1::{HTTPGetAction, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};

/// The agent mends what it can by itself; a minute without life is for the kubelet.
pub(super) fn liveness() -> Probe {
    Probe { period_seconds: Some(10), failure_threshold: Some(6), ..probe("/healthz") }
}

/// Decides who gets clients of `cart-replicas`, and what a drain may take.
pub(super) fn readiness() -> Probe {
    Probe { period_seconds: Some(3), failure_threshold: Some(2), ..probe("/readyz") }
}

fn probe(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("agent".to_owned()),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}
