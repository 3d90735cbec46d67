//! ROLE (<https://redis.io/docs/latest/commands/role/>): what a server is, in one small reply.

use crate::{
    endpoint::Endpoint,
    value::{Mismatch, Value},
};

/// What a server says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Master {
        /// Bytes of replication history.
        offset: u64,
        /// Replicas that are online.
        replicas: Vec<RoleReplica>,
    },
    /// Follows.
    Replica {
        /// Whom.
        master: Endpoint,
        /// How far the link is.
        state: LinkState,
        /// Bytes received of the master's history; `None` before the first link.
        offset: Option<u64>,
    },
    /// Watches.
    Sentinel {
        /// Names of the masters it watches.
        masters: Vec<String>,
    },
}

/// A replica in the ROLE of its master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleReplica {
    /// Where it says it is.
    pub endpoint: Endpoint,
    /// Bytes it has acknowledged.
    pub offset: u64,
}

/// How far a replica's link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// `connect`: it has to connect.
    Connect,
    /// `connecting`: it waits for the connection.
    Connecting,
    /// `sync`: it receives a copy.
    Sync,
    /// `connected`: it follows.
    Connected,
    /// `handshake`, `none`, or what a later version may say.
    Other(String),
}

impl Role {
    /// Reads the reply.
    pub fn from_value(value: Value) -> Result<Self, Mismatch> {
        let items = value.into_array()?;
        let kind = items.first().map_or(Ok(""), Value::as_str)?;
        match (kind, &items[..]) {
            ("master", [_, offset, replicas, ..]) => {
                let replicas = replicas.as_array()?.iter().map(RoleReplica::from_value);
                Ok(Self::Master { offset: offset.as_u64()?, replicas: replicas.collect::<Result<_, _>>()? })
            }
            ("slave" | "replica", [_, host, port, state, offset, ..]) => Ok(Self::Replica {
                master: endpoint(host, port)?,
                state: LinkState::parse(state.as_str()?),
                offset: u64::try_from(offset.as_i64()?).ok(),
            }),
            ("sentinel", [_, masters, ..]) => {
                let names = masters.as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
                Ok(Self::Sentinel { masters: names.collect::<Result<_, _>>()? })
            }
            _ => Err(Mismatch::new("a ROLE reply", format!("{kind:?} and {} more items", items.len()))),
        }
    }

    /// It takes writes.
    #[must_use]
    pub fn is_master(&self) -> bool {
        matches!(self, Self::Master { .. })
    }

    /// Whom it follows.
    #[must_use]
    pub fn master(&self) -> Option<&Endpoint> {
        match self {
            Self::Replica { master, .. } => Some(master),
            _ => None,
        }
    }
}

impl RoleReplica {
    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        match value.as_array()? {
            [host, port, offset, ..] => {
                Ok(Self { endpoint: endpoint(host, port)?, offset: offset.as_u64().unwrap_or(0) })
            }
            items => Err(Mismatch::new("host, port and offset", format!("{} items", items.len()))),
        }
    }
}

impl LinkState {
    fn parse(text: &str) -> Self {
        match text {
            "connect" => Self::Connect,
            "connecting" => Self::Connecting,
            "sync" => Self::Sync,
            "connected" => Self::Connected,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Host and port as two values.
pub(crate) fn endpoint(host: &Value, port: &Value) -> Result<Endpoint, Mismatch> {
    let number = port.as_i64()?;
    let port = u16::try_from(number).map_err(|_| Mismatch::new("a port", number.to_string()))?;
    Ok(Endpoint::new(host.as_str()?, port))
}
