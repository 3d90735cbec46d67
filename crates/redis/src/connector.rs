//! How connections are made: log-in, TLS and deadline in one place.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    connection::{Connection, Stream},
    endpoint::Endpoint,
    error::Error,
};

/// Who logs in. `Debug` shows the user only.
#[derive(Clone)]
pub struct Credentials {
    /// ACL user; `None` is `default`, by the one-argument AUTH that every version knows.
    pub user: Option<String>,
    /// Its password.
    pub password: SecretString,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Makes connections. Cheap to clone; all clones share the credentials, so that a rotation reaches everybody.
#[derive(Debug, Clone)]
pub struct Connector {
    credentials: Arc<RwLock<Option<Arc<Credentials>>>>,
    deadline: Duration,
    tls: Option<Tls>,
    reach: Arc<BTreeMap<Endpoint, Endpoint>>,
}

#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    server_name: Option<String>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl Connector {
    /// A connector without TLS. The deadline bounds connect and log-in together, and is that of each call after.
    #[must_use]
    pub fn new(credentials: Option<Credentials>, deadline: Duration) -> Self {
        let credentials = Arc::new(RwLock::new(credentials.map(Arc::new)));
        Self { credentials, deadline, tls: None, reach: Arc::default() }
    }

    /// The same over TLS. `server_name` is what the certificate must say; by default the endpoint's host.
    #[must_use]
    pub fn with_tls(mut self, config: Arc<rustls::ClientConfig>, server_name: Option<String>) -> Self {
        self.tls = Some(Tls { connector: TlsConnector::from(config), server_name });
        self
    }

    /// Where what is announced is reached from here, as by a tunnel; as announced, if it is not named.
    #[must_use]
    pub fn with_reach(mut self, reach: BTreeMap<Endpoint, Endpoint>) -> Self {
        self.reach = Arc::new(reach);
        self
    }

    /// The same credentials and TLS with another deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The deadline of connections made here.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Replaces the credentials of this connector and of all its clones. Open connections stay logged in.
    pub fn set_credentials(&self, credentials: Option<Credentials>) {
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = credentials.map(Arc::new);
    }

    /// A connection, logged in.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, Error> {
        let peer: Arc<str> = endpoint.to_string().into();
        self.bounded(&peer, async {
            let stream = self.open(endpoint).await.map_err(|error| refused(&peer, &error))?;
            self.log_in(Connection::new(stream, Arc::clone(&peer), self.deadline)).await
        })
        .await
    }

    /// A connection through a unix socket, logged in. TLS does not apply.
    pub async fn connect_unix(&self, path: &Path) -> Result<Connection, Error> {
        let peer: Arc<str> = path.display().to_string().into();
        self.bounded(&peer, async {
            let stream = UnixStream::connect(path).await.map_err(|error| refused(&peer, &error))?;
            self.log_in(Connection::new(Box::new(stream), Arc::clone(&peer), self.deadline)).await
        })
        .await
    }

    async fn bounded(
        &self,
        peer: &Arc<str>,
        connecting: impl Future<Output = Result<Connection, Error>>,
    ) -> Result<Connection, Error> {
        timeout(self.deadline, connecting).await.unwrap_or_else(|_| {
            Err(Error::Timeout {
                peer: Arc::clone(peer),
                command: "connect".to_owned(),
                after: self.deadline,
            })
        })
    }

    async fn open(&self, endpoint: &Endpoint) -> io::Result<Stream> {
        let reached = self.reach.get(endpoint).unwrap_or(endpoint);
        let stream = TcpStream::connect((reached.host.as_str(), reached.port)).await?;
        // Every command is one small packet that somebody waits for.
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = tls.server_name.clone().unwrap_or_else(|| endpoint.host.clone());
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        Ok(Box::new(tls.connector.connect(name, stream).await?))
    }

    async fn log_in(&self, mut connection: Connection) -> Result<Connection, Error> {
        let credentials = self.credentials.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(credentials) = credentials else { return Ok(connection) };
        let password = credentials.password.expose_secret();
        let answer = match &credentials.user {
            Some(user) => connection.call(&["AUTH", user, password]).await,
            None => connection.call(&["AUTH", password]).await,
        };
        match answer {
            Ok(_) => Ok(connection),
            Err(Error::Server { peer, code, message, .. }) if is_about_login(&code, &message) => {
                Err(Error::Auth {
                    peer,
                    user: credentials.user.clone().unwrap_or_else(|| "default".to_owned()),
                    message: format!("{code} {message}"),
                })
            }
            Err(other) => Err(other),
        }
    }
}

/// `WRONGPASS`, or `ERR AUTH <password> called without any password configured`; not `ERR max number of clients`.
fn is_about_login(code: &str, message: &str) -> bool {
    matches!(code, "WRONGPASS" | "NOPERM" | "NOAUTH") || message.contains("AUTH")
}

fn refused(peer: &Arc<str>, error: &io::Error) -> Error {
    Error::Connect { peer: Arc::clone(peer), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_show_their_password() {
        let credentials = Credentials { user: Some("agent".to_owned()), password: "s3cret".into() };
        let connector = Connector::new(Some(credentials.clone()), Duration::from_secs(1));
        for shown in [format!("{credentials:?}"), format!("{connector:?}")] {
            assert!(shown.contains("agent") && !shown.contains("s3cret"), "{shown}");
        }
    }
}
