//! The text of INFO, taken apart without copying.

/// Redis 7.0 has 170, Redis 8 and Valkey 9 some 230.
const FIELDS: usize = 256;

/// The fields of INFO, in the order they came, sorted by what they speak of.
#[derive(Debug, Default)]
pub(super) struct Info<'a> {
    /// `field:value`: one figure or word each.
    pub(super) fields: Vec<(&'a str, &'a str)>,
    /// `cmdstat_<command>:…`.
    pub(super) commands: Vec<(&'a str, &'a str)>,
    /// `latency_percentiles_usec_<command>:…`.
    pub(super) latencies: Vec<(&'a str, &'a str)>,
    /// `errorstat_<error>:…`.
    pub(super) errors: Vec<(&'a str, &'a str)>,
    /// `db<n>:…`.
    pub(super) databases: Vec<(&'a str, &'a str)>,
    /// `slave<n>:…` of a master.
    pub(super) replicas: Vec<(&'a str, &'a str)>,
    /// `master<n>:…` of a Sentinel.
    pub(super) masters: Vec<(&'a str, &'a str)>,
}

impl<'a> Info<'a> {
    /// Lines that are no fields are passed over.
    pub(super) fn parse(text: &'a [u8]) -> Self {
        let mut info = Self { fields: Vec::with_capacity(FIELDS), ..Self::default() };
        // A path or a name in one line may be no UTF-8; the others still count.
        let lines = text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        for (key, value) in lines.filter_map(|line| line.trim_end().split_once(':')) {
            info.add(key, value);
        }
        info
    }

    fn add(&mut self, key: &'a str, value: &'a str) {
        if let Some(command) = key.strip_prefix("cmdstat_") {
            self.commands.push((command, value));
        } else if let Some(command) = key.strip_prefix("latency_percentiles_usec_") {
            self.latencies.push((command, value));
        } else if let Some(error) = key.strip_prefix("errorstat_") {
            self.errors.push((error, value));
        } else if numbered(key, "db") {
            self.databases.push((key, value));
        } else if numbered(key, "slave") {
            self.replicas.push((key, value));
        } else if numbered(key, "master") {
            self.masters.push((key, value));
        } else {
            self.fields.push((key, value));
        }
    }

    /// The value of one field.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.fields.iter().find(|(field, _)| *field == key).map(|(_, value)| *value)
    }

    /// The value of one field as a whole number; what is negative means "never" or "unknown".
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }
}

fn numbered(key: &str, prefix: &str) -> bool {
    key.strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// One part of a value such as `keys=2,expires=1,avg_ttl=998980`.
pub(super) fn part<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value
        .split(',')
        .filter_map(|part| part.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, part)| part)
}
