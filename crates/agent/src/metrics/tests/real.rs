//! Real servers, each on a loopback address of its own; ended when dropped.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use redoubt_redis::{Connector, Endpoint};
use redoubt_supervise::{Child, Lines, OwnChildren, Spawn, SpawnError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::super::Metrics;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Process {
    child: Child,
    _lines: Lines,
}

/// Starts a program and waits until it says this. `None` when it is not installed.
pub(super) async fn start(program: &str, args: &[String], ready: &str) -> Option<Process> {
    let child = match Spawn::new(program).args(args).spawn(&OwnChildren::default()) {
        Ok(child) => child,
        Err(SpawnError::Start { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let mut lines = child.lines().unwrap();
    let said = async {
        while let Some(line) = lines.next().await {
            if line.contains(ready) {
                return;
            }
        }
        panic!("{program} ended: {}", child.wait().await);
    };
    tokio::time::timeout(PATIENCE, said).await.unwrap();
    Some(Process { child, _lines: lines })
}

pub(super) struct Server {
    pub(super) endpoint: Endpoint,
    process: Process,
    _dir: tempfile::TempDir,
}

impl Server {
    pub(super) async fn start(args: &[&str]) -> Self {
        Self::start_at(fresh(6379), args).await
    }

    pub(super) async fn start_at(endpoint: Endpoint, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = endpoint.port.to_string();
        let own = ["--bind", &endpoint.host, "--port", &port, "--dir", dir.path().to_str().unwrap()];
        let args: Vec<String> = own.iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        let process = start(&binary(), &args, "Ready to accept connections").await.unwrap();
        Self { endpoint, process, _dir: dir }
    }

    pub(super) async fn sentinel(&self) -> Self {
        let (endpoint, dir) = (fresh(26379), tempfile::tempdir().unwrap());
        let file = dir.path().join("sentinel.conf");
        let Endpoint { host, port } = &self.endpoint;
        let text = format!(
            "bind {}\nport {}\nsentinel monitor mymaster {host} {port} 1\n",
            endpoint.host, endpoint.port
        );
        std::fs::write(&file, text).unwrap();
        let args = [file.to_str().unwrap(), "--sentinel"].map(str::to_owned);
        let process = start(&binary(), &args, "+monitor master").await.unwrap();
        Self { endpoint, process, _dir: dir }
    }

    pub(super) fn child(&self) -> &Child {
        &self.process.child
    }

    pub(super) fn metrics(&self) -> Metrics {
        Metrics::new("cart", &Connector::new(None, PATIENCE), self.endpoint.clone())
    }

    pub(super) async fn ask(&self, command: &[&str]) {
        let mut connection = Connector::new(None, PATIENCE).connect(&self.endpoint).await.unwrap();
        connection.call(command).await.unwrap();
    }

    /// Waits until INFO says this.
    pub(super) async fn wait_for(&self, text: &str) {
        let mut connection = Connector::new(None, PATIENCE).connect(&self.endpoint).await.unwrap();
        let found = async {
            loop {
                let info = connection.call(&["INFO"]).await.unwrap();
                if info.as_str().unwrap().contains(text) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap();
    }
}

/// The server under test: `REDOUBT_TEST_SERVER`, else what is installed.
fn binary() -> String {
    std::env::var("REDOUBT_TEST_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

/// An address of this test alone: from the process id and a count, in 127.128.0.0/10.
pub(super) fn fresh(port: u16) -> Endpoint {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id().wrapping_mul(61).wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed));
    let (low, middle, high) = (1 + number % 254, number / 254 % 256, 128 + number / 254 / 256 % 64);
    Endpoint::new(format!("127.{high}.{middle}.{low}"), port)
}

/// The body of an answer, as soon as somebody listens there.
pub(super) async fn get(at: &Endpoint, path: &str) -> String {
    let connected = async {
        loop {
            match TcpStream::connect((at.host.as_str(), at.port)).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let mut stream = tokio::time::timeout(PATIENCE, connected).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_server_that_restarts_or_hangs_or_is_gone_costs_one_answer_at_most() {
    let server = Server::start(&[]).await;
    let metrics = server.metrics();
    let state = crate::state::tests::node();
    let up = async || metrics.render(&state).await.contains("\nredis_up 1\n");
    assert!(up().await);
    assert_eq!(metrics.live().await.map(|live| live.keys), Some(0));

    server.child().signal(redoubt_supervise::Signal::STOP).unwrap();
    let asked = tokio::time::Instant::now();
    assert_eq!(metrics.live().await, None);
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert!(!up().await);
    server.child().signal(redoubt_supervise::Signal::CONT).unwrap();
    assert!(up().await);

    let endpoint = server.endpoint.clone();
    drop(server);
    assert!(!up().await);
    let _again = Server::start_at(endpoint, &[]).await;
    assert!(up().await);
}

#[tokio::test]
async fn a_restart_between_two_scrapes_is_not_seen_as_down() {
    let server = Server::start(&[]).await;
    let (metrics, state) = (server.metrics(), crate::state::tests::node());
    metrics.render(&state).await;
    let endpoint = server.endpoint.clone();
    drop(server);
    let _again = Server::start_at(endpoint, &[]).await;
    assert!(metrics.render(&state).await.contains("\nredis_up 1\n"));
}
