//! Ending one agent: asked first, told next, killed last.

use std::time::Duration;

use redoubt_wire::client::AgentClient;
use rustix::process::Signal;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{error::LocalError, process::Process};

/// Beyond the grace period that the agent keeps by itself: it may just be about to end.
const MARGIN: Duration = Duration::from_secs(2);
/// A killed process ends as soon as the kernel gets to it.
const KILLED: Duration = Duration::from_secs(10);

/// How an agent is to end.
pub(crate) enum Way {
    /// A master hands over first (`SIGTERM`).
    HandOver,
    /// Its set ends with it: the data is saved, and nobody is to take over.
    Last(AgentClient),
}

/// Ends an agent and its server within the grace period.
///
/// Flow: the agent is asked to stop (over HTTP when nobody is to take over, else by `SIGTERM`, which means a
/// hand-over); one that cannot be asked gets `SIGTERM`; what is left after the grace period gets `SIGKILL`, and the
/// server goes with it.
///
/// Can be cut off at any point and called again.
pub(crate) async fn end(
    process: &mut Process,
    what: &str,
    way: &Way,
    grace: Duration,
) -> Result<(), LocalError> {
    let deadline = Instant::now() + grace + MARGIN;
    let asked = match way {
        Way::HandOver => false,
        Way::Last(agent) => tokio::select! {
            _ = process.ended() => return Ok(()),
            asked = agent.stop(false) => asked.is_ok(),
        },
    };
    if !asked {
        signal(process, what, Signal::TERM)?;
    }
    if timeout_at(deadline, process.ended()).await.is_ok() {
        return Ok(());
    }
    tracing::warn!(
        node = what,
        pid = process.id().pid,
        grace_s = grace.as_secs(),
        "the agent did not end in its grace period and is killed"
    );
    signal(process, what, Signal::KILL)?;
    // A stopped process dies as well: SIGKILL needs nobody to carry on.
    timeout(KILLED, process.ended()).await.map(|_| ()).map_err(|_| LocalError::WillNotEnd {
        what: what.to_owned(),
        pid: process.id().pid,
        after: KILLED,
    })
}

fn signal(process: &Process, what: &str, signal: Signal) -> Result<(), LocalError> {
    process.signal(signal).map_err(|source| LocalError::Process {
        action: "signal",
        what: what.to_owned(),
        pid: process.id().pid,
        source,
    })
}
