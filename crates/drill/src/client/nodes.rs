//! Clients of single servers.

use redis::{Client, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisResult};
use redoubt_redis::Endpoint;
use secrecy::{ExposeSecret as _, SecretString};

/// A client of the server at this endpoint.
pub(crate) fn node_client(server: &Endpoint, password: Option<&SecretString>) -> RedisResult<Client> {
    let address = ConnectionAddr::Tcp(server.host.clone(), server.port);
    let mut settings = RedisConnectionInfo::default();
    if let Some(password) = password {
        settings = settings.set_password(password.expose_secret());
    }
    Client::open(address.into_connection_info()?.set_redis_settings(settings))
}
