//! The `CustomResourceDefinition` of [`crate::Redis`], made from the types.

mod rules;
mod structural;

use serde_json::{Value, json};

use self::{rules::with_rules, structural::structural};
use crate::{
    KIND,
    schema::{schema, status_schema},
};

/// Plural of the resource, in lower case, as in `kubectl get redises`.
pub const PLURAL: &str = "redises";
const GROUP: &str = "redoubt.dev";
const VERSION: &str = "v1";

/// The `CustomResourceDefinition`, as it is applied.
#[must_use]
pub fn crd() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{PLURAL}.{GROUP}") },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": "RedisList",
                "plural": PLURAL,
                "singular": "redis",
                "shortNames": ["rd"],
                "categories": ["all"],
            },
            "versions": [version()],
        },
    })
}

fn version() -> Value {
    json!({
        "name": VERSION,
        "served": true,
        "storage": true,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": columns(),
        "schema": { "openAPIV3Schema": open_api() },
    })
}

fn columns() -> Value {
    let column = |name: &str, kind: &str, path: &str| json!({ "name": name, "type": kind, "jsonPath": path });
    json!([
        column("Mode", "string", ".status.mode"),
        column("Ready", "string", ".status.ready"),
        column("Master", "string", ".status.master"),
        column("Status", "string", ".status.conditions[?(@.type==\"Ready\")].reason"),
        column("Age", "date", ".metadata.creationTimestamp"),
    ])
}

fn open_api() -> Value {
    let schema = schema();
    let mut root = json!({
        "type": "object",
        "description": schema["description"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "spec": structural(schema["properties"]["spec"].clone()),
            "status": structural(status_schema()),
        },
    });
    with_rules(&mut root);
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the API server asks of a structural schema: a type everywhere, and none of the words it refuses.
    fn assert_structural(schema: &Value, path: &str) {
        let object = schema.as_object().unwrap();
        let open = object.contains_key("x-kubernetes-preserve-unknown-fields")
            || object.contains_key("x-kubernetes-int-or-string");
        assert!(object.get("type").is_some_and(Value::is_string) || open, "{path}: {schema}");
        for word in ["$schema", "$ref", "const", "oneOf", "title", "default"] {
            assert!(!object.contains_key(word), "{path}: {word}");
        }
        for (name, field) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            assert_structural(field, &format!("{path}.{name}"));
        }
        for word in ["items", "additionalProperties"] {
            if let Some(inner) = object.get(word) {
                assert_structural(inner, &format!("{path}.{word}"));
            }
        }
    }

    #[test]
    fn the_schema_is_structural() {
        assert_structural(&open_api(), "");
    }
}
