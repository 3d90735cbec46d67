//! Which field of INFO is which metric. The names are those of `redis_exporter` (1.45 and later), which dashboards and
//! alerts everywhere know; a test holds them against the exporter itself where it is installed.

use super::text::Kind::{self, Counter, Gauge};

/// How the text of a field becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// It is one.
    Number,
    /// `ok` is 1, anything else 0.
    Ok,
    /// Microseconds; the metric has seconds.
    Microseconds,
}

/// A metric of one sample without labels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric {
    pub(super) field: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) read: As,
}

/// The metric of a field.
pub(super) fn of(field: &str) -> Option<&'static Metric> {
    METRICS.binary_search_by(|metric| metric.field.cmp(field)).ok().map(|found| &METRICS[found])
}

const fn gauge(field: &'static str, name: &'static str) -> Metric {
    Metric { field, name, kind: Gauge, read: As::Number }
}

const fn counter(field: &'static str, name: &'static str) -> Metric {
    Metric { field, name, kind: Counter, read: As::Number }
}

const fn status(field: &'static str, name: &'static str) -> Metric {
    Metric { field, name, kind: Gauge, read: As::Ok }
}

/// Sorted by field.
const METRICS: &[Metric] = &[
    gauge("active_defrag_hits", "redis_defrag_hits"),
    gauge("active_defrag_key_hits", "redis_defrag_key_hits"),
    gauge("active_defrag_key_misses", "redis_defrag_key_misses"),
    gauge("active_defrag_misses", "redis_defrag_misses"),
    gauge("active_defrag_running", "redis_active_defrag_running"),
    gauge("allocator_active", "redis_allocator_active_bytes"),
    gauge("allocator_allocated", "redis_allocator_allocated_bytes"),
    gauge("allocator_frag_bytes", "redis_allocator_frag_bytes"),
    gauge("allocator_frag_ratio", "redis_allocator_frag_ratio"),
    gauge("allocator_resident", "redis_allocator_resident_bytes"),
    gauge("allocator_rss_bytes", "redis_allocator_rss_bytes"),
    gauge("allocator_rss_ratio", "redis_allocator_rss_ratio"),
    gauge("aof_base_size", "redis_aof_base_size_bytes"),
    gauge("aof_buffer_length", "redis_aof_buffer_length"),
    gauge("aof_current_rewrite_time_sec", "redis_aof_current_rewrite_duration_sec"),
    gauge("aof_current_size", "redis_aof_current_size_bytes"),
    gauge("aof_delayed_fsync", "redis_aof_delayed_fsync"),
    gauge("aof_enabled", "redis_aof_enabled"),
    status("aof_last_bgrewrite_status", "redis_aof_last_bgrewrite_status"),
    gauge("aof_last_cow_size", "redis_aof_last_cow_size_bytes"),
    gauge("aof_last_rewrite_time_sec", "redis_aof_last_rewrite_duration_sec"),
    status("aof_last_write_status", "redis_aof_last_write_status"),
    gauge("aof_pending_bio_fsync", "redis_aof_pending_bio_fsync"),
    gauge("aof_pending_rewrite", "redis_aof_pending_rewrite"),
    gauge("aof_rewrite_buffer_length", "redis_aof_rewrite_buffer_length"),
    gauge("aof_rewrite_in_progress", "redis_aof_rewrite_in_progress"),
    gauge("aof_rewrite_scheduled", "redis_aof_rewrite_scheduled"),
    gauge("blocked_clients", "redis_blocked_clients"),
    gauge("client_recent_max_input_buffer", "redis_client_recent_max_input_buffer_bytes"),
    gauge("client_recent_max_output_buffer", "redis_client_recent_max_output_buffer_bytes"),
    gauge("clients_in_timeout_table", "redis_clients_in_timeout_table"),
    gauge("cluster_connections", "redis_cluster_connections"),
    gauge("cluster_enabled", "redis_cluster_enabled"),
    gauge("connected_clients", "redis_connected_clients"),
    gauge("connected_slaves", "redis_connected_slaves"),
    counter("dump_payload_sanitizations", "redis_dump_payload_sanitizations"),
    counter("evicted_keys", "redis_evicted_keys_total"),
    counter("expired_keys", "redis_expired_keys_total"),
    gauge("expired_stale_perc", "redis_expired_stale_percentage"),
    gauge("expired_time_cap_reached_count", "redis_expired_time_cap_reached_total"),
    counter("io_threaded_reads_processed", "redis_io_threaded_reads_processed"),
    counter("io_threaded_writes_processed", "redis_io_threaded_writes_processed"),
    gauge("io_threads_active", "redis_io_threads_active"),
    counter("keyspace_hits", "redis_keyspace_hits_total"),
    counter("keyspace_misses", "redis_keyspace_misses_total"),
    Metric {
        field: "latest_fork_usec",
        name: "redis_latest_fork_seconds",
        kind: Gauge,
        read: As::Microseconds,
    },
    gauge("lazyfree_pending_objects", "redis_lazyfree_pending_objects"),
    gauge("loading", "redis_loading_dump_file"),
    gauge("master_repl_offset", "redis_master_repl_offset"),
    gauge("maxclients", "redis_config_maxclients"),
    gauge("maxmemory", "redis_memory_max_bytes"),
    gauge("mem_clients_normal", "redis_mem_clients_normal"),
    gauge("mem_clients_slaves", "redis_mem_clients_slaves"),
    gauge("mem_fragmentation_bytes", "redis_mem_fragmentation_bytes"),
    gauge("mem_fragmentation_ratio", "redis_mem_fragmentation_ratio"),
    gauge("mem_not_counted_for_evict", "redis_mem_not_counted_for_eviction_bytes"),
    gauge("migrate_cached_sockets", "redis_migrate_cached_sockets_total"),
    gauge("module_fork_in_progress", "redis_module_fork_in_progress"),
    gauge("module_fork_last_cow_size", "redis_module_fork_last_cow_size"),
    gauge("number_of_cached_scripts", "redis_number_of_cached_scripts"),
    gauge("process_id", "redis_process_id"),
    gauge("pubsub_channels", "redis_pubsub_channels"),
    gauge("pubsub_patterns", "redis_pubsub_patterns"),
    gauge("rdb_bgsave_in_progress", "redis_rdb_bgsave_in_progress"),
    gauge("rdb_changes_since_last_save", "redis_rdb_changes_since_last_save"),
    gauge("rdb_current_bgsave_time_sec", "redis_rdb_current_bgsave_duration_sec"),
    status("rdb_last_bgsave_status", "redis_rdb_last_bgsave_status"),
    gauge("rdb_last_bgsave_time_sec", "redis_rdb_last_bgsave_duration_sec"),
    gauge("rdb_last_cow_size", "redis_rdb_last_cow_size_bytes"),
    gauge("rdb_last_save_time", "redis_rdb_last_save_timestamp_seconds"),
    counter("rejected_connections", "redis_rejected_connections_total"),
    gauge("repl_backlog_active", "redis_repl_backlog_is_active"),
    gauge("repl_backlog_first_byte_offset", "redis_repl_backlog_first_byte_offset"),
    gauge("repl_backlog_histlen", "redis_repl_backlog_history_bytes"),
    gauge("repl_backlog_size", "redis_replication_backlog_bytes"),
    gauge("second_repl_offset", "redis_second_repl_offset"),
    gauge("sentinel_masters", "redis_sentinel_masters"),
    gauge("sentinel_running_scripts", "redis_sentinel_running_scripts"),
    gauge("sentinel_scripts_queue_length", "redis_sentinel_scripts_queue_length"),
    gauge("sentinel_simulate_failure_flags", "redis_sentinel_simulate_failure_flags"),
    gauge("sentinel_tilt", "redis_sentinel_tilt"),
    gauge("slave_expires_tracked_keys", "redis_slave_expires_tracked_keys"),
    gauge("slave_priority", "redis_slave_priority"),
    gauge("sync_full", "redis_replica_resyncs_full"),
    gauge("sync_partial_err", "redis_replica_partial_resync_denied"),
    gauge("sync_partial_ok", "redis_replica_partial_resync_accepted"),
    counter("total_commands_processed", "redis_commands_processed_total"),
    counter("total_connections_received", "redis_connections_received_total"),
    counter("total_error_replies", "redis_total_error_replies"),
    counter("total_net_input_bytes", "redis_net_input_bytes_total"),
    counter("total_net_output_bytes", "redis_net_output_bytes_total"),
    counter("total_reads_processed", "redis_total_reads_processed"),
    counter("total_writes_processed", "redis_total_writes_processed"),
    gauge("tracking_clients", "redis_tracking_clients"),
    gauge("tracking_total_items", "redis_tracking_total_items"),
    gauge("tracking_total_keys", "redis_tracking_total_keys"),
    gauge("tracking_total_prefixes", "redis_tracking_total_prefixes"),
    counter("unexpected_error_replies", "redis_unexpected_error_replies"),
    gauge("uptime_in_seconds", "redis_uptime_in_seconds"),
    counter("used_cpu_sys", "redis_cpu_sys_seconds_total"),
    counter("used_cpu_sys_children", "redis_cpu_sys_children_seconds_total"),
    counter("used_cpu_sys_main_thread", "redis_cpu_sys_main_thread_seconds_total"),
    counter("used_cpu_user", "redis_cpu_user_seconds_total"),
    counter("used_cpu_user_children", "redis_cpu_user_children_seconds_total"),
    counter("used_cpu_user_main_thread", "redis_cpu_user_main_thread_seconds_total"),
    gauge("used_memory", "redis_memory_used_bytes"),
    gauge("used_memory_dataset", "redis_memory_used_dataset_bytes"),
    gauge("used_memory_lua", "redis_memory_used_lua_bytes"),
    gauge("used_memory_overhead", "redis_memory_used_overhead_bytes"),
    gauge("used_memory_peak", "redis_memory_used_peak_bytes"),
    gauge("used_memory_rss", "redis_memory_used_rss_bytes"),
    gauge("used_memory_scripts", "redis_memory_used_scripts_bytes"),
    gauge("used_memory_startup", "redis_memory_used_startup_bytes"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_and_gives_one_metric() {
        for pair in METRICS.windows(2) {
            assert!(pair[0].field < pair[1].field, "{} is out of order", pair[1].field);
        }
        let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        assert_eq!(of("used_memory").map(|metric| metric.name), Some("redis_memory_used_bytes"));
        assert!(of("used_memory_human").is_none());
    }
}
