//! The `Replication` section.

use super::Info;
use crate::{endpoint::Endpoint, value::Mismatch};

/// What a data node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeRole {
    /// Takes writes.
    Master,
    /// Follows.
    Replica,
}

/// A node's place in the replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    /// What the node is.
    pub role: NodeRole,
    /// Replica: whom it follows.
    pub master: Option<Endpoint>,
    /// Replica: the link to the master is up.
    pub link_up: Option<bool>,
    /// Replica: a full copy is under way.
    pub syncing: Option<bool>,
    /// Replica: seconds since it last heard from its master; `None` while the link is down.
    pub last_io_s: Option<u64>,
    /// Replica: seconds since the link went down.
    pub link_down_since_s: Option<u64>,
    /// Replica: bytes of its master's history it has.
    pub slave_repl_offset: Option<u64>,
    /// Replica: its priority for Sentinel; 0 is never promoted.
    pub priority: Option<u32>,
    /// Replica: Sentinels may list it.
    pub announced: Option<bool>,
    /// Id of the replication history, 40 hex digits.
    pub master_replid: String,
    /// Replicas heard of within `min-replicas-max-lag`; `None` while `min-replicas-to-write` is 0 (`genRedisInfoString`
    /// shows the field only then).
    pub good_replicas: Option<u64>,
    /// Id of the history before the last promotion.
    pub master_replid2: Option<String>,
    /// Offset up to which the history before the last promotion is the same.
    pub second_repl_offset: Option<u64>,
    /// Bytes of the history so far.
    pub master_repl_offset: u64,
    /// Replicas attached to this node.
    pub replicas: Vec<AttachedReplica>,
    /// `no-failover`, `waiting-for-sync`, `failover-in-progress`: the FAILOVER command.
    pub failover_state: Option<String>,
}

/// A replica as its master sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedReplica {
    /// Where it says it is.
    pub endpoint: Endpoint,
    /// `online`, `wait_bgsave`, `send_bulk`, ….
    pub state: String,
    /// Bytes it has acknowledged, about once a second.
    pub offset: u64,
    /// Seconds since its last acknowledgement.
    pub lag: Option<u64>,
}

impl Replication {
    /// Bytes of history this node has: what an election compares.
    #[must_use]
    pub fn offset(&self) -> u64 {
        match self.role {
            NodeRole::Master => self.master_repl_offset,
            NodeRole::Replica => self.slave_repl_offset.unwrap_or(self.master_repl_offset),
        }
    }
}

impl AttachedReplica {
    /// It has the data and receives what is written.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.state == "online"
    }

    /// Reads `ip=127.0.0.2,port=6379,state=online,offset=14,lag=0` with whatever fields follow.
    fn parse(text: &str) -> Option<Self> {
        let field =
            |name| text.split(',').find_map(|part| part.split_once('=').filter(|(key, _)| *key == name));
        let value = |name| field(name).map(|(_, value)| value);
        let number = |name| value(name).and_then(|value: &str| value.parse::<u64>().ok());
        Some(Self {
            endpoint: Endpoint::new(value("ip")?, value("port")?.parse().ok()?),
            state: value("state")?.to_owned(),
            offset: number("offset").unwrap_or(0),
            lag: number("lag"),
        })
    }
}

impl Info {
    /// The view of the `Replication` section; a Sentinel has none.
    pub fn replication(&self) -> Result<Replication, Mismatch> {
        let role = match self.get("role") {
            Some("master") => NodeRole::Master,
            Some("slave" | "replica") => NodeRole::Replica,
            other => return Err(Mismatch::new("role:master or role:slave", format!("{other:?}"))),
        };
        let missing = |name: &str| Mismatch::new(format!("the field {name}"), "INFO without it");
        Ok(Replication {
            role,
            master: self
                .owned("master_host")
                .zip(self.number("master_port"))
                .map(|(h, p)| Endpoint::new(h, p)),
            link_up: self.get("master_link_status").map(|status| status == "up"),
            syncing: self.flag("master_sync_in_progress"),
            last_io_s: self.number("master_last_io_seconds_ago"),
            link_down_since_s: self.number("master_link_down_since_seconds"),
            slave_repl_offset: self.number("slave_repl_offset"),
            priority: self.number("slave_priority"),
            announced: self.flag("replica_announced"),
            master_replid: self.owned("master_replid").ok_or_else(|| missing("master_replid"))?,
            good_replicas: self.number("min_slaves_good_slaves"),
            master_replid2: self.owned("master_replid2").filter(|id| id.bytes().any(|digit| digit != b'0')),
            second_repl_offset: self.number("second_repl_offset"),
            master_repl_offset: self
                .number("master_repl_offset")
                .ok_or_else(|| missing("master_repl_offset"))?,
            replicas: self.attached_replicas(),
            failover_state: self.owned("master_failover_state"),
        })
    }

    fn attached_replicas(&self) -> Vec<AttachedReplica> {
        let is_replica = |name: &str| {
            let number = name.strip_prefix("slave").or_else(|| name.strip_prefix("replica"));
            number
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        self.fields()
            .filter(|(name, _)| is_replica(name))
            .filter_map(|(_, value)| AttachedReplica::parse(value))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLICA: &str = "role:slave\nmaster_host:10.0.0.1\nmaster_port:6379\nmaster_link_status:down\n\
        master_last_io_seconds_ago:-1\nslave_repl_offset:14\nmaster_replid:ab\nmaster_replid2:00\n\
        second_repl_offset:-1\nmaster_repl_offset:20\n";

    #[test]
    fn what_a_server_calls_minus_one_is_unknown() {
        let view = Info::parse(REPLICA).replication().unwrap();
        assert_eq!(
            (view.last_io_s, view.second_repl_offset, view.master_replid2.as_deref()),
            (None, None, None)
        );
        assert_eq!((view.link_up, view.priority, view.offset()), (Some(false), None, 14));
    }

    #[test]
    fn a_sentinel_has_no_place_in_the_replication() {
        let fault = Info::parse("# Sentinel\nsentinel_masters:1\n").replication().unwrap_err();
        assert_eq!(fault.to_string(), "expected role:master or role:slave, got None");
    }

    #[test]
    fn a_replica_line_may_have_more_and_must_have_an_address() {
        let read = AttachedReplica::parse("ip=::1,port=1,state=online,offset=5,lag=0,type=replica").unwrap();
        assert_eq!((read.endpoint.to_string().as_str(), read.offset, read.lag), ("[::1]:1", 5, Some(0)));
        assert_eq!(AttachedReplica::parse("ip=a,state=online"), None);
    }
}
