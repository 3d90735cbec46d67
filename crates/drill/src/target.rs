//! The set a drill works on.

use std::{collections::BTreeMap, sync::Arc};

use redoubt_redis::Endpoint;
use redoubt_wire::{client::AgentClient, config::SetConfig, secrets::Secrets};
use secrecy::SecretString;

/// The set a drill works on: who its members are, and the passwords to them.
#[derive(Debug, Clone)]
pub struct Target {
    /// The configuration its agents share.
    pub config: SetConfig,
    /// The passwords of the application, of the Sentinels, and the agents' token.
    pub secrets: Secrets,
    /// Where what was announced is reached from here; as announced, if it is not named.
    pub reach: BTreeMap<Endpoint, Endpoint>,
    /// The Service that leads to the master, where the platform has one.
    pub service: Option<Endpoint>,
}

/// One agent of the set.
pub(crate) struct Agent {
    /// Name of its node or Sentinel.
    pub name: String,
    pub client: Arc<AgentClient>,
}

impl Target {
    /// A set whose members are reached where they are announced.
    #[must_use]
    pub fn new(config: SetConfig, secrets: Secrets) -> Self {
        Self { config, secrets, reach: BTreeMap::new(), service: None }
    }

    /// The part of a cluster that holds the slots of this shard; `None`: it has no such shard.
    pub(crate) fn shard(&self, shard: u32) -> Option<Self> {
        let mut part = self.clone();
        part.config.nodes.retain(|node| node.shard == Some(shard));
        (!part.config.nodes.is_empty()).then_some(part)
    }

    /// Where this member is reached from here.
    pub(crate) fn reached<'a>(&'a self, announced: &'a Endpoint) -> &'a Endpoint {
        self.reach.get(announced).unwrap_or(announced)
    }

    /// Clients reach every member where it is announced.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.reach.is_empty()
    }

    /// The agents of all nodes and Sentinels.
    pub(crate) fn agents(&self) -> Vec<Agent> {
        let token = Arc::new(self.secrets.token.current().clone());
        let agent = |name: &str, endpoint: &Endpoint| Agent {
            name: name.to_owned(),
            client: Arc::new(AgentClient::new(self.reached(endpoint).clone(), token.clone())),
        };
        let nodes = self.config.nodes.iter().map(|node| agent(&node.name, &node.agent));
        let sentinels = self.config.sentinel().into_iter().flat_map(|sentinel| &sentinel.sentinels);
        nodes.chain(sentinels.map(|entry| agent(&entry.name, &entry.agent))).collect()
    }

    /// The application's password at the nodes, where one is asked for.
    pub(crate) fn password(&self) -> Option<&SecretString> {
        self.config.access.auth.then(|| self.secrets.application.current())
    }

    /// The application's password at the Sentinels, where one is asked for.
    pub(crate) fn sentinel_password(&self) -> Option<&SecretString> {
        self.config.access.asks_at_sentinels().then(|| self.secrets.sentinel.current())
    }
}
