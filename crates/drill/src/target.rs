//! The set a drill works on.

use std::sync::Arc;

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
}

/// One agent of the set.
pub(crate) struct Agent {
    /// Name of its node or Sentinel.
    pub name: String,
    pub client: Arc<AgentClient>,
}

impl Target {
    /// The agents of all nodes and Sentinels.
    pub(crate) fn agents(&self) -> Vec<Agent> {
        let token = Arc::new(self.secrets.token.current().clone());
        let agent = |name: &str, endpoint: &Endpoint| Agent {
            name: name.to_owned(),
            client: Arc::new(AgentClient::new(endpoint.clone(), token.clone())),
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
        self.config.access.auth.then(|| self.secrets.sentinel.current())
    }
}
