//! TLS, with a certificate made for the test.

use std::{sync::Arc, time::Duration};

use redoubt_redis::{Connector, Endpoint, Error};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::server::{DEADLINE, Server, fresh_endpoint};

/// A server with TLS beside its plain port, and what trusts its certificate.
fn start() -> (Server, Endpoint, Arc<ClientConfig>) {
    let plain = fresh_endpoint(6379);
    let made = rcgen::generate_simple_self_signed([plain.host.clone(), "redis.test".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = ["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &cert];
    let others = ["--save", "", "--tls-port", "6380", "--tls-auth-clients", "no"];
    // Not every build of a server has TLS; the installed one has, and the test is of our side.
    let server = Server::start_at("redis-server".into(), plain.clone(), &[&others[..], &files[..]].concat());

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    (server, Endpoint::new(plain.host, 6380), Arc::new(config.with_no_client_auth()))
}

#[tokio::test]
async fn a_call_goes_through_tls_and_a_wrong_name_is_refused() {
    let (server, endpoint, config) = start();
    let plain = Connector::new(None, DEADLINE);
    for name in [None, Some("redis.test".to_owned())] {
        let connector = plain.clone().with_tls(Arc::clone(&config), name);
        connector.connect(&endpoint).await.unwrap().ping().await.unwrap();
    }
    let wrong = plain.clone().with_tls(Arc::clone(&config), Some("other.test".to_owned()));
    let refused = wrong.connect(&endpoint).await.unwrap_err();
    assert!(matches!(&refused, Error::Connect { why, .. } if why.contains("certificate")), "{refused}");

    let mixed_up = plain.connect(&endpoint).await.unwrap().ping().await.unwrap_err();
    assert!(matches!(mixed_up, Error::Protocol { .. } | Error::Closed { .. }), "{mixed_up}");
    let hasty = plain.with_deadline(Duration::from_millis(100)).with_tls(config, None);
    let mixed_up = hasty.connect(&server.endpoint).await.unwrap_err();
    assert!(matches!(mixed_up, Error::Timeout { .. }), "{mixed_up}");
}
