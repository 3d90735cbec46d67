//! From a JSON Schema to what Kubernetes calls a structural one.

use serde_json::{Map, Value, json};

/// Formats the API server knows; it warns of others.
const FORMATS: [&str; 4] = ["int32", "int64", "double", "date-time"];

/// The same schema in the words that the API server takes.
pub(super) fn structural(schema: Value) -> Value {
    let Value::Object(mut object) = schema else { return schema };
    // Unknown fields are pruned, or refused under strict validation, without being told so here.
    for word in ["$schema", "title", "default"] {
        object.remove(word);
    }
    if object.get("additionalProperties").is_some_and(Value::is_boolean) {
        object.remove("additionalProperties");
    }
    choices(&mut object);
    if object.get("format").is_some_and(|format| format == "quantity") {
        int_or_string(&mut object);
    } else {
        open_types(&mut object);
    }
    if object.get("format").and_then(Value::as_str).is_some_and(|format| !FORMATS.contains(&format)) {
        object.remove("format");
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        for field in properties.values_mut() {
            *field = structural(field.take());
        }
    }
    for word in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(word) {
            *inner = structural(inner.take());
        }
    }
    // `cpu: 0.5` is a number, and accepted wherever Kubernetes has quantities itself. No rule reads these.
    if object
        .get("additionalProperties")
        .is_some_and(|inner| inner.get("x-kubernetes-int-or-string").is_some())
    {
        object.insert(
            "additionalProperties".to_owned(),
            json!({ "x-kubernetes-preserve-unknown-fields": true }),
        );
    }
    Value::Object(object)
}

/// Documented values of an enumeration become a plain one, with the documentation in the description.
fn choices(object: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = object.remove("oneOf") else { return };
    let values: Vec<Value> = variants.iter().filter_map(|variant| variant.get("const").cloned()).collect();
    let mut text = object.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    for variant in &variants {
        if let (Some(name), Some(what)) = (variant["const"].as_str(), variant["description"].as_str()) {
            text.extend([" `", name, "`: ", what]);
        }
    }
    object.insert("type".to_owned(), json!("string"));
    object.insert("enum".to_owned(), Value::Array(values));
    object.insert("description".to_owned(), json!(text.trim()));
}

/// As Kubernetes has its own quantities; unlike what is wholly open, rules can read it.
fn int_or_string(object: &mut Map<String, Value>) {
    object.remove("type");
    object.insert("x-kubernetes-int-or-string".to_owned(), json!(true));
    object.insert("anyOf".to_owned(), json!([{ "type": "integer" }, { "type": "string" }]));
}

/// Text in which YAML may have read a number or a truth value has no type there.
fn open_types(object: &mut Map<String, Value>) {
    if object.get("type").is_some_and(Value::is_array) {
        object.remove("type");
        object.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
    }
}
