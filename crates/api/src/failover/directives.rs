//! `customConfig`: directives that the old operator sets by `CONFIG SET` in the order they are written.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    raw::{RedisFailover, RedisSettings},
    translate::Translator,
};
use crate::{
    CheckedRedis, check,
    raw::{AofSpec, Directive, Fsync, Interval, PersistenceSpec, RdbSpec},
};

const PATH: &str = "spec.redis.customConfig";
/// What the old operator writes into every `redis.conf`.
const SAVE: &str = "900 1 300 10";
const KEEPALIVE: (&str, &str) = ("tcp-keepalive", "60");
/// Directives that a `Redis` has fields for.
const WITH_FIELDS: [&str; 5] =
    ["save", "appendonly", "appendfsync", "min-replicas-to-write", "min-replicas-max-lag"];
/// What Saremox takes of the memory limit.
const MAX_MEMORY_PERCENT: i32 = 75;

/// One entry of a `customConfig`.
pub(super) struct Entry {
    /// Its path.
    pub(super) path: String,
    /// The directive, in small letters.
    pub(super) name: String,
    /// Its value; `""` is the empty one.
    pub(super) value: String,
}

/// The entries that can be read; of the others each is a fault. The same text twice counts once.
pub(super) fn entries(path: &str, config: &[String], to: &mut Translator) -> Vec<Entry> {
    let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, text) in config.iter().enumerate().filter(|(_, text)| seen.insert(text.as_str())) {
        let path = format!("{path}.{index}");
        match pair(text) {
            Some((name, value)) => entries.push(Entry { path, name, value }),
            None if text.trim().is_empty() => {
                to.fault(&path, "is empty", "write a directive and its value, or remove the entry");
            }
            None => {
                let message = format!("{text:?} is one word, without a value");
                to.fault(&path, message, format!("write \"{} VALUE\"", text.trim()));
            }
        }
    }
    entries
}

/// A directive and its value; `""` is the empty one.
fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.trim().split_once(' ')?;
    let value = if value.trim() == "\"\"" { "" } else { value.trim() };
    Some((name.to_ascii_lowercase(), value.to_owned()))
}

/// This directive can be written into `spec.redis.customConfig`; all others Redoubt sets itself.
#[must_use]
pub fn is_free(name: &str) -> bool {
    WITH_FIELDS.contains(&name) || check::server_refusal(name).is_none()
}

/// The directives of `redis.conf` of a `RedisFailover`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Those that its `customConfig` names.
    pub said: BTreeMap<String, String>,
    /// Those that its servers have all the same.
    pub implied: BTreeMap<String, String>,
}

/// What a server of this `RedisFailover` should run with.
#[must_use]
pub fn written(failover: &RedisFailover, redis: &CheckedRedis) -> Written {
    let persistence = &redis.spec.persistence;
    let appendonly = if persistence.aof { "yes" } else { "no" };
    let mut said: BTreeMap<String, String> =
        failover.spec.redis.custom_config.iter().filter_map(|text| pair(text)).collect();
    let mut implied = redis.spec.config.clone();
    implied.insert("save".to_owned(), persistence.rdb_save.clone());
    implied.insert("appendonly".to_owned(), appendonly.to_owned());
    for (name, value) in &mut said {
        // Several entries of one name may have been joined.
        if let Some(joined) = implied.remove(name) {
            *value = joined;
        }
    }
    Written { said, implied }
}

/// Directives with a field of their own go there, those that Redoubt sets are named, and the rest is `spec.config`.
pub(super) fn translate(redis: &RedisSettings, to: &mut Translator) {
    to.trace("spec.persistence", PATH);
    to.redis.spec.config.insert(KEEPALIVE.0.to_owned(), Directive(KEEPALIVE.1.to_owned()));
    max_memory(redis, to);
    let mut persistence = PersistenceSpec {
        rdb: Some(RdbSpec { save: Some(SAVE.to_owned()) }),
        aof: Some(AofSpec { enabled: Some(false), fsync: None }),
        volume: None,
    };
    let mut fsync = None;
    for entry in entries(PATH, &redis.custom_config, to) {
        match entry.name.as_str() {
            "save" => {
                to.trace("spec.persistence.rdb", &entry.path);
                persistence.rdb = Some(RdbSpec { save: Some(entry.value) });
            }
            "appendonly" => {
                let enabled = yes_or_no(&entry, to);
                persistence.aof.get_or_insert_default().enabled = enabled;
            }
            "appendfsync" => fsync = policy(&entry, to),
            _ => directive(&entry, to),
        }
    }
    let aof = persistence.aof.get_or_insert_default();
    // Without a file there is nothing to sync, and a Redis that says so is warned of.
    aof.fsync = fsync.filter(|_| aof.enabled == Some(true));
    to.redis.spec.persistence = Some(persistence);
}

fn directive(entry: &Entry, to: &mut Translator) {
    let Entry { path, name, value } = entry;
    match name.as_str() {
        "min-replicas-to-write" | "min-slaves-to-write" => {
            if let Some(count) = number(entry, to) {
                to.redis.spec.durability.get_or_insert_default().min_replicas_to_write = Some(count);
                to.trace("spec.durability.minReplicasToWrite", path);
            }
        }
        "min-replicas-max-lag" | "min-slaves-max-lag" => {
            if let Some(seconds) = number(entry, to) {
                max_lag(path, seconds, to);
            }
        }
        _ => {
            if let Some((why, _)) = check::server_refusal(name) {
                return to.not_honoured(path, format!("{name} is set by Redoubt: {why}"), "remove it");
            }
            to.trace(&format!("spec.config.{name}"), path);
            join(&mut to.redis.spec.config, name, value);
        }
    }
}

/// The fence has to close before the Sentinels elect somebody else.
fn max_lag(path: &str, seconds: u32, to: &mut Translator) {
    let lag = std::time::Duration::from_secs(seconds.into());
    if lag < to.down_after() && !lag.is_zero() {
        to.redis.spec.durability.get_or_insert_default().max_replica_lag = Some(Interval(lag));
        to.trace("spec.durability.maxReplicaLag", path);
    } else {
        let why = format!("{seconds} s is not between 0 and the down-after-milliseconds of the Sentinels");
        to.not_honoured(path, why, "remove it: Redoubt's own lag stays below that");
    }
}

/// The last one of a name counts, but for the one directive whose values are for several classes of clients.
fn join(config: &mut BTreeMap<String, Directive>, name: &str, value: &str) {
    let before = config.get(name).filter(|_| name == "client-output-buffer-limit");
    let value = before.map_or_else(|| value.to_owned(), |Directive(before)| format!("{before} {value}"));
    config.insert(name.to_owned(), Directive(value));
}

fn max_memory(redis: &RedisSettings, to: &mut Translator) {
    let Some(max_memory) = &redis.max_memory else { return };
    let percent = max_memory.percent.unwrap_or(MAX_MEMORY_PERCENT);
    if let Some(policy) = &max_memory.policy {
        to.redis.spec.config.insert("maxmemory-policy".to_owned(), Directive(policy.clone()));
    }
    match (redis.resources.limits.get("memory"), u64::try_from(percent).ok()) {
        (Some(limit), Some(percent @ 10..=95)) => {
            // Divided first: limits in bytes times 95 do not always fit.
            let bytes = limit.units() / 100 * percent;
            to.redis.spec.config.insert("maxmemory".to_owned(), Directive(bytes.to_string()));
        }
        (None, _) => to.not_honoured(
            "spec.redis.maxMemory.percent",
            "there is no memory limit to take a part of",
            "write spec.redis.resources.limits.memory, or maxmemory into customConfig",
        ),
        (Some(_), _) => to.fault(
            "spec.redis.maxMemory.percent",
            format!("must be from 10 to 95, not {percent}"),
            "write 75",
        ),
    }
}

fn yes_or_no(entry: &Entry, to: &mut Translator) -> Option<bool> {
    match entry.value.as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        other => {
            to.fault(&entry.path, format!("{} is yes or no, not {other:?}", entry.name), "write yes or no");
            None
        }
    }
}

fn policy(entry: &Entry, to: &mut Translator) -> Option<Fsync> {
    match entry.value.as_str() {
        "always" => Some(Fsync::Always),
        "everysec" => Some(Fsync::Everysec),
        "no" => Some(Fsync::No),
        other => {
            let message = format!("appendfsync is always, everysec or no, not {other:?}");
            to.fault(&entry.path, message, "write everysec");
            None
        }
    }
}

/// A whole number.
pub(super) fn number(entry: &Entry, to: &mut Translator) -> Option<u32> {
    let number = entry.value.parse().ok();
    if number.is_none() {
        let message = format!("{} is a whole number, not {:?}", entry.name, entry.value);
        to.fault(&entry.path, message, format!("write \"{} 1\"", entry.name));
    }
    number
}
