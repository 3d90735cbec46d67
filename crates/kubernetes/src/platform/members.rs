//! The members of a Redis, by its StatefulSets and pods.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ContainerStatus, Pod},
};
use kube::ResourceExt as _;
use redoubt_api::Key;
use redoubt_engine::platform::{Member, MemberKind};

use super::domains::Domains;
use crate::{
    names::{Group, Names, labels},
    stores::Stores,
};

/// A pod whose machine is alive is gone this long after its grace period.
const OVERDUE: SignedDuration = SignedDuration::from_secs(30);
/// What an init container or a container that waits is given as its reason while all goes well.
const WELL: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// An image was not had.
const PULL: &str = "ErrImagePull";
/// It was not had, and is tried again later.
const PULL_LATER: &str = "ImagePullBackOff";

/// All that exist, those that have no pod yet, and those that leave.
pub(super) fn members(stores: &Stores, key: &Key, domains: &Domains) -> Vec<Member> {
    let mut sets = stores.sets(key);
    sets.retain(|(_, set)| !super::is_leaving(set.as_ref()));
    all(Names::of(key), &sets.into_iter().collect(), &stores.pods(key), domains, Timestamp::now())
}

fn all(
    names: Names<'_>,
    sets: &BTreeMap<Group, Arc<StatefulSet>>,
    pods: &[Arc<Pod>],
    domains: &Domains,
    now: Timestamp,
) -> Vec<Member> {
    let mut members = BTreeMap::new();
    for (group, set) in sets {
        let template = template_of_set(set).unwrap_or_default();
        let absent = |index| absent(names, *group, index, template.clone());
        members.extend((0..count(set)).map(|index| ((*group, index), absent(index))));
    }
    for pod in pods {
        if let Some((group, index)) = names.place_of(&pod.name_any(), pod.labels()) {
            let leaving = sets.get(&group).is_none_or(|set| index >= count(set));
            let seen = Seen { kind: group.kind(), ordinal: group.ordinal(index), leaving };
            let domain = domains.of(pod);
            let member = Member { domain, ..member(pod, &seen, names.container(group.kind()), now) };
            members.insert((group, index), member);
        }
    }
    members.into_values().collect()
}

fn absent(names: Names<'_>, group: Group, index: u32, template: String) -> Member {
    let (kind, ordinal) = (group.kind(), group.ordinal(index));
    Member {
        name: names.member(kind, ordinal),
        kind,
        ordinal,
        template,
        running: false,
        leaving: false,
        trouble: Some("its pod is not created yet".to_owned()),
        domain: None,
    }
}

fn count(set: &StatefulSet) -> u32 {
    let count = set.spec.as_ref().and_then(|spec| spec.replicas);
    count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default()
}

fn template_of_set(set: &StatefulSet) -> Option<String> {
    set.spec.as_ref()?.template.metadata.as_ref()?.annotations.as_ref()?.get(labels::TEMPLATE).cloned()
}

/// What a pod is, by its name and the counts.
struct Seen {
    kind: MemberKind,
    ordinal: u32,
    leaving: bool,
}

fn member(pod: &Pod, seen: &Seen, container: &str, now: Timestamp) -> Member {
    let Seen { kind, ordinal, leaving } = *seen;
    let server = server(pod, container);
    Member {
        name: pod.name_any(),
        kind,
        ordinal,
        template: pod.annotations().get(labels::TEMPLATE).cloned().unwrap_or_default(),
        running: server
            .is_some_and(|server| server.state.as_ref().is_some_and(|state| state.running.is_some())),
        leaving,
        trouble: trouble(pod, now),
        domain: None,
    }
}

fn server<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == container)
}

/// Why it does not run, as far as Kubernetes says.
fn trouble(pod: &Pod, now: Timestamp) -> Option<String> {
    stuck(pod, now).or_else(|| unscheduled(pod)).or_else(|| waiting(pod))
}

/// The pod should be gone long since: its machine does not answer. It is never deleted by force: two servers could run
/// on one volume.
fn stuck(pod: &Pod, now: Timestamp) -> Option<String> {
    let deleted = pod.metadata.deletion_timestamp.as_ref()?.0;
    // The timestamp is that of the end of the grace period.
    (now.duration_since(deleted) > OVERDUE).then(|| {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("its machine");
        format!(
            "its pod should be gone and is not: {node} does not answer; bring it back, or, if it is surely off, \
             `kubectl taint node {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`"
        )
    })
}

fn unscheduled(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled =
        conditions.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    scheduled.map(|condition| {
        format!("no machine takes its pod: {}", condition.message.as_deref().unwrap_or("no reason was given"))
    })
}

fn waiting(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let mut statuses =
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    statuses.find_map(|status| {
        let waiting = status.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| !WELL.contains(reason))?;
        let message = waiting.message.as_deref().unwrap_or_default();
        Some(match reason {
            PULL | PULL_LATER => no_image(&status.image, message),
            _ if message.is_empty() => reason.to_owned(),
            _ => format!("{reason}: {message}"),
        })
    })
}

/// A kubelet goes back and forth between two reasons, and the message of the second holds that of the first: said in
/// the same words, so that a status which waits is not written each time.
fn no_image(image: &str, message: &str) -> String {
    let why = message.split_once(&format!("{PULL}: ")).map_or(message, |(_, why)| why);
    format!("image {image} cannot be pulled: {why}")
}

#[cfg(test)]
mod tests {
    use redoubt_engine::platform::Seat;
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value, deleted: Option<&str>) -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": "cart-1",
                "labels": { labels::COMPONENT: "node" },
                "annotations": { labels::TEMPLATE: "old" },
                "deletionTimestamp": deleted,
            },
            "spec": { "nodeName": "node-b", "containers": [] },
            "status": status,
        }))
        .unwrap()
    }

    fn set(replicas: i32) -> StatefulSet {
        serde_json::from_value(json!({
            "spec": {
                "replicas": replicas,
                "selector": {},
                "template": { "metadata": { "annotations": { labels::TEMPLATE: "new" } } },
            },
        }))
        .unwrap()
    }

    fn seen(replicas: i32, pod: Pod) -> Vec<Member> {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let sets = [(Group::Nodes, Arc::new(set(replicas)))].into();
        all(Names::of(&Key::redis("shop", "cart")), &sets, &[Arc::new(pod)], &Domains::default(), now)
    }

    #[test]
    fn who_has_no_pod_yet_is_a_member_that_does_not_run() {
        let members = seen(2, pod(&json!({ "containerStatuses": [] }), None));
        assert_eq!((members[0].name.as_str(), members[0].running), ("cart-0", false));
        assert_eq!((members[1].template.as_str(), members[1].leaving), ("old", false));
    }

    #[test]
    fn a_pod_above_the_count_leaves() {
        assert!(seen(1, pod(&json!({}), None))[1].leaving);
    }

    #[test]
    fn the_pods_of_a_shard_that_is_no_more_leave() {
        let mut pod = pod(&json!({}), None);
        pod.metadata.name = Some("cart-shard-3-1".to_owned());
        pod.labels_mut().insert(labels::SHARD.to_owned(), "3".to_owned());
        let members = seen(0, pod);
        let ordinal = Seat { shard: 3, index: 1 }.number();
        assert_eq!((members[0].ordinal, members[0].leaving), (ordinal, true));
    }

    #[test]
    fn an_image_that_is_not_there_is_named() {
        let tries = ("ErrImagePull", "failed to resolve reference: not found");
        let waits = (
            "ImagePullBackOff",
            "Back-off pulling image \"redis:99\": ErrImagePull: failed to resolve reference: not found",
        );
        for (reason, message) in [tries, waits] {
            let status = json!({ "containerStatuses": [{
                "name": "redis", "image": "redis:99", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "waiting": { "reason": reason, "message": message } },
            }] });
            let member = seen(2, pod(&status, None)).remove(1);
            assert!(!member.running);
            let expected = "image redis:99 cannot be pulled: failed to resolve reference: not found";
            assert_eq!(member.trouble.unwrap(), expected, "{reason}");
        }
    }

    #[test]
    fn a_pod_on_a_machine_that_is_gone_names_the_taint_and_the_machine() {
        let member = seen(2, pod(&json!({}), Some("2026-11-21T09:58:00Z"))).remove(1);
        let trouble = member.trouble.unwrap();
        assert!(trouble.contains("taint node node-b node.kubernetes.io/out-of-service"), "{trouble}");
        assert_eq!(seen(2, pod(&json!({}), Some("2026-11-21T09:59:50Z"))).remove(1).trouble, None);
    }
}
