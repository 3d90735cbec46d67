//! How many members a drain may take at once.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::Wanted;
use crate::names::Group;

/// Of each group one at a time, and none while another is not ready: a replica that is not in sync is not ready, so that the last
/// copy in sync stays. A single node may go, or its machine could never be drained.
pub(super) fn budget(wanted: Wanted<'_>, group: Group) -> PodDisruptionBudget {
    let mut metadata = wanted.meta(wanted.names().set(group));
    metadata.labels = Some(wanted.labels_of_group(group));
    PodDisruptionBudget {
        metadata,
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(wanted.names().selector_of(group)),
                ..LabelSelector::default()
            }),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
