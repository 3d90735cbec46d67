//! Fields that a `Redis` has no counterpart of: why, and what to do. Each is named, none is passed over.

use serde_json::Value;

use super::{
    raw::{Others, RedisFailover},
    translate::{Purpose, Translator},
};
use crate::text::nearest;

/// Names of fields, why they are not honoured, and what to do.
type Row = (&'static [&'static str], &'static str, &'static str);

/// Fields of `spec.redis` and `spec.sentinel`, those of the forks among them.
const MEMBERS: [Row; 14] = [
    (
        &["command", "startupConfigMap"],
        "Redoubt's agent starts the server, and knows with which data it may",
        "remove it, and write directives into customConfig",
    ),
    (
        &["shutdownConfigMap"],
        "the agent hands over to a replica before its server stops",
        "remove it, or do in the application what the script does",
    ),
    (
        &["initContainers", "extraContainers", "extraVolumes", "extraVolumeMounts"],
        "a pod of Redoubt holds the server and its agent",
        "run it as a workload of its own",
    ),
    (
        &["securityContext", "containerSecurityContext", "configCopy"],
        "pods run by the restricted security standard, as user 999 with a read-only root",
        "remove it",
    ),
    (
        &["customLivenessProbe", "customReadinessProbe", "customStartupProbe"],
        "the agent answers the probes: it knows whether a server loads, syncs or hangs",
        "remove it",
    ),
    (
        &["hostNetwork", "dnsPolicy"],
        "each member is announced by the address of a Service of its own",
        "let clients connect to the Services",
    ),
    (
        &["serviceAccountName"],
        "pods hold no credentials of the cluster",
        "name pull secrets in imagePullSecrets",
    ),
    (
        &["disablePodDisruptionBudget", "podDisruptionBudgetMinAvailable"],
        "a drain takes one member at a time, and none while another is not ready",
        "remove it",
    ),
    (&["env"], "a server is configured by its file alone", "write directives into customConfig"),
    (&["inPlaceResize"], "changed resources take a rolling restart", "remove it"),
    (&["preventMasterEviction"], "a master that is evicted hands over before it stops", "remove it"),
    (&["instanceManagerImage"], "Redoubt's own agent does this work", "remove it"),
    (&["strategy"], "Sentinels are replaced one at a time", "remove it"),
    (
        &["resources"],
        "Sentinels have requests and limits of their own (20m, 32Mi; at most 128Mi)",
        "remove it",
    ),
];

const SPEC: [Row; 1] = [(
    &["haproxy"],
    "the Service of the master leads to it without a proxy",
    "let clients connect to that Service, or ask the Sentinels",
)];

/// Names what is written and not honoured.
pub(super) fn note(failover: &RedisFailover, to: &mut Translator) {
    let spec = &failover.spec;
    others("spec", &spec.others, &SPEC, to);
    others("spec.redis", &rest(&spec.redis.others, to.purpose), &MEMBERS, to);
    others("spec.sentinel", &rest(&spec.sentinel.others, to.purpose), &MEMBERS, to);
    others("spec.redis.resources", &spec.redis.resources.others, &[], to);
    ports(failover, to);
    if to.purpose == Purpose::Convert {
        without_counterpart(failover, to);
    }
}

/// Honoured where the resource runs as it is.
const HONOURED_AS_IT_IS: [&str; 3] = ["securityContext", "containerSecurityContext", "resources"];

fn rest(fields: &Others, purpose: Purpose) -> Others {
    let is_left = |name: &str| purpose == Purpose::Convert || !HONOURED_AS_IT_IS.contains(&name);
    fields
        .iter()
        .filter(|(name, _)| is_left(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What runs where the resource runs as it is, and has no field in a `Redis`.
fn without_counterpart(failover: &RedisFailover, to: &mut Translator) {
    let spec = &failover.spec;
    renames(failover, to);
    exporters(failover, to);
    if spec.sentinel.image.as_ref().is_some_and(|image| Some(image) != spec.redis.image.as_ref()) {
        to.not_honoured("spec.sentinel.image", "Sentinels run the image of the data nodes", "remove it");
    }
    let labels = failover.metadata.labels.keys().any(|name| super::metadata::is_the_users(name));
    if labels || !spec.label_whitelist.is_empty() {
        let path = if labels { "metadata.labels" } else { "spec.labelWhitelist" };
        to.not_honoured(
            path,
            "labels of the resource are not copied to its objects",
            "select the objects by app.kubernetes.io/instance",
        );
    }
}

pub(super) fn others(path: &str, fields: &Others, rows: &[Row], to: &mut Translator) {
    for (name, _) in fields.iter().filter(|(_, value)| is_set(&value.0)) {
        let path = format!("{path}.{name}");
        if let Some((_, why, next)) = rows.iter().find(|(names, ..)| names.contains(&name.as_str())) {
            to.not_honoured(&path, *why, *next);
            continue;
        }
        let known = rows.iter().flat_map(|(names, ..)| names.iter().copied());
        let hint = nearest(name, known.chain(TRANSLATED))
            .map_or_else(|| "remove it".to_owned(), |near| format!("did you mean {near}?"));
        to.not_honoured(&path, "it is not a field that is known", hint);
    }
}

/// Fields that are often mistyped, since they are what matters.
const TRANSLATED: [&str; 12] = [
    "redis",
    "sentinel",
    "auth",
    "bootstrapNode",
    "labelWhitelist",
    "replicas",
    "image",
    "resources",
    "customConfig",
    "storage",
    "exporter",
    "affinity",
];

/// `hostNetwork: false` and `command: []` ask for nothing.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => fields.values().any(is_set),
        Value::Number(_) => true,
    }
}

fn renames(failover: &RedisFailover, to: &mut Translator) {
    for (index, rename) in failover.spec.redis.custom_command_renames.iter().enumerate() {
        to.not_honoured(
            &format!("spec.redis.customCommandRenames.{index}"),
            format!("{} keeps its name: what protects a command now is a user's rights", rename.from),
            "leave spec.auth.adminCommands of the Redis at false to keep the dangerous commands from the application",
        );
    }
}

fn exporters(failover: &RedisFailover, to: &mut Translator) {
    let (redis, sentinel) = (&failover.spec.redis.exporter, &failover.spec.sentinel.exporter);
    if redis.enabled && redis.others.values().any(|value| is_set(&value.0)) {
        to.not_honoured(
            "spec.redis.exporter",
            "no container beside the server: the agent itself serves metrics on port 9121, by the names of redis_exporter",
            "scrape port 9121 of the pods",
        );
    }
    if sentinel.enabled {
        to.not_honoured(
            "spec.sentinel.exporter",
            "no container beside the Sentinel: the agent itself serves metrics, on port 9121 instead of 9355",
            "scrape port 9121 of the pods",
        );
    }
}

fn ports(failover: &RedisFailover, to: &mut Translator) {
    if failover.spec.redis.port.is_some_and(|port| port > 0 && port != 6379) {
        to.not_honoured(
            "spec.redis.port",
            "servers listen on 6379",
            "let clients connect to 6379, or put a Service of yours with the other port before it",
        );
    }
    let port = failover.spec.sentinel.port.as_ref().map(|port| port.0.to_string());
    if port.is_some_and(|port| port.trim_matches('"') != "26379") {
        to.not_honoured("spec.sentinel.port", "Sentinels listen on 26379", "let clients connect to 26379");
    }
}
