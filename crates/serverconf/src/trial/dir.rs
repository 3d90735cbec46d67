//! The folder of a throw-away server.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::TrialError;

/// Begins the name of every such folder.
const PREFIX: &str = "trial-";

/// Name of the unix socket, relative to the folder.
pub(super) const SOCKET: &str = "s";

/// Longest path of a unix socket, bytes: `sun_path` of macOS, which has the shortest, without its final zero.
const MAX_SOCKET_PATH: usize = 103;

/// A folder that is gone when this is dropped.
#[derive(Debug)]
pub(super) struct TrialDir(PathBuf);

impl TrialDir {
    /// A new one under `scratch`, or in the system's folder for temporary files where the path of a socket would grow
    /// too long.
    pub(super) fn make(scratch: &Path) -> Result<Self, TrialError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut path = scratch.join(&name);
        if path.join(SOCKET).as_os_str().len() > MAX_SOCKET_PATH {
            path = std::env::temp_dir().join(&name);
        }
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| TrialError::Folder { path: path.clone(), source })?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.0.join(SOCKET)
    }

    /// The configuration, for its owner alone: it may hold passwords.
    pub(super) fn write_conf(&self, text: &str) -> Result<PathBuf, TrialError> {
        let path = self.0.join("conf");
        let written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = written.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
        written.map_err(|source| TrialError::Folder { path: path.clone(), source })?;
        Ok(path)
    }
}

impl Drop for TrialDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the folder of a throw-away server stays behind");
        }
    }
}

/// Ends throw-away servers that an earlier process of ours left under `scratch` because it was killed, and removes
/// their folders. For the start of an agent, before its first trial.
pub async fn sweep(scratch: &Path) {
    let Ok(entries) = fs::read_dir(scratch) else { return };
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let left = TrialDir(entry.path());
            if let Ok(mut connection) = super::connect(&left.socket()).await {
                let ended = connection.shutdown(false).await;
                tracing::info!(folder = %left.path().display(), ?ended, "ended a throw-away server left behind");
            }
        }
    }
}
