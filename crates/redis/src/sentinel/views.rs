//! SENTINEL MASTER, REPLICAS and SENTINELS.

use std::time::Duration;

use super::fields::{Fields, Flags};
use crate::{
    endpoint::Endpoint,
    value::{Mismatch, Value},
};

/// A master as one Sentinel sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterView {
    /// Name under which it is watched.
    pub name: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Run id of the server; `None` before the first INFO.
    pub runid: Option<String>,
    /// What the Sentinel holds of it.
    pub flags: Flags,
    /// Epoch in which it became master.
    pub config_epoch: u64,
    /// Sentinels that must agree that it is down.
    pub quorum: u32,
    /// Replicas known, dead ones included.
    pub num_replicas: u32,
    /// Other Sentinels known, dead ones included.
    pub num_other_sentinels: u32,
    /// `down-after-milliseconds`.
    pub down_after: Option<Duration>,
    /// `failover-timeout`.
    pub failover_timeout: Option<Duration>,
    /// `parallel-syncs`.
    pub parallel_syncs: Option<u32>,
    /// `master` or `slave`, as its last INFO said.
    pub role_reported: Option<String>,
    /// Since when it reports that role.
    pub role_reported_for: Option<Duration>,
    /// Age of its last INFO.
    pub info_refresh: Option<Duration>,
    /// Age of its last good answer to PING.
    pub last_ok_ping_reply: Option<Duration>,
    /// How far a failover led by this Sentinel is.
    pub failover_state: Option<String>,
}

/// A replica as one Sentinel sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaView {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Run id of the server; `None` before the first INFO.
    pub runid: Option<String>,
    /// What the Sentinel holds of it.
    pub flags: Flags,
    /// Whom it follows, as its last INFO said.
    pub master: Option<Endpoint>,
    /// Its link was up, as its last INFO said.
    pub master_link_up: bool,
    /// How long its link had been down.
    pub master_link_down: Option<Duration>,
    /// Its priority; 0 is never promoted.
    pub priority: Option<u32>,
    /// Bytes of history, as its last INFO said: up to 10 s old, 1 s during a failover.
    pub slave_repl_offset: u64,
    /// It may be shown to clients.
    pub announced: Option<bool>,
    /// `master` or `slave`, as its last INFO said.
    pub role_reported: Option<String>,
    /// Age of its last INFO.
    pub info_refresh: Option<Duration>,
    /// Age of its last good answer to PING.
    pub last_ok_ping_reply: Option<Duration>,
}

/// Another Sentinel as one Sentinel sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentinelView {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its id, which outlives restarts; `None` while not known.
    pub id: Option<String>,
    /// What the Sentinel holds of it.
    pub flags: Flags,
    /// Age of its last hello.
    pub last_hello: Option<Duration>,
    /// Age of its last good answer to PING.
    pub last_ok_ping_reply: Option<Duration>,
    /// For whom it voted last, as far as this Sentinel asked.
    pub voted_leader: Option<String>,
    /// The epoch of that vote.
    pub voted_leader_epoch: Option<u64>,
}

impl MasterView {
    /// Reads one instance of SENTINEL MASTER or MASTERS.
    pub fn from_value(value: Value) -> Result<Self, Mismatch> {
        let fields = Fields::from_value(value)?;
        Ok(Self {
            name: fields.required("name")?,
            endpoint: fields.endpoint()?,
            runid: fields.owned("runid"),
            flags: fields.flags()?,
            config_epoch: fields.required("config-epoch")?,
            quorum: fields.required("quorum")?,
            num_replicas: fields.number("num-slaves").or_else(|| fields.number("num-replicas")).unwrap_or(0),
            num_other_sentinels: fields.required("num-other-sentinels")?,
            down_after: fields.millis("down-after-milliseconds"),
            failover_timeout: fields.millis("failover-timeout"),
            parallel_syncs: fields.number("parallel-syncs"),
            role_reported: fields.owned("role-reported"),
            role_reported_for: fields.millis("role-reported-time"),
            info_refresh: info_refresh(&fields),
            last_ok_ping_reply: fields.millis("last-ok-ping-reply"),
            failover_state: fields.owned("failover-state"),
        })
    }

    /// Votes that elect: max(quorum, majority of all Sentinels known, this one included).
    #[must_use]
    pub fn votes_needed(&self) -> u32 {
        (self.num_other_sentinels.saturating_add(1) / 2 + 1).max(self.quorum)
    }
}

impl ReplicaView {
    /// Reads one instance of SENTINEL REPLICAS.
    pub fn from_value(value: Value) -> Result<Self, Mismatch> {
        let fields = Fields::from_value(value)?;
        let master = fields.owned("master-host").filter(|host| host != "?");
        Ok(Self {
            endpoint: fields.endpoint()?,
            runid: fields.owned("runid"),
            flags: fields.flags()?,
            master: master.zip(fields.number("master-port")).map(|(host, port)| Endpoint::new(host, port)),
            master_link_up: fields.get("master-link-status") == Some("ok"),
            master_link_down: fields.millis("master-link-down-time"),
            priority: fields.number("slave-priority"),
            slave_repl_offset: fields.number("slave-repl-offset").unwrap_or(0),
            announced: fields.get("replica-announced").map(|value| value == "1"),
            role_reported: fields.owned("role-reported"),
            info_refresh: info_refresh(&fields),
            last_ok_ping_reply: fields.millis("last-ok-ping-reply"),
        })
    }
}

impl SentinelView {
    /// Reads one instance of SENTINEL SENTINELS.
    pub fn from_value(value: Value) -> Result<Self, Mismatch> {
        let fields = Fields::from_value(value)?;
        Ok(Self {
            endpoint: fields.endpoint()?,
            id: fields.owned("runid"),
            flags: fields.flags()?,
            last_hello: fields.millis("last-hello-message"),
            last_ok_ping_reply: fields.millis("last-ok-ping-reply"),
            voted_leader: fields.owned("voted-leader").filter(|id| id != "?"),
            voted_leader_epoch: fields.number("voted-leader-epoch"),
        })
    }
}

/// Age of the last INFO. Before the first one 7.0 says 0 and 6.2 the time since 1970.
fn info_refresh(fields: &Fields) -> Option<Duration> {
    const TEN_YEARS_MS: u64 = 10 * 365 * 24 * 3_600_000;
    fields.number("info-refresh").filter(|age| (1..TEN_YEARS_MS).contains(age)).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(pairs: &[(&str, &str)]) -> Value {
        Value::Array(pairs.iter().flat_map(|(name, value)| [Value::bulk(name), Value::bulk(value)]).collect())
    }

    fn master(others: &str, quorum: &str) -> MasterView {
        MasterView::from_value(instance(&[
            ("name", "mymaster"),
            ("ip", "10.0.0.1"),
            ("port", "6379"),
            ("flags", "master,o_down"),
            ("config-epoch", "7"),
            ("quorum", quorum),
            ("num-other-sentinels", others),
            ("info-refresh", "1795225707841"),
            ("from-a-later-version", "yes"),
        ]))
        .unwrap()
    }

    #[test]
    fn an_election_takes_the_majority_of_all_known_and_at_least_the_quorum() {
        let table =
            [("0", "1", 1), ("2", "2", 2), ("3", "2", 3), ("4", "2", 3), ("2", "3", 3), ("4", "5", 5)];
        for (others, quorum, votes) in table {
            assert_eq!(master(others, quorum).votes_needed(), votes, "{others} others, quorum {quorum}");
        }
    }

    #[test]
    fn what_is_not_known_yet_is_none() {
        let view = master("2", "2");
        assert_eq!((view.runid, view.info_refresh, view.down_after), (None, None, None));
        assert!(view.flags.o_down() && !view.flags.s_down());
    }

    #[test]
    fn a_missing_field_is_named() {
        let fault = SentinelView::from_value(instance(&[("ip", "10.0.0.1"), ("port", "1")])).unwrap_err();
        assert_eq!(fault.to_string(), "expected the field flags, got a reply without it");
    }
}
