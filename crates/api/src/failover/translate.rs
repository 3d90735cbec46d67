//! From a `RedisFailover` to the `Redis` it amounts to. Pure.

use super::{
    as_it_is, bootstrap, directives, metadata, pods, raw::RedisFailover, sentinel, storage, unhonoured,
};
use crate::{
    ADOPT, CheckedFailover, CheckedRedis, Fault, Finding, Redis, SentinelDoor, Warning, check,
    check::check_unnamed,
    raw::{AuthSpec, Engine, Interval, LONGEST_MS, NetworkPolicySpec, RawObject, ResourcesSpec, SecretName},
};

/// What the old operator runs when no image is named.
const IMAGE: &str = "redis:6.2.6-alpine";
/// What it runs when no number is given, or one below 1.
const REPLICAS: u32 = 3;
/// The oldest version with users, without which no agent could log in beside the application.
const OLDEST: (u32, u32) = (6, 2);

/// What is there beside the resource. `None` is what nobody has looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// There is a Deployment of Sentinels, as the old operator makes it. It tells what the fork that made it means by
    /// a `spec.sentinel.enabled` that was left out.
    pub sentinels: Option<bool>,
}

/// What a `RedisFailover` amounts to.
#[derive(Debug, Clone, PartialEq)]
pub struct Translation {
    /// As one would write it.
    pub redis: Redis,
    /// The same, checked.
    pub checked: CheckedRedis,
    /// Every field that is written and not honoured: why, and what to do.
    pub not_honoured: Vec<Finding>,
    /// What is honoured and deserves a second look.
    pub warnings: Vec<Warning>,
}

/// Translates a `RedisFailover`.
///
/// Guarantees: pure; all faults at once; each finding has the path of the field of the `RedisFailover`; every field
/// that is written is honoured, or is in `not_honoured`; what is accepted is a `Redis` that [`check`] accepts.
pub fn translate(failover: &RedisFailover, around: Surroundings) -> Result<Translation, Vec<Fault>> {
    let mut to = Translator::new(Purpose::Convert, Redis::new(&failover.metadata.name));
    common(failover, around, &mut to);
    bootstrap::translate(failover, &mut to);
    to.finish()
}

/// What runs for a `RedisFailover`, under its own names.
///
/// Guarantees: as [`translate`]; what is not honoured, and what deserves a second look, is in
/// [`CheckedFailover::not_honoured`] and [`CheckedFailover::warnings`].
pub fn run(failover: &RedisFailover, around: Surroundings) -> Result<CheckedRedis, Vec<Fault>> {
    let mut to = Translator::new(Purpose::Run, Redis::new(&failover.metadata.name));
    common(failover, around, &mut to);
    let extra = as_it_is::translate(failover, &mut to);
    to.finish_run(failover, extra)
}

fn common(failover: &RedisFailover, around: Surroundings, to: &mut Translator) {
    to.redis.metadata = metadata::translate(&failover.metadata, to);
    let nodes = nodes(failover, to);
    server(failover, to);
    sentinel::translate(failover, around, nodes, to);
    directives::translate(&failover.spec.redis, to);
    storage::translate(&failover.spec.redis.storage, to);
    pods::translate(&failover.spec, to);
    access(failover, to);
    unhonoured::note(failover, to);
}

/// What a translation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be written out as a `Redis`.
    Convert,
    /// To run as it is.
    Run,
}

fn nodes(failover: &RedisFailover, to: &mut Translator) -> u32 {
    let written = failover.spec.redis.replicas.and_then(|count| u32::try_from(count).ok());
    let nodes = written.filter(|count| *count > 0).unwrap_or(REPLICAS);
    to.redis.spec.replicas = Some(nodes);
    to.trace("spec.replicas", "spec.redis.replicas");
    nodes
}

fn server(failover: &RedisFailover, to: &mut Translator) {
    let settings = &failover.spec.redis;
    let image = settings.image.clone().unwrap_or_else(|| IMAGE.to_owned());
    if image.contains("valkey") {
        to.redis.spec.engine = Some(Engine::Valkey);
    }
    if version(&image).is_some_and(|version| version < OLDEST) {
        let message = format!("{image} is older than Redis 6.2, which Redoubt needs");
        to.warn(
            "spec.redis.image",
            message,
            "write a newer one, as redis:7.2; it reads the data of the old one",
        );
    }
    to.redis.spec.image = Some(image);
    to.redis.spec.image_pull_policy = settings.image_pull_policy;
    let mut secrets = settings.image_pull_secrets.clone();
    let others = failover.spec.sentinel.image_pull_secrets.iter().cloned();
    secrets.extend(others.filter(|secret| !settings.image_pull_secrets.contains(secret)));
    to.redis.spec.image_pull_secrets =
        secrets.into_iter().map(|secret| SecretName { name: secret.name }).collect();
    let resources = ResourcesSpec {
        requests: settings.resources.requests.clone(),
        limits: settings.resources.limits.clone(),
    };
    to.redis.spec.resources = (resources != ResourcesSpec::default()).then_some(resources);
    grace_period(settings.termination_grace_period, to);
    for (ours, theirs) in [
        ("spec.image", "spec.redis.image"),
        ("spec.imagePullSecrets", "spec.redis.imagePullSecrets"),
        ("spec.resources", "spec.redis.resources"),
        ("spec.placement.priorityClassName", "spec.redis.priorityClassName"),
        ("spec.podAnnotations", "spec.redis.podAnnotations"),
        ("spec.services.masterAnnotations", "spec.redis.serviceAnnotations"),
        ("spec.services.replicasAnnotations", "spec.redis.serviceAnnotations"),
        ("spec.services.sentinelAnnotations", "spec.sentinel.serviceAnnotations"),
        ("spec.auth", "spec.auth.secretPath"),
    ] {
        to.trace(ours, theirs);
    }
}

/// Major and minor number of the tag, as far as it is one.
fn version(image: &str) -> Option<(u32, u32)> {
    let tag = image.split('@').next()?.rsplit_once(':')?.1;
    let mut numbers = tag.split(['.', '-']).map(str::parse::<u32>);
    let major = numbers.next()?.ok()?;
    Some((major, numbers.next().and_then(Result::ok).unwrap_or(u32::MAX)))
}

/// 0 is the default, as for the old operator.
fn grace_period(seconds: Option<i64>, to: &mut Translator) {
    const PATH: &str = "spec.redis.terminationGracePeriod";
    let Some(seconds) = seconds.filter(|seconds| *seconds != 0) else { return };
    match u64::try_from(seconds).ok().filter(|seconds| *seconds <= LONGEST_MS / 1000) {
        Some(seconds) => {
            let period = Interval(std::time::Duration::from_secs(seconds));
            to.redis.spec.termination_grace_period = Some(period);
        }
        None => to.fault(PATH, format!("{seconds} is no number of seconds to wait for"), "write 30"),
    }
    to.trace("spec.terminationGracePeriod", PATH);
}

/// As open as it was.
fn access(failover: &RedisFailover, to: &mut Translator) {
    let secret_name = failover.spec.auth.secret_path.clone().filter(|path| !path.is_empty());
    let enabled = if secret_name.is_some() { None } else { Some(false) };
    let (message, hint) = match (&secret_name, to.purpose) {
        (Some(_), Purpose::Convert) => (
            "with a password for the servers, the Sentinels ask for one too",
            format!("give clients the key sentinel-password of the Secret {}-auth", failover.metadata.name),
        ),
        (Some(_), Purpose::Run) => (
            "the Sentinels ask for none, as before: whoever reaches one can move the master",
            "make a Redis of it to have them ask, see redoubt convert".to_owned(),
        ),
        (None, _) => (
            "there is none: whoever reaches a node reads and writes everything",
            "name a Secret with the key password".to_owned(),
        ),
    };
    to.warn("spec.auth.secretPath", message, hint);
    to.redis.spec.auth =
        Some(AuthSpec { enabled, secret_name, admin_commands: Some(true), ..AuthSpec::default() });
    let namespaces = failover
        .spec
        .network_policy_ns_list
        .iter()
        .map(|label| namespaces(&label.match_label_key, &label.match_label_value));
    let from: Vec<RawObject> = namespaces.collect();
    to.redis.spec.network_policy =
        Some(NetworkPolicySpec { enabled: from.is_empty().then_some(false), from });
    to.trace("spec.networkPolicy", "spec.networkPolicyNsList");
}

/// The peers of a NetworkPolicy that are in namespaces with this label.
fn namespaces(key: &str, value: &str) -> RawObject {
    let label = serde_json::Map::from_iter([(key.to_owned(), value.into())]);
    let selector = serde_json::Map::from_iter([("matchLabels".to_owned(), label.into())]);
    RawObject(serde_json::Map::from_iter([("namespaceSelector".to_owned(), selector.into())]))
}

/// The `Redis` so far, and what was found on the way.
pub(super) struct Translator {
    pub(super) purpose: Purpose,
    pub(super) redis: Redis,
    faults: Vec<Fault>,
    not_honoured: Vec<Finding>,
    warnings: Vec<Warning>,
    /// Paths of the `Redis`, and of what they were made from.
    origins: Vec<(String, String)>,
}

impl Translator {
    fn new(purpose: Purpose, redis: Redis) -> Self {
        Self {
            purpose,
            redis,
            faults: Vec::new(),
            not_honoured: Vec::new(),
            warnings: Vec::new(),
            origins: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Finding::at(path, message).hint(hint));
    }

    pub(super) fn warn(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.warnings.push(Finding::at(path, message).hint(hint));
    }

    pub(super) fn not_honoured(&mut self, path: &str, why: impl AsRef<str>, hint: impl Into<String>) {
        let message = format!("is not honoured: {}", why.as_ref());
        self.not_honoured.push(Finding::at(path, message).hint(hint));
    }

    /// This field of the `Redis` was made from that one.
    pub(super) fn trace(&mut self, ours: &str, theirs: &str) {
        self.origins.push((ours.to_owned(), theirs.to_owned()));
    }

    /// The field of the `RedisFailover` that a finding about the `Redis` is about; the most exact one, of those the last.
    fn back(&self, mut finding: Finding) -> Finding {
        let covers = |ours: &str| {
            finding.path == ours || finding.path.strip_prefix(ours).is_some_and(|rest| rest.starts_with('.'))
        };
        let origin = self.origins.iter().filter(|(ours, _)| covers(ours)).max_by_key(|(ours, _)| ours.len());
        if let Some((_, theirs)) = origin {
            finding.path.clone_from(theirs);
        }
        finding
    }

    fn finish(mut self) -> Result<Translation, Vec<Fault>> {
        let checked = self.judged(check(&self.redis))?;
        let Self { redis, not_honoured, warnings, .. } = self;
        Ok(Translation { redis, checked, not_honoured, warnings })
    }

    fn finish_run(
        mut self,
        failover: &RedisFailover,
        extra: as_it_is::Extra,
    ) -> Result<CheckedRedis, Vec<Fault>> {
        let mut spec = self.judged(check_unnamed(&self.redis))?;
        let as_it_is::Extra { bootstrap, labels, data, nodes, sentinels, sentinel_pods, denied_commands } =
            extra;
        spec.auth.sentinel_door = SentinelDoor::Open;
        spec.auth.denied_commands = denied_commands;
        let Self { not_honoured, warnings, .. } = self;
        let adopted = failover.metadata.annotations.get(ADOPT).is_some_and(|value| value == "true");
        let extra = CheckedFailover {
            adopted,
            bootstrap,
            labels,
            data,
            nodes,
            sentinels,
            sentinel_pods,
            not_honoured,
            warnings,
        };
        Ok(CheckedRedis {
            key: failover.metadata.key(),
            generation: failover.metadata.generation(),
            spec,
            failover: Some(Box::new(extra)),
        })
    }

    /// What was found in the `Redis` joins what was found before, each with the field that was written.
    fn judged<T>(&mut self, judged: Result<(T, Vec<Warning>), Vec<Fault>>) -> Result<T, Vec<Fault>> {
        match judged {
            Ok((checked, warnings)) if self.faults.is_empty() => {
                // Our own words fit the field that was written better.
                let said = |path: &str| self.warnings.iter().any(|warning| warning.path == path);
                let more = warnings.into_iter().map(|warning| self.back(warning));
                let more: Vec<Warning> = more.filter(|warning| !said(&warning.path)).collect();
                self.warnings.extend(more);
                Ok(checked)
            }
            Ok(_) => Err(std::mem::take(&mut self.faults)),
            Err(faults) => {
                let known = |path: &str| self.faults.iter().any(|fault| fault.path == path);
                let more = faults.into_iter().map(|fault| self.back(fault));
                let more: Vec<Fault> = more.filter(|fault| !known(&fault.path)).collect();
                self.faults.extend(more);
                Err(std::mem::take(&mut self.faults))
            }
        }
    }
}
