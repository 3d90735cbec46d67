//! How the nodes of a cluster are reached: one log-in for all of them, as nodes log in at each other when keys move.

use redoubt_redis::{Connection, Connector, Credentials, Endpoint, Error};
use secrecy::ExposeSecret as _;

/// Reaches every node of one cluster.
#[derive(Debug, Clone)]
pub struct Access {
    connector: Connector,
    credentials: Option<Credentials>,
}

impl Access {
    /// By this connector, whose credentials are handed to MIGRATE as well.
    #[must_use]
    pub fn new(connector: Connector, credentials: Option<Credentials>) -> Self {
        Self { connector, credentials }
    }

    /// A connection, logged in.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, Error> {
        self.connector.connect(endpoint).await
    }

    /// `AUTH password` or `AUTH2 user password`, as MIGRATE takes it. Servers hide it from their logs.
    pub(crate) fn migrate_words(&self) -> Vec<Vec<u8>> {
        let Some(Credentials { user, password }) = &self.credentials else { return Vec::new() };
        let password = password.expose_secret().as_bytes().to_vec();
        match user {
            Some(user) => vec![b"AUTH2".to_vec(), user.as_bytes().to_vec(), password],
            None => vec![b"AUTH".to_vec(), password],
        }
    }
}
