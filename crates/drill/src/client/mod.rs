//! Finds the master the way an application's client library does.

mod nodes;
mod role;
mod switches;

use std::{future::pending, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, RedisError, RedisResult,
    aio::MultiplexedConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use redoubt_wire::config::SentinelConfig;
use secrecy::ExposeSecret as _;
use tokio::sync::watch;

pub(crate) use self::{nodes::node_client, switches::Switches};
use crate::{ClientKind, DrillError, Target};

/// How long one try may take: longer than any hand-over pauses writes (200 ms), short against the seconds after which
/// a hanging server is ended.
pub(crate) const PATIENCE: Duration = Duration::from_millis(300);

/// Finds the master, again and again.
pub(crate) struct Finder {
    way: Way,
    /// Changes with every announced change of master, for clients that listen.
    switches: Option<watch::Receiver<String>>,
}

enum Way {
    Sentinels(Box<SentinelClient>),
    Roles(role::Nodes),
    Service(Client),
}

impl Finder {
    /// A finder of this kind.
    pub(crate) fn new(
        kind: ClientKind,
        target: &Target,
        switches: Option<&Switches>,
    ) -> Result<Self, DrillError> {
        let lacks = |needs| DrillError::Impossible {
            what: format!("the client {kind}"),
            needs,
            redis: target.config.name.clone(),
        };
        let way = match kind {
            ClientKind::Role => Way::Roles(role::Nodes::new(target)),
            ClientKind::Service => {
                let service = target.service.as_ref().ok_or_else(|| lacks("a Service"))?;
                let client = node_client(service, target.password()).map_err(|_| lacks("a Service"))?;
                Way::Service(client)
            }
            ClientKind::Sentinel | ClientKind::ErrorOnly => {
                let config = target.config.sentinel().ok_or_else(|| lacks("Sentinels"))?;
                if !target.is_direct() {
                    return Err(DrillError::OutOfReach { client: kind });
                }
                let client = sentinel_client(target, config).map_err(|_| lacks("Sentinels"))?;
                Way::Sentinels(Box::new(client))
            }
        };
        Ok(Self { way, switches: switches.map(Switches::subscribe) })
    }

    /// A connection to the master as it is found now, within [`PATIENCE`].
    pub(crate) async fn connect(&mut self) -> RedisResult<MultiplexedConnection> {
        if let Some(switches) = &mut self.switches {
            switches.mark_unchanged();
        }
        let find = async {
            match &mut self.way {
                Way::Sentinels(client) => client.get_async_connection_with_config(&patient()).await,
                Way::Roles(nodes) => nodes.master().await,
                Way::Service(client) => client.get_multiplexed_async_connection_with_config(&patient()).await,
            }
        };
        tokio::time::timeout(PATIENCE, find).await.unwrap_or_else(|_| Err(too_slow()))
    }

    /// The master was announced to be another one since the last connection was made.
    pub(crate) fn moved(&self) -> bool {
        self.switches.as_ref().is_some_and(|switches| switches.has_changed().unwrap_or(false))
    }

    /// Resolves once [`Finder::moved`] is so.
    pub(crate) async fn announced(&self) {
        match &self.switches {
            Some(switches) => {
                if switches.clone().changed().await.is_err() {
                    pending::<()>().await;
                }
            }
            None => pending().await,
        }
    }
}

fn sentinel_client(target: &Target, config: &SentinelConfig) -> RedisResult<SentinelClient> {
    let addresses = config
        .sentinels
        .iter()
        .map(|sentinel| ConnectionAddr::Tcp(sentinel.server.host.clone(), sentinel.server.port));
    let mut builder = SentinelClientBuilder::new(addresses, &config.master_name, SentinelServerType::Master)?;
    if let Some(password) = target.password() {
        builder = builder.set_client_to_redis_password(password.expose_secret());
    }
    if let Some(password) = target.sentinel_password() {
        builder = builder.set_client_to_sentinel_password(password.expose_secret());
    }
    builder.build()
}

/// Connects and answers within [`PATIENCE`].
pub(crate) fn patient() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE))
}

fn too_slow() -> RedisError {
    RedisError::from((ErrorKind::Io, "no master was found in time"))
}

#[cfg(test)]
mod tests {
    use redoubt_wire::secrets::Secrets;

    use super::*;
    use crate::survey::testing::{config, standalone};

    fn target(config: redoubt_wire::config::SetConfig) -> Target {
        let dir = tempfile::tempdir().unwrap();
        redoubt_wire::secrets::generate_missing(dir.path()).unwrap();
        Target::new(config, Secrets::load(dir.path()).unwrap())
    }

    #[test]
    fn a_client_that_cannot_find_the_master_is_refused_before_anything_is_broken() {
        let refused =
            |kind, target: &Target| Finder::new(kind, target, None).err().map(|error| error.to_string());
        let set = target(config());
        assert_eq!(refused(ClientKind::Sentinel, &set), None);
        assert!(refused(ClientKind::Service, &set).unwrap().contains("needs a Service"));
        assert!(refused(ClientKind::ErrorOnly, &target(standalone())).unwrap().contains("needs Sentinels"));
        let server = set.config.nodes[0].server.clone();
        let far = Target { reach: [(server.clone(), server)].into(), ..set };
        assert!(refused(ClientKind::Sentinel, &far).unwrap().contains("cannot be reached from here"));
        assert_eq!(refused(ClientKind::Role, &far), None);
    }
}
