//! A server that ends with its guard.

use std::{
    fs::File,
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use redoubt_redis::{Connection, Connector, Credentials, Endpoint, Error};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{Instant, sleep};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) endpoint: Endpoint,
}

impl Server {
    /// Starts one with this configuration, written to `name.conf` in the folder; its log is `name.log` beside it.
    pub(crate) fn start(dir: &Path, name: &str, conf: &str, endpoint: &Endpoint) -> Self {
        let path = dir.join(format!("{name}.conf"));
        std::fs::write(&path, conf).unwrap();
        let log = File::options().create(true).append(true).open(dir.join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(crate::binary());
        command.arg(&path).args(conf.contains("sentinel monitor").then_some("--sentinel"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        Self { child: command.spawn().unwrap(), endpoint: endpoint.clone() }
    }

    /// kill -9, and the end of it; a save that it has begun goes on in its child.
    pub(crate) fn kill(&mut self) {
        let _: io::Result<()> = self.child.kill();
        let _ = self.child.wait();
    }

    /// A connection as this user, as soon as the server answers commands.
    pub(crate) async fn connect(&self, user: Option<&str>, password: &str) -> Connection {
        let credentials = Credentials { user: user.map(str::to_owned), password: password.into() };
        let connector = Connector::new(Some(credentials), Duration::from_secs(5));
        let deadline = Instant::now() + PATIENCE;
        loop {
            match attempt(&connector, &self.endpoint).await {
                Ok(connection) => return connection,
                Err(error) if Instant::now() > deadline || refused(&error) => {
                    panic!("{} does not answer: {error}", self.endpoint)
                }
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

async fn attempt(connector: &Connector, endpoint: &Endpoint) -> Result<Connection, Error> {
    let mut connection = connector.connect(endpoint).await?;
    connection.ping().await?;
    Ok(connection)
}

fn refused(error: &Error) -> bool {
    matches!(error, Error::Auth { .. }) || matches!(error.code(), Some("NOPERM" | "NOAUTH"))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        self.kill();
    }
}

/// Tries again until it holds, or fails with what it was waiting for.
pub(crate) async fn until<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
