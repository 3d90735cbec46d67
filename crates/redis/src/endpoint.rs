//! Where a server listens.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A host (address or name) and a port, written `host:port` (`[host]:port` for IPv6).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    /// Address or host name, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// What is wrong with the text of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not host:port")]
pub struct EndpointError(String);

impl Endpoint {
    /// An endpoint of these parts.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let fault = || EndpointError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(fault());
        }
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| fault())? })
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_endpoint_are_the_same_thing() {
        for text in ["127.3.0.1:6379", "cart-0.cart:6379", "[fd00::1]:26379"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in ["", "host", "host:", ":1", "host:99999", "[]:1"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
