//! Being told that files changed. Events are folded: however many there were, one look follows.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{
    ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use tokio::{sync::mpsc, time::Instant};

use crate::error::LocalError;

/// Where the system has no watches left, folders are looked at this often: some microseconds each time.
const LOOK: Duration = Duration::from_millis(500);

/// Watches folders: files in them are replaced, not written, so that watching a file would lose it.
///
/// Systems have few watchers for each user (`fs.inotify.max_user_instances`, 128 by default on Linux), and every agent
/// takes one. Without one, a change is told every [`LOOK`], and whoever looks finds out whether there is one.
#[derive(Debug)]
pub(crate) struct Watching {
    // `None`: the system has none left.
    watcher: Option<RecommendedWatcher>,
    events: mpsc::Receiver<()>,
    // Kept, so that a wait that is dropped and begun again does not put it off.
    next_look: Instant,
}

impl Watching {
    /// Watches nothing yet. Only changes of files that are `relevant` are told.
    pub(crate) fn new(relevant: impl Fn(&Path) -> bool + Send + 'static) -> Self {
        // One event waits at most: it stands for all that came before the look.
        let (tell, events) = mpsc::channel(1);
        let notice = Notice { tell, relevant };
        match notify::recommended_watcher(notice) {
            Ok(watcher) => Self { watcher: Some(watcher), events, next_look: Instant::now() },
            Err(error) => {
                tell_exhausted(&error);
                Self { watcher: None, events, next_look: Instant::now() }
            }
        }
    }

    /// Watches the files of this folder too, but not those of folders in it. Also when it is watched already: it may
    /// be another folder by now, of the same name.
    pub(crate) fn add(&mut self, dir: &Path) -> Result<(), LocalError> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        match watcher.watch(dir, RecursiveMode::NonRecursive) {
            Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
                tell_exhausted(&error);
                self.watcher = None;
                Ok(())
            }
            added => added.map_err(|source| LocalError::Watch { path: dir.to_path_buf(), source }),
        }
    }

    /// Something changed since the last look, or may have. Can be dropped and called again.
    pub(crate) async fn changed(&mut self) {
        if self.watcher.is_none() || self.events.recv().await.is_none() {
            // There is no event to wait for.
            tokio::time::sleep_until(self.next_look).await;
            self.next_look = Instant::now() + LOOK;
        }
    }
}

fn tell_exhausted(error: &notify::Error) {
    tracing::info!(%error, "no watches are left; folders are looked at instead (see fs.inotify.max_user_instances)");
}

/// Takes the system's events.
struct Notice<R> {
    tell: mpsc::Sender<()>,
    relevant: R,
}

impl<R: Fn(&Path) -> bool + Send + 'static> notify::EventHandler for Notice<R> {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        let matters = match event {
            Ok(event) => is_change(event.kind) && self.concerns(&event.paths),
            // Events may have been lost: a look finds out.
            Err(_) => true,
        };
        if matters {
            // Full: a look follows anyway.
            let _ = self.tell.try_send(());
        }
    }
}

impl<R: Fn(&Path) -> bool> Notice<R> {
    /// Hidden files are written beside those that they are about to replace. Without a path it may be any.
    fn concerns(&self, paths: &[PathBuf]) -> bool {
        paths.is_empty() || paths.iter().any(|path| !is_hidden(path) && (self.relevant)(path))
    }
}

/// Looking at a file is an event as well, and no change: taken for one, our own look would wake us.
fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_told(watching: &mut Watching, dir: &Path) {
        std::fs::write(dir.join(".beside"), "hidden").unwrap();
        std::fs::rename(dir.join(".beside"), dir.join("file")).unwrap();
        tokio::time::timeout(Duration::from_secs(20), watching.changed()).await.unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("file")).unwrap(), "hidden");
    }

    #[tokio::test]
    async fn a_replaced_file_is_told_and_a_look_at_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut watching = Watching::new(|path| path.ends_with("file"));
        watching.add(dir.path()).unwrap();
        watching.add(dir.path()).unwrap();
        is_told(&mut watching, dir.path()).await;
        assert!(!is_change(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(is_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        let notice = Notice { tell: mpsc::channel(1).0, relevant: |path: &Path| path.ends_with("file") };
        let concerns = |path: &str| notice.concerns(&[path.into()]);
        assert!(concerns("/a/file") && !concerns("/a/.file") && !concerns("/a/other"));
    }

    #[tokio::test]
    async fn changes_are_told_where_no_watches_are_left() {
        let dir = tempfile::tempdir().unwrap();
        let mut watching = Watching { watcher: None, events: mpsc::channel(1).1, next_look: Instant::now() };
        watching.add(dir.path()).unwrap();
        for _ in 0..2 {
            is_told(&mut watching, dir.path()).await;
        }
    }
}
