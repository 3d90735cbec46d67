//! Being told that something changed that people look at.

use crate::{error::LocalError, paths::StateDir, watching::Watching};

/// Tells when a status, a resource or a set changes.
#[derive(Debug)]
pub struct StatusWatch {
    state: StateDir,
    watching: Watching,
}

impl StatusWatch {
    pub(crate) fn new(state: StateDir) -> Result<Self, LocalError> {
        let mut watching = Watching::new(|_| true);
        watching.add(&state.resources())?;
        watching.add(&state.sets())?;
        let mut watch = Self { state, watching };
        watch.add_sets()?;
        Ok(watch)
    }

    /// Something changed since the last call. Can be dropped and called again.
    pub async fn changed(&mut self) {
        self.watching.changed().await;
        if let Err(error) = self.add_sets() {
            tracing::debug!(%error, "a new set is not watched");
        }
    }

    /// Watching again what is watched already costs one system call.
    fn add_sets(&mut self) -> Result<(), LocalError> {
        for name in self.state.set_names()? {
            match self.watching.add(self.state.set(&name).root()) {
                // Gone since the list was made.
                Err(_) if !self.state.set(&name).root().exists() => {}
                added => added?,
            }
        }
        Ok(())
    }
}
