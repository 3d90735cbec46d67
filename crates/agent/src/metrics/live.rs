//! What changes all the time, as the state shows it.

use redoubt_wire::state::Live;

use super::info::{Info, part};

/// Reads it from INFO.
pub(super) fn read(info: &Info<'_>) -> Live {
    let number = |key| info.number(key).unwrap_or_default();
    // Redis 7 counts `master_repl_offset` on a replica too, older ones only with a backlog.
    let offset = info.number("slave_repl_offset").or_else(|| info.number("master_repl_offset"));
    let keys = info.databases.iter().filter_map(|(_, value)| part(value, "keys")?.parse::<u64>().ok());
    Live {
        offset: offset.unwrap_or_default(),
        last_io_s: info.number("master_last_io_seconds_ago"),
        used_memory: number("used_memory"),
        keys: keys.sum(),
        clients: number("connected_clients"),
        ops_per_s: number("instantaneous_ops_per_sec"),
        full_syncs: number("sync_full"),
    }
}
