//! INFO (<https://redis.io/docs/latest/commands/info/>): the text, its fields, and views of its sections.
//!
//! Fields come and go between versions. A view has `None` where a server does not say.

mod persistence;
mod replication;
mod usage;

use std::{ops::Range, str::FromStr};

pub use persistence::{Persistence, Unwritten};
pub use replication::{AttachedReplica, NodeRole, Replication};
pub use usage::{Clients, Database, Memory, Server, Stats};

use crate::version::{Engine, ServerVersion};

/// One INFO reply. Fields are looked up by the name the server gives them.
#[derive(Debug, Clone, Default)]
pub struct Info {
    text: String,
    sections: Vec<Section>,
    fields: Vec<Field>,
}

#[derive(Debug, Clone)]
struct Section {
    name: Range<usize>,
    fields: Range<usize>,
}

#[derive(Debug, Clone)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl Info {
    /// Finds sections and fields; lines that are neither are passed over.
    #[must_use]
    pub fn parse(text: impl Into<String>) -> Self {
        let mut info = Self { text: text.into(), ..Self::default() };
        let mut start = 0;
        while start < info.text.len() {
            let rest = &info.text[start..];
            let length = rest.find('\n').unwrap_or(rest.len());
            let line = start..start + rest[..length].trim_end().len();
            start += length + 1;
            info.take_line(line);
        }
        info
    }

    fn take_line(&mut self, line: Range<usize>) {
        let text = &self.text[line.clone()];
        if let Some(heading) = text.strip_prefix('#') {
            let name = line.end - heading.trim_start().len()..line.end;
            self.sections.push(Section { name, fields: self.fields.len()..self.fields.len() });
        } else if let Some(colon) = text.find(':') {
            let colon = line.start + colon;
            self.fields.push(Field { name: line.start..colon, value: colon + 1..line.end });
            if let Some(section) = self.sections.last_mut() {
                section.fields.end = self.fields.len();
            }
        }
    }

    /// The text as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value of a field, in whatever section.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields().find_map(|(field, value)| (field == name).then_some(value))
    }

    /// All fields, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs(0..self.fields.len())
    }

    /// The fields of one section, named as in its heading, in any case: `replication`.
    pub fn section(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let found =
            self.sections.iter().find(|section| self.text[section.name.clone()].eq_ignore_ascii_case(name));
        self.pairs(found.map_or(0..0, |section| section.fields.clone()))
    }

    fn pairs(&self, range: Range<usize>) -> impl Iterator<Item = (&str, &str)> {
        let fields = &self.fields[range];
        fields.iter().map(|field| (&self.text[field.name.clone()], &self.text[field.value.clone()]))
    }

    /// A field as a number; `None` also for the -1 that stands for "never" and "not known".
    #[must_use]
    pub fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// A field that is 0 or 1.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }
    }

    /// A field that is `ok` or `err`.
    fn outcome(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| value == "ok")
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// Which server this is.
    #[must_use]
    pub fn version(&self) -> Option<ServerVersion> {
        let valkey = self.get("valkey_version").map(|text| (Engine::Valkey, text));
        let (engine, text) =
            valkey.or_else(|| self.get("redis_version").map(|text| (Engine::Redis, text)))?;
        ServerVersion::from_numbers(engine, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_lines_spoil_nothing() {
        let info = Info::parse("stray:1\r\n# One\r\na:1\r\n\r\nnonsense\r\n#Two \r\nb:x:y\r\nc:\r\n#");
        assert_eq!(info.section("one").collect::<Vec<_>>(), [("a", "1")]);
        assert_eq!(info.section("TWO").collect::<Vec<_>>(), [("b", "x:y"), ("c", "")]);
        assert_eq!(info.get("stray"), Some("1"));
        assert_eq!(info.section("three").count(), 0);
        assert_eq!(info.number::<u64>("b"), None);
    }
}
