//! One connection that is kept.

use redoubt_redis::{Connection, Connector, Endpoint, Error};

/// A connection to one server, made when it is wanted and made anew when the last one broke.
pub(crate) struct Kept {
    endpoint: Endpoint,
    connector: Connector,
    connection: Option<Connection>,
}

impl Kept {
    pub(crate) fn new(endpoint: Endpoint, connector: Connector) -> Self {
        Self { endpoint, connector, connection: None }
    }

    /// Where it leads.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The connection.
    pub(crate) async fn get(&mut self) -> Result<&mut Connection, Error> {
        let kept = self.connection.take().filter(|connection| !connection.is_broken());
        let connection = match kept {
            Some(connection) => connection,
            None => self.connector.connect(&self.endpoint).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// The next one is a new one.
    pub(crate) fn close(&mut self) {
        self.connection = None;
    }
}
