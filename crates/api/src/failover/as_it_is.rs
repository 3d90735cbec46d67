//! What the operator takes from a `RedisFailover` beside the `Redis` it amounts to, which has no field for it.

use std::collections::BTreeMap;

use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    bootstrap,
    raw::{
        Claim, CommandRename, EmptyDir, Exporter, FailoverResources, FailoverStorage, Others, RedisFailover,
        SentinelSettings,
    },
    translate::Translator,
    unhonoured,
};
use crate::{
    FailoverData, FailoverExporter, FailoverPods, FailoverSource, Placement, RawObject, Resources,
    SentinelPods, raw::Quantity,
};

/// What the old operator calls a claim that has no name.
const DATA: &str = "redis-data";
/// Fields of an exporter that are honoured.
const EXPORTER: [&str; 6] =
    ["image", "imagePullPolicy", "args", "env", "resources", "containerSecurityContext"];

/// What a `Redis` has no field for.
pub(super) struct Extra {
    pub(super) bootstrap: Option<FailoverSource>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) data: FailoverData,
    pub(super) nodes: FailoverPods,
    pub(super) sentinels: FailoverPods,
    pub(super) sentinel_pods: SentinelPods,
    pub(super) denied_commands: Vec<String>,
}

pub(super) fn translate(failover: &RedisFailover, to: &mut Translator) -> Extra {
    let (redis, sentinel) = (&failover.spec.redis, &failover.spec.sentinel);
    Extra {
        bootstrap: bootstrap::translate(failover, to),
        labels: labels(failover, to),
        data: data(&redis.storage),
        nodes: pods("spec.redis", &redis.others, &redis.exporter, to),
        sentinels: pods("spec.sentinel", &sentinel.others, &sentinel.exporter, to),
        sentinel_pods: sentinel_pods(sentinel, to),
        denied_commands: denied(&redis.custom_command_renames, to),
    }
}

/// All labels of the resource, or those that some pattern finds.
fn labels(failover: &RedisFailover, to: &mut Translator) -> BTreeMap<String, String> {
    let mut patterns = Vec::new();
    for (index, pattern) in failover.spec.label_whitelist.iter().enumerate() {
        match Regex::new(pattern) {
            Ok(pattern) => patterns.push(pattern),
            Err(_) => to.fault(
                &format!("spec.labelWhitelist.{index}"),
                format!("{pattern:?} is no regular expression"),
                "write one that finds names of labels, as ^team$",
            ),
        }
    }
    let is_found = |name: &str| {
        failover.spec.label_whitelist.is_empty() || patterns.iter().any(|pattern| pattern.is_match(name))
    };
    let labels = failover.metadata.labels.iter().filter(|(name, _)| is_found(name));
    labels.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn data(storage: &FailoverStorage) -> FailoverData {
    match &storage.persistent_volume_claim {
        Some(claim) => claimed(claim),
        None => FailoverData::EmptyDir(empty_dir(storage.empty_dir.clone().unwrap_or_default())),
    }
}

fn empty_dir(dir: EmptyDir) -> RawObject {
    let EmptyDir { medium, size_limit } = dir;
    let mut fields = Map::new();
    fields.extend(medium.map(|medium| ("medium".to_owned(), Value::String(medium))));
    fields.extend(size_limit.map(|limit| ("sizeLimit".to_owned(), json!(limit.as_str()))));
    RawObject(fields)
}

/// As it was written: the template of a claim never changes, so that what is made of it must not either.
fn claimed(claim: &Claim) -> FailoverData {
    let name = claim.metadata.get("name").and_then(|name| name.0.as_str()).filter(|name| !name.is_empty());
    let name = name.unwrap_or(DATA).to_owned();
    let mut metadata = plain(&claim.metadata);
    metadata.insert("name".to_owned(), json!(name));
    let mut spec = plain(&claim.spec.others);
    let modes = claim.spec.access_modes.clone();
    let modes = if modes.is_empty() { vec!["ReadWriteOnce".to_owned()] } else { modes };
    spec.insert("accessModes".to_owned(), json!(modes));
    spec.extend(
        claim.spec.storage_class_name.iter().map(|class| ("storageClassName".to_owned(), json!(class))),
    );
    spec.insert("resources".to_owned(), json!(claim.spec.resources));
    let template =
        Map::from_iter([("metadata".to_owned(), metadata.into()), ("spec".to_owned(), spec.into())]);
    FailoverData::Claim { name, template: RawObject(template) }
}

fn plain(fields: &Others) -> Map<String, Value> {
    fields.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect()
}

fn pods(path: &str, others: &Others, exporter: &Exporter, to: &mut Translator) -> FailoverPods {
    FailoverPods {
        exporter: exported(&format!("{path}.exporter"), exporter, to),
        security: field(path, others, "securityContext", to),
        container_security: field(path, others, "containerSecurityContext", to),
    }
}

fn exported(path: &str, exporter: &Exporter, to: &mut Translator) -> Option<FailoverExporter> {
    if !exporter.enabled {
        return None;
    }
    let (known, unknown): (Others, Others) =
        exporter.others.clone().into_iter().partition(|(name, _)| EXPORTER.contains(&name.as_str()));
    unhonoured::others(path, &unknown, &[], to);
    read(path, plain(&known).into(), to)
}

/// A field that is kept as it was written.
fn field<T: DeserializeOwned>(path: &str, others: &Others, name: &str, to: &mut Translator) -> Option<T> {
    let value = others.get(name).filter(|value| !value.0.is_null())?;
    read(&format!("{path}.{name}"), value.0.clone(), to)
}

fn read<T: DeserializeOwned>(path: &str, value: Value, to: &mut Translator) -> Option<T> {
    match serde_json::from_value(value) {
        Ok(read) => Some(read),
        Err(error) => {
            to.fault(path, error.to_string(), "write it as a pod has it");
            None
        }
    }
}

fn sentinel_pods(sentinel: &SentinelSettings, to: &mut Translator) -> SentinelPods {
    let annotated = &sentinel.annotated;
    let resources: Option<FailoverResources> = field("spec.sentinel", &sentinel.others, "resources", to);
    let quantities = |map: BTreeMap<String, Quantity>| {
        map.into_iter().map(|(name, amount)| (name, amount.as_str().to_owned())).collect()
    };
    let FailoverResources { requests, limits, .. } = resources.unwrap_or_default();
    SentinelPods {
        image: sentinel.image.clone().filter(|image| !image.is_empty()),
        resources: Resources { requests: quantities(requests), limits: quantities(limits) },
        placement: Placement {
            node_selector: annotated.node_selector.clone(),
            tolerations: annotated.tolerations.clone(),
            affinity: annotated.affinity.clone(),
            topology_spread_constraints: annotated.topology_spread_constraints.clone(),
            priority_class_name: annotated.priority_class_name.clone(),
        },
        annotations: annotated.pod_annotations.clone(),
    }
}

/// The application loses a command that has another name, or none. The agents go on using it: they are other users.
fn denied(renames: &[CommandRename], to: &mut Translator) -> Vec<String> {
    let mut denied = Vec::new();
    for (index, CommandRename { from, to: name }) in renames.iter().enumerate() {
        let path = format!("spec.redis.customCommandRenames.{index}");
        let command = from.to_ascii_lowercase();
        if command.is_empty()
            || !command.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        {
            to.fault(&format!("{path}.from"), format!("{from:?} is no command"), "write one, as FLUSHALL");
            continue;
        }
        if !name.is_empty() && !name.eq_ignore_ascii_case(from) {
            to.not_honoured(
                &format!("{path}.to"),
                format!("{from} is taken from the application, and nothing is called {name}"),
                format!("write an empty name, or remove the entry to give {from} back"),
            );
        }
        if !name.eq_ignore_ascii_case(from) && !denied.contains(&command) {
            denied.push(command);
        }
    }
    denied
}
