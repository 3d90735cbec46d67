//! The field reference: one line per field of the schema.

use serde_json::Value;

const HEAD: &str = "# Redis: fields

Made by `cargo xtask generate` from the doc comments of `crates/api/src/raw`; do not edit.

Durations are whole numbers with a unit: `500ms`, `5s`, `2m`, `1h`. Quantities are those of Kubernetes: `512Mi`, `10G`, `500m`.
Every field of `spec` may be left out. `examples/full.yaml` shows all of them.

";

/// The page of this schema.
pub(crate) fn page(schema: &Value) -> String {
    let mut page = HEAD.to_owned();
    for part in ["metadata", "spec"] {
        page.extend(["## ", part, "\n\n| field | type | meaning |\n|---|---|---|\n"]);
        rows(&schema["properties"][part], part, &mut page);
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page + "\n"
}

fn rows(schema: &Value, path: &str, page: &mut String) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        page.extend(["| `", &path, "` | ", &kind(field), " | ", &meaning(field), " |\n"]);
        rows(field, &path, page);
    }
}

/// What may be written there.
fn kind(field: &Value) -> String {
    let choices = choices(field);
    if !choices.is_empty() {
        return choices.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    }
    match (field["format"].as_str(), field["type"].as_str()) {
        (Some("interval"), _) => "duration".to_owned(),
        (Some("deadline"), _) => "duration or `never`".to_owned(),
        (Some("quantity"), _) => "quantity".to_owned(),
        (_, Some("object")) if field.get("additionalProperties").is_some_and(Value::is_object) => {
            "map".to_owned()
        }
        (_, Some("object")) => "group".to_owned(),
        (_, Some("integer")) => "whole number".to_owned(),
        (_, Some("boolean")) => "`true`, `false`".to_owned(),
        _ => "text".to_owned(),
    }
}

fn meaning(field: &Value) -> String {
    let text = field["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
    let described: Vec<_> = choices(field)
        .into_iter()
        .map(|(name, what)| format!("`{name}`: {}", what.replace('\n', " ")))
        .collect();
    [vec![text], described].concat().join(" ").trim().to_owned()
}

/// The values of an enumeration, each with its description.
fn choices(field: &Value) -> Vec<(&str, &str)> {
    let variants = field["oneOf"].as_array().into_iter().flatten();
    let described = |variant| -> Option<(&str, &str)> {
        let variant: &Value = variant;
        Some((variant["const"].as_str()?, variant["description"].as_str().unwrap_or_default()))
    };
    variants.filter_map(described).collect()
}
