//! From what was written to what is wanted: defaults applied, every fault found.

mod change;
mod cluster;
mod directives;
mod durability;
mod names;
mod persistence;
mod platform;
mod resources;
mod secret;
mod sentinel;
#[cfg(test)]
mod tests;

use crate::{
    Auth, CheckedRedis, CheckedSpec, CheckedTopology, Fault, Finding, ImagePullPolicy, Metrics, PAUSED,
    RESTARTED_AT, Redis, SentinelDoor, Warning, defaults,
    raw::{self, AuthSpec, Mode, RedisSpec},
    text::nearest,
};

pub use change::check_change;
pub(crate) use directives::{sentinel_refusal, server_refusal};
pub(crate) use names::not_a_label;
pub use secret::check_secret;

/// Most data nodes of one Redis. The master keeps an output buffer of up to 256 MB for each of its replicas.
const MAX_NODES: u32 = 50;

/// What a check collects beside its result.
#[derive(Default)]
struct Findings {
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
}

impl Findings {
    fn fault(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Finding::at(path, message).hint(hint));
    }

    fn warn(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.warnings.push(Finding::at(path, message).hint(hint));
    }
}

/// Applies the defaults and judges every field.
///
/// Guarantees: pure; all faults at once, each with the path of its field; a resource that was accepted and is
/// written out again is accepted with the same result.
pub fn check(redis: &Redis) -> Result<(CheckedRedis, Vec<Warning>), Vec<Fault>> {
    let mut findings = Findings::default();
    names::check(&redis.metadata, &mut findings);
    let (spec, warnings) = checked(redis, findings)?;
    let generation = redis.metadata.generation.unwrap_or(1);
    Ok((CheckedRedis { key: redis.metadata.key(), generation, spec, failover: None }, warnings))
}

/// The same for what runs under another name: that of a `RedisFailover` has rules of its own.
pub(crate) fn check_unnamed(redis: &Redis) -> Result<(CheckedSpec, Vec<Warning>), Vec<Fault>> {
    checked(redis, Findings::default())
}

fn checked(redis: &Redis, mut findings: Findings) -> Result<(CheckedSpec, Vec<Warning>), Vec<Fault>> {
    annotations(redis, &mut findings);
    let spec = spec(redis, &mut findings);
    if findings.faults.is_empty() { Ok((spec, findings.warnings)) } else { Err(findings.faults) }
}

fn spec(redis: &Redis, findings: &mut Findings) -> CheckedSpec {
    let spec = &redis.spec;
    let mode = spec.mode.unwrap_or(defaults::MODE);
    not_yet(spec, findings);
    cluster::misplaced(spec, mode, findings);
    let of_one = (mode != Mode::Cluster).then(|| replicas(spec, mode, findings));
    let topology = topology(spec, mode, findings);
    let replicas = match (&topology, of_one) {
        (CheckedTopology::Cluster(cluster), _) => cluster.nodes(),
        (CheckedTopology::Standalone | CheckedTopology::Sentinel(_), of_one) => of_one.unwrap_or_default(),
    };
    let durability = durability::check(spec, &topology, replicas, findings);
    let resources = resources::check(spec, findings);
    CheckedSpec {
        engine: spec.engine.unwrap_or(defaults::ENGINE).into(),
        version: version(spec, findings),
        image: image(spec, findings),
        image_pull_policy: spec.image_pull_policy.unwrap_or(defaults::IMAGE_PULL_POLICY).into(),
        image_pull_secrets: platform::image_pull_secrets(spec, findings),
        replicas,
        auth: auth(spec.auth.as_ref(), findings),
        config: directives::server("spec.config", &spec.config, findings),
        persistence: persistence::check(spec.persistence.as_ref(), findings),
        durability,
        resources,
        placement: platform::placement(spec, findings),
        pod_annotations: platform::pod_annotations(spec, findings),
        services: platform::services(spec, findings),
        network_policy: platform::network_policy(spec, findings),
        metrics: Metrics {
            enabled: spec
                .metrics
                .as_ref()
                .and_then(|metrics| metrics.enabled)
                .unwrap_or(defaults::METRICS_ENABLED),
        },
        termination_grace_period: grace_period(spec, findings),
        restarted_at: redis.metadata.annotations.get(RESTARTED_AT).cloned(),
        paused: redis.metadata.annotations.get(PAUSED).is_some_and(|value| value == "true"),
        topology,
    }
}

/// What has its place in the types and no code behind it.
fn not_yet(spec: &RedisSpec, findings: &mut Findings) {
    if let Some(tls) = &spec.tls
        && (tls.enabled == Some(true) || (tls.enabled.is_none() && tls.secret_name.is_some()))
    {
        findings.fault("spec.tls", "encrypted connections are not available yet", "remove spec.tls");
    }
}

fn replicas(spec: &RedisSpec, mode: Mode, findings: &mut Findings) -> u32 {
    const PATH: &str = "spec.replicas";
    let default = if mode == Mode::Standalone { 1 } else { defaults::REPLICAS };
    let replicas = spec.replicas.unwrap_or(default);
    match (mode, replicas) {
        (_, 0) => findings.fault(PATH, "must be at least 1, not 0", "to remove a Redis, delete the resource"),
        (Mode::Standalone, 2..) => findings.fault(
            PATH,
            format!("must be 1 in mode Standalone, not {replicas}: nothing would elect a new master"),
            "write mode: Sentinel, or replicas: 1",
        ),
        (_, replicas) if replicas > MAX_NODES => {
            findings.fault(PATH, format!("must be at most {MAX_NODES}, not {replicas}"), "use fewer nodes");
        }
        (Mode::Sentinel, 1) => findings.warn(
            PATH,
            "there is one node: when it fails there is none to take over",
            "write replicas: 3, or mode: Standalone",
        ),
        _ => {}
    }
    replicas
}

fn topology(spec: &RedisSpec, mode: Mode, findings: &mut Findings) -> CheckedTopology {
    if mode != Mode::Sentinel && spec.sentinel.is_some() {
        let message = format!("has no effect in mode {mode:?}");
        findings.warn("spec.sentinel", message, "remove it, or write mode: Sentinel");
    }
    match mode {
        Mode::Sentinel => CheckedTopology::Sentinel(sentinel::check(spec.sentinel.as_ref(), findings)),
        Mode::Standalone => CheckedTopology::Standalone,
        Mode::Cluster => CheckedTopology::Cluster(cluster::check(spec, findings)),
    }
}

/// Versions look like `7`, `7.2` or `7.2.4`.
fn version(spec: &RedisSpec, findings: &mut Findings) -> Option<String> {
    let version = &spec.version.as_ref()?.0;
    let part =
        |part: &str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    if version.split('.').count() > 3 || !version.split('.').all(part) {
        let message = format!("{version:?} is not a version");
        findings.fault(
            "spec.version",
            message,
            "write it as \"7\", \"7.2\" or \"7.2.4\"; a whole image goes to spec.image",
        );
    }
    Some(version.clone())
}

fn image(spec: &RedisSpec, findings: &mut Findings) -> Option<String> {
    let image = spec.image.clone()?;
    if image.is_empty() || image.contains(|c: char| c.is_whitespace() || c.is_control()) {
        findings.fault("spec.image", format!("{image:?} is not an image"), "write it as registry/name:tag");
    }
    if spec.version.is_some() {
        findings.warn("spec.version", "has no effect beside spec.image", "remove one of them");
    }
    Some(image)
}

fn auth(spec: Option<&AuthSpec>, findings: &mut Findings) -> Auth {
    let spec = spec.cloned().unwrap_or_default();
    let enabled = spec.enabled.unwrap_or(defaults::AUTH_ENABLED);
    if let Some(secret) = &spec.secret_name {
        names::subdomain("spec.auth.secretName", secret, findings);
    }
    if !enabled {
        let message = "whoever reaches a node reads and writes everything";
        findings.warn("spec.auth.enabled", message, "leave it out: a password is made for you");
    }
    if !enabled && spec.secret_name.is_some() {
        findings.fault(
            "spec.auth.secretName",
            "names a password, but spec.auth.enabled is false",
            "remove one of them",
        );
    }
    Auth {
        enabled,
        secret_name: spec.secret_name,
        admin_commands: spec.admin_commands.unwrap_or_default(),
        protect_sentinel_channel: spec.protect_sentinel_channel.unwrap_or_default(),
        sentinel_door: SentinelDoor::AsNodes,
        denied_commands: Vec::new(),
    }
}

fn grace_period(spec: &RedisSpec, findings: &mut Findings) -> std::time::Duration {
    const PATH: &str = "spec.terminationGracePeriod";
    let grace =
        spec.termination_grace_period.map_or(defaults::TERMINATION_GRACE_PERIOD, |interval| interval.0);
    if grace.as_secs() == 0 {
        findings.fault(PATH, "must be at least 1s: a hand-over takes its time", "write 30s");
    } else if grace.subsec_millis() != 0 {
        findings.fault(PATH, "must be whole seconds, as Kubernetes counts them", "write 30s");
    }
    grace
}

/// An annotation of ours that is misspelt would be passed over in silence.
fn annotations(redis: &Redis, findings: &mut Findings) {
    for (name, value) in &redis.metadata.annotations {
        let path = format!("metadata.annotations.{name}");
        if name == PAUSED && !matches!(value.as_str(), "true" | "false") {
            findings.fault(&path, format!("must be \"true\" or \"false\", not {value:?}"), "write \"true\"");
        }
        if name.starts_with("redoubt.dev/") && ![PAUSED, RESTARTED_AT].contains(&name.as_str()) {
            let near = nearest(name, [PAUSED, RESTARTED_AT]).unwrap_or(RESTARTED_AT);
            findings.warn(&path, "is not an annotation that is known", format!("did you mean {near}?"));
        }
    }
}

impl From<raw::Engine> for crate::Engine {
    fn from(engine: raw::Engine) -> Self {
        match engine {
            raw::Engine::Redis => Self::Redis,
            raw::Engine::Valkey => Self::Valkey,
        }
    }
}

impl From<raw::ImagePullPolicy> for ImagePullPolicy {
    fn from(policy: raw::ImagePullPolicy) -> Self {
        match policy {
            raw::ImagePullPolicy::Always => Self::Always,
            raw::ImagePullPolicy::IfNotPresent => Self::IfNotPresent,
            raw::ImagePullPolicy::Never => Self::Never,
        }
    }
}
