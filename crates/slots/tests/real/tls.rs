//! Clusters whose clients, nodes and migrations speak TLS, where the server under test was built with it.

use std::{process::Command, sync::Arc};

use redoubt_redis::{Connector, Credentials};
use redoubt_slots::{Access, Options, look};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tempfile::TempDir;

use crate::{
    harness::{DEADLINE, Lab, access, by_migrate, server_binary},
    moving::back_and_forth,
};

/// What the certificate of every node says.
const NAME: &str = "redis.test";
const PASSWORD: &str = "s3cret";

/// A certificate for all nodes, and what trusts it.
struct Trust {
    files: TempDir,
    config: Arc<ClientConfig>,
}

impl Trust {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(files.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        Self { files, config: Arc::new(config.with_no_client_auth()) }
    }

    /// No plain port is left open.
    fn directives(&self) -> Vec<String> {
        let file = |name: &str| self.files.path().join(name).display().to_string();
        let (cert, key) = (file("cert.pem"), file("key.pem"));
        [
            ["--port", "0"],
            ["--tls-port", "6379"],
            ["--tls-cluster", "yes"],
            ["--tls-replication", "yes"],
            ["--tls-auth-clients", "no"],
            ["--tls-cert-file", &cert],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &cert],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect()
    }

    fn access(&self) -> Access {
        let credentials = Some(Credentials { user: None, password: PASSWORD.into() });
        let connector = Connector::new(credentials.clone(), DEADLINE);
        Access::new(connector.with_tls(Arc::clone(&self.config), Some(NAME.to_owned())), credentials)
    }
}

/// Where it was built without TLS, a server does not know the directives, or has nobody to carry them out.
fn server_has_tls() -> bool {
    let nowhere = ["--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file"].map(|name| [name, "/nowhere"]);
    let mut server = Command::new(server_binary());
    let output = server.args(["--port", "0", "--tls-port", "6379"]).args(nowhere.concat()).output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    let says = |words: &str| said.contains(words);
    let lacks = says("Bad directive") || says("Failed finding TLS support");
    assert!(lacks || says("Failed to load certificate"), "the server was to refuse its certificate: {said}");
    !lacks
}

async fn lab(trust: &Trust) -> Option<Lab> {
    if !server_has_tls() {
        #[expect(clippy::print_stderr, reason = "a test that is left out says why")]
        {
            eprintln!("left out: {} was built without TLS", server_binary().display());
        }
        return None;
    }
    let directives = trust.directives();
    let mut args: Vec<&str> = directives.iter().map(String::as_str).collect();
    args.extend(["--requirepass", PASSWORD, "--masterauth", PASSWORD]);
    Some(Lab::of(3, 1, &args, trust.access()).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_over_tls_lose_nothing_under_writers() {
    let trust = Trust::new();
    for options in [by_migrate(), Options::default()] {
        let Some(lab) = lab(&trust).await else { return };
        back_and_forth(&lab, &options, 1000).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_no_tls_is_refused() {
    let trust = Trust::new();
    let Some(lab) = lab(&trust).await else { return };
    let plain = access(Some(PASSWORD));
    let refused = look(&plain, lab.entry()).await.unwrap_err().to_string();
    assert!(refused.contains(&lab.entry().to_string()) && !refused.contains(PASSWORD), "{refused}");
}
