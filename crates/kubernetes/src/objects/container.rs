//! Containers: one brings the program, one runs it beside the server.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, ObjectFieldSelector,
        ResourceRequirements, SecurityContext,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use redoubt_api::{Engine, ImagePullPolicy, Resources};
use redoubt_engine::platform::MemberKind;

use super::{
    Wanted,
    pod::read,
    probe,
    settings::CONFIG_FILE,
    volume::{self, CONFIG, DATA, PROGRAM, SECRETS},
};
use crate::names::ports;

/// The agent's program.
const AGENT: &str = "redoubt-agent";
/// The versions that were tested last.
const REDIS_IMAGE: (&str, &str) = ("redis", "7.0");
const VALKEY_IMAGE: (&str, &str) = ("valkey/valkey", "8.1");
/// A Sentinel and its agent take some 20 MiB.
const SENTINEL_REQUESTS: [(&str, &str); 2] = [("cpu", "20m"), ("memory", "32Mi")];
const SENTINEL_LIMITS: [(&str, &str); 1] = [("memory", "128Mi")];
/// Where nodes have to have a limit, Sentinels mostly have to have one too.
const SENTINEL_CPU_LIMIT: &str = "500m";

/// Copies the program to where the server's image does not have it. As large as the server's container, which runs after
/// it: that costs the pod nothing.
pub(super) fn program(wanted: Wanted<'_>, kind: MemberKind) -> Container {
    Container {
        name: "program".to_owned(),
        image: Some(wanted.agent_image.to_owned()),
        image_pull_policy: Some(pull_policy(wanted.redis().spec.image_pull_policy).to_owned()),
        command: Some(vec![AGENT.to_owned(), "install".to_owned(), format!("{PROGRAM}/{AGENT}")]),
        volume_mounts: Some(vec![volume::program_mount()]),
        resources: Some(resources(wanted, kind)),
        security_context: Some(security(wanted, kind)),
        ..Container::default()
    }
}

/// The agent is PID 1, and the server its child.
pub(super) fn server(wanted: Wanted<'_>, kind: MemberKind) -> Container {
    let spec = &wanted.redis().spec;
    let (name, number) = match kind {
        MemberKind::Node => ("redis", ports::REDIS),
        MemberKind::Sentinel => ("sentinel", ports::SENTINEL),
    };
    let bus = wanted.has_shards().then(|| container_port("bus", ports::BUS));
    let ports = [container_port(name, number), container_port("agent", wanted.names().agent_port())];
    Container {
        name: wanted.names().container(kind).to_owned(),
        image: Some(image(wanted, kind)),
        image_pull_policy: Some(pull_policy(spec.image_pull_policy).to_owned()),
        command: Some(command(spec.engine, kind)),
        env: Some(vec![pod_name("POD_NAME")]),
        ports: Some(ports.into_iter().chain(bus).collect()),
        volume_mounts: Some(volume::mounts(wanted, kind)),
        liveness_probe: Some(probe::liveness()),
        readiness_probe: Some(probe::readiness()),
        resources: Some(resources(wanted, kind)),
        security_context: Some(security(wanted, kind)),
        ..Container::default()
    }
}

fn image(wanted: Wanted<'_>, kind: MemberKind) -> String {
    let spec = &wanted.redis().spec;
    if let Some(image) = wanted.sentinel_pods(kind).and_then(|pods| pods.image.clone()) {
        return image;
    }
    let (name, tested) = match spec.engine {
        Engine::Redis => REDIS_IMAGE,
        Engine::Valkey => VALKEY_IMAGE,
    };
    let of_version = || format!("{name}:{}", spec.version.as_deref().unwrap_or(tested));
    spec.image.clone().unwrap_or_else(of_version)
}

fn command(engine: Engine, kind: MemberKind) -> Vec<String> {
    let role = match kind {
        MemberKind::Node => "redis",
        MemberKind::Sentinel => "sentinel",
    };
    let server = match engine {
        Engine::Redis => "redis-server",
        Engine::Valkey => "valkey-server",
    };
    let program = format!("{PROGRAM}/{AGENT}");
    let config = format!("{CONFIG}/{CONFIG_FILE}");
    [
        &program,
        role,
        "--name",
        "$(POD_NAME)",
        "--config",
        &config,
        "--secrets",
        SECRETS,
        "--data",
        DATA,
        "--server-binary",
        server,
        // Also on loopback, where `kubectl exec` and `kubectl port-forward` come from.
        "--bind",
        "0.0.0.0",
    ]
    .map(str::to_owned)
    .into()
}

/// The name of the pod, in this variable.
pub(super) fn pod_name(name: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: "metadata.name".to_owned(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

pub(super) fn container_port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn resources(wanted: Wanted<'_>, kind: MemberKind) -> ResourceRequirements {
    let spec = &wanted.redis().spec;
    let given = wanted.sentinel_pods(kind).map(|pods| &pods.resources);
    let (requests, limits) = match (kind, given.filter(|given| **given != Resources::default())) {
        (_, Some(given)) => (quantities(&given.requests), quantities(&given.limits)),
        (MemberKind::Node, None) => {
            (quantities(&spec.resources.requests), quantities(&spec.resources.limits))
        }
        (MemberKind::Sentinel, None) => {
            let mut limits = fixed(&SENTINEL_LIMITS);
            if spec.resources.limits.contains_key("cpu") {
                limits.insert("cpu".to_owned(), Quantity(SENTINEL_CPU_LIMIT.to_owned()));
            }
            (fixed(&SENTINEL_REQUESTS), limits)
        }
    };
    let some = |map: BTreeMap<String, Quantity>| (!map.is_empty()).then_some(map);
    ResourceRequirements { requests: some(requests), limits: some(limits), claims: None }
}

fn quantities(given: &BTreeMap<String, String>) -> BTreeMap<String, Quantity> {
    given.iter().map(|(name, value)| (name.clone(), Quantity(value.clone()))).collect()
}

pub(super) fn fixed(given: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
    given.iter().map(|(name, value)| ((*name).to_owned(), Quantity((*value).to_owned()))).collect()
}

fn pull_policy(policy: ImagePullPolicy) -> &'static str {
    match policy {
        ImagePullPolicy::Always => "Always",
        ImagePullPolicy::IfNotPresent => "IfNotPresent",
        ImagePullPolicy::Never => "Never",
    }
}

/// What a `RedisFailover` says counts as it is written.
fn security(wanted: Wanted<'_>, kind: MemberKind) -> SecurityContext {
    let given = wanted.failover_pods(kind).and_then(|pods| pods.container_security.as_ref());
    given.and_then(read).unwrap_or_else(restricted)
}

/// The restricted pod security standard, and a root file system that nobody writes.
pub(super) fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}
