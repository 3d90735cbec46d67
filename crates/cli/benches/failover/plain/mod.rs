//! Plain Sentinel: the same servers with the same settings, and nobody else.

mod config;
mod sight;

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use redoubt_drill::{Drill, Ride, Target};
use redoubt_redis::Endpoint;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{Result, figures::Round, plain::sight::Sight};

/// Plain Sentinel takes 10 s to bring a master back as replica, and twice `failover-timeout` after a vote that failed.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Writers lead in and out for as long as those of a drill.
const LEAD: Duration = Duration::from_secs(1);

/// How a master goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// `kill -9` of its server.
    Kill,
    /// `SENTINEL FAILOVER`.
    Failover,
}

impl Way {
    /// For the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Failover => "SENTINEL FAILOVER",
        }
    }
}

/// Three servers and three Sentinels. Dropped, they are killed.
pub(crate) struct Plain {
    target: Target,
    nodes: Vec<Server>,
    _sentinels: Vec<Server>,
    dir: TempDir,
}

impl Plain {
    /// Starts it and waits until it is whole.
    pub(crate) async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let target = config::target(dir.path())?;
        let config = &target.config;
        let (first, others) = config.nodes.split_first().ok_or("no nodes")?;
        let mut nodes = vec![Server::start("redis-server", config::node(dir.path(), first, None)?)?];
        for node in others {
            let path = config::node(dir.path(), node, Some(&first.server))?;
            nodes.push(Server::start("redis-server", path)?);
        }
        let mut sentinels = Vec::new();
        for sentinel in config.sentinel().into_iter().flat_map(|config| &config.sentinels) {
            let path = config::sentinel(dir.path(), sentinel, &first.server)?;
            sentinels.push(Server::start("redis-sentinel", path)?);
        }
        let set = Self { target, nodes, _sentinels: sentinels, dir };
        set.until("whole", Sight::leader).await?;
        Ok(set)
    }

    /// One event, on a set that is whole.
    pub(crate) async fn round(&mut self, way: Way, drill: &Drill) -> Result<Round> {
        let old = self.until("whole", Sight::leader).await?;
        let target = self.target.clone();
        let mut ride = Ride::start(&target, drill).await?;
        sleep(LEAD).await;
        ride.struck();
        match way {
            Way::Kill => self.nodes[old].kill(),
            Way::Failover => sight::fail_over(&self.target).await?,
        }
        let new = self.until("led by another", |sight| sight.named().filter(|named| *named != old)).await?;
        match way {
            Way::Kill => self.bring_back(old, new)?,
            Way::Failover => {
                self.until("rid of its old master", |sight| (!sight.says_master(old)).then_some(())).await?;
            }
        }
        sleep(LEAD).await;
        let toll = ride.end(&self.target.config.nodes[new].name).await;
        Ok(Round { gap_ms: toll.write_gap_ms, lost: toll.lost })
    }

    /// Starts a dead node as replica at once: how long plain Sentinel takes for that is not what is measured.
    fn bring_back(&mut self, node: usize, master: usize) -> Result<()> {
        let nodes = &self.target.config.nodes;
        let path = config::node(self.dir.path(), &nodes[node], Some(&nodes[master].server))?;
        self.nodes[node] = Server::start("redis-server", path)?;
        Ok(())
    }

    async fn until<T>(&self, what: &str, wanted: impl Fn(&Sight) -> Option<T>) -> Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            let sight = Sight::of(&self.target).await;
            if let Some(found) = wanted(&sight) {
                return Ok(found);
            }
            if Instant::now() > end {
                return Err(
                    format!("plain Sentinel's set is not {what} after {PATIENCE:?}: {sight:?}").into()
                );
            }
            sleep(LOOK).await;
        }
    }
}

/// A server of this set. Dropped, it is killed.
struct Server(Child);

impl Server {
    fn start(program: &str, config: PathBuf) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().map_err(|error| format!("{program}: {error}"))?))
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The number of the node at this address.
fn node_at(target: &Target, at: &Endpoint) -> Option<usize> {
    target.config.nodes.iter().position(|node| node.server == *at)
}
