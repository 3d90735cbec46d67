//! What cannot become of a resource that is there already.

use super::Findings;
use crate::{CheckedRedis, CheckedTopology, Fault};

/// Judges a change of a resource. What is refused here would need data to be moved in a way that is not available yet:
/// what runs stays as it is.
pub fn check_change(before: &CheckedRedis, after: &CheckedRedis) -> Result<(), Vec<Fault>> {
    const NEW: &str = "undo it, or create another Redis and move the data";
    let mut findings = Findings::default();
    match (before.cluster(), after.cluster()) {
        (None, None) | (Some(_), Some(_)) => {}
        (Some(_), None) | (None, Some(_)) => {
            let mode = |redis: &CheckedRedis| match redis.spec.topology {
                CheckedTopology::Standalone => "Standalone",
                CheckedTopology::Sentinel(_) => "Sentinel",
                CheckedTopology::Cluster(_) => "Cluster",
            };
            let message = format!("cannot be changed from {} to {}", mode(before), mode(after));
            findings.fault("spec.mode", message, NEW);
        }
    }
    if findings.faults.is_empty() { Ok(()) } else { Err(findings.faults) }
}
