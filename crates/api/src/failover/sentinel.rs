//! The Sentinels.

use std::time::Duration;

use super::{
    directives::{self, Entry},
    raw::{RedisFailover, SentinelSettings},
    translate::{Surroundings, Translator},
};
use crate::{
    check, defaults,
    raw::{Directive, Interval, Mode, SentinelSpec},
};

const PATH: &str = "spec.sentinel.customConfig";
/// Below this a `Redis` asks whether it is meant.
const LEAST_DOWN_AFTER: Duration = Duration::from_secs(3);

/// Without Sentinels there is a node alone; nodes that follow each other are elected among by Sentinels.
pub(super) fn translate(failover: &RedisFailover, around: Surroundings, nodes: u32, to: &mut Translator) {
    let settings = &failover.spec.sentinel;
    if !wanted(settings, around) {
        if nodes == 1 {
            to.redis.spec.mode = Some(Mode::Standalone);
            return;
        }
        to.not_honoured(
            "spec.sentinel.enabled",
            "several nodes have Sentinels: they elect the next master",
            "write spec.redis.replicas: 1 for a node alone",
        );
    }
    let spec = SentinelSpec {
        replicas: u32::try_from(settings.replicas.unwrap_or(0)).ok().filter(|count| *count > 0),
        master_name: (settings.disable_my_master == Some(true)).then(|| failover.metadata.name.clone()),
        failover_timeout: timeout(settings, to),
        ..SentinelSpec::default()
    };
    to.redis.spec.sentinel = (spec != SentinelSpec::default()).then_some(spec);
    to.trace("spec.sentinel.replicas", "spec.sentinel.replicas");
    for entry in directives::entries(PATH, &settings.custom_config, to) {
        option(&entry, to);
    }
}

/// What a fork means by a field that is left out shows in what it made.
fn wanted(settings: &SentinelSettings, around: Surroundings) -> bool {
    match (around.sentinels, settings.enabled) {
        (Some(true), _) | (None, None) => true,
        (_, Some(enabled)) => enabled,
        (Some(false), None) => false,
    }
}

fn timeout(settings: &SentinelSettings, to: &mut Translator) -> Option<Interval> {
    let text = settings.failover_timeout.as_ref()?;
    text.parse().map_err(|why| to.fault("spec.sentinel.failoverTimeout", format!("{why}"), "write 10s")).ok()
}

fn option(entry: &Entry, to: &mut Translator) {
    match entry.name.as_str() {
        "down-after-milliseconds" => {
            let down_after = millis(entry, to);
            to.trace("spec.sentinel.downAfter", &entry.path);
            let short = down_after.filter(|Interval(time)| *time < LEAST_DOWN_AFTER);
            if let Some(time) = short {
                to.warn(
                    &entry.path,
                    format!("{time} is below 3s: Sentinels ask once a second, and healthy masters may be failed over"),
                    "write 5000: a crash is noticed at once and does not wait for it",
                );
            }
            let sentinel = to.redis.spec.sentinel.get_or_insert_default();
            sentinel.down_after = down_after;
            sentinel.force_down_after = short.map(|_| true);
        }
        "failover-timeout" => {
            let timeout = millis(entry, to);
            to.trace("spec.sentinel.failoverTimeout", &entry.path);
            to.redis.spec.sentinel.get_or_insert_default().failover_timeout = timeout;
        }
        "parallel-syncs" => {
            let syncs = directives::number(entry, to);
            to.trace("spec.sentinel.parallelSyncs", &entry.path);
            to.redis.spec.sentinel.get_or_insert_default().parallel_syncs = syncs;
        }
        "quorum" => {
            let quorum = directives::number(entry, to);
            to.trace("spec.sentinel.quorum", &entry.path);
            to.redis.spec.sentinel.get_or_insert_default().quorum = quorum;
        }
        name => {
            if let Some((why, _)) = check::sentinel_refusal(name) {
                return to.not_honoured(&entry.path, format!("{name} is set by Redoubt: {why}"), "remove it");
            }
            to.trace(&format!("spec.sentinel.config.{name}"), &entry.path);
            let config = &mut to.redis.spec.sentinel.get_or_insert_default().config;
            config.insert(name.to_owned(), Directive(entry.value.clone()));
        }
    }
}

fn millis(entry: &Entry, to: &mut Translator) -> Option<Interval> {
    directives::number(entry, to).map(|millis| Interval(Duration::from_millis(millis.into())))
}

impl Translator {
    /// The time after which the Sentinels hold a master for dead.
    pub(super) fn down_after(&self) -> Duration {
        let written = self.redis.spec.sentinel.as_ref().and_then(|sentinel| sentinel.down_after);
        written.map_or(defaults::DOWN_AFTER, |Interval(time)| time)
    }
}
