//! The text as a whole: from the answers of real servers of every version, and beside the usual exporter.

mod exporter;
mod format;
mod real;

use std::{fs, path::PathBuf};

use format::Scrape;

use super::*;
use crate::state::tests::{node, sentinel};

/// What a server of this version answered.
fn info(version: &str, which: &str) -> Vec<u8> {
    fs::read(corpus().join(version).join(format!("info-{which}.txt"))).unwrap()
}

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../redis/tests/corpus")
}

fn versions() -> Vec<String> {
    let folders = fs::read_dir(corpus()).unwrap().filter_map(Result::ok);
    let versions: Vec<_> = folders
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(versions.len() >= 6, "{versions:?}");
    versions
}

fn rendered(version: &str, which: &str) -> String {
    let mut text = Text::with_room(0);
    server::write(&Info::parse(&info(version, which)), Some(3), &mut text);
    let state = if which == "sentinel" { sentinel() } else { node() };
    Own::new("cart").write(&state, &mut text);
    text.finish()
}

#[test]
fn prometheus_can_read_what_any_version_gives() {
    for version in versions() {
        for which in ["master", "replica", "replica-down", "promoted", "sentinel"] {
            let scrape = Scrape::read(&rendered(&version, which));
            let what = format!("{version} {which}");
            assert!(scrape.value("redis_uptime_in_seconds", &[]).is_some(), "{what}");
            assert!(scrape.value("redis_start_time_seconds", &[]).is_some(), "{what}");
            let [instance] = &scrape.of("redis_instance_info")[..] else { panic!("{what}") };
            for label in ["redis_version", "redis_mode", "run_id", "tcp_port"] {
                assert!(!instance.label(label).unwrap().is_empty(), "{what} {label}");
            }
        }
    }
}

#[test]
fn a_master_tells_of_its_data_and_its_replicas() {
    for version in versions() {
        let scrape = Scrape::read(&rendered(&version, "master"));
        assert!(scrape.value("redis_db_keys", &[("db", "db0")]).unwrap() >= 1.0, "{version}");
        assert_eq!(scrape.of("redis_connected_slave_lag_seconds").len(), 2, "{version}");
        assert_eq!(scrape.of("redis_connected_slave_offset_bytes").len(), 2, "{version}");
        assert_eq!(scrape.value("redis_connected_slaves", &[]), Some(2.0), "{version}");
        assert!(scrape.value("redis_commands_total", &[("cmd", "info")]).is_some(), "{version}");
        assert!(
            scrape.value("redis_commands_duration_seconds_total", &[("cmd", "info")]).is_some(),
            "{version}"
        );
        assert!(scrape.value("redis_memory_used_bytes", &[]).unwrap() > 100_000.0, "{version}");
        assert_eq!(scrape.value("redis_slowlog_length", &[]), Some(3.0), "{version}");
        assert!(scrape.of("redis_master_link_up").is_empty(), "{version}");
    }
}

#[test]
fn a_replica_tells_of_its_link() {
    for version in versions() {
        for (which, up) in [("replica", 1.0), ("replica-down", 0.0)] {
            let scrape = Scrape::read(&rendered(&version, which));
            let [link] = &scrape.of("redis_master_link_up")[..] else { panic!("{version} {which}") };
            assert_eq!((link.value, link.label("master_port").is_some()), (up, true), "{version} {which}");
            assert_eq!(scrape.of("redis_slave_info").len(), 1, "{version} {which}");
            assert_eq!(scrape.of("redis_slave_repl_offset").len(), 1, "{version} {which}");
        }
    }
}

#[test]
fn a_sentinel_tells_of_its_master() {
    for version in versions() {
        let scrape = Scrape::read(&rendered(&version, "sentinel"));
        assert_eq!(scrape.value("redis_sentinel_masters", &[]), Some(1.0), "{version}");
        let [status] = &scrape.of("redis_sentinel_master_status")[..] else { panic!("{version}") };
        assert_eq!(
            (status.label("master_name"), status.label("master_status")),
            (Some("mymaster"), Some("ok"))
        );
        assert!(scrape.of("redis_sentinel_master_slaves")[0].value > 1.0, "{version}");
        assert!(scrape.of("redis_db_keys").is_empty(), "a Sentinel has no data: {version}");
    }
}

#[test]
fn live_figures_are_those_of_info() {
    for version in versions() {
        for which in ["master", "replica"] {
            let text = info(version.as_str(), which);
            let info = Info::parse(&text);
            let live = live::read(&info);
            assert!(live.offset > 0 && live.keys > 0 && live.used_memory > 0, "{version} {which} {live:?}");
            assert_eq!(live.last_io_s.is_some(), which == "replica", "{version} {which}");
        }
    }
}

#[test]
fn odd_text_is_passed_over() {
    let odd: &[u8] = b"# Server\r\n\r\n:\r\n:1\r\nused_memory:many\r\nos:\xff\xfe\r\nredis_mode:a\"b\\c\r\n\
                       cmdstat_get:calls=x,usec=\r\ncmdstat_:\r\nslave0:\r\nslave1:ip=,,=,=\r\nmaster0:\r\n\
                       db0:keys\r\ndb:1\r\nlatency_percentiles_usec_get:p50,pp=1,p1=nan\r\nmaxclients:7\r\nlast";
    let mut text = Text::with_room(0);
    server::write(&Info::parse(odd), None, &mut text);
    let text = text.finish();
    let scrape = Scrape::read(&text);
    assert_eq!(scrape.value("redis_config_maxclients", &[]), Some(7.0));
    assert_eq!(scrape.of("redis_instance_info")[0].label("redis_mode"), Some("a\\\"b\\\\c"));
    assert!(!text.contains("many"));
}
