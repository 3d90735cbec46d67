//! Metrics by a container beside the server, as a `RedisFailover` asks for it. The agent's own have another port then.

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ResourceRequirements, SecretKeySelector};
use redoubt_api::{FailoverExporter, PASSWORD_KEY};
use redoubt_engine::platform::MemberKind;

use super::{
    Wanted,
    container::{container_port, fixed, pod_name, restricted},
    pod::{read, read_all},
};
use crate::names::ports;

/// What the old operator runs.
const IMAGE: &str = "quay.io/oliver006/redis_exporter:v1.43.0";
/// What it gives it.
const REQUESTS: [(&str, &str); 2] = [("cpu", "10m"), ("memory", "50Mi")];
const LIMITS: [(&str, &str); 2] = [("cpu", "1"), ("memory", "100Mi")];
/// Name of its port.
pub(super) const PORT: &str = "metrics";

/// The container, where one is asked for.
pub(super) fn exporter(wanted: Wanted<'_>, kind: MemberKind) -> Option<Container> {
    let FailoverExporter { image, image_pull_policy, args, env, resources, container_security_context } =
        wanted.failover_pods(kind)?.exporter.as_ref()?;
    let (name, number) = match kind {
        MemberKind::Node => ("redis-exporter", ports::EXPORTER),
        MemberKind::Sentinel => ("sentinel-exporter", ports::SENTINEL_EXPORTER),
    };
    let variables = variables(wanted, kind, number).into_iter().chain(read_all::<EnvVar>(env));
    Some(Container {
        name: name.to_owned(),
        image: Some(image.clone().unwrap_or_else(|| IMAGE.to_owned())),
        image_pull_policy: image_pull_policy.clone(),
        args: (!args.is_empty()).then(|| args.clone()),
        env: Some(variables.collect()),
        ports: Some(vec![container_port(PORT, number)]),
        resources: Some(resources.as_ref().and_then(read).unwrap_or_else(usual_resources)),
        security_context: Some(container_security_context.as_ref().and_then(read).unwrap_or_else(restricted)),
        ..Container::default()
    })
}

fn usual_resources() -> ResourceRequirements {
    ResourceRequirements { requests: Some(fixed(&REQUESTS)), limits: Some(fixed(&LIMITS)), claims: None }
}

/// Those that the old operator sets.
fn variables(wanted: Wanted<'_>, kind: MemberKind, listen: i32) -> Vec<EnvVar> {
    let server = match kind {
        MemberKind::Node => ports::REDIS,
        MemberKind::Sentinel => ports::SENTINEL,
    };
    let plain =
        |name: &str, value: String| EnvVar { name: name.to_owned(), value: Some(value), ..EnvVar::default() };
    let own = [
        pod_name("REDIS_ALIAS"),
        plain("REDIS_ADDR", format!("redis://127.0.0.1:{server}")),
        plain("REDIS_EXPORTER_WEB_LISTEN_ADDRESS", format!("0.0.0.0:{listen}")),
    ];
    let of_nodes = [plain("REDIS_PORT", server.to_string()), plain("REDIS_USER", "default".to_owned())];
    let of_nodes = of_nodes.into_iter().chain(password(wanted));
    own.into_iter().chain(of_nodes.filter(|_| kind == MemberKind::Node)).collect()
}

/// From the Secret that the resource names.
fn password(wanted: Wanted<'_>) -> Option<EnvVar> {
    let secret = wanted.redis().spec.auth.secret_name.clone()?;
    let key = SecretKeySelector { name: secret, key: PASSWORD_KEY.to_owned(), optional: None };
    let source = EnvVarSource { secret_key_ref: Some(key), ..EnvVarSource::default() };
    Some(EnvVar { name: "REDIS_PASSWORD".to_owned(), value_from: Some(source), ..EnvVar::default() })
}
