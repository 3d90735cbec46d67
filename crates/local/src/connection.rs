//! How an application connects to a set.

use redoubt_redis::Endpoint;
use redoubt_wire::{config::SetConfig, secrets::Secrets};
use secrecy::SecretString;

/// The user that applications log in as.
pub const APPLICATION_USER: &str = "default";

/// How an application connects to a set.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The set.
    pub name: String,
    /// Under which name the Sentinels know the master; none in `Standalone`.
    pub master_name: Option<String>,
    /// The Sentinels.
    pub sentinels: Vec<Endpoint>,
    /// All nodes of a cluster: a client asks any of them where a key is. None in other modes.
    pub cluster: Vec<Endpoint>,
    /// Who takes writes now, where that is known.
    pub master: Option<Endpoint>,
    /// The other nodes.
    pub replicas: Vec<Endpoint>,
    /// Whom to log in as.
    pub username: String,
    /// Password at the nodes, where one is asked for.
    pub password: Option<SecretString>,
    /// Password at the Sentinels, where one is asked for.
    pub sentinel_password: Option<SecretString>,
}

impl Connection {
    /// From the configuration of a set and the name of the node that leads.
    pub(crate) fn new(config: &SetConfig, secrets: &Secrets, master: Option<&str>) -> Self {
        let sentinel = config.sentinel();
        let leads = |name: &str| master == Some(name);
        let server = |name: &str| config.node(name).map(|node| node.server.clone());
        let others =
            config.nodes.iter().filter(|node| !leads(&node.name)).map(|node| node.server.clone()).collect();
        let (cluster, replicas) =
            if config.cluster().is_some() { (others, Vec::new()) } else { (Vec::new(), others) };
        Self {
            name: config.name.clone(),
            master_name: sentinel.map(|sentinel| sentinel.master_name.clone()),
            sentinels: sentinel
                .into_iter()
                .flat_map(|sentinel| sentinel.sentinels.iter().map(|entry| entry.server.clone()))
                .collect(),
            master: master.and_then(server),
            cluster,
            replicas,
            username: APPLICATION_USER.to_owned(),
            password: config.access.auth.then(|| secrets.application.current().clone()),
            sentinel_password: (config.access.auth && sentinel.is_some())
                .then(|| secrets.sentinel.current().clone()),
        }
    }
}
