//! The engine on this machine, as `redoubt up` runs it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use redoubt_api::Key;
use redoubt_engine::{Change, Engine, Views};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    error::LocalError,
    feed::{Feed, FileReport},
    files,
    local::Local,
    lock::EngineLock,
    paths::StateDir,
    platform::{LocalPlatform, PlatformOptions},
    stopping::OnProgress,
    store::{Changes, StoreChange},
    watching::Watching,
};

/// Changes that wait for the engine; it takes them up at once, and whoever makes more waits.
const CHANGES: usize = 64;
/// Reports that wait for somebody who shows them; older ones matter less than going on.
const REPORTS: usize = 16;

/// How an engine runs.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The state folder, made when it is not there.
    pub state_dir: PathBuf,
    /// Files to apply again whenever they change. As they are now, they count as applied.
    pub files: Vec<PathBuf>,
    /// How members run.
    pub platform: PlatformOptions,
}

/// An engine in this process. Dropped, it ends at once, and everything it looked after runs on: the next engine adopts
/// it.
#[derive(Debug)]
pub struct LocalEngine {
    local: Local,
    views: watch::Receiver<Views>,
    reports: mpsc::Receiver<FileReport>,
    tasks: Tasks,
    // Let go of last: nobody else may start while a task of ours runs.
    lock: EngineLock,
}

#[derive(Debug)]
struct Tasks {
    sources: JoinHandle<()>,
    engine: JoinHandle<()>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.sources.abort();
        self.engine.abort();
    }
}

impl LocalEngine {
    /// Takes the folder, adopts what runs, and goes to work.
    pub async fn start(options: EngineOptions) -> Result<Self, LocalError> {
        let state = StateDir::create(&options.state_dir)?;
        let lock = EngineLock::take(&state)?;
        Self::start_locked(lock, state, options).await
    }

    /// The same with the lock taken before: by those who have something to do that no engine may see half done.
    #[expect(clippy::unused_async, reason = "it starts tasks, for which its caller has to be async")]
    pub async fn start_locked(
        lock: EngineLock,
        state: StateDir,
        options: EngineOptions,
    ) -> Result<Self, LocalError> {
        let local = Local::new(state.clone());
        let platform = LocalPlatform::open(state.clone(), options.platform)?;
        let (tell, changes) = mpsc::channel(CHANGES);
        let (report, reports) = mpsc::channel(REPORTS);
        let files = Feed::new(local.clone(), &options.files);
        // Watched first, then looked at: what changes in between is seen.
        let watching = watch(&state, &files)?;
        let sources = Sources {
            platform: platform.clone(),
            resources: Changes::new(local.store())?,
            files,
            watching,
            state,
            keys: BTreeMap::new(),
            tell,
            report,
        };
        let engine = Engine::new();
        let views = engine.views();
        let engine = tokio::spawn(async move { engine.run(Arc::new(platform), changes).await });
        let tasks = Tasks { sources: tokio::spawn(sources.run()), engine };
        Ok(Self { local, views, reports, tasks, lock })
    }

    /// The folder it looks after.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// How all Redis are, as it changes.
    #[must_use]
    pub fn views(&self) -> watch::Receiver<Views> {
        self.views.clone()
    }

    /// What became of the next change of a file. Can be dropped and called again.
    pub async fn report(&mut self) -> FileReport {
        match self.reports.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }

    /// Returns only if the engine ended by itself, which it never should. Can be dropped and called again.
    pub async fn ended(&mut self) -> LocalError {
        let Tasks { sources, engine } = &mut self.tasks;
        let what = tokio::select! {
            () = finished(sources) => "what tells the engine of changes",
            () = finished(engine) => "the engine",
        };
        LocalError::Gone { what: what.to_owned() }
    }

    /// Ends the engine alone; all members run on.
    pub async fn leave(self) -> Local {
        let Self { local, tasks, lock, .. } = self;
        tasks.end().await;
        drop(lock);
        local
    }

    /// Ends the engine and all members, as [`Local::down`] does.
    pub async fn down(self, progress: OnProgress<'_>) -> Result<(), LocalError> {
        let Self { local, tasks, lock: _held_meanwhile, .. } = self;
        tasks.end().await;
        local.stop_all(progress).await
    }
}

impl Tasks {
    async fn end(mut self) {
        self.sources.abort();
        self.engine.abort();
        finished(&mut self.sources).await;
        finished(&mut self.engine).await;
    }
}

/// However it ended. A task must not be asked again after it has told.
async fn finished(task: &mut JoinHandle<()>) {
    if !task.is_finished() {
        let _ = task.await;
    }
}

/// Everything the engine is told comes from here.
struct Sources {
    platform: LocalPlatform,
    resources: Changes,
    files: Feed,
    watching: Watching,
    state: StateDir,
    keys: BTreeMap<String, Key>,
    tell: mpsc::Sender<Change>,
    report: mpsc::Sender<FileReport>,
}

impl Sources {
    async fn run(mut self) {
        loop {
            while let Some(change) = self.resources.next() {
                let change = self.resource(change);
                if self.tell.send(change).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                name = self.platform.changed() => {
                    if let Some(key) = self.keys.get(&name)
                        && self.tell.send(Change::Nudge(key.clone())).await.is_err()
                    {
                        return;
                    }
                }
                () = self.watching.changed() => self.look(),
            }
        }
    }

    /// Files first: what they change is a changed resource, seen by the same look.
    fn look(&mut self) {
        if let Some(report) = self.files.look() {
            self.tell_of_file(report);
        }
        if let Err(error) = watch_given_secrets(&mut self.watching, &self.state) {
            tracing::warn!(%error, next = error.next(), "a new Secret is not watched");
        }
        self.platform.given_secrets_changed();
        self.resources.look();
    }

    fn resource(&mut self, change: StoreChange) -> Change {
        let mut keep = |key: &Key| self.keys.insert(key.name.clone(), key.clone());
        match change {
            StoreChange::Applied(redis) => {
                keep(&redis.key);
                Change::Applied(redis)
            }
            StoreChange::Refused(key, faults) => {
                keep(&key);
                Change::Refused { key, faults: faults.iter().map(ToString::to_string).collect() }
            }
            StoreChange::Deleted(key) => {
                keep(&key);
                Change::Deleted(key)
            }
        }
    }

    fn tell_of_file(&self, report: FileReport) {
        match &report {
            FileReport::Applied(applied, _) => tracing::info!(?applied, "a changed file was applied"),
            FileReport::Refused(faults) => {
                for fault in faults {
                    tracing::warn!(%fault, "a changed file was refused");
                }
            }
            FileReport::Failed(error) => {
                tracing::warn!(%error, next = error.next(), "a changed file was not applied");
            }
        }
        // Nobody looks, or looks slowly: the log has it.
        let _ = self.report.try_send(report);
    }
}

/// One watcher for all of it: systems have few.
fn watch(state: &StateDir, files: &Feed) -> Result<Watching, LocalError> {
    let (root, names) = (state.root().to_path_buf(), files.names());
    let mut watching = Watching::new(move |path| {
        path.starts_with(&root)
            || path.file_name().is_some_and(|name| names.iter().any(|known| known == name))
    });
    watching.add(&state.resources())?;
    watch_given_secrets(&mut watching, state)?;
    for folder in files.folders()? {
        watching.add(&folder)?;
    }
    Ok(watching)
}

fn watch_given_secrets(watching: &mut Watching, state: &StateDir) -> Result<(), LocalError> {
    watching.add(&state.given_secrets())?;
    for name in files::names_in(&state.given_secrets())? {
        watching.add(&state.given_secret(&name))?;
    }
    Ok(())
}
