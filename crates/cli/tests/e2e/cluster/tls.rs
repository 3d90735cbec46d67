//! Over TLS, with servers that show a certificate and want to see one, where they were built with it.

use std::{net::TcpStream, process::Command};

use super::{Server, free_host, server_binary};
use crate::lab::{Lab, Said, wait_for};

const PASSWORD: &str = "s3cret-word";
const KEYS: usize = 200;

/// A certificate for all nodes and for us, which is its own authority.
struct Trust {
    cert: String,
    key: String,
}

impl Trust {
    fn new(lab: &Lab, name: &str, hosts: &[String]) -> Self {
        let made = rcgen::generate_simple_self_signed(hosts).unwrap();
        let file =
            |what: &str, text: &str| lab.file(&format!("{name}-{what}.pem"), text).display().to_string();
        Self { cert: file("cert", &made.cert.pem()), key: file("key", &made.signing_key.serialize_pem()) }
    }

    /// We trust it, and show it.
    fn words(&self) -> [&str; 7] {
        ["--tls", "--cacert", &self.cert, "--cert", &self.cert, "--key", &self.key]
    }

    /// No plain port is open, and who shows no certificate is refused, as by default.
    fn servers(&self, lab: &Lab, hosts: &[String]) -> Vec<Server> {
        let (cert, key) = (self.cert.as_str(), self.key.as_str());
        let args = [
            ["--tls-cluster", "yes"],
            ["--tls-replication", "yes"],
            ["--tls-cert-file", cert],
            ["--tls-key-file", key],
            ["--tls-ca-cert-file", cert],
            ["--requirepass", PASSWORD],
            ["--masterauth", PASSWORD],
        ];
        let start = |host: &String| {
            let server = Server::start_at(lab, host, &["--port", "0", "--tls-port", "6379"], &args.concat());
            wait_for("a server", 60, || TcpStream::connect(&server.address).is_ok());
            server
        };
        hosts.iter().map(start).collect()
    }
}

fn run(lab: &Lab, words: &[&str], tls: &[&str]) -> Said {
    let mut command = lab.command([&["cluster"], words, tls].concat());
    Said::from(command.env("REDOUBT_CLUSTER_PASSWORD", PASSWORD).output().unwrap())
}

/// One lab for all of it: two clusters' worth of servers are slow to start.
#[test]
fn a_cluster_that_speaks_tls_is_made_and_moved_about_and_strangers_are_told() {
    let lab = Lab::heavy();
    if !has_tls() {
        eprintln!("left out: {} was built without TLS", server_binary().display());
        return;
    }
    let hosts: Vec<String> = (0..3).map(|_| free_host()).collect();
    let trust = Trust::new(&lab, "nodes", &hosts);
    let servers = trust.servers(&lab, &hosts);
    let addresses: Vec<&str> = servers.iter().map(|server| server.address.as_str()).collect();
    let [a, b, _] = addresses[..] else { unreachable!() };
    let tls = trust.words();

    run(&lab, &[&["create", "--yes"], &addresses[..]].concat(), &tls).ok();
    fill(&trust, &hosts[0]);
    let reshard = ["reshard", "--addr", a, "--from", a, "--to", b, "--slots", "2000", "--yes", "-o", "json"];
    let moved = run(&lab, &reshard, &tls).ok().json();
    assert!(moved["slots"] == 2000 && moved["keys"].as_u64() > Some(0), "{moved}");
    run(&lab, &["check", "--addr", a], &tls).ok();
    let info = run(&lab, &["info", "--addr", b, "-o", "json"], &tls).ok().json();
    let keys: u64 = info["masters"].as_array().unwrap().iter().map(|one| one["keys"].as_u64().unwrap()).sum();
    assert_eq!(keys, KEYS as u64);

    let check = ["check", "--addr", a];
    run(&lab, &check, &[]).failed(1, &[a, "--tls"]);
    run(&lab, &check, &tls[..3]).failed(1, &[a, "--cert"]);
    let stranger = Trust::new(&lab, "stranger", &hosts);
    run(&lab, &check, &stranger.words()).failed(1, &[a, "certificate", "--cacert"]);
    run(&lab, &check, &[&tls[..], &["--sni", "redis.test"]].concat()).failed(1, &[a, "redis.test", "--sni"]);
    run(&lab, &check, &["--tls", "--cacert", &trust.key]).failed(2, &["no certificate", "hint: "]);
    run(&lab, &check, &["--tls"]).failed(2, &["--cacert"]);
}

/// By redis-cli, which follows the nodes' redirections.
fn fill(trust: &Trust, host: &str) {
    for number in 0..KEYS {
        let mut client = Command::new("redis-cli");
        client.args(trust.words()).args(["-c", "-h", host, "--no-auth-warning", "-a", PASSWORD]);
        let set = client.args(["SET", &format!("key:{number}"), "value"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&set.stdout), "OK\n", "{set:?}");
    }
}

/// Where it was built without, a server does not know the directives, or has nobody to carry them out.
fn has_tls() -> bool {
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
