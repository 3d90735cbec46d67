//! The `Persistence` section.

use super::Info;

/// What is on its way to the disk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Persistence {
    /// The server reads its files and refuses most commands.
    pub loading: Option<bool>,
    /// While loading: how much is read, percent.
    pub loading_loaded_perc: Option<f64>,
    /// While loading: seconds to go, as the server guesses.
    pub loading_eta_s: Option<u64>,
    /// A replica loads a copy from its master and serves the old data meanwhile.
    pub async_loading: Option<bool>,
    /// Writes since the last successful save.
    pub rdb_changes_since_last_save: Option<u64>,
    /// A background save runs.
    pub rdb_bgsave_in_progress: Option<bool>,
    /// When the last save succeeded, Unix seconds; the start of the server when none has.
    pub rdb_last_save_time: Option<u64>,
    /// The last background save succeeded.
    pub rdb_last_bgsave_ok: Option<bool>,
    /// Saves since the server started (7.0 and later).
    pub rdb_saves: Option<u64>,
    /// The append-only file is on.
    pub aof_enabled: Option<bool>,
    /// The append-only file is being rewritten.
    pub aof_rewrite_in_progress: Option<bool>,
    /// A rewrite waits for a background save to end.
    pub aof_rewrite_scheduled: Option<bool>,
    /// The last rewrite succeeded.
    pub aof_last_bgrewrite_ok: Option<bool>,
    /// The last write to the append-only file succeeded.
    pub aof_last_write_ok: Option<bool>,
    /// Rewrites since the server started (7.0 and later).
    pub aof_rewrites: Option<u64>,
    /// Size of the append-only file, bytes.
    pub aof_current_size: Option<u64>,
}

/// What a server last failed to write. As master it answers writes with `MISCONF` then, and PING as well, so that a
/// Sentinel takes it for dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwritten {
    /// The append-only file.
    Aof,
    /// The snapshot. With `stop-writes-on-bgsave-error no`, or without save points, writes go on.
    Rdb,
}

impl Persistence {
    /// What the server last failed to write.
    #[must_use]
    pub fn unwritten(&self) -> Option<Unwritten> {
        if self.aof_enabled == Some(true) && self.aof_last_write_ok == Some(false) {
            return Some(Unwritten::Aof);
        }
        (self.rdb_last_bgsave_ok == Some(false)).then_some(Unwritten::Rdb)
    }
}

impl Info {
    /// The view of the `Persistence` section.
    #[must_use]
    pub fn persistence(&self) -> Persistence {
        Persistence {
            loading: self.flag("loading"),
            loading_loaded_perc: self.number("loading_loaded_perc"),
            loading_eta_s: self.number("loading_eta_seconds"),
            async_loading: self.flag("async_loading"),
            rdb_changes_since_last_save: self.number("rdb_changes_since_last_save"),
            rdb_bgsave_in_progress: self.flag("rdb_bgsave_in_progress"),
            rdb_last_save_time: self.number("rdb_last_save_time"),
            rdb_last_bgsave_ok: self.outcome("rdb_last_bgsave_status"),
            rdb_saves: self.number("rdb_saves"),
            aof_enabled: self.flag("aof_enabled"),
            aof_rewrite_in_progress: self.flag("aof_rewrite_in_progress"),
            aof_rewrite_scheduled: self.flag("aof_rewrite_scheduled"),
            aof_last_bgrewrite_ok: self.outcome("aof_last_bgrewrite_status"),
            aof_last_write_ok: self.outcome("aof_last_write_status"),
            aof_rewrites: self.number("aof_rewrites"),
            aof_current_size: self.number("aof_current_size"),
        }
    }
}
