//! Why an agent cannot go on at all.

use std::io;

use crate::{http::BindError, record::RecordError, settings::SettingsError};

/// The agent ends. Everything else is reported and tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Logs.
    #[error(transparent)]
    Logs(crate::logs::LogsError),
    /// Configuration or secrets.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The name on the command line is not in the configuration.
    #[error("{name} is not in the configuration of the set; look at --name and --config")]
    NotInSet { name: String },
    /// The port for health, metrics and state.
    #[error(transparent)]
    Http(#[from] BindError),
    /// The data folder.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The data folder cannot be made.
    #[error("the data folder {path} cannot be used: {source}; check its owner and permissions")]
    Data { path: std::path::PathBuf, source: io::Error },
    /// Signals or children cannot be watched.
    #[error("this process cannot look after children: {0}")]
    Process(#[source] io::Error),
    /// The server cannot be started.
    #[error(transparent)]
    Start(#[from] crate::server::StartError),
    /// The server ended before it answered.
    #[error("the server ended while it started: {exit}; its last lines in the log say why")]
    EndedAtStart { exit: redoubt_supervise::Exit },
    /// The server does not do what it is told.
    #[error(transparent)]
    Server(#[from] redoubt_redis::Error),
    /// The append-only file.
    #[error(transparent)]
    Aof(#[from] redoubt_serverconf::aof::AofError),
    /// The server's binary does not run.
    #[error("{binary} does not tell its version: {why}; check that it is installed")]
    Binary { binary: std::path::PathBuf, why: String },
    /// The operating system refused a runtime.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
}
