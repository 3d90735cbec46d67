//! From what the watches tell to what the engine is told. Pure but for the memory of who is there.

use std::collections::{BTreeMap, BTreeSet};

use kube::{ResourceExt as _, api::DynamicObject, runtime::watcher::Event};
use redoubt_api::{Key, Redis, check};
use redoubt_engine::Change;
use serde_json::{Value, json};

use crate::objects;

/// Who is there, by uid: a Redis that was deleted and created again is another one.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    known: BTreeMap<Key, String>,
    /// Seen since the watch began anew.
    listed: BTreeSet<Key>,
}

impl Feed {
    /// What the engine has to know of this.
    pub(crate) fn changes(&mut self, event: &Event<DynamicObject>) -> Vec<Change> {
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.listed.insert(key(object));
                self.applied(object)
            }
            Event::InitDone => self.missed(),
            Event::Apply(object) => self.applied(object),
            Event::Delete(object) => {
                let key = key(object);
                self.known.remove(&key);
                vec![Change::Deleted(key)]
            }
        }
    }

    fn applied(&mut self, object: &DynamicObject) -> Vec<Change> {
        let key = key(object);
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
    match read(object) {
        Ok(redis) => match check(&redis) {
            Ok((checked, _)) => {
                let faults = objects::faults(&checked);
                if faults.is_empty() {
                    return Change::Applied(Box::new(checked));
                }
                Change::Refused { key, faults }
            }
            Err(faults) => Change::Refused { key, faults: faults.iter().map(ToString::to_string).collect() },
        },
        Err(why) => Change::Refused { key, faults: vec![why] },
    }
}

/// The part of the object that people write; what Kubernetes adds to the metadata is left aside.
pub(crate) fn read(object: &DynamicObject) -> Result<Redis, String> {
    let text = json!({
        "apiVersion": redoubt_api::API_VERSION,
        "kind": redoubt_api::KIND,
        "metadata": {
            "name": object.name_any(),
            "namespace": object.namespace(),
            "annotations": object.annotations(),
            "labels": object.labels(),
            "generation": object.metadata.generation,
            "uid": object.uid(),
        },
        "spec": object.data.get("spec").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new())),
    });
    serde_json::from_value(text).map_err(|error| format!("spec: {error}; see `kubectl explain redis.spec`"))
}

pub(crate) fn key(object: &DynamicObject) -> Key {
    Key { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::redis_resource;

    fn redis(name: &str, uid: &str, spec: &Value) -> DynamicObject {
        let mut object =
            DynamicObject::new(name, &redis_resource()).within("shop").data(json!({ "spec": spec }));
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
        let mut feed = Feed::default();
        let bad = words(&feed.changes(&Event::Apply(redis("a", "1", &json!({ "replicas": "three" })))));
        assert!(bad[0].starts_with("refused a: spec: invalid type"), "{bad:?}");
        let good = words(&feed.changes(&Event::Apply(redis("b", "2", &json!({})))));
        assert_eq!(good, ["applied b 7"]);
    }

    #[test]
    fn what_only_the_operator_refuses_names_the_field() {
        let tolerations = json!({ "placement": { "tolerations": [{ "operator": 5 }] } });
        let refused = words(&Feed::default().changes(&Event::Apply(redis("a", "1", &tolerations))));
        assert!(refused[0].contains("spec.placement.tolerations: "), "{refused:?}");
        let cluster = json!({ "mode": "Cluster" });
        let refused = words(&Feed::default().changes(&Event::Apply(redis("a", "1", &cluster))));
        assert_eq!(
            refused,
            [
                "refused a: spec.mode: Cluster is not available on Kubernetes yet; write Sentinel or Standalone"
            ]
        );
    }

    #[test]
    fn one_that_was_deleted_and_made_again_is_another_one() {
        let mut feed = Feed::default();
        feed.changes(&Event::Apply(redis("a", "1", &json!({}))));
        let again = words(&feed.changes(&Event::Apply(redis("a", "2", &json!({})))));
        assert_eq!(again, ["deleted a", "applied a 7"]);
    }

    #[test]
    fn one_that_was_deleted_while_nobody_watched_is_not_missed() {
        let mut feed = Feed::default();
        for name in ["a", "b"] {
            feed.changes(&Event::Apply(redis(name, name, &json!({}))));
        }
        feed.changes(&Event::Init);
        feed.changes(&Event::InitApply(redis("b", "b", &json!({}))));
        assert_eq!(words(&feed.changes(&Event::InitDone)), ["deleted a"]);
        assert_eq!(words(&feed.changes(&Event::InitDone)), [""; 0]);
    }
}
