//! The examples are what people copy.

#![cfg(test)]

use std::{fs, path::PathBuf};

use redoubt_api::{Batch, Source, check, read, schema};
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

fn example(name: &str) -> Batch {
    read(&[Source { file: name, text: &text(name) }])
}

#[test]
fn every_example_is_accepted_without_a_warning() {
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let batch = example(&name);
        assert_eq!(batch.faults, [], "{name}");
        assert_eq!(batch.warnings, [], "{name}");
        assert!(!batch.accepted.is_empty(), "{name}");
    }
}

#[test]
fn the_first_example_is_all_defaults() {
    let cart = &example("cart.yaml").accepted[0];
    assert_eq!(cart.checked, check(&redoubt_api::Redis::new("cart")).unwrap().0);
}

/// Names of all fields below `spec`, as paths.
fn fields(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        fields(field, &path, found);
        if field.get("properties").is_none() {
            found.push(path);
        }
    }
}

#[test]
fn the_full_example_shows_every_field() {
    let mut expected = Vec::new();
    fields(&schema()["properties"]["spec"], "", &mut expected);
    assert!(expected.len() > 30, "{expected:?}");
    let text = text("full.yaml");
    for path in expected {
        let name = path.rsplit('.').next().unwrap();
        let shown = |line: &str| line.trim_start_matches([' ', '#']).starts_with(&format!("{name}:"));
        let inline = text.contains(&format!("{{{name}:"));
        assert!(inline || text.lines().any(shown) || path == "tls.secretName", "{path} is not shown");
    }
}
