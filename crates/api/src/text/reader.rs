//! Reads a tree by a schema: whatever fits becomes JSON, whatever does not becomes a fault. One fault never ends the
//! reading.

use serde_json::{Map, Value as Json};

use super::{
    nearest,
    tree::{Key, Node, Value, join},
};
use crate::{
    Fault, Finding,
    raw::{Deadline, Interval, Quantity, ValueError},
};

/// The part of the tree that fits the schema, and what is wrong with the rest.
pub(super) fn read(schema: &Json, node: &Node) -> (Json, Vec<Fault>) {
    let mut reader = Reader { faults: Vec::new() };
    let json = reader.value(schema, node, "");
    (json.unwrap_or_default(), reader.faults)
}

struct Reader {
    faults: Vec<Fault>,
}

impl Reader {
    fn fault(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Finding::at(path, message).hint(hint));
    }

    fn value(&mut self, schema: &Json, node: &Node, path: &str) -> Option<Json> {
        if let Some(choices) = choices(schema) {
            return self.choice(&choices, node, path);
        }
        if let Some(format) = schema.get("format").and_then(Json::as_str)
            && let Some(parse) = parser(format)
        {
            return self.measured(parse, node, path);
        }
        let untyped = schema.get("type").is_none();
        if is_handed_on(schema) && (untyped || matches!(node.value, Value::Map(_))) {
            return Some(as_written(node));
        }
        match &node.value {
            Value::Map(entries) if accepts(schema, "object") => Some(self.object(schema, entries, path)),
            Value::List(list) if accepts(schema, "array") => self.list(schema, list, path),
            Value::Text(text) if accepts(schema, "string") => Some(Json::String(text.clone())),
            Value::Text(text) if accepts(schema, "boolean") && truth(text).is_some() => {
                truth(text).map(Json::Bool)
            }
            Value::Bool(flag) if accepts(schema, "boolean") => Some(Json::Bool(*flag)),
            Value::Number(text) if accepts(schema, "integer") => self.integer(schema, text, path),
            Value::Number(text) if accepts(schema, "number") => Some(Json::String(text.clone())),
            _ => {
                self.fault(
                    path,
                    format!("must be {}, not {}", wanted(schema), found(node)),
                    remedy(schema, node),
                );
                None
            }
        }
    }

    /// A duration, a quantity: text (or a bare number) with a parser of its own.
    fn measured(&mut self, parse: Parser, node: &Node, path: &str) -> Option<Json> {
        let (Value::Text(text) | Value::Number(text)) = &node.value else {
            self.faults.push(Finding::at(path, format!("must be text with a unit, not {}", found(node))));
            return None;
        };
        match parse(text) {
            Ok(()) => Some(Json::String(text.clone())),
            Err(ValueError(message)) => {
                self.faults.push(Finding::at(path, message));
                None
            }
        }
    }

    fn choice(&mut self, choices: &[&str], node: &Node, path: &str) -> Option<Json> {
        let text = match &node.value {
            Value::Text(text) => text.as_str(),
            // `fsync: no` is a truth value to some readers of YAML.
            Value::Bool(false) => "no",
            _ => "",
        };
        if choices.contains(&text) {
            return Some(Json::String(text.to_owned()));
        }
        let found = if text.is_empty() { found(node).to_owned() } else { format!("{text:?}") };
        let hint = match nearest(text, choices.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("write {}", list_of(choices)),
        };
        self.fault(path, format!("must be one of {}, not {found}", list_of(choices)), hint);
        None
    }

    fn integer(&mut self, schema: &Json, text: &str, path: &str) -> Option<Json> {
        let unsigned = schema.get("minimum").is_some();
        let number = text.parse::<i64>().ok().filter(|number| !unsigned || u32::try_from(*number).is_ok());
        if number.is_none() {
            let kind = if unsigned { "a whole number from 0 on" } else { "a whole number" };
            self.faults.push(Finding::at(path, format!("must be {kind}, not {text}")));
        }
        number.map(Json::from)
    }

    fn list(&mut self, schema: &Json, list: &[Node], path: &str) -> Option<Json> {
        let items = schema.get("items")?;
        let read = list.iter().enumerate();
        Some(
            read.filter_map(|(index, node)| self.value(items, node, &join(path, &index.to_string())))
                .collect(),
        )
    }

    fn object(&mut self, schema: &Json, entries: &[(Key, Node)], path: &str) -> Json {
        let properties = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        let mut object = Map::new();
        for (key, node) in entries {
            let path = join(path, &key.name);
            match properties.and_then(|known| known.get(&key.name)).or(others) {
                // The status is Redoubt's to write; what a file says there is not read.
                Some(_) if path == "status" => {}
                // `field:` with nothing behind it is a field left out.
                Some(_) if node.value == Value::Null => {}
                Some(schema) => {
                    object.extend(self.value(schema, node, &path).map(|json| (key.name.clone(), json)));
                }
                None if is_open(schema) => {
                    object.insert(key.name.clone(), as_written(node));
                }
                None => self.unknown(properties, key, &path),
            }
        }
        self.required(schema, entries, path);
        Json::Object(object)
    }

    fn unknown(&mut self, properties: Option<&Map<String, Json>>, key: &Key, path: &str) {
        let known: Vec<&str> = properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let hint = match nearest(&key.name, known.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known here: {}", known.join(", ")),
        };
        self.fault(path, "is not a field that is known", hint);
    }

    fn required(&mut self, schema: &Json, entries: &[(Key, Node)], path: &str) {
        let required =
            schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
        for name in required {
            let given = entries.iter().any(|(key, node)| key.name == name && node.value != Value::Null);
            if !given {
                self.faults.push(Finding::at(join(path, name), "is missing"));
            }
        }
    }
}

type Parser = fn(&str) -> Result<(), ValueError>;

fn parser(format: &str) -> Option<Parser> {
    match format {
        "interval" => Some(|text| text.parse::<Interval>().map(drop)),
        "deadline" => Some(|text| text.parse::<Deadline>().map(drop)),
        "quantity" => Some(|text| text.parse::<Quantity>().map(drop)),
        _ => None,
    }
}

/// The values of an enumeration.
fn choices(schema: &Json) -> Option<Vec<&str>> {
    let listed = |key: &str| schema.get(key).and_then(Json::as_array);
    if let Some(values) = listed("enum") {
        return Some(values.iter().filter_map(Json::as_str).collect());
    }
    listed("oneOf").map(|values| values.iter().filter_map(|value| value.get("const")?.as_str()).collect())
}

fn list_of(choices: &[&str]) -> String {
    match choices {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => choices.join(""),
    }
}

fn accepts(schema: &Json, name: &str) -> bool {
    match schema.get("type") {
        Some(Json::String(only)) => only == name,
        Some(Json::Array(types)) => types.iter().any(|kind| kind == name),
        _ => false,
    }
}

/// The words of YAML 1.1 for true and false, which `kubectl` takes too.
fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" => Some(true),
        "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn wanted(schema: &Json) -> &'static str {
    let words = [
        ("object", "a group of fields"),
        ("array", "a list"),
        ("string", "text"),
        ("integer", "a whole number"),
        ("boolean", "true or false"),
    ];
    words.iter().find(|(kind, _)| accepts(schema, kind)).map_or("something else", |(_, words)| words)
}

fn found(node: &Node) -> &'static str {
    match node.value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a group of fields",
    }
}

/// What to write instead.
fn remedy(schema: &Json, node: &Node) -> String {
    match &node.value {
        Value::Bool(flag) if accepts(schema, "string") => format!("write it in quotes: \"{flag}\""),
        Value::Number(text) if accepts(schema, "string") => format!("write it in quotes: \"{text}\""),
        Value::Text(text) if accepts(schema, "integer") && text.parse::<u32>().is_ok() => {
            format!("write {text} without quotes")
        }
        _ => format!("write {}", wanted(schema)),
    }
}

/// Part of a Kubernetes object, of which nothing is known here.
fn is_handed_on(schema: &Json) -> bool {
    schema.get("x-kubernetes-preserve-unknown-fields").is_some()
}

/// What it does not know is kept as it was written.
fn is_open(schema: &Json) -> bool {
    schema.get("additionalProperties").is_some_and(|others| *others == Json::Bool(true))
}

fn as_written(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone())),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(list) => list.iter().map(as_written).collect(),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|(key, node)| (key.name.clone(), as_written(node))).collect())
        }
    }
}
