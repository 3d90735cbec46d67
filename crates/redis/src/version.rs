//! Which server, which version: read, never assumed.

use std::fmt;

use crate::value::Mismatch;

/// Who made the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// Redis.
    Redis,
    /// Valkey, which went its own way from Redis 7.2.4.
    Valkey,
}

/// Version of a server. Versions of one engine are in order; comparing engines says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerVersion {
    /// Redis or Valkey.
    pub engine: Engine,
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl ServerVersion {
    /// A version of these numbers.
    #[must_use]
    pub fn new(engine: Engine, major: u32, minor: u32, patch: u32) -> Self {
        Self { engine, major, minor, patch }
    }

    /// Reads what `redis-server --version` prints: `Redis server v=7.0.15 sha=…`, `Valkey server v=9.1.2 sha=…`.
    pub fn from_version_output(text: &str) -> Result<Self, Mismatch> {
        let fault = || Mismatch::new("`… server v=1.2.3 …`", format!("{:?}", first_line(text)));
        let engine = if text.starts_with("Valkey") { Engine::Valkey } else { Engine::Redis };
        let numbers = text.split_whitespace().find_map(|word| word.strip_prefix("v=")).ok_or_else(fault)?;
        Self::from_numbers(engine, numbers).ok_or_else(fault)
    }

    /// Reads `7.0.15`, `8.0` and `8.1.0-rc1`.
    #[must_use]
    pub fn from_numbers(engine: Engine, text: &str) -> Option<Self> {
        let mut numbers = text.trim().splitn(3, '.').map(leading_number);
        let (major, minor) = (numbers.next()??, numbers.next()??);
        let patch = numbers.next().flatten().unwrap_or(0);
        Some(Self::new(engine, major, minor, patch))
    }

    /// What Redis of this version can, this server can. Valkey has what Redis 7.2 had.
    #[must_use]
    pub fn has_redis(&self, major: u32, minor: u32) -> bool {
        let level = match self.engine {
            Engine::Redis => (self.major, self.minor),
            Engine::Valkey => (7, 2),
        };
        level >= (major, minor)
    }

    /// Valkey of this version or later.
    #[must_use]
    pub fn has_valkey(&self, major: u32, minor: u32) -> bool {
        self.engine == Engine::Valkey && (self.major, self.minor) >= (major, minor)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "Redis",
            Self::Valkey => "Valkey",
        })
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.{}.{}", self.engine, self.major, self.minor, self.patch)
    }
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let read = |text| ServerVersion::from_numbers(Engine::Redis, text);
        assert_eq!(read("7.0.15").unwrap().to_string(), "Redis 7.0.15");
        assert_eq!(read("8.2"), read("8.2.0"));
        assert_eq!(read("8.1.0-rc1"), read("8.1.0"));
        assert!(read("7.0.9") < read("7.0.15") && read("6.2.14") < read("7.0.0"));
        assert_eq!(read("7"), None);
        assert_eq!(read("a.b"), None);
        assert_eq!(read("99999999999.0"), None);
    }

    #[test]
    fn valkey_has_what_redis_7_2_had() {
        let valkey = ServerVersion::new(Engine::Valkey, 8, 1, 1);
        assert!(valkey.has_redis(7, 2) && !valkey.has_redis(8, 0));
        assert!(valkey.has_valkey(8, 0) && !valkey.has_valkey(9, 0));
        assert!(!ServerVersion::new(Engine::Redis, 8, 0, 0).has_valkey(8, 0));
    }

    #[test]
    fn no_version_is_told_with_what_came() {
        let fault = ServerVersion::from_version_output("command not found\nmore").unwrap_err();
        assert!(fault.to_string().ends_with("got \"command not found\""), "{fault}");
    }
}
