//! Metrics with labels: one sample a database, a replica, a command, an error, a watched master.

use super::{
    info::{Info, part},
    text::{Kind, Text, is_number, seconds},
};

/// Keys by database. A server without a key still has `db0`, so that no graph breaks off.
pub(super) fn databases(info: &Info<'_>, text: &mut Text) {
    let empty = [("db0", "keys=0,expires=0")];
    let databases = if info.databases.is_empty() && info.get("role").is_some() {
        &empty[..]
    } else {
        &info.databases[..]
    };
    let family = |name| Family { name, kind: Kind::Gauge, label: "db" };
    family("redis_db_keys").write(databases, "keys", text);
    family("redis_db_keys_expiring").write(databases, "expires", text);
    let name = "redis_db_avg_ttl_seconds";
    family(name).write_with(databases, text, |value, text, labels| {
        if let Some(ms) = part(value, "avg_ttl").and_then(|ms| ms.parse::<u64>().ok()) {
            text.measured(name, labels, seconds(ms.saturating_mul(1000)));
        }
    });
}

/// Calls, time, refusals and failures by command.
pub(super) fn commands(info: &Info<'_>, text: &mut Text) {
    let family = |name| Family { name, kind: Kind::Counter, label: "cmd" };
    family("redis_commands_total").write(&info.commands, "calls", text);
    family("redis_commands_rejected_calls_total").write(&info.commands, "rejected_calls", text);
    family("redis_commands_failed_calls_total").write(&info.commands, "failed_calls", text);
    let name = "redis_commands_duration_seconds_total";
    family(name).write_with(&info.commands, text, |value, text, labels| {
        if let Some(us) = part(value, "usec").and_then(|us| us.parse().ok()) {
            text.measured(name, labels, seconds(us));
        }
    });
}

/// Error replies by their first word.
pub(super) fn errors(info: &Info<'_>, text: &mut Text) {
    let family = Family { name: "redis_errors_total", kind: Kind::Counter, label: "err" };
    family.write(&info.errors, "count", text);
}

/// Latency quantiles by command, microseconds; sum and count as of [`commands`].
pub(super) fn latencies(info: &Info<'_>, text: &mut Text) {
    if info.latencies.is_empty() {
        return;
    }
    text.family("redis_latency_percentiles_usec", Kind::Summary);
    for (command, value) in &info.latencies {
        let Some((_, stats)) = info.commands.iter().find(|(name, _)| name == command) else { continue };
        for (quantile, latency) in value.split(',').filter_map(|part| part.strip_prefix('p')?.split_once('='))
        {
            if is_number(quantile) && is_number(latency) {
                let labels = [("cmd", *command), ("quantile", quantile)];
                text.sample("redis_latency_percentiles_usec", &labels, latency);
            }
        }
        for (name, of) in [
            ("redis_latency_percentiles_usec_sum", "usec"),
            ("redis_latency_percentiles_usec_count", "calls"),
        ] {
            if let Some(number) = part(stats, of).filter(|number| is_number(number)) {
                text.sample(name, &[("cmd", command)], number);
            }
        }
    }
}

/// How far each replica of a master is.
pub(super) fn replicas(info: &Info<'_>, text: &mut Text) {
    for (name, of) in
        [("redis_connected_slave_offset_bytes", "offset"), ("redis_connected_slave_lag_seconds", "lag")]
    {
        let samples = info.replicas.iter().filter_map(|(_, value)| {
            let number = part(value, of).filter(|number| is_number(number))?;
            let label = |name| part(value, name).unwrap_or_default();
            let labels =
                [("slave_ip", label("ip")), ("slave_port", label("port")), ("slave_state", label("state"))];
            Some((labels, number))
        });
        labelled(name, samples, text);
    }
}

/// A replica's link to its master.
pub(super) fn master_link(info: &Info<'_>, text: &mut Text) {
    let (Some(host), Some(port)) = (info.get("master_host"), info.get("master_port")) else { return };
    let labels = [("master_host", host), ("master_port", port)];
    let up = info.get("master_link_status").map(|status| if status == "up" { "1" } else { "0" });
    let number = |field| info.get(field).filter(|value| is_number(value));
    for (name, value) in [
        ("redis_master_link_up", up),
        ("redis_master_last_io_seconds_ago", number("master_last_io_seconds_ago")),
        ("redis_master_sync_in_progress", number("master_sync_in_progress")),
        ("redis_slave_repl_offset", number("slave_repl_offset")),
    ] {
        labelled(name, value.map(|value| (labels, value)).into_iter(), text);
    }
}

/// What a Sentinel knows of the masters it watches.
pub(super) fn sentinel(info: &Info<'_>, text: &mut Text) {
    let status = info.masters.iter().map(|(_, value)| {
        let word = part(value, "status").unwrap_or_default();
        let [name, address] = master_labels(value);
        ([name, address, ("master_status", word)], if word == "ok" { "1" } else { "0" })
    });
    labelled("redis_sentinel_master_status", status, text);
    for (name, of) in
        [("redis_sentinel_master_slaves", "slaves"), ("redis_sentinel_master_sentinels", "sentinels")]
    {
        let samples = info.masters.iter().filter_map(|(_, value)| {
            let number = part(value, of).filter(|number| is_number(number))?;
            Some((master_labels(value), number))
        });
        labelled(name, samples, text);
    }
}

fn master_labels(value: &str) -> [(&'static str, &str); 2] {
    let label = |name| part(value, name).unwrap_or_default();
    [("master_name", label("name")), ("master_address", label("address"))]
}

/// A family of gauges; nothing when there is no sample.
fn labelled<'a, const N: usize>(
    name: &str,
    samples: impl Iterator<Item = ([(&'a str, &'a str); N], &'a str)>,
    text: &mut Text,
) {
    let mut samples = samples.peekable();
    if samples.peek().is_some() {
        text.family(name, Kind::Gauge);
    }
    for (labels, number) in samples {
        text.sample(name, &labels, number);
    }
}

/// A family with one label, whose value is the key of a line of INFO.
#[derive(Clone, Copy)]
struct Family {
    name: &'static str,
    kind: Kind,
    label: &'static str,
}

impl Family {
    /// One sample a line, of one part of its value.
    fn write(self, lines: &[(&str, &str)], of: &str, text: &mut Text) {
        self.write_with(lines, text, |value, text, labels| {
            if let Some(number) = part(value, of).filter(|number| is_number(number)) {
                text.sample(self.name, labels, number);
            }
        });
    }

    fn write_with(
        self,
        lines: &[(&str, &str)],
        text: &mut Text,
        sample: impl Fn(&str, &mut Text, &[(&str, &str)]),
    ) {
        if lines.is_empty() {
            return;
        }
        text.family(self.name, self.kind);
        for (key, value) in lines {
            sample(value, text, &[(self.label, key)]);
        }
    }
}
