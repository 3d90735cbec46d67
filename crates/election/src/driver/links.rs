//! Connections to everybody, kept between the calls of one election.

use std::sync::{Mutex, PoisonError};

use redoubt_redis::{Connection, Connector, Endpoint, Error};

/// One server or Sentinel.
pub(super) struct Link {
    endpoint: Endpoint,
    connector: Connector,
    /// Two calls may be under way at once: one that hangs must not hold the other up.
    idle: Mutex<Vec<Connection>>,
}

impl Link {
    pub(super) fn new(endpoint: Endpoint, connector: Connector) -> Self {
        Self { endpoint, connector, idle: Mutex::default() }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Lends a connection to `ask`. A kept one may have been cut meanwhile (Sentinel's `REPLICAOF` comes with
    /// `CLIENT KILL`): then a fresh one is lent. Everything that is asked can be asked twice.
    pub(super) async fn with<T>(
        &self,
        ask: impl AsyncFn(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(mut kept) = self.take() {
            match ask(&mut kept).await {
                Err(Error::Closed { .. }) => {}
                answer => return self.give_back(kept, answer),
            }
        }
        let mut fresh = self.connector.connect(&self.endpoint).await?;
        let answer = ask(&mut fresh).await;
        self.give_back(fresh, answer)
    }

    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back<T>(&self, connection: Connection, answer: Result<T, Error>) -> Result<T, Error> {
        if !connection.is_broken() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        answer
    }
}
