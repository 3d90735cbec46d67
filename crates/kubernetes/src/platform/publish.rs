//! Shows how a Redis is: the status, then events.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event as Told, EventType};
use redoubt_api::{Event, Key, PublishedStatus, RedisStatus, ResourceKind};
use redoubt_engine::platform::{MemberKind, PlatformError, Publication};
use serde_json::{Value, json};

use super::KubernetesPlatform;
use crate::{definition::Definition, error::refused, names::Names};

/// The mode of a resource that names none.
const DEFAULT_MODE: &str = "Sentinel";
/// Longest note of an event.
const MAX_NOTE: usize = 1024;

impl KubernetesPlatform {
    pub(super) async fn show(&self, key: &Key, publication: &Publication) -> Result<(), PlatformError> {
        self.show_status(key, &publication.status).await?;
        for event in &publication.events {
            self.tell_event(key, event).await?;
        }
        Ok(())
    }

    async fn show_status(&self, key: &Key, status: &RedisStatus) -> Result<(), PlatformError> {
        if key.kind == ResourceKind::RedisFailover
            && *self.stores.definition.borrow() != Definition::WithStatus
        {
            return Err(without_status(key));
        }
        let redis = self.stores.resource(key);
        let mode = redis.as_ref().and_then(|redis| redis.data.pointer("/spec/mode")?.as_str());
        let mut value = json!(published(key, mode.unwrap_or(DEFAULT_MODE), status));
        without_null(&mut value);
        let patch = json!({
            "apiVersion": key.kind.api_version(),
            "kind": key.kind.name(),
            "metadata": { "name": key.name, "namespace": key.namespace },
            "status": value,
        });
        self.cluster.apply_status(key, &patch).await
    }

    async fn tell_event(&self, key: &Key, event: &Event) -> Result<(), PlatformError> {
        let reference = ObjectReference {
            api_version: Some(key.kind.api_version().to_owned()),
            kind: Some(key.kind.name().to_owned()),
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            uid: self.uid(key),
            ..ObjectReference::default()
        };
        let told = self.recorder.publish(&told(event), &reference).await;
        told.map_err(|error| refused(format!("cannot write an event of {}", key.name), &error))
    }
}

/// The old operator's definition has no place for one.
fn without_status(key: &Key) -> PlatformError {
    PlatformError {
        what: format!("the status of the RedisFailover {} cannot be shown", key.name),
        why: "its definition is the old operator's, which has none".to_owned(),
        next: "install Redoubt's: `redoubt crds --redisfailover | kubectl apply --server-side --force-conflicts -f -`; \
               what runs is looked after all the same"
            .to_owned(),
    }
}

fn told(event: &Event) -> Told {
    let mut note = format!("{}: {}", event.source, event.message);
    let mut end = MAX_NOTE.min(note.len());
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.truncate(end);
    Told {
        type_: if event.warning { EventType::Warning } else { EventType::Normal },
        reason: event.reason.clone(),
        note: Some(note),
        action: event.reason.clone(),
        secondary: None,
    }
}

/// With what `kubectl get` shows in columns, and what `kubectl scale` asks for.
fn published(key: &Key, mode: &str, status: &RedisStatus) -> PublishedStatus {
    let ready = status.nodes.iter().filter(|node| node.ready).count();
    let selector = Names::of(key).selector(MemberKind::Node);
    let pairs: Vec<String> = selector.iter().map(|(name, value)| format!("{name}={value}")).collect();
    PublishedStatus {
        status: status.clone(),
        mode: mode.to_owned(),
        replicas: u32::try_from(status.nodes.len()).unwrap_or(u32::MAX),
        ready: format!("{ready}/{}", status.nodes.len()),
        selector: pairs.join(","),
    }
}

/// What is unknown is left out: the schema knows no null.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, field| !field.is_null());
            object.values_mut().for_each(without_null);
        }
        Value::Array(list) => list.iter_mut().for_each(without_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_event_is_cut_between_two_characters() {
        let event = Event {
            at: jiff::Timestamp::UNIX_EPOCH,
            source: "cart".to_owned(),
            reason: "Failed".to_owned(),
            message: "ä".repeat(2 * MAX_NOTE),
            warning: true,
        };
        let note = told(&event).note.unwrap();
        assert!(note.len() <= MAX_NOTE && note.len() > MAX_NOTE - 4);
    }

    #[test]
    fn the_status_has_no_null_and_the_columns() {
        let key = Key::redis("shop", "cart");
        let mut value = json!(published(&key, DEFAULT_MODE, &RedisStatus::default()));
        without_null(&mut value);
        assert!(!value.to_string().contains("null"), "{value}");
        assert_eq!(value["ready"], "0/0");
        assert!(value["selector"].as_str().unwrap().contains("app.kubernetes.io/instance=cart"));
    }
}
