//! Real servers for tests: each on a loopback address of its own, gone when its guard is dropped.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use redoubt_redis::{Connection, Connector, Credentials, Endpoint, Error};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Long enough for a busy machine, short enough to fail a test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A running redis-server or redis-sentinel.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    pub(crate) dir: TempDir,
    child: Child,
}

impl Server {
    /// A server with these arguments behind the address, the folder and the port.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_at(server_binary(), fresh_endpoint(6379), args)
    }

    /// The same with a binary and at an address of the test's own.
    pub(crate) fn start_at(binary: OsString, endpoint: Endpoint, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("redis.conf");
        let lines = format!("dir {}\nreplica-announce-ip {}\n", dir.path().display(), endpoint.host);
        std::fs::write(&file, lines).unwrap();
        let mut command = Command::new(binary);
        command.arg(&file).args(["--bind", &endpoint.host, "--port", &endpoint.port.to_string()]).args(args);
        Self::spawn(command, endpoint, dir, "Ready to accept connections")
    }

    /// Stops the process as a hang does: it keeps its connections and answers nothing.
    pub(crate) fn freeze(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// A replica of this server, not yet linked.
    pub(crate) fn replica(&self) -> Self {
        Self::start(&["--save", "", "--replicaof", &self.endpoint.host, &self.endpoint.port.to_string()])
    }

    /// A Sentinel that watches this server as `mymaster`.
    pub(crate) fn sentinel(&self, quorum: u32) -> Self {
        let endpoint = fresh_endpoint(26379);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sentinel.conf");
        let (host, master) = (&endpoint.host, &self.endpoint);
        let lines = format!(
            "bind {host}\nport {}\nsentinel announce-ip {host}\nsentinel monitor mymaster {} {} {quorum}\n",
            endpoint.port, master.host, master.port
        );
        std::fs::write(&file, lines).unwrap();
        let mut command = Command::new(server_binary());
        command.arg(&file).arg("--sentinel");
        Self::spawn(command, endpoint, dir, "+monitor master")
    }

    fn spawn(mut command: Command, endpoint: Endpoint, dir: TempDir, ready: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut seen = Vec::new();
        let started = lines.by_ref().inspect(|line| seen.push(line.clone())).any(|line| line.contains(ready));
        assert!(started, "the server ended: {seen:#?}");
        std::thread::spawn(move || lines.for_each(drop));
        Self { endpoint, dir, child }
    }

    /// A connection without log-in.
    pub(crate) async fn connect(&self) -> Connection {
        self.try_connect().await.unwrap()
    }

    /// The same, of a server that may be gone.
    pub(crate) async fn try_connect(&self) -> Result<Connection, Error> {
        Connector::new(None, DEADLINE).connect(&self.endpoint).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The server under test: `REDOUBT_TEST_SERVER`, else what is installed.
fn server_binary() -> OsString {
    std::env::var_os("REDOUBT_TEST_SERVER").unwrap_or_else(|| "redis-server".into())
}

/// Asks again until the answer is as it should be; panics after [`DEADLINE`].
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + DEADLINE;
    while !check().await {
        assert!(tokio::time::Instant::now() < end, "not yet: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Credentials of this user.
pub(crate) fn credentials(user: Option<&str>, password: &str) -> Credentials {
    Credentials { user: user.map(str::to_owned), password: password.into() }
}

/// An address nobody else uses: process id and a counter in 127.64.0.0/10.
pub(crate) fn fresh_endpoint(port: u16) -> Endpoint {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Room for 67 servers of each test process.
    let number = std::process::id().wrapping_mul(67).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    let (low, middle, high) = (1 + number % 254, number / 254 % 256, 64 + number / 254 / 256 % 64);
    Endpoint::new(format!("127.{high}.{middle}.{low}"), port)
}
