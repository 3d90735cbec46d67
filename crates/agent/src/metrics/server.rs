//! The server's metrics, from its INFO.

use super::{
    families,
    info::Info,
    names::{self, As, Metric},
    text::{Kind, Text, is_number, seconds},
};

/// Writes everything INFO has a metric for.
pub(super) fn write(info: &Info<'_>, slowlog: Option<u64>, text: &mut Text) {
    for (field, value) in &info.fields {
        if let Some(metric) = names::of(field) {
            one(metric, value, text);
        }
    }
    if let Some(entries) = slowlog {
        text.gauge("redis_slowlog_length", entries);
    }
    start_time(info, text);
    instance(info, text);
    families::databases(info, text);
    families::replicas(info, text);
    families::master_link(info, text);
    families::commands(info, text);
    families::latencies(info, text);
    families::errors(info, text);
    families::sentinel(info, text);
}

fn one(metric: &Metric, value: &str, text: &mut Text) {
    match metric.read {
        As::Number if is_number(value) => {
            text.family(metric.name, metric.kind);
            text.sample(metric.name, &[], value);
        }
        As::Ok => text.gauge(metric.name, u64::from(value == "ok")),
        As::Microseconds => {
            if let Ok(value) = value.parse() {
                text.gauge(metric.name, seconds(value));
            }
        }
        As::Number => {}
    }
}

/// By the server's own clock, which it tells since 6.2 or so.
fn start_time(info: &Info<'_>, text: &mut Text) {
    if let (Some(now), Some(uptime)) = (info.number("server_time_usec"), info.number("uptime_in_seconds")) {
        text.gauge("redis_start_time_seconds", (now / 1_000_000).saturating_sub(uptime));
    }
}

fn instance(info: &Info<'_>, text: &mut Text) {
    let labels = [
        "maxmemory_policy",
        "os",
        "process_id",
        "redis_build_id",
        "redis_mode",
        "redis_version",
        "role",
        "run_id",
        "tcp_port",
    ];
    let of =
        |label| info.get(if label == "redis_mode" { mode_field(info) } else { label }).unwrap_or_default();
    text.family("redis_instance_info", Kind::Gauge);
    text.sample("redis_instance_info", &labels.map(|label| (label, of(label))), "1");
    let master =
        [("master_host", "master_host"), ("master_port", "master_port"), ("read_only", "slave_read_only")];
    if info.get("role") == Some("slave") {
        let labels = master.map(|(label, field)| (label, info.get(field).unwrap_or_default()));
        text.family("redis_slave_info", Kind::Gauge);
        text.sample("redis_slave_info", &labels, "1");
    }
}

/// Valkey says `server_mode` unless asked to look like Redis.
fn mode_field(info: &Info<'_>) -> &'static str {
    if info.get("redis_mode").is_some() { "redis_mode" } else { "server_mode" }
}
