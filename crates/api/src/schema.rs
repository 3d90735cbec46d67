//! The JSON Schema of the resources, made from the types and their doc comments.

use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::Value;

use crate::{PublishedStatus, Redis, Secret, failover::RedisFailover};

/// JSON Schema (draft 2020-12) of a [`Redis`].
#[must_use]
pub fn schema() -> Value {
    schema_of::<Redis>()
}

/// JSON Schema of the part of a Kubernetes `Secret` that is read.
pub(crate) fn secret_schema() -> Value {
    schema_of::<Secret>()
}

/// JSON Schema of a [`RedisFailover`].
pub(crate) fn failover_schema() -> Value {
    schema_of::<RedisFailover>()
}

/// JSON Schema of a published status.
pub(crate) fn status_schema() -> Value {
    schema_of::<PublishedStatus>()
}

fn schema_of<T: schemars::JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(without_null));
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// What may be left out need not be `null` as well: editors would offer it.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
}
