//! Services: the members' addresses, and those that clients use.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use redoubt_api::{CheckedRedis, Role};
use redoubt_engine::{Counts, platform::MemberKind};

use super::{Wanted, exporter, meta, with_copied};
use crate::names::{Group, Names, ports};

/// Label that the StatefulSet controller gives each pod.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";

/// The address of each member: announced, and the same after every restart.
pub(crate) fn member_services(redis: &CheckedRedis, uid: &str, counts: Counts) -> Vec<Service> {
    let of = |kind| counts.ordinals(kind).map(move |ordinal| member_service(redis, uid, kind, ordinal));
    of(MemberKind::Node).chain(of(MemberKind::Sentinel)).collect()
}

fn member_service(redis: &CheckedRedis, uid: &str, kind: MemberKind, ordinal: u32) -> Service {
    let names = Names::of(&redis.key);
    let member = names.member(kind, ordinal);
    let (group, _) = Group::of(kind, ordinal);
    let mut selector = names.selector_of(group);
    selector.insert(POD_NAME.to_owned(), member);
    let mut metadata = meta(&redis.key, uid, names.address(kind, ordinal));
    metadata.labels = Some(with_copied(redis, names.labels_of_group(group)));
    let bus = matches!(group, Group::Shard(_)).then(|| port("bus", ports::BUS));
    let ports = [server_port(kind), port("agent", names.agent_port())];
    Service {
        metadata,
        spec: Some(ServiceSpec {
            selector: Some(selector),
            ports: Some(ports.into_iter().chain(bus).collect()),
            // A node that does not serve yet has to be reached by those it asks who leads.
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// `cart`, `cart-master`, `cart-replicas`, `cart-sentinel`; of a cluster `cart` alone, since clients of one find all
/// others from any node.
pub(super) fn client_services(wanted: Wanted<'_>) -> Vec<Service> {
    if wanted.has_shards() {
        return vec![headless_service(wanted)];
    }
    let sentinel = wanted.has_sentinels().then(|| sentinel_service(wanted));
    [headless_service(wanted), master_service(wanted), replicas_service(wanted)]
        .into_iter()
        .chain(sentinel)
        .collect()
}

fn headless_service(wanted: Wanted<'_>) -> Service {
    let mut service =
        client_service(wanted, wanted.names().nodes(), MemberKind::Node, None, &BTreeMap::new());
    if let Some(spec) = &mut service.spec {
        spec.cluster_ip = Some("None".to_owned());
        spec.publish_not_ready_addresses = (!wanted.has_shards()).then_some(true);
        let own = [server_port(MemberKind::Node), port("agent", wanted.names().agent_port())];
        spec.ports = Some(own.into_iter().chain(metrics_port(wanted)).collect());
    }
    service
}

/// What scrapes the exporters looks for this name.
fn metrics_port(wanted: Wanted<'_>) -> Option<ServicePort> {
    let exported = exporter::exporter(wanted, MemberKind::Node)?;
    let number = exported.ports?.first()?.container_port;
    let target_port = Some(IntOrString::String(exporter::PORT.to_owned()));
    Some(ServicePort { target_port, ..port("http-metrics", number) })
}

/// With Sentinels its address is that of [`super::master_slice`]. The only node of a Standalone is followed by Kubernetes
/// itself; whether its probe has come round yet does not matter.
fn master_service(wanted: Wanted<'_>) -> Service {
    let annotations = &wanted.redis().spec.services.master_annotations;
    let name = wanted.names().master();
    let mut service = client_service(wanted, name, MemberKind::Node, None, annotations);
    if let Some(spec) = &mut service.spec {
        if wanted.has_sentinels() {
            spec.selector = None;
        } else {
            spec.publish_not_ready_addresses = Some(true);
        }
    }
    service
}

fn replicas_service(wanted: Wanted<'_>) -> Service {
    let annotations = &wanted.redis().spec.services.replicas_annotations;
    client_service(wanted, wanted.names().replicas(), MemberKind::Node, Some(Role::Replica), annotations)
}

fn sentinel_service(wanted: Wanted<'_>) -> Service {
    let annotations = &wanted.redis().spec.services.sentinel_annotations;
    client_service(wanted, wanted.names().sentinels(), MemberKind::Sentinel, None, annotations)
}

fn client_service(
    wanted: Wanted<'_>,
    name: String,
    kind: MemberKind,
    role: Option<Role>,
    annotations: &BTreeMap<String, String>,
) -> Service {
    let mut selector = wanted.names().selector(kind);
    let role = role.map(|role| wanted.names().role(role));
    selector.extend(role.map(|(label, value)| (label.to_owned(), value.to_owned())));
    let mut metadata = wanted.meta(name);
    metadata.labels = Some(wanted.labels_of(kind));
    metadata.annotations = (!annotations.is_empty()).then(|| annotations.clone());
    Service {
        metadata,
        spec: Some(ServiceSpec {
            selector: Some(selector),
            ports: Some(vec![server_port(kind)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn server_port(kind: MemberKind) -> ServicePort {
    match kind {
        MemberKind::Node => port("redis", ports::REDIS),
        MemberKind::Sentinel => port("sentinel", ports::SENTINEL),
    }
}

fn port(name: &str, number: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number,
        target_port: Some(IntOrString::String(name.to_owned())),
        // Server-side apply merges ports by number and protocol.
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}
