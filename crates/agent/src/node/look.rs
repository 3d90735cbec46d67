//! Looking at the own server: what it is, how far its data goes, whether it hangs.

use std::time::{Duration, Instant};

use redoubt_election::Moment;
use redoubt_redis::{
    Error,
    info::{Info, NodeRole, Unwritten},
};
use redoubt_wire::state::{Live, Phase, Replication};

use super::{LastSeen, Node, hang::Look, serve::Watchman};
use crate::{agent::ANSWER, cluster::ClusterSeen, server::Server};

/// What a server said of itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// When it was asked.
    pub(super) at: Moment,
    pub(super) replication: Replication,
    pub(super) replid: String,
    pub(super) previous: Option<(String, u64)>,
    pub(super) offset: u64,
    /// Replicas heard of within `min-replicas-max-lag`; `None` while writes need none.
    pub(super) good_replicas: Option<u64>,
    pub(super) loading: bool,
    /// An append-only file is being written anew.
    pub(super) rewriting: bool,
    pub(super) aof_enabled: bool,
    /// What the server last failed to write.
    pub(super) unwritten: Option<Unwritten>,
    pub(super) version: Option<String>,
    pub(super) live: Live,
    /// In a cluster: what it says of that.
    pub(super) cluster: Option<ClusterSeen>,
}

impl Seen {
    /// Nothing is about to change by itself.
    pub(super) fn settled(&self) -> bool {
        !self.loading && self.link_up()
    }

    /// A master; in a cluster one that owns slots.
    pub(super) fn leads(&self) -> bool {
        let owns = self.cluster.as_ref().is_none_or(|cluster| cluster.view.leads());
        owns && matches!(self.replication, Replication::Master { .. })
    }

    /// Of a master.
    fn replicas_in_reach(&self) -> Option<usize> {
        match (&self.replication, self.good_replicas) {
            (Replication::Master { .. }, Some(good)) => Some(usize::try_from(good).unwrap_or(usize::MAX)),
            (Replication::Master { replicas }, None) => Some(replicas.len()),
            (Replication::Replica { .. }, _) => None,
        }
    }

    /// A replica whose master answers, be it in the middle of a copy.
    pub(super) fn is_connected(&self) -> bool {
        match &self.replication {
            Replication::Master { .. } => true,
            Replication::Replica { link_up, syncing, .. } => *link_up || *syncing,
        }
    }

    /// A master, or a replica that is in sync.
    pub(super) fn link_up(&self) -> bool {
        match &self.replication {
            Replication::Master { .. } => true,
            Replication::Replica { link_up, syncing, .. } => *link_up && !syncing,
        }
    }

    pub(super) fn read(info: &Info, at: Moment) -> Option<Self> {
        let replication = info.replication().ok()?;
        let persistence = info.persistence();
        let offset = replication.offset();
        let previous = replication
            .master_replid2
            .clone()
            .filter(|replid| replid.bytes().any(|digit| digit != b'0'))
            .zip(replication.second_repl_offset);
        let place = match replication.role {
            NodeRole::Master => {
                let online = replication.replicas.iter().filter(|replica| replica.is_online());
                Replication::Master { replicas: online.map(|replica| replica.endpoint.clone()).collect() }
            }
            NodeRole::Replica => Replication::Replica {
                master: replication.master.clone()?,
                link_up: replication.link_up.unwrap_or(false),
                syncing: replication.syncing.unwrap_or(false),
            },
        };
        Some(Self {
            at,
            replication: place,
            replid: replication.master_replid,
            previous,
            offset,
            good_replicas: replication.good_replicas,
            loading: persistence.loading.unwrap_or(false),
            rewriting: persistence.aof_rewrite_in_progress.unwrap_or(false)
                || persistence.aof_rewrite_scheduled.unwrap_or(false),
            aof_enabled: persistence.aof_enabled.unwrap_or(false),
            unwritten: persistence.unwritten(),
            version: info.version().map(|version| version.to_string()),
            live: live(info, offset, replication.last_io_s),
            cluster: None,
        })
    }
}

/// What changes all the time.
pub(crate) fn live(info: &Info, offset: u64, last_io_s: Option<u64>) -> Live {
    let stats = info.stats();
    Live {
        offset,
        last_io_s,
        used_memory: info.memory().used.unwrap_or(0),
        keys: info.keys(),
        clients: info.clients().connected.unwrap_or(0),
        ops_per_s: stats.ops_per_s.unwrap_or(0),
        full_syncs: stats.sync_full.unwrap_or(0),
    }
}

/// A server that is alive answers INFO within this, also on a machine that is busy.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);

/// What came of asking.
enum Answer {
    Seen(Box<Seen>),
    /// It lives, and has no time: a script runs.
    Busy,
    Silent(String),
}

impl Node {
    /// Looks at the server and lets everybody know what changed.
    pub(super) async fn look(&mut self, server: &mut Server, watchman: &mut Watchman) {
        let (asked, patience) = (self.agent.clock.now(), watchman.hang.left().clamp(LEAST_PATIENCE, ANSWER));
        let answer = ask(server, asked, patience, self.is_clustered()).await;
        let look = Look {
            at: Instant::now(),
            answered: !matches!(answer, Answer::Silent(_)),
            vitals: server.child().vitals(),
        };
        if watchman.hang.hangs(look) && !watchman.hung {
            self.end_hanging(server, watchman);
        }
        watchman.fresh = matches!(answer, Answer::Seen(_));
        match answer {
            Answer::Seen(seen) => self.take_in(server, watchman, *seen).await,
            Answer::Busy => {}
            Answer::Silent(error) if watchman.seen.is_none() => tracing::trace!(%error, "no answer yet"),
            Answer::Silent(error) => tracing::debug!(%error, "the server did not answer"),
        }
    }

    fn end_hanging(&self, server: &Server, watchman: &mut Watchman) {
        watchman.hung = true;
        self.agent.metrics.own().server_hung();
        let message = format!(
            "the server has answered nothing and done nothing for {:?} (hangLimit): it is ended, so that it cannot wake up and acknowledge writes",
            watchman.hang.silent_for()
        );
        self.agent.shared.notice("ServerHangs", message, true);
        if let Err(error) = server.child().kill() {
            tracing::error!(%error, "the hanging server cannot be ended");
        }
    }

    async fn take_in(&mut self, server: &Server, watchman: &mut Watchman, seen: Seen) {
        let now = self.agent.clock.now();
        let master = seen.leads();
        if watchman.follows() && matches!(seen.replication, Replication::Master { .. }) {
            watchman.promoted = Some(now);
        }
        let alone = matches!(&seen.replication, Replication::Master { replicas } if replicas.is_empty());
        watchman.alone_since = alone.then(|| watchman.alone_since.unwrap_or(now));
        let whole = seen.replicas_in_reach().map(|replicas| replicas + 1 >= self.agent.set.nodes.len());
        watchman.whole_since = (whole == Some(true)).then(|| watchman.whole_since.unwrap_or(now));
        if whole == Some(false) {
            watchman.missing_at = Some(now);
        }
        if !seen.loading && (watchman.joined || self.durable.outside().is_some()) {
            self.last_seen = Some(LastSeen { master, offset: seen.offset, replid: seen.replid.clone() });
            self.durable.saw(&seen);
        }
        if let Some(cluster) = &seen.cluster {
            self.durable.heard_epoch(cluster.view.epoch);
        }
        let ready = self.is_ready(&seen);
        let pid = server.pid();
        self.agent.shared.update(|state| {
            state.server_pid = Some(pid);
            state.server_version.clone_from(&seen.version);
        });
        let on_disk = self.durable.on_disk().clone();
        let joined = watchman.joined;
        self.agent.shared.update_node(|node| {
            if !matches!(node.phase, Phase::Stopping) {
                node.phase = if seen.loading { Phase::Loading } else { Phase::Running };
            }
            node.replication = Some(seen.replication.clone());
            node.ready = ready;
            node.joined = joined;
            node.on_disk = on_disk;
            node.live = Some(seen.live.clone());
            node.cluster = seen.cluster.as_ref().map(|cluster| Box::new(cluster.view.clone()));
        });
        watchman.seen = Some(seen);
        self.tell_fence(watchman);
        self.keep_record(watchman).await;
        let disk_fault = self.disk_fault(watchman);
        self.agent.shared.update_node(|node| node.disk_fault = disk_fault);
    }

    /// A full disk is no reason to end a server that serves; the record is older than the data until there is room.
    pub(super) async fn keep_record(&mut self, watchman: &mut Watchman) {
        match self.durable.keep().await {
            Ok(()) => watchman.record_fault = None,
            Err(fault) => {
                let told = fault.to_string();
                if watchman.record_fault.as_ref() != Some(&told) {
                    self.agent.shared.notice("RecordFault", told.as_str(), true);
                    watchman.record_fault = Some(told);
                }
            }
        }
    }

    /// A replica is ready in sync; a master unless a Sentinel majority names another, in a cluster when it serves its
    /// slots.
    pub(super) fn is_ready(&self, seen: &Seen) -> bool {
        let views = self.agent.inbox.hearing.views();
        let named = views.named();
        !seen.loading
            && match &seen.replication {
                Replication::Master { .. } => {
                    let serves = |cluster: &ClusterSeen| cluster.view.is_ok && cluster.view.leads();
                    named.is_none_or(|named| *named == self.me.server)
                        && seen.cluster.as_ref().is_none_or(serves)
                }
                Replication::Replica { .. } => seen.link_up(),
            }
    }
}

/// Never waits longer for a sign of life than it takes to call the server hanging.
async fn ask(server: &mut Server, asked: Moment, patience: Duration, clustered: bool) -> Answer {
    let peer = server.endpoint().to_string();
    let Ok(answer) = tokio::time::timeout(patience, ask_info(server, asked)).await else {
        return Answer::Silent(format!("{peer} said nothing within {patience:?}"));
    };
    match answer {
        // It has answered: it lives, however long the rest takes.
        Answer::Seen(seen) if clustered => {
            tokio::time::timeout(ANSWER, ask_cluster(server, *seen)).await.unwrap_or(Answer::Busy)
        }
        answer => answer,
    }
}

async fn ask_info(server: &mut Server, asked: Moment) -> Answer {
    let connection = match server.connection().await {
        Ok(connection) => connection,
        Err(Error::Server { code, .. }) if code == "BUSY" => return Answer::Busy,
        Err(error) => return Answer::Silent(error.to_string()),
    };
    match connection.info(None).await {
        Ok(info) => Seen::read(&info, asked).map_or(Answer::Busy, |seen| Answer::Seen(Box::new(seen))),
        Err(Error::Server { .. }) => Answer::Busy,
        Err(error) => Answer::Silent(error.to_string()),
    }
}

/// A server that reads its files says nothing of the cluster yet.
async fn ask_cluster(server: &mut Server, seen: Seen) -> Answer {
    let asked = async { ClusterSeen::ask(server.connection().await?).await };
    match asked.await {
        Ok(cluster) => Answer::Seen(Box::new(Seen { cluster: Some(cluster), ..seen })),
        Err(Error::Server { code, .. }) if code == "LOADING" => Answer::Seen(Box::new(seen)),
        Err(Error::Server { .. }) => Answer::Busy,
        Err(error) => Answer::Silent(error.to_string()),
    }
}
