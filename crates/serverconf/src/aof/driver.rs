//! The steps, carried out on a real server and its folder.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use redoubt_redis::{Connection, Error, info::Info, version::ServerVersion};
use tokio::time::sleep;

use super::{
    AtStart, Disk, Fingerprint, Holds, StartsAs, Step, Unloadable, View, at_start, disk, next, record,
};
use crate::files::off_thread;

/// First and longest pause between two looks at a busy server: nothing tells when a rewrite or a save has ended. Small
/// data is written within a few ms; a save of minutes is not prolonged by a quarter of a second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// Why the append-only file is not as wanted. Nothing is lost by that; to try again later is safe.
#[derive(Debug, thiserror::Error)]
pub enum AofError {
    /// The record cannot be read or written.
    #[error("{} which says whether RDB or AOF holds the data, cannot be used: {why}; put it right, or remove it to have the files judged by their times", .path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The folder cannot be read or written.
    #[error("the data folder {} cannot be used: {source}; check its owner, mode and free space", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The data cannot be loaded by this server.
    #[error(transparent)]
    Unloadable(#[from] Unloadable),
    /// No answer, or a refusal.
    #[error("the server does not do its part: {0}")]
    Server(#[from] Error),
    /// The server tried and failed.
    #[error("the server failed {0}; its log says why, most often a full disk; it is tried again")]
    Failed(&'static str),
}

/// Says what a server that is about to start has to load, and stores the record of it. To be called before each start,
/// while no server runs on this folder. Without a version the server is taken for one of 7.0 or later.
///
/// Removes the temporary files of an earlier server: the child of one that was killed may still be saving, and would
/// put its file over a newer one hours later. Without its temporary file it cannot.
pub fn prepare(
    dir: &Path,
    wanted: bool,
    server: Option<ServerVersion>,
    starts_as: StartsAs,
) -> Result<AtStart, AofError> {
    disk::remove_temporary(dir).map_err(|source| folder(dir, source))?;
    let disk = look(dir, server)?;
    let found = record::load(dir)?;
    let at_start = at_start(found.as_ref(), &disk, wanted, starts_as)?;
    if found.as_ref() != Some(&at_start.holds) {
        record::store(dir, &at_start.holds)?;
    }
    Ok(at_start)
}

/// A planned end of a server whose AOF holds the data: told to save as well (`SHUTDOWN SAVE`), it can come back as a
/// replica that copies only what it missed.
#[derive(Debug)]
pub struct LastSave {
    dir: PathBuf,
    rdb_before: Option<Fingerprint>,
}

impl LastSave {
    /// Before the server is told. `None`: the RDB holds the data in any case, or is about to.
    pub fn begin(dir: PathBuf) -> Result<Option<Self>, AofError> {
        if record::load(&dir)? != Some(Holds::Aof) {
            return Ok(None);
        }
        let rdb_before = look(&dir, None)?.rdb.map(|rdb| rdb.fingerprint);
        Ok(Some(Self { dir, rdb_before }))
    }

    /// When it has ended by itself: it saves only after its AOF is written to the end (server.c `finishShutdown`), so
    /// an RDB that was not there before holds the same. True: there is one, and the record says so.
    pub fn finish(self) -> Result<bool, AofError> {
        let rdb = look(&self.dir, None)?.rdb.map(|rdb| rdb.fingerprint);
        match rdb.filter(|rdb| Some(rdb) != self.rdb_before.as_ref()) {
            Some(rdb) => record::store(&self.dir, &Holds::Saved { rdb }).map(|()| true),
            None => Ok(false),
        }
    }
}

/// Brings a running server to what is wanted and gives what its configuration file has to say from now on
/// ([`Holds::aof_in_file`]). Needs as long as a rewrite or a save; can be dropped at any point and called again.
pub async fn settle(connection: &mut Connection, dir: &Path, wanted: bool) -> Result<Holds, AofError> {
    let mut driver = Driver { connection, dir, wanted };
    let (mut pause, longest) = PAUSES;
    let mut asked_to_save = false;
    loop {
        let (step, view) = driver.look().await?;
        match step {
            Step::Done => return driver.holds().await,
            Step::Failed(what) => return Err(AofError::Failed(what)),
            Step::Save if asked_to_save && !view.save_ok => return Err(AofError::Failed("to save the RDB")),
            Step::Wait(_) | Step::Save => {
                asked_to_save |= step == Step::Save;
                driver.carry_out(step).await?;
                sleep(pause).await;
                pause = longest.min(pause * 2);
            }
            step => driver.carry_out(step).await?,
        }
    }
}

/// One running server and its folder, step by step.
#[derive(Debug)]
pub struct Driver<'a> {
    /// To the server, as the agent.
    pub connection: &'a mut Connection,
    /// Its folder.
    pub dir: &'a Path,
    /// The AOF shall be on.
    pub wanted: bool,
}

impl Driver<'_> {
    /// The next step, and what the server said.
    pub async fn look(&mut self) -> Result<(Step, View), AofError> {
        let before = self.disk(None).await?;
        let info = self.connection.info(None).await?;
        let view = view(&info);
        let disk = self.disk(info.version()).await?;
        // Of an RDB that appeared meanwhile nobody could say whether its save began before or after the server spoke.
        if before.rdb != disk.rdb {
            return Ok((Step::Wait("a save that has just ended"), view));
        }
        Ok((next(self.wanted, &self.holds().await?, view, &disk), view))
    }

    /// Carries out one step.
    pub async fn carry_out(&mut self, step: Step) -> Result<(), AofError> {
        tracing::debug!(?step, "append-only file");
        match step {
            Step::Done | Step::Wait(_) | Step::Failed(_) => Ok(()),
            Step::Record(holds) => self.beside(move |dir| record::store(dir, &holds)).await,
            Step::Switch(on) => {
                let value = if on { "yes" } else { "no" };
                Ok(self.connection.config_set(&[("appendonly", value)]).await?)
            }
            Step::Save => match self.connection.bgsave().await {
                Err(Error::Server { message, .. }) if message.contains("already in progress") => Ok(()),
                outcome => Ok(outcome?),
            },
            Step::RemoveAof => {
                self.beside(|dir| disk::remove_aof(dir).map_err(|source| folder(dir, source))).await
            }
        }
    }

    /// The record. A folder without one belongs to a server that was not started by us; it is taken for what it would
    /// be at its next start.
    async fn holds(&self) -> Result<Holds, AofError> {
        let wanted = self.wanted;
        self.beside(move |dir| {
            if let Some(holds) = record::load(dir)? {
                return Ok(holds);
            }
            Ok(at_start(None, &look(dir, None)?, wanted, StartsAs::Undecided)?.holds)
        })
        .await
    }

    async fn disk(&self, server: Option<ServerVersion>) -> Result<Disk, AofError> {
        self.beside(move |dir| look(dir, server)).await
    }

    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, AofError> + Send + 'static,
    ) -> Result<T, AofError> {
        let dir = self.dir.to_owned();
        off_thread(move || work(&dir)).await
    }
}

fn look(dir: &Path, server: Option<ServerVersion>) -> Result<Disk, AofError> {
    let multi_part = server.is_none_or(|version| version.has_redis(7, 0));
    Disk::look(dir, multi_part).map_err(|source| folder(dir, source))
}

fn folder(path: &Path, source: io::Error) -> AofError {
    AofError::Folder { path: path.to_path_buf(), source }
}

fn view(info: &Info) -> View {
    let persistence = info.persistence();
    let yes = |flag: Option<bool>| flag == Some(true);
    View {
        loading: yes(persistence.loading) || yes(persistence.async_loading),
        aof_on: yes(persistence.aof_enabled),
        rewriting: yes(persistence.aof_rewrite_in_progress) || yes(persistence.aof_rewrite_scheduled),
        rewrite_ok: yes(persistence.aof_last_bgrewrite_ok),
        saving: yes(persistence.rdb_bgsave_in_progress),
        save_ok: yes(persistence.rdb_last_bgsave_ok),
    }
}
