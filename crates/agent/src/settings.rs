//! The configuration and the secrets of the set as files: read at the start, read again when they change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{Config, EventHandler, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use redoubt_wire::{
    API_VERSION,
    config::SetConfig,
    secrets::{Secrets, SecretsError},
};
use tokio::sync::mpsc;

use crate::args::AgentArgs;

/// How often the folders are looked at where the system gives no more watches: Linux gives 128 to a user by default,
/// and each agent takes one.
const LOOK: Duration = Duration::from_secs(2);

/// A set of a thousand nodes takes some 300 KiB.
const MAX_CONFIG: u64 = 4 * 1024 * 1024;

/// The files could not be read, or make no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file is not there, not readable, or too large.
    #[error(
        "the configuration {path} cannot be read: {source}; the engine writes it, so look whether it runs"
    )]
    Read { path: PathBuf, source: io::Error },
    /// The file is not the JSON of a configuration.
    #[error(
        "the configuration {path} is not understood: {source}; engine and agent may be too far apart in version"
    )]
    Parse { path: PathBuf, source: serde_json::Error },
    /// The file is of a later version.
    #[error(
        "the configuration {path} is of version {found}, this agent knows {API_VERSION}; upgrade the agent"
    )]
    Version { path: PathBuf, found: u32 },
    /// The secrets are at fault.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The folder cannot be watched.
    #[error("changes of {path} cannot be noticed: {source}")]
    Watch { path: PathBuf, source: notify::Error },
}

/// Reads the configuration.
pub(crate) fn load_config(path: &Path) -> Result<SetConfig, SettingsError> {
    let read = |source| SettingsError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(read)?.len() > MAX_CONFIG {
        return Err(read(io::Error::other(format!("larger than {MAX_CONFIG} bytes"))));
    }
    let text = fs::read(path).map_err(read)?;
    let set: SetConfig = serde_json::from_slice(&text)
        .map_err(|source| SettingsError::Parse { path: path.to_owned(), source })?;
    if set.api_version > API_VERSION {
        return Err(SettingsError::Version { path: path.to_owned(), found: set.api_version });
    }
    Ok(set)
}

/// Notices that files in the folders of configuration and secrets change, whichever way they are replaced
/// (a rename on one machine, a switched link in a mounted volume).
pub(crate) struct SettingsWatch {
    changes: mpsc::Receiver<()>,
    _watcher: Box<dyn Watcher + Send>,
}

impl SettingsWatch {
    /// Begins to watch. A server must not stay down because watches are scarce.
    pub(crate) fn new(args: &AgentArgs) -> Result<Self, SettingsError> {
        // One waiting notice stands for any number of changes: the files are read whole after it.
        let (notices, changes) = mpsc::channel(1);
        let folders = [args.config.parent().unwrap_or(Path::new(".")).to_owned(), args.secrets.clone()];
        let on_event = move |event: notify::Result<notify::Event>| {
            let read_only = event.as_ref().is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
            if !read_only {
                // A full queue holds the notice that is needed.
                let _ = notices.try_send(());
            }
        };
        let watcher = told(on_event.clone(), &folders).or_else(|fault| {
            tracing::warn!(error = %fault, every_s = LOOK.as_secs(), "changes are looked for instead of told");
            looking(on_event, &folders)
        })?;
        Ok(Self { changes, _watcher: watcher })
    }

    /// Resolves when something changed. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// A watcher that the system tells.
fn told(on_event: impl EventHandler, folders: &[PathBuf]) -> Result<Box<dyn Watcher + Send>, SettingsError> {
    watching(RecommendedWatcher::new(on_event, Config::default()), folders)
}

/// A watcher that looks.
fn looking(
    on_event: impl EventHandler,
    folders: &[PathBuf],
) -> Result<Box<dyn Watcher + Send>, SettingsError> {
    // By content: it counts times in whole seconds, and two changes within one second would be one.
    let config = Config::default().with_poll_interval(LOOK).with_compare_contents(true);
    watching(PollWatcher::new(on_event, config), folders)
}

fn watching<W: Watcher + Send + 'static>(
    watcher: notify::Result<W>,
    folders: &[PathBuf],
) -> Result<Box<dyn Watcher + Send>, SettingsError> {
    let fault = |path: &PathBuf| {
        let path = path.clone();
        move |source| SettingsError::Watch { path, source }
    };
    let mut watcher = watcher.map_err(fault(&folders[0]))?;
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(fault(folder))?;
    }
    Ok(Box::new(watcher))
}

/// Reads configuration and secrets.
pub(crate) fn load(args: &AgentArgs) -> Result<(SetConfig, Secrets), SettingsError> {
    Ok((load_config(&args.config)?, Secrets::load(&args.secrets)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_noticed_also_where_the_system_gives_no_watches() {
        let dir = tempfile::tempdir().unwrap();
        let (tell, mut told) = mpsc::channel(1);
        let folders = [dir.path().to_owned()];
        let _watcher = looking(
            move |_| {
                let _ = tell.try_send(());
            },
            &folders,
        )
        .unwrap();
        fs::write(dir.path().join("config.json"), "{}").unwrap();
        tokio::time::timeout(5 * LOOK, told.recv()).await.expect("noticed").unwrap();
    }
}
