//! Stopping sets without an engine: everything ends in order, nothing is handed over to somebody who ends next.

use std::time::Duration;

use futures::{StreamExt as _, future::join_all, stream};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::{
    ending::end,
    error::LocalError,
    files,
    launch::signature,
    lock::{EngineLock, EngineProcess},
    paths::StateDir,
    process::{self, Process, ProcessId},
    roster::{Entry, Roster},
};

/// An engine has nothing to save: it ends as soon as it sees the signal.
const ENGINE_GRACE: Duration = Duration::from_secs(10);
/// Sets that stop at a time: each is mostly waiting for its disk.
const SETS_AT_A_TIME: usize = 8;

/// What is being done, for people who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The engine is told to end.
    EngineStops {
        /// Its process.
        pid: u32,
    },
    /// The engine has ended.
    EngineStopped,
    /// A member is told to end.
    MemberStops {
        /// Its set.
        redis: &'a str,
        /// Its name.
        member: &'a str,
    },
    /// A member has ended.
    MemberStopped {
        /// Its set.
        redis: &'a str,
        /// Its name.
        member: &'a str,
    },
}

/// Who is told.
pub type OnProgress<'a> = &'a (dyn Fn(Progress<'_>) + Send + Sync);

/// Ends the engine of another process, if there is one. Its agents stay.
pub(crate) async fn stop_engine(state: &StateDir, progress: OnProgress<'_>) -> Result<(), LocalError> {
    let Some(EngineProcess { pid, .. }) = EngineLock::holder(state)? else { return Ok(()) };
    let at =
        |action| move |source| LocalError::Process { action, what: "the engine".to_owned(), pid, source };
    let Some(mut engine) =
        ProcessId::of(pid).map(|id| Process::adopt(&id)).transpose().map_err(at("watch"))?.flatten()
    else {
        return Ok(());
    };
    progress(Progress::EngineStops { pid });
    engine.signal(Signal::TERM).map_err(at("signal"))?;
    if timeout(ENGINE_GRACE, engine.ended()).await.is_err() {
        // It keeps no data: what it was about to do, the next one does.
        engine.signal(Signal::KILL).map_err(at("signal"))?;
        engine.ended().await;
    }
    progress(Progress::EngineStopped);
    Ok(())
}

/// Ends all members of these sets. All are tried; the first failure is told.
pub(crate) async fn stop_sets(rosters: &[Roster], progress: OnProgress<'_>) -> Result<(), LocalError> {
    let ends: Vec<_> = stream::iter(rosters)
        .map(|roster| stop_set(roster, progress))
        .buffer_unordered(SETS_AT_A_TIME)
        .collect()
        .await;
    ends.into_iter().collect()
}

/// Ends all members of a set: Sentinels, then replicas, then the master. All are tried; the first failure is told.
pub(crate) async fn stop_set(roster: &Roster, progress: OnProgress<'_>) -> Result<(), LocalError> {
    let mut stopped = Ok(());
    for group in roster.last_to_end(&roster.members()?).await {
        let ends = group.iter().map(|member| stop_member(roster, member, progress));
        stopped = stopped.and(join_all(ends).await.into_iter().collect());
    }
    stopped
}

async fn stop_member(roster: &Roster, member: &Entry, progress: OnProgress<'_>) -> Result<(), LocalError> {
    if let Some(mut process) = running(roster, member)? {
        let (redis, name) = (roster.name.as_str(), member.name.as_str());
        progress(Progress::MemberStops { redis, member: name });
        end(&mut process, name, &roster.last_way(member), roster.grace()).await?;
        progress(Progress::MemberStopped { redis, member: name });
    }
    files::remove(&roster.dir.member(&member.name).agent())
}

fn running(roster: &Roster, member: &Entry) -> Result<Option<Process>, LocalError> {
    let found = || process::find(&signature(&roster.dir, member.kind, &member.name));
    let Some(id) = member.process().or_else(found) else { return Ok(None) };
    Process::adopt(&id).map_err(|source| LocalError::Process {
        action: "watch",
        what: member.name.clone(),
        pid: id.pid,
        source,
    })
}
