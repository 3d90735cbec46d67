//! The `CustomResourceDefinition` of [`crate::Redis`], made from the types, and that of a `RedisFailover`.

mod rules;
mod structural;

use serde_json::{Value, json};

use self::{rules::with_rules, structural::structural};
use crate::{
    KIND,
    failover::{FAILOVER_API_VERSION, FAILOVER_KIND, FAILOVER_PLURAL},
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

/// The `CustomResourceDefinition` of a `RedisFailover`: that of the old operator, with a status.
///
/// The spec is open: whatever the old operator or a fork of it took is kept as it was written, also for the day on which
/// one of them looks after it again. What cannot be honoured is said in the status.
#[must_use]
pub fn failover_crd() -> Value {
    let (group, version) = FAILOVER_API_VERSION.split_once('/').unwrap_or_default();
    let column = |name: &str, kind: &str, path: &str| json!({ "name": name, "type": kind, "jsonPath": path });
    let mut status = structural(status_schema());
    // A fork wrote fields of its own.
    status["x-kubernetes-preserve-unknown-fields"] = json!(true);
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{FAILOVER_PLURAL}.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": FAILOVER_KIND,
                "listKind": "RedisFailoverList",
                "plural": FAILOVER_PLURAL,
                "singular": "redisfailover",
                "shortNames": ["rf"],
            },
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": [
                    column("Redis", "integer", ".spec.redis.replicas"),
                    column("Sentinels", "integer", ".spec.sentinel.replicas"),
                    column("Ready", "string", ".status.ready"),
                    column("Master", "string", ".status.master"),
                    column("Status", "string", ".status.conditions[?(@.type==\"Ready\")].reason"),
                    column("Age", "date", ".metadata.creationTimestamp"),
                ],
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "description": "A master with replicas and Sentinels, as the spotahome operator and its forks know it",
                    "required": ["spec"],
                    "properties": {
                        "apiVersion": { "type": "string" },
                        "kind": { "type": "string" },
                        "metadata": { "type": "object" },
                        "spec": {
                            "type": "object",
                            "description": "What is wanted",
                            "x-kubernetes-preserve-unknown-fields": true,
                        },
                        "status": status,
                    },
                } },
            }],
        },
    })
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
        let failover = failover_crd();
        assert_structural(&failover["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "");
    }

    /// What a fork wrote must be there when it comes back.
    #[test]
    fn no_field_of_a_failover_is_pruned() {
        let crd = failover_crd();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for field in ["spec", "status"] {
            let field = &schema["properties"][field];
            assert_eq!(field["x-kubernetes-preserve-unknown-fields"], true, "{field}");
        }
        assert_eq!(crd["metadata"]["name"], "redisfailovers.databases.spotahome.com");
    }
}
