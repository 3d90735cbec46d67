//! YAML as a tree in which every key and value knows its place.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, Spanned};

use crate::{Fault, Finding, Place};

/// How deep a document may nest: a resource needs 6 levels, and each costs the reader's stack.
const MAX_DEPTH: usize = 32;

/// A value and where it stands, lines counted in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: (u64, u64),
    pub(super) value: Value,
}

/// What YAML knows of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// Any number, as it was written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The name of a field and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) at: (u64, u64),
    pub(super) name: String,
}

impl Node {
    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    fn field(&self, name: &str) -> Option<&Value> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| &node.value)
    }

    /// The text of a field of this map.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        match self.field(field)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a `List`.
    pub(super) fn items(&self) -> Option<&[Self]> {
        let is_list = self.text("apiVersion") == Some("v1") && self.text("kind") == Some("List");
        match self.field("items")? {
            Value::List(items) if is_list => Some(items),
            _ => None,
        }
    }
}

/// A document that is not YAML at all.
pub(super) struct SyntaxFault {
    at: (u64, u64),
    message: String,
}

impl SyntaxFault {
    pub(super) fn placed_in(self, file: &str) -> Fault {
        let place = Place { file: file.to_owned(), line: self.at.0, column: self.at.1 };
        Finding::at("", format!("this is not YAML: {}", self.message)).placed(place)
    }
}

/// A document, and the key it has twice, if it has one.
pub(super) struct Tree {
    pub(super) root: Node,
    pub(super) repeated: Option<Key>,
}

/// Reads one document; `None` when it holds nothing. Of a key that is there twice the first one counts.
pub(super) fn read(text: &str, first_line: u64) -> Result<Option<Tree>, SyntaxFault> {
    let error = match read_with(text, first_line, DuplicateKeyPolicy::Error) {
        Ok(root) => return Ok(root.map(|root| Tree { root, repeated: None })),
        Err(error) => error,
    };
    let at = error.location().map_or((first_line, 1), |location| place(location, first_line));
    if let Error::DuplicateMappingKey { key, .. } = error.without_snippet()
        && let Ok(Some(root)) = read_with(text, first_line, DuplicateKeyPolicy::FirstWins)
    {
        let name = key.clone().unwrap_or_default();
        return Ok(Some(Tree { root, repeated: Some(Key { at, name }) }));
    }
    Err(SyntaxFault { at, message: message(&error) })
}

fn read_with(text: &str, first_line: u64, duplicate_keys: DuplicateKeyPolicy) -> Result<Option<Node>, Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        duplicate_keys: duplicate_keys,
        strict_booleans: true,
        with_snippet: false,
    };
    let raw: Spanned<RawValue> = serde_saphyr::from_str_with_options(text, options)?;
    let node = Source { text, first_line }.node(raw);
    Ok((node.value != Value::Null).then_some(node))
}

/// The reader's words without the place, which is named beside them.
fn message(error: &Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    match text.split_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text.to_owned(),
    }
}

fn place(location: Location, first_line: u64) -> (u64, u64) {
    (first_line + location.line().saturating_sub(1), location.column().max(1))
}

/// The text that locations point into.
struct Source<'a> {
    text: &'a str,
    first_line: u64,
}

impl Source<'_> {
    fn node(&self, raw: Spanned<RawValue>) -> Node {
        let at = place(raw.referenced, self.first_line);
        let value = match raw.value {
            RawValue::Null => Value::Null,
            RawValue::Bool(flag) => Value::Bool(flag),
            RawValue::Number(number) => Value::Number(self.written(raw.defined).unwrap_or(number)),
            RawValue::Text(text) => Value::Text(text),
            RawValue::List(list) => Value::List(list.into_iter().map(|node| self.node(node)).collect()),
            RawValue::Map(map) => {
                Value::Map(map.into_iter().map(|(key, node)| (self.key(key), self.node(node))).collect())
            }
        };
        Node { at, value }
    }

    fn key(&self, raw: Spanned<String>) -> Key {
        Key { at: place(raw.referenced, self.first_line), name: raw.value }
    }

    /// A number as it was written: `7.10` is not `7.1` where it is a version.
    fn written(&self, location: Location) -> Option<String> {
        let span = location.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
        let text = self.text.get(start..end)?.trim();
        text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
            .then(|| text.to_owned())
    }
}

enum RawValue {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Spanned<RawValue>>),
    Map(Vec<(Spanned<String>, Spanned<RawValue>)>),
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> de::Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawValue, D::Error> {
        RawValue::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<RawValue, E> {
        Ok(RawValue::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<RawValue, E> {
        Ok(RawValue::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<RawValue, E> {
        Ok(RawValue::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<RawValue, E> {
        Ok(RawValue::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(text.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<RawValue, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(RawValue::List(list))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(RawValue::Map(entries))
    }
}

/// Where each field of a document stands, by its path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Positions(BTreeMap<String, (u64, u64)>);

impl Positions {
    pub(super) fn new(root: &Node) -> Self {
        let mut positions = BTreeMap::from([(String::new(), root.at)]);
        collect(root, "", &mut positions);
        Self(positions)
    }

    /// Line and column of the field, or of the nearest field around it that was written.
    pub(crate) fn of(&self, path: &str) -> (u64, u64) {
        let mut path = path;
        loop {
            if let Some(at) = self.0.get(path) {
                return *at;
            }
            path = path.rsplit_once('.').map_or("", |(parent, _)| parent);
        }
    }
}

impl Positions {
    /// The path of the last field of this name that stands before this place: the one that a second key of the same
    /// map repeats.
    pub(super) fn repeated(&self, key: &Key) -> String {
        let named = |path: &str| path == key.name || path.ends_with(&format!(".{}", key.name));
        let before = self.0.iter().filter(|(path, at)| named(path) && **at < key.at && at.1 == key.at.1);
        before.max_by_key(|(_, at)| **at).map_or_else(|| key.name.clone(), |(path, _)| path.clone())
    }
}

fn collect(node: &Node, path: &str, positions: &mut BTreeMap<String, (u64, u64)>) {
    match &node.value {
        Value::Map(entries) => {
            for (key, node) in entries {
                let path = join(path, &key.name);
                positions.insert(path.clone(), key.at);
                collect(node, &path, positions);
            }
        }
        Value::List(list) => {
            for (index, node) in list.iter().enumerate() {
                let path = join(path, &index.to_string());
                positions.insert(path.clone(), node.at);
                collect(node, &path, positions);
            }
        }
        _ => {}
    }
}

/// The path of a field of what stands at `path`.
pub(super) fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}
