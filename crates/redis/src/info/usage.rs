//! The sections that say how a server is used: `Server`, `Clients`, `Memory`, `Stats`, `Keyspace`.

use super::Info;
use crate::version::ServerVersion;

/// The `Server` section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// Which server.
    pub version: Option<ServerVersion>,
    /// Made anew each time the server starts.
    pub run_id: Option<String>,
    /// `standalone`, `sentinel` or `cluster`.
    pub mode: Option<String>,
    /// Process id.
    pub process_id: Option<u32>,
    /// Seconds since the start.
    pub uptime_s: Option<u64>,
    /// File that CONFIG REWRITE writes.
    pub config_file: Option<String>,
}

/// The `Clients` section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clients {
    /// Connections of clients, replicas not counted.
    pub connected: Option<u64>,
    /// Connections in a blocking call.
    pub blocked: Option<u64>,
    /// Most connections allowed.
    pub max: Option<u64>,
}

/// The `Memory` section, bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Data and overhead.
    pub used: Option<u64>,
    /// Resident memory of the process.
    pub rss: Option<u64>,
    /// Most `used` since the start.
    pub peak: Option<u64>,
    /// The limit; 0 is none.
    pub max: Option<u64>,
    /// What happens at the limit.
    pub max_policy: Option<String>,
}

/// The `Stats` section, counted since the server started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections accepted.
    pub connections_received: Option<u64>,
    /// Connections refused because of `maxclients`.
    pub connections_rejected: Option<u64>,
    /// Commands.
    pub commands_processed: Option<u64>,
    /// Commands per second, averaged over the last 1.6 s.
    pub ops_per_s: Option<u64>,
    /// Full copies sent to replicas.
    pub sync_full: Option<u64>,
    /// Resyncs that went on where the replica was.
    pub sync_partial_ok: Option<u64>,
    /// Resyncs that had to become full ones.
    pub sync_partial_err: Option<u64>,
    /// Keys whose time had come.
    pub expired_keys: Option<u64>,
    /// Keys removed for want of memory.
    pub evicted_keys: Option<u64>,
    /// Look-ups that found a key.
    pub keyspace_hits: Option<u64>,
    /// Look-ups that found none.
    pub keyspace_misses: Option<u64>,
}

/// A line of the `Keyspace` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Database {
    /// Number of the database.
    pub index: u32,
    /// Keys.
    pub keys: u64,
    /// Keys that expire.
    pub expires: u64,
}

impl Info {
    /// The view of the `Server` section.
    #[must_use]
    pub fn server(&self) -> Server {
        Server {
            version: self.version(),
            run_id: self.owned("run_id"),
            // Valkey's name, unless `extended-redis-compatibility` is on.
            mode: self.owned("redis_mode").or_else(|| self.owned("server_mode")),
            process_id: self.number("process_id"),
            uptime_s: self.number("uptime_in_seconds"),
            config_file: self.owned("config_file"),
        }
    }

    /// The view of the `Clients` section.
    #[must_use]
    pub fn clients(&self) -> Clients {
        Clients {
            connected: self.number("connected_clients"),
            blocked: self.number("blocked_clients"),
            max: self.number("maxclients"),
        }
    }

    /// The view of the `Memory` section.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            used: self.number("used_memory"),
            rss: self.number("used_memory_rss"),
            peak: self.number("used_memory_peak"),
            max: self.number("maxmemory"),
            max_policy: self.owned("maxmemory_policy"),
        }
    }

    /// The view of the `Stats` section.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            connections_received: self.number("total_connections_received"),
            connections_rejected: self.number("rejected_connections"),
            commands_processed: self.number("total_commands_processed"),
            ops_per_s: self.number("instantaneous_ops_per_sec"),
            sync_full: self.number("sync_full"),
            sync_partial_ok: self.number("sync_partial_ok"),
            sync_partial_err: self.number("sync_partial_err"),
            expired_keys: self.number("expired_keys"),
            evicted_keys: self.number("evicted_keys"),
            keyspace_hits: self.number("keyspace_hits"),
            keyspace_misses: self.number("keyspace_misses"),
        }
    }

    /// The databases that hold keys.
    #[must_use]
    pub fn databases(&self) -> Vec<Database> {
        self.section("keyspace").filter_map(|(name, value)| Database::parse(name, value)).collect()
    }

    /// Keys in all databases.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.databases().iter().map(|database| database.keys).sum()
    }
}

impl Database {
    /// Reads `db0:keys=2,expires=1,avg_ttl=…` with whatever fields follow.
    fn parse(name: &str, value: &str) -> Option<Self> {
        let number = |wanted| {
            let mut parts = value.split(',').filter_map(|part| part.split_once('='));
            parts.find(|(field, _)| *field == wanted)?.1.parse().ok()
        };
        let index = name.strip_prefix("db")?.parse().ok()?;
        Some(Self { index, keys: number("keys")?, expires: number("expires").unwrap_or(0) })
    }
}
