//! The server process an agent looks after, and the one connection kept to it.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use redoubt_redis::{Connection, Connector, Endpoint, Error, version::ServerVersion};
use redoubt_serverconf::files::{off_thread, replace};
use redoubt_supervise::{Child, Exit, Lines, OwnChildren, Signal, Spawn, SpawnError};

use tokio::sync::oneshot;

use crate::{fault::Fault, kept::Kept, logs::ServerLog};

/// A program that prints its version and ends, on a machine that is busy.
const ANSWER: Duration = Duration::from_secs(5);

/// Redis takes a further SIGTERM for the first one; only a second SIGINT would keep it from saving.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A server that is starting binds its port within milliseconds; asked this often until then.
const FIRST_ANSWER: Duration = Duration::from_millis(5);

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// Its configuration file cannot be written.
    #[error("cannot write {path}: {source}; check the data folder's disk and permissions")]
    Write { path: PathBuf, source: io::Error },
    /// Its process cannot be made.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// Its output cannot be read.
    #[error("cannot read the output of the server: {0}")]
    Output(#[source] io::Error),
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    reader: tokio::task::JoinHandle<Lines>,
    stop_reading: oneshot::Sender<()>,
    kept: Kept,
}

/// Asks a server's binary for its version.
pub(crate) async fn version(binary: &Path) -> Result<ServerVersion, Fault> {
    let fault = |why: String| Fault::Binary { binary: binary.to_owned(), why };
    let asked = tokio::process::Command::new(binary).arg("--version").kill_on_drop(true).output();
    let output =
        tokio::time::timeout(ANSWER, asked).await.map_err(|_| fault("no answer within 5 s".to_owned()))?;
    let output = output.map_err(|error| fault(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    ServerVersion::from_version_output(&text).map_err(|mismatch| fault(mismatch.to_string()))
}

impl Server {
    /// Starts `binary` with this configuration. Call it from the main thread (see [`Spawn`]).
    pub(crate) async fn start(
        spawn: &Spawn,
        conf: (&Path, &str),
        own: &OwnChildren,
        endpoint: Endpoint,
        connector: Connector,
    ) -> Result<Self, StartError> {
        let (path, text) = conf;
        let (at, content) = (path.to_owned(), text.as_bytes().to_vec());
        let written = off_thread(move || replace(&at, &content)).await;
        written.map_err(|source| StartError::Write { path: path.to_owned(), source })?;
        let child = spawn.spawn(own)?;
        let lines = child.lines().map_err(StartError::Output)?;
        Ok(Self::owning(child, lines, endpoint, connector))
    }

    /// A server that runs already: an earlier version of this agent started it.
    pub(crate) fn owning(child: Child, lines: Lines, endpoint: Endpoint, connector: Connector) -> Self {
        let (stop_reading, stopped) = oneshot::channel();
        let reader = tokio::spawn(read_lines(lines, stopped));
        Self { child, reader, stop_reading, kept: Kept::new(endpoint, connector) }
    }

    /// The process.
    pub(crate) fn child(&self) -> &Child {
        &self.child
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.pid().as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits for its end. Cancel-safe.
    pub(crate) async fn ended(&self) -> Exit {
        self.child.wait().await
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.kept.endpoint()
    }

    /// Asks it to end, again and again: a server that writes its first append-only file refuses to. Ends it when the
    /// grace is over.
    pub(crate) async fn stop(&self, grace: Duration) -> Exit {
        let until = tokio::time::Instant::now() + grace;
        while tokio::time::Instant::now() + ASK_AGAIN < until {
            if let Err(error) = self.child.signal(Signal::TERM) {
                tracing::warn!(%error, "SIGTERM was refused");
            }
            if let Ok(exit) = tokio::time::timeout(ASK_AGAIN, self.child.wait()).await {
                return exit;
            }
        }
        self.child.stop(until.saturating_duration_since(tokio::time::Instant::now())).await
    }

    /// The kept connection, made anew when the last one broke.
    pub(crate) async fn connection(&mut self) -> Result<&mut Connection, Error> {
        self.kept.get().await
    }

    /// Waits until it accepts connections and answers, be it with `LOADING`, or ends.
    pub(crate) async fn first_answer(&mut self) -> Result<(), Exit> {
        loop {
            if let Some(exit) = self.child.exit() {
                return Err(exit);
            }
            match self.connection().await {
                Ok(_) => return Ok(()),
                Err(error) => tracing::trace!(%error, "the server does not answer yet"),
            }
            tokio::select! {
                exit = self.child.wait() => return Err(exit),
                () = tokio::time::sleep(FIRST_ANSWER) => {}
            }
        }
    }

    /// Gives process and output away, for a successor.
    pub(crate) async fn into_parts(self) -> (Child, Option<Lines>) {
        // A reader that is gone already has read everything there was.
        let _ = self.stop_reading.send(());
        (self.child, self.reader.await.ok())
    }
}

/// Reads to the end, also when the owner is gone: the last words of a server that died are worth most.
async fn read_lines(mut lines: Lines, stopped: oneshot::Receiver<()>) -> Lines {
    let mut log = ServerLog::default();
    let stop = async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::pin!(stop);
    loop {
        tokio::select! {
            line = lines.next() => match line {
                Some(line) => log.log(&line),
                None => return lines,
            },
            () = &mut stop => return lines,
        }
    }
}
