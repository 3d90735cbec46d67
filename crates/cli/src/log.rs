//! The engine's own log: lines of JSON, filtered by the environment variable `REDOUBT_LOG` (default `info`).

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Mutex};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::failure::{Code, Failure};

/// Names the filter.
const FILTER: &str = "REDOUBT_LOG";

/// For an engine in the background, whose standard output is its log.
pub(crate) fn to_stdout() {
    begin(std::io::stdout);
}

/// For an engine whose terminal shows something else.
pub(crate) fn to_file(path: &Path) -> Result<(), Failure> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(|error| {
        Failure::new(Code::Failed, format_args!("cannot write {}: {error}", path.display()))
            .hint("check the owner, the mode and the free space of its folder")
    })?;
    begin(Mutex::new(file));
    Ok(())
}

fn begin(writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .with_env_var(FILTER)
        .from_env_lossy();
    tracing_subscriber::fmt().json().with_env_filter(filter).with_target(false).with_writer(writer).init();
}
