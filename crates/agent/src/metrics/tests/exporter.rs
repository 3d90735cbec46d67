//! Held against the exporter that everybody uses, where it is installed (Debian: `prometheus-redis-exporter`).

use super::{
    format::Scrape,
    real::{Server, fresh, get, start},
};

const EXPORTER: &str = "prometheus-redis-exporter";

/// What it tells of itself, what takes further commands (SLOWLOG GET, CONFIG GET, SENTINEL …), and a histogram of
/// Redis 8 that it takes for a figure.
const NOT_OURS: [&str; 10] = [
    "redis_exporter_",
    "redis_db0_distrib_",
    "redis_target_scrape_request_errors_total",
    "redis_last_key_groups_scrape_duration_milliseconds",
    "redis_last_slow_execution_duration_seconds",
    "redis_slowlog_last_id",
    "redis_config_io_threads",
    "redis_config_maxmemory",
    "redis_sentinel_master_ckquorum_status",
    "redis_sentinel_master_ok_",
];

#[tokio::test]
async fn every_metric_of_the_usual_exporter_is_here_by_name_type_and_labels() {
    let master = Server::start(&["--appendonly", "yes", "--repl-diskless-sync-delay", "0"]).await;
    master.ask(&["SET", "key", "value", "EX", "1000"]).await;
    let replica = Server::start(&["--replicaof", &master.endpoint.host, "6379"]).await;
    master.wait_for("state=online").await;
    let sentinel = master.sentinel().await;
    for server in [&master, &replica, &sentinel] {
        let Some(theirs) = scrape_by_exporter(server).await else {
            return eprintln!("skipped: {EXPORTER} is not installed");
        };
        let ours = Scrape::read(&server.metrics().render(&crate::state::tests::node()).await);
        compare(&ours, &theirs);
    }
}

fn compare(ours: &Scrape, theirs: &Scrape) {
    let relevant =
        |name: &str| name.starts_with("redis_") && !NOT_OURS.iter().any(|prefix| name.starts_with(prefix));
    let mut different = Vec::new();
    for (name, _) in theirs.families.iter().filter(|(name, _)| relevant(name)) {
        let (here, there) = (ours.shape(name), theirs.shape(name));
        // Every database that could exist is there with 0 keys, also on a Sentinel, which has none.
        let only_zeros =
            name.starts_with("redis_db_") && theirs.of(name).iter().all(|sample| sample.value == 0.0);
        if here != there && !only_zeros {
            different.push(format!("{name}: here {here:?}, there {there:?}"));
        }
    }
    assert!(different.is_empty(), "{different:#?}");
    for name in ["redis_up", "redis_config_maxclients", "redis_process_id", "redis_db_keys_expiring"] {
        let value = |scrape: &Scrape| scrape.of(name).first().map(|sample| sample.value);
        if let (Some(here), Some(there)) = (value(ours), value(theirs)) {
            assert!((here - there).abs() < f64::EPSILON, "{name}: here {here}, there {there}");
        }
    }
}

async fn scrape_by_exporter(server: &Server) -> Option<Scrape> {
    let at = fresh(9121);
    let url = format!("redis://{}", server.endpoint);
    let args = ["-redis.addr", url.as_str(), "-web.listen-address", &at.to_string()].map(str::to_owned);
    let _exporter = start(EXPORTER, &args, "Providing metrics at").await?;
    Some(Scrape::read(&get(&at, "/metrics").await))
}
