//! A throw-away server: what a configuration is worth is asked of the very binary that is to run with it.
//!
//! It listens on nothing but a unix socket in a folder of its own, writes no data, and is gone, folder and all, when
//! the [`Trial`] is dropped. Should this process be killed in between, [`sweep`] ends what it left behind.

mod check;
mod defaults;
mod dir;
mod verdict;

use std::{path::Path, process::Stdio, time::Duration};

pub use check::{check, check_sentinel};
pub use defaults::defaults;
use dir::TrialDir;
pub use dir::sweep;
use redoubt_redis::{Connection, Connector, Credentials, conf::ConfFile};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::unix::pipe::Receiver,
    process::{Child, Command},
    time::timeout,
};
pub use verdict::Refusal;

/// How long a throw-away server may take to be ready: it loads no data; measured 20 ms, and 2 s on a machine with ten
/// times as many busy processes as cores.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// How long it may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Who may talk to it whatever users the tried configuration has.
const USER: &str = "redoubt-trial";

/// The throw-away server gave no verdict on the configuration.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The server refused the configuration.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No folder for it.
    #[error("cannot prepare a throw-away server in {}: {source}; check that the folder is writable", .path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// It did not start.
    #[error("cannot start {}: {source}; check that it is installed", .server.display())]
    Start {
        /// The binary.
        server: std::path::PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// It was neither ready nor gone in time.
    #[error("a throw-away server did not get ready within {} s; the machine may be overloaded", .0.as_secs())]
    Silent(Duration),
    /// It ran and did not answer.
    #[error("a throw-away server did not answer: {0}")]
    Mute(#[from] redoubt_redis::Error),
}

/// A data node or a Sentinel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Node,
    Sentinel,
}

/// A running throw-away server.
#[derive(Debug)]
struct Trial {
    child: Child,
    dir: TrialDir,
    /// Kept open: a server whose output nobody takes would end.
    _output: Lines<BufReader<Receiver>>,
}

impl Trial {
    /// Starts one with these directives, in which nothing may say where it listens or what it keeps, and waits until
    /// it is ready.
    async fn start(
        server: &Path,
        kind: Kind,
        mut conf: ConfFile,
        scratch: &Path,
    ) -> Result<Self, TrialError> {
        let dir = TrialDir::make(scratch)?;
        frame(&mut conf, kind);
        let conf = dir.write_conf(&conf.to_string())?;
        let start = |source| TrialError::Start { server: server.to_path_buf(), source };
        let (output, input) = std::io::pipe().map_err(start)?;
        let mut command = Command::new(server);
        command.arg(conf).args((kind == Kind::Sentinel).then_some("--sentinel")).current_dir(dir.path());
        command
            .stdin(Stdio::null())
            .stdout(input.try_clone().map_err(start)?)
            .stderr(input)
            .kill_on_drop(true);
        let child = command.spawn().map_err(start)?;
        // Holds the writing ends, without which the end of the output would never be seen.
        drop(command);
        let output = Receiver::from_owned_fd(output.into()).map_err(start)?;
        let mut output = BufReader::new(output).lines();
        match timeout(READY_WITHIN, until_ready(&mut output, kind)).await {
            Ok(Ok(())) => Ok(Self { child, dir, _output: output }),
            Ok(Err(said)) => Err(Refusal::read(&said).into()),
            Err(_) => Err(TrialError::Silent(READY_WITHIN)),
        }
    }

    async fn connect(&self) -> Result<Connection, TrialError> {
        Ok(connect(&self.dir.socket()).await?)
    }

    /// Ends it and sees it ended. (A dropped one is killed as well, and collected later.)
    async fn stop(mut self) {
        // It can only fail because it has ended already.
        let _ = self.child.kill().await;
    }
}

async fn connect(socket: &Path) -> Result<Connection, redoubt_redis::Error> {
    let credentials = Credentials { user: Some(USER.to_owned()), password: "".into() };
    Connector::new(Some(credentials), ANSWER_WITHIN).connect_unix(socket).await
}

/// What a trial puts behind the directives; the last word counts.
fn frame(conf: &mut ConfFile, kind: Kind) {
    conf.add(&["port"], &["0"]);
    conf.add(&["unixsocket"], &[dir::SOCKET]);
    conf.add(&["unixsocketperm"], &["700"]);
    conf.add(&["loglevel"], &["notice"]);
    conf.add(&["user", USER], &["on", "nopass", "+@all", "~*", "&*"]);
    if kind == Kind::Node {
        // Without a port of its own there is no bus; what else is said of a cluster is read all the same.
        conf.add(&["cluster-enabled"], &["no"]);
        conf.add(&["save"], &[""]);
        conf.add(&["appendonly"], &["no"]);
    }
}

/// Reads until the server is ready; gives what it said when it ended instead.
async fn until_ready(output: &mut Lines<BufReader<Receiver>>, kind: Kind) -> Result<(), Vec<String>> {
    // The first of these lines is about the socket in every version that says anything of it.
    let ready = match kind {
        Kind::Node => "ready to accept connections",
        Kind::Sentinel => "Sentinel ID is",
    };
    let mut said = Vec::new();
    while let Ok(Some(line)) = output.next_line().await {
        if line.to_ascii_lowercase().contains(&ready.to_ascii_lowercase()) {
            return Ok(());
        }
        said.push(line);
        if said.len() > verdict::LINES {
            said.remove(0);
        }
    }
    Err(said)
}
