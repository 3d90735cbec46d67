//! What can be refused at the door, in the Common Expression Language. Everything is judged again by [`crate::check`];
//! these rules only say it sooner. Each names the field, why, and what to write.

use serde_json::{Value, json};

/// A rule of the whole resource: only there can the name be read.
const ROOT: [(&str, &str); 2] = [
    (
        "size(self.metadata.name) <= 43",
        "metadata.name: at most 43 characters leave room for NAME-sentinel-0; shorten it",
    ),
    (
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name: must be a DNS label that begins with a letter; use small letters, digits and '-'",
    ),
];

/// Fields that never change, with what they are when left out. A StatefulSet's templates of volume claims cannot change.
const FIXED: [(&str, &str); 6] = [
    ("mode", "'Sentinel'"),
    ("engine", "'Redis'"),
    ("sentinel.masterName", "'mymaster'"),
    ("persistence.volume.storageClass", "''"),
    ("persistence.volume.accessMode", "'ReadWriteOnce'"),
    ("persistence.volume.size", "'1Gi'"),
];

/// Without a limit the API server reckons with texts of megabytes, and refuses rules that compare them.
const LONGEST: [(&str, u32); 3] = [
    ("/properties/spec/properties/sentinel/properties/masterName", 253),
    ("/properties/spec/properties/persistence/properties/volume/properties/storageClass", 253),
    ("/properties/spec/properties/persistence/properties/volume/properties/size", 64),
];

const SPEC: [(&str, &str); 5] = [
    (
        "self.?mode.orValue('Sentinel') != 'Cluster' || !has(self.replicas)",
        "spec.replicas: has no meaning in mode Cluster: each shard has its own replicas; write spec.shards and spec.replicasPerShard",
    ),
    (
        "self.?mode.orValue('Sentinel') == 'Cluster' || (!has(self.shards) && !has(self.replicasPerShard))",
        "spec.shards, spec.replicasPerShard: have a meaning in mode Cluster only; remove them, or write mode: Cluster",
    ),
    (
        "self.?mode.orValue('Sentinel') != 'Standalone' || self.?replicas.orValue(1) == 1",
        "spec.replicas: must be 1 in mode Standalone: nothing would elect a new master; write mode: Sentinel, or replicas: 1",
    ),
    (
        "!self.?tls.?enabled.orValue(has(self.tls) && has(self.tls.secretName))",
        "spec.tls: encrypted connections are not available yet; remove spec.tls",
    ),
    (
        "self.?auth.?enabled.orValue(true) || !has(self.auth.secretName)",
        "spec.auth.secretName: names a password, but spec.auth.enabled is false; remove one of them",
    ),
];

const SENTINEL: [(&str, &str); 1] = [(
    "self.?quorum.orValue(1) <= self.?replicas.orValue(3)",
    "spec.sentinel.quorum: is more than the Sentinels there are: they could never agree; leave it out",
)];

/// Puts the rules where they apply.
pub(super) fn with_rules(root: &mut Value) {
    let fixed = FIXED.iter().map(|(path, default)| {
        let message = format!("spec.{path}: cannot be changed; create another Redis and move the data");
        json!({ "rule": unchanged(path, default), "message": message })
    });
    let listed = |rules: &[(&str, &str)]| {
        let rule = |(rule, message): &(&str, &str)| json!({ "rule": rule, "message": message });
        rules.iter().map(rule).collect::<Vec<_>>()
    };
    let of_spec = fixed.chain(listed(&SPEC)).collect();
    for (pointer, rules) in [
        ("", listed(&ROOT)),
        ("/properties/spec", of_spec),
        ("/properties/spec/properties/sentinel", listed(&SENTINEL)),
    ] {
        if let Some(schema) = root.pointer_mut(pointer) {
            schema["x-kubernetes-validations"] = Value::Array(rules);
        }
    }
    for (pointer, length) in LONGEST {
        if let Some(schema) = root.pointer_mut(pointer) {
            schema["maxLength"] = json!(length);
        }
    }
}

/// The field is what it was before; left out, it is its default.
fn unchanged(path: &str, default: &str) -> String {
    let value = |of: &str| {
        let mut steps: Vec<String> = Vec::new();
        for name in path.split('.') {
            let before = steps.last().map_or(of, String::as_str);
            steps.push(format!("{before}.{name}"));
        }
        let there: Vec<String> = steps.iter().map(|step| format!("has({step})")).collect();
        format!("({} ? {of}.{path} : {default})", there.join(" && "))
    };
    format!("{} == {}", value("self"), value("oldSelf"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::crd;

    #[test]
    fn every_rule_has_its_place_and_names_its_field() {
        let text = crd().to_string();
        for (rule, message) in ROOT.iter().chain(&SPEC).chain(&SENTINEL) {
            assert!(text.contains(&json!(rule).to_string()), "{rule}");
            assert!(message.starts_with("spec.") || message.starts_with("metadata."), "{message}");
            assert!(message.contains("; "), "says what to do: {message}");
        }
        for (path, _) in FIXED {
            assert!(text.contains(&format!("spec.{path}: cannot be changed")), "{path}");
        }
    }

    #[test]
    fn a_field_that_is_left_out_is_its_default() {
        assert_eq!(
            unchanged("a.b", "'x'"),
            "(has(self.a) && has(self.a.b) ? self.a.b : 'x') == (has(oldSelf.a) && has(oldSelf.a.b) ? oldSelf.a.b : 'x')"
        );
    }
}
