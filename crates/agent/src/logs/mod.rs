//! Logs: one JSON object a line, to standard output, with the agent's and the server's lines in one stream.
//!
//! Every line has `timestamp`, `level`, `target`, `node`, `redis` (once it is known) and `message`; the fields of the spans around it
//! (the id of a failover, say) and its own follow. What the server writes has the target `server`.

mod json;
mod output;
mod server;

use std::{
    fs::File,
    os::fd::AsFd as _,
    sync::{Arc, OnceLock},
};

use tracing_subscriber::{
    filter::{ParseError, Targets},
    layer::SubscriberExt as _,
    util::{SubscriberInitExt as _, TryInitError},
};

pub(crate) use self::server::ServerLog;
use self::{json::JsonLayer, output::Output};

/// What is logged when nothing else is asked for. The server's own `loglevel` decides what it writes; here it passes.
const DEFAULT: &str = "info,server=trace";

/// Logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogsError {
    /// The filter is not understood.
    #[error("the log filter {filter:?} is not understood: {source}; write it as in \"info,server=debug\"")]
    Filter {
        /// Its text.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Standard output is closed.
    #[error("logs cannot be written to standard output: {0}")]
    Output(#[from] std::io::Error),
    /// Another part of the program has done it.
    #[error("logs are set up already: {0}")]
    Twice(#[from] TryInitError),
}

/// Where the name of the `Redis` goes once the configuration is read; logs begin before that.
#[derive(Debug, Clone, Default)]
pub(crate) struct RedisName(Arc<OnceLock<String>>);

impl RedisName {
    /// Says it. The first name stays.
    pub(crate) fn set(&self, name: &str) {
        self.0.get_or_init(|| name.to_owned());
    }

    fn get(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// Sets logs up for the whole process. `filter` is a level, or levels by target, as in `info,server=debug`.
pub(crate) fn init(node: &str, filter: Option<&str>) -> Result<RedisName, LogsError> {
    let filter = filter.unwrap_or(DEFAULT);
    let targets: Targets =
        filter.parse().map_err(|source| LogsError::Filter { filter: filter.to_owned(), source })?;
    let stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let redis = RedisName::default();
    let layer = JsonLayer::new(node, redis.clone(), Output::new(stdout));
    tracing_subscriber::registry().with(targets).with(layer).try_init()?;
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(redis)
}
