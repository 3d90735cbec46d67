//! From what the watches tell to what the engine is told. Pure but for the memory of who is there.

use std::collections::{BTreeMap, BTreeSet};

use kube::{ResourceExt as _, api::DynamicObject, runtime::watcher::Event};
use redoubt_api::{
    CheckedRedis, Fault, Key, Redis, Resource, ResourceKind, check,
    failover::{self, RedisFailover, Surroundings},
    parse,
};
use redoubt_engine::Change;
use serde_json::{Value, json};

use crate::objects;

/// Who is there of one kind, by uid: a resource that was deleted and created again is another one.
#[derive(Debug)]
pub(crate) struct Feed {
    kind: ResourceKind,
    known: BTreeMap<Key, String>,
    /// Seen since the watch began anew.
    listed: BTreeSet<Key>,
}

impl Feed {
    pub(crate) fn new(kind: ResourceKind) -> Self {
        Self { kind, known: BTreeMap::new(), listed: BTreeSet::new() }
    }

    /// What the engine has to know of this.
    pub(crate) fn changes(&mut self, event: &Event<DynamicObject>) -> Vec<Change> {
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.listed.insert(key(self.kind, object));
                self.applied(object)
            }
            Event::InitDone => self.missed(),
            Event::Apply(object) => self.applied(object),
            Event::Delete(object) => {
                let key = key(self.kind, object);
                self.known.remove(&key);
                vec![Change::Deleted(key)]
            }
        }
    }

    fn applied(&mut self, object: &DynamicObject) -> Vec<Change> {
        let key = key(self.kind, object);
        let uid = object.uid().unwrap_or_default();
        let before = self.known.insert(key.clone(), uid.clone());
        let deleted = before.filter(|before| *before != uid).map(|_| Change::Deleted(key.clone()));
        deleted.into_iter().chain([judged(key, object)]).collect()
    }

    /// Deleted while nobody watched.
    fn missed(&mut self) -> Vec<Change> {
        let gone: Vec<Key> = self.known.keys().filter(|key| !self.listed.contains(key)).cloned().collect();
        for key in &gone {
            self.known.remove(key);
        }
        gone.into_iter().map(Change::Deleted).collect()
    }
}

/// One that is malformed is refused and stops no other.
fn judged(key: Key, object: &DynamicObject) -> Change {
    let checked = match key.kind {
        ResourceKind::Redis => redis(object),
        ResourceKind::RedisFailover => failover(object),
    };
    let faults = match checked {
        Ok(checked) => match objects::faults(&checked) {
            faults if faults.is_empty() => return Change::Applied(Box::new(checked)),
            faults => faults,
        },
        Err(faults) => faults,
    };
    Change::Refused { key, faults }
}

fn redis(object: &DynamicObject) -> Result<CheckedRedis, Vec<String>> {
    let redis = read(object).map_err(|why| vec![why])?;
    check(&redis).map(|(checked, _)| checked).map_err(|faults| texts(&faults))
}

fn failover(object: &DynamicObject) -> Result<CheckedRedis, Vec<String>> {
    let read = read_failover(object).map_err(|faults| texts(&faults))?;
    failover::run(&read, Surroundings::default()).map_err(|faults| texts(&faults))
}

/// Read as a file is, so that each fault has its field: its definition is open and refuses nothing.
pub(crate) fn read_failover(object: &DynamicObject) -> Result<RedisFailover, Vec<Fault>> {
    let text = written(ResourceKind::RedisFailover, object).to_string();
    let document = parse(&text, "").pop().unwrap_or(Err(Vec::new()))?;
    match document.resource {
        Resource::RedisFailover(read) => Ok(*read),
        _ => Err(vec![Fault::at("kind", "it is no RedisFailover")]),
    }
}

/// Nobody wrote these lines, so no fault has a place in them.
fn texts(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(|fault| Fault { place: None, ..fault.clone() }.to_string()).collect()
}

/// The part of the object that people write; what Kubernetes adds to the metadata is left aside.
pub(crate) fn read(object: &DynamicObject) -> Result<Redis, String> {
    serde_json::from_value(written(ResourceKind::Redis, object))
        .map_err(|error| format!("spec: {error}; see `kubectl explain redis.spec`"))
}

fn written(kind: ResourceKind, object: &DynamicObject) -> Value {
    json!({
        "apiVersion": kind.api_version(),
        "kind": kind.name(),
        "metadata": {
            "name": object.name_any(),
            "namespace": object.namespace(),
            "annotations": object.annotations(),
            "labels": object.labels(),
            "generation": object.metadata.generation,
            "uid": object.uid(),
        },
        "spec": object.data.get("spec").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new())),
    })
}

pub(crate) fn key(kind: ResourceKind, object: &DynamicObject) -> Key {
    Key { namespace: object.namespace().unwrap_or_default(), name: object.name_any(), kind }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::resource_of;

    fn redis(name: &str, uid: &str, spec: &Value) -> DynamicObject {
        let mut object = DynamicObject::new(name, &resource_of(ResourceKind::Redis))
            .within("shop")
            .data(json!({ "spec": spec }));
        object.metadata.uid = Some(uid.to_owned());
        object.metadata.generation = Some(7);
        object
    }

    fn words(changes: &[Change]) -> Vec<String> {
        let word = |change: &Change| match change {
            Change::Applied(redis) => format!("applied {} {}", redis.key.name, redis.generation),
            Change::Refused { key, faults } => format!("refused {}: {}", key.name, faults.join(" ")),
            Change::Deleted(key) => format!("deleted {}", key.name),
            Change::Nudge(key) => format!("nudge {}", key.name),
        };
        changes.iter().map(word).collect()
    }

    #[test]
    fn a_malformed_resource_is_refused_and_stops_no_other() {
        let mut feed = Feed::new(ResourceKind::Redis);
        let bad = words(&feed.changes(&Event::Apply(redis("a", "1", &json!({ "replicas": "three" })))));
        assert!(bad[0].starts_with("refused a: spec: invalid type"), "{bad:?}");
        let good = words(&feed.changes(&Event::Apply(redis("b", "2", &json!({})))));
        assert_eq!(good, ["applied b 7"]);
    }

    #[test]
    fn what_only_the_operator_refuses_names_the_field() {
        let tolerations = json!({ "placement": { "tolerations": [{ "operator": 5 }] } });
        let refused =
            words(&Feed::new(ResourceKind::Redis).changes(&Event::Apply(redis("a", "1", &tolerations))));
        assert!(refused[0].contains("spec.placement.tolerations: "), "{refused:?}");
    }

    #[test]
    fn one_that_was_deleted_and_made_again_is_another_one() {
        let mut feed = Feed::new(ResourceKind::Redis);
        feed.changes(&Event::Apply(redis("a", "1", &json!({}))));
        let again = words(&feed.changes(&Event::Apply(redis("a", "2", &json!({})))));
        assert_eq!(again, ["deleted a", "applied a 7"]);
    }

    #[test]
    fn one_that_was_deleted_while_nobody_watched_is_not_missed() {
        let mut feed = Feed::new(ResourceKind::Redis);
        for name in ["a", "b"] {
            feed.changes(&Event::Apply(redis(name, name, &json!({}))));
        }
        feed.changes(&Event::Init);
        feed.changes(&Event::InitApply(redis("b", "b", &json!({}))));
        assert_eq!(words(&feed.changes(&Event::InitDone)), ["deleted a"]);
        assert_eq!(words(&feed.changes(&Event::InitDone)), [""; 0]);
    }

    fn failover(name: &str, spec: &Value) -> DynamicObject {
        let mut object = DynamicObject::new(name, &resource_of(ResourceKind::RedisFailover))
            .within("shop")
            .data(json!({ "spec": spec, "status": { "state": "Healthy" } }));
        object.metadata.uid = Some(name.to_owned());
        object.metadata.generation = Some(7);
        object
    }

    #[test]
    fn a_failover_is_another_one_than_the_redis_of_its_name() {
        let mut feed = Feed::new(ResourceKind::RedisFailover);
        let changes = feed.changes(&Event::Apply(failover("a", &json!({}))));
        let [Change::Applied(applied)] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(applied.key, Key::failover("shop", "a"));
        assert_eq!(applied.generation, 7);
    }

    #[test]
    fn bad_input_in_a_failover_is_refused_with_its_field() {
        for (name, spec, field) in [
            ("a", json!({ "redis": { "customConfig": [""] } }), "spec.redis.customConfig.0: is empty"),
            ("a", json!({ "redis": { "customConfig": ["appendonly"] } }), "spec.redis.customConfig.0: "),
            ("a", json!({ "redis": { "replicas": "three" } }), "spec.redis.replicas: "),
            ("a", json!({ "bootstrapNode": {} }), "spec.bootstrapNode.host: is missing"),
            ("a", json!({ "redis": { "tolerations": [{ "key": 5 }] } }), "spec.redis.tolerations: "),
            (&"a".repeat(49), json!({}), "metadata.name: "),
        ] {
            let mut feed = Feed::new(ResourceKind::RedisFailover);
            let refused = words(&feed.changes(&Event::Apply(failover(name, &spec))));
            assert!(refused[0].starts_with(&format!("refused {name}: {field}")), "{refused:?}");
        }
    }
}
