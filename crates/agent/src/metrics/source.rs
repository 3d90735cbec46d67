//! The connection to the server, kept from one scrape to the next.

use std::{mem, time::Duration};

use bytes::Bytes;
use redoubt_redis::{Connection, Connector, Endpoint, Error, Value};
use tokio::sync::Mutex;

/// Where figures come from.
#[derive(Debug)]
pub(super) struct Source {
    connector: Connector,
    server: Endpoint,
    kept: Mutex<Option<Connection>>,
}

/// What the server says of itself.
#[derive(Debug)]
pub(super) struct Answer {
    /// Text of `INFO ALL`.
    pub(super) info: Bytes,
    /// Entries of the slow log, where there is one (a Sentinel has none).
    pub(super) slowlog: Option<u64>,
}

impl Source {
    pub(super) fn new(connector: Connector, server: Endpoint) -> Self {
        Self { connector, server, kept: Mutex::new(None) }
    }

    /// All sections and the length of the slow log.
    pub(super) async fn everything(&self, limit: Duration) -> Option<Answer> {
        let mut replies = self.ask(&[vec!["INFO", "ALL"], vec!["SLOWLOG", "LEN"]], limit).await?;
        let slowlog = replies.pop()?.ok().and_then(|reply| reply.as_u64().ok());
        Some(Answer { info: text(replies.pop()?)?, slowlog })
    }

    /// The default sections.
    pub(super) async fn info(&self, limit: Duration) -> Option<Bytes> {
        text(self.ask(&[vec!["INFO"]], limit).await?.pop()?)
    }

    /// One result a command, or `None` when there is no server that answers within the limit.
    async fn ask(&self, commands: &[Vec<&str>], limit: Duration) -> Option<Vec<Result<Value, Error>>> {
        match tokio::time::timeout(limit, self.exchange(commands)).await {
            Ok(Ok(replies)) => Some(replies),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no figures from the server");
                None
            }
            Err(_) => {
                tracing::debug!(limit_ms = limit.as_millis(), "no figures from the server in time");
                None
            }
        }
    }

    /// A kept connection may be dead since the last time (the server restarted, or closed it as idle): then once more
    /// over a new one.
    async fn exchange(&self, commands: &[Vec<&str>]) -> Result<Vec<Result<Value, Error>>, Error> {
        let mut kept = self.kept.lock().await;
        if let Some(mut connection) = mem::take(&mut *kept)
            && let Ok(replies) = connection.pipeline(commands).await
        {
            *kept = Some(connection);
            return Ok(replies);
        }
        let mut connection = self.connector.connect(&self.server).await?;
        let replies = connection.pipeline(commands).await?;
        *kept = Some(connection);
        Ok(replies)
    }
}

fn text(reply: Result<Value, Error>) -> Option<Bytes> {
    match reply {
        Ok(Value::Bulk(text)) => Some(text),
        Ok(other) => {
            tracing::debug!(got = other.describe(), "INFO is no text");
            None
        }
        Err(error) => {
            tracing::debug!(%error, "INFO was refused");
            None
        }
    }
}
