//! StatefulSets: they keep pods and volumes together; when a pod is replaced is ours to decide.

use k8s_openapi::{
    api::apps::v1::{
        StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
        StatefulSetUpdateStrategy,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use redoubt_engine::platform::MemberKind;

use super::{Wanted, pod, volume};
use crate::names::Group;

/// Nobody goes back by a revision: the resource says what is wanted.
const HISTORY: i32 = 1;

pub(super) fn stateful_set(wanted: Wanted<'_>, group: Group) -> StatefulSet {
    let (names, kind) = (wanted.names(), group.kind());
    let mut metadata = wanted.meta(names.set(group));
    metadata.labels = Some(wanted.labels_of_group(group));
    let claim = (kind == MemberKind::Node).then(|| volume::claim(wanted, group)).flatten();
    StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            replicas: i32::try_from(wanted.workload.counts().of(kind)).ok(),
            service_name: Some(names.of_kind(kind)),
            selector: LabelSelector {
                match_labels: Some(names.selector_of(group)),
                ..LabelSelector::default()
            },
            template: pod::template(wanted, group),
            persistent_volume_claim_retention_policy: claim.is_some().then(|| retention(wanted)),
            volume_claim_templates: claim.map(|claim| vec![claim]),
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            revision_history_limit: Some(HISTORY),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

/// A volume outlives its node, and the Redis too unless the resource says otherwise.
fn retention(wanted: Wanted<'_>) -> StatefulSetPersistentVolumeClaimRetentionPolicy {
    let keep = wanted.redis().spec.persistence.volume.keep_after_deletion;
    StatefulSetPersistentVolumeClaimRetentionPolicy {
        when_deleted: Some(if keep { "Retain" } else { "Delete" }.to_owned()),
        when_scaled: Some("Retain".to_owned()),
    }
}
