//! From the old Sentinels to Redoubt's, over servers that go on serving.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use redoubt_api::{CheckedRedis, Key};
use redoubt_engine::platform::{MemberKind, PlatformError};
use redoubt_redis::{Connection, Connector, Credentials, Endpoint, Error, role::Role};
use redoubt_serverconf::acl;
use redoubt_wire::{
    config::SetConfig,
    secrets::{AGENT_USER, REPLICATION_USER, Secrets},
};
use secrecy::ExposeSecret as _;

use super::KubernetesPlatform;
use crate::{names::ports, secrets};

/// A server answers within milliseconds; its pod may be on a machine that is busy.
const ANSWER: Duration = Duration::from_secs(3);
/// A partial resynchronization takes milliseconds.
const RE_POINTED: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

impl KubernetesPlatform {
    /// From the old Sentinels to Redoubt's. Theirs forget the master before ours are let in at it: two groups that watch one
    /// master by two addresses would take each other's word.
    pub(super) async fn change_watch(
        &self,
        redis: &CheckedRedis,
        set: &SetConfig,
        own: &Secrets,
    ) -> Result<(), Fault> {
        let key = &redis.key;
        let given = secrets::given(&self.cluster, redis).await?;
        let login = given.map(|password| Credentials { user: None, password: password.current().clone() });
        let servers = Connector::new(login, ANSWER);
        let mut nodes = Vec::new();
        for pod in self.old_pods(key, MemberKind::Node).await? {
            let mut node = OldNode::reach(&pod, set, &servers).await?;
            node.let_in(set, own).await?;
            nodes.push(node);
        }
        let (masters, replicas): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|node| node.leads);
        let [mut master] =
            <[OldNode; 1]>::try_from(masters).map_err(|masters| Fault::Masters(masters.len()))?;
        let watched = set.sentinel().map(|sentinel| sentinel.master_name.as_str()).unwrap_or_default();
        let sentinels = Connector::new(None, ANSWER);
        let watchers = self.old_pods(key, MemberKind::Sentinel).await?;
        for pod in &watchers {
            is_sure(pod, &sentinels, watched, &master).await?;
        }
        // The last look before anything is changed: whoever is to follow it there has to find it there.
        let there = servers.connect(&master.server).await;
        drop(there.map_err(|source| master.fault(source))?);
        for pod in &watchers {
            forget(pod, &sentinels, watched).await?;
        }
        for mut replica in replicas {
            replica.follow(&master.server).await?;
            replica.let_agents_in(set, own).await?;
        }
        master.is_followed(set).await?;
        master.let_agents_in(set, own).await
    }
}

/// Why the watch was not changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error("{pod}: {source}")]
    Server {
        pod: String,
        #[source]
        source: Error,
    },
    #[error("{0} nodes say that they lead")]
    Masters(usize),
    #[error("the Sentinel {pod} has a failover under way, or names another master than {master}")]
    Unsure { pod: String, master: String },
    #[error("the replicas did not come back under their new addresses")]
    NotFollowed,
}

impl Fault {
    pub(super) fn told(self, key: &Key) -> PlatformError {
        match self {
            Self::Platform(error) => error,
            other => PlatformError {
                what: format!("the Sentinels of {} are not taken over", key.name),
                why: other.to_string(),
                next: other.next().to_owned(),
            },
        }
    }

    fn next(&self) -> &'static str {
        match self {
            Self::Masters(0) => {
                "none was moved; have the node with the most data lead (REPLICAOF NO ONE), and the others follow it"
            }
            Self::Masters(_) => "none was moved; have all but the one that clients use follow it",
            Self::Platform(_) | Self::Server { .. } | Self::Unsure { .. } | Self::NotFollowed => {
                "it is tried again; see whether its pods are well"
            }
        }
    }
}

/// A Sentinel that was told to forget the master before is sure.
async fn is_sure(pod: &Pod, connector: &Connector, watched: &str, master: &OldNode) -> Result<(), Fault> {
    let asked = async { connector.connect(&at(pod, ports::SENTINEL)).await?.sentinel_master(watched).await };
    match asked.await {
        Ok(view) if view.endpoint.host == master.address && !view.flags.failover_in_progress() => Ok(()),
        Ok(_) => Err(Fault::Unsure { pod: pod.name_any(), master: master.pod.clone() }),
        Err(Error::Server { message, .. }) if message.contains("No such master") => Ok(()),
        Err(source) => Err(Fault::Server { pod: pod.name_any(), source }),
    }
}

async fn forget(pod: &Pod, connector: &Connector, watched: &str) -> Result<(), Fault> {
    let forgotten = async {
        let mut connection = connector.connect(&at(pod, ports::SENTINEL)).await?;
        match connection.sentinel_remove(watched).await {
            Err(Error::Server { message, .. }) if message.contains("No such master") => Ok(()),
            answer => answer,
        }
    };
    forgotten.await.map_err(|source| Fault::Server { pod: pod.name_any(), source })
}

fn at(pod: &Pod, number: i32) -> Endpoint {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
    Endpoint::new(address, u16::try_from(number).unwrap_or_default())
}

/// A node that the old operator made.
struct OldNode {
    pod: String,
    /// Where it was known before.
    address: String,
    /// Where it is announced from now on.
    server: Endpoint,
    connection: Connection,
    leads: bool,
}

impl OldNode {
    async fn reach(pod: &Pod, set: &SetConfig, connector: &Connector) -> Result<Self, Fault> {
        let name = pod.name_any();
        let fault = |source| Fault::Server { pod: pod.name_any(), source };
        let mut connection = connector.connect(&at(pod, ports::REDIS)).await.map_err(fault)?;
        let leads = matches!(connection.role().await.map_err(fault)?, Role::Master { .. });
        let server = set.node(&name).map(|node| node.server.clone());
        let server = server.unwrap_or_else(|| at(pod, ports::REDIS));
        Ok(Self { pod: name, address: at(pod, ports::REDIS).host, server, connection, leads })
    }

    /// Replicas and Sentinels may log in, and it announces itself by the address that outlives its pod.
    async fn let_in(&mut self, set: &SetConfig, own: &Secrets) -> Result<(), Fault> {
        let users = acl::node_users(set, own);
        for user in users.iter().filter(|user| !["default", AGENT_USER].contains(&user.name())) {
            self.call(user.set_user().arguments()).await?;
        }
        let (host, port) = (self.server.host.clone(), self.server.port.to_string());
        let settings = [
            ("masteruser", REPLICATION_USER),
            ("masterauth", own.replication.current().expose_secret()),
            ("replica-announce-ip", host.as_str()),
            ("replica-announce-port", port.as_str()),
        ];
        let set = self.connection.config_set(&settings).await;
        set.map_err(|source| self.fault(source))
    }

    /// As soon as they may ask the master, Redoubt's Sentinels begin to watch it.
    async fn let_agents_in(&mut self, set: &SetConfig, own: &Secrets) -> Result<(), Fault> {
        let users = acl::node_users(set, own);
        for user in users.iter().filter(|user| user.name() == AGENT_USER) {
            self.call(user.set_user().arguments()).await?;
        }
        Ok(())
    }

    async fn call(&mut self, arguments: &[String]) -> Result<(), Fault> {
        let called = self.connection.call(arguments).await;
        called.map(drop).map_err(|source| self.fault(source))
    }

    /// The master by its new address: a partial resynchronization, since it is the same server.
    async fn follow(&mut self, master: &Endpoint) -> Result<(), Fault> {
        let pointed = self.connection.replicaof(Some(master)).await;
        pointed.map_err(|source| self.fault(source))
    }

    /// Until every other node is attached, under its new address.
    async fn is_followed(&mut self, set: &SetConfig) -> Result<(), Fault> {
        let until = tokio::time::Instant::now() + RE_POINTED;
        loop {
            let seen = self.connection.replication().await.map_err(|source| self.fault(source))?;
            let attached = |server: &Endpoint| {
                seen.replicas.iter().any(|replica| replica.endpoint == *server && replica.is_online())
            };
            if set.nodes.iter().filter(|node| node.server != self.server).all(|node| attached(&node.server)) {
                return Ok(());
            }
            if tokio::time::Instant::now() >= until {
                return Err(Fault::NotFollowed);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn fault(&self, source: Error) -> Fault {
        Fault::Server { pod: self.pod.clone(), source }
    }
}
