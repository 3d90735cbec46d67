//! While the server runs: look at it, hear the Sentinels, do what is asked, until it ends or is to be ended.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redoubt_election::{Moment, NamedMaster, Rescue};
use redoubt_redis::Endpoint;
use redoubt_wire::{
    failover::Cause,
    state::{OnDisk, Phase, Replication},
};

use super::{
    Node, Role,
    cluster::Tending,
    fence::{FenceKeeper, Post},
    hang::HangWatch,
    look::Seen,
    shard_fence::{ShardFenceKeeper, ShardPost},
};
use crate::{farewell, http::Command, inbox::Event, kept::Kept, server::Server};

/// Until a node is ready its state is worth looking at often: somebody waits for it.
const EAGER: Duration = Duration::from_millis(25);
/// A server that does not answer: when to look whether it is alive.
const WORRIED: Duration = Duration::from_millis(100);
/// At rest.
const CALM: Duration = Duration::from_secs(1);

/// A master that is alive answers a replica within milliseconds; one that is elected is announced within some tens.
const STRANDED_AFTER: Duration = Duration::from_millis(1500);

/// What came after serving.
pub(super) enum After {
    /// The agent was asked to stop, and the server is stopped.
    Stopped,
    /// The server followed a master that is dead, and is stopped: the boot rules are asked again.
    Again,
    /// The server, which runs on, is to follow nobody outside of the set any more: the boot rules are asked what else.
    LetGo,
    /// The agent is to become its successor.
    Succeed,
    /// The server ended.
    Ended {
        /// How, for people.
        how: String,
        /// Its agent ended it, because it hung.
        hung: bool,
    },
}

/// Who holds the fence.
pub(super) enum FenceHolder {
    /// Where Sentinels elect.
    OfSet(FenceKeeper),
    /// Where the masters of a cluster do.
    OfShard(ShardFenceKeeper),
}

/// What is known while one server runs.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; no two make a state together")]
pub(super) struct Watchman {
    pub(super) hang: HangWatch,
    pub(super) rescue: Rescue,
    pub(super) named: NamedMaster,
    pub(super) seen: Option<Seen>,
    /// When this server was last seen to be made a master, a replica until then.
    pub(super) promoted: Option<Moment>,
    /// The last look was answered.
    pub(super) fresh: bool,
    /// The server leads, or has been in sync since it started.
    pub(super) joined: bool,
    /// Since when a server that never was in sync follows nobody who answers.
    pub(super) stranded_since: Option<Moment>,
    /// A Sentinel majority last named this node, in an answer that was asked for.
    pub(super) confirmed: Option<Moment>,
    /// When a master was last seen without one of the other nodes in reach.
    pub(super) missing_at: Option<Moment>,
    /// Since when a master has had every other node as a replica in reach.
    pub(super) whole_since: Option<Moment>,
    /// Since when a master has no replica online.
    pub(super) alone_since: Option<Moment>,
    pub(super) fence: Option<FenceHolder>,
    /// To be voted for once it has loaded.
    pub(super) elect: Option<Endpoint>,
    pub(super) hung: bool,
    /// The append-only file is as the spec wants it.
    pub(super) files_settled: bool,
    /// Why it is not, as told.
    pub(super) files_fault: Option<String>,
    /// Why the record is not written, as told.
    pub(super) record_fault: Option<String>,
    /// When a master whose files cannot be written last asked to hand over.
    pub(super) disk_left_at: Option<Moment>,
    /// There may be new settings that are not carried in yet.
    pub(super) settings_due: bool,
    /// The users may have the rights that an earlier version of this agent gave them.
    pub(super) rights_due: bool,
    /// When this node, which was told to end, goes about it.
    pub(super) leaves_at: Option<tokio::time::Instant>,
    /// Its place in the cluster.
    pub(super) tending: Tending,
    /// It was said that the Redis outside of the set was never copied as a whole.
    pub(super) told_unfilled: bool,
}

impl Watchman {
    /// The server was a master when it was last seen.
    pub(super) fn leads(&self) -> bool {
        self.seen.as_ref().is_some_and(Seen::leads)
    }

    /// The server was a replica when it was last seen.
    pub(super) fn follows(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| matches!(seen.replication, Replication::Replica { .. }))
    }

    /// The server had no key when it was last seen.
    pub(super) fn is_empty(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.live.keys == 0)
    }
}

impl Node {
    /// Looks after a running server.
    pub(super) async fn serve(&mut self, server: &mut Server, role: &Role) -> After {
        let mut watchman = Watchman {
            hang: HangWatch::new(self.hang_limit(), Instant::now()),
            rescue: Rescue::default(),
            named: NamedMaster::Unknown,
            seen: None,
            promoted: None,
            fresh: false,
            joined: role.joined,
            stranded_since: None,
            confirmed: None,
            missing_at: None,
            whole_since: None,
            alone_since: None,
            fence: self.hold_fence(server),
            elect: role.follow.clone().filter(|_| role.elect),
            hung: false,
            files_settled: false,
            files_fault: None,
            record_fault: None,
            disk_left_at: None,
            // The server before may have died while new settings were being carried into it.
            settings_due: true,
            rights_due: role.inherited,
            leaves_at: None,
            tending: Tending { blank: role.blank, ..Tending::default() },
            told_unfilled: false,
        };
        let mut next = tokio::time::Instant::now();
        loop {
            tokio::select! {
                exit = server.ended() => {
                    return After::Ended { how: format!("the server ended: {exit}"), hung: watchman.hung };
                }
                event = self.agent.inbox.next() => {
                    if matches!(event, Event::Succeed) {
                        self.end_moving().await;
                        return After::Succeed;
                    }
                    if self.react(server, &mut watchman, event).await {
                        return After::Stopped;
                    }
                    next = next.min(tokio::time::Instant::now() + EAGER);
                }
                () = farewell::due(watchman.leaves_at) => {
                    self.leave(server, &mut watchman, true, farewell::left(self.grace())).await;
                    return After::Stopped;
                }
                () = tokio::time::sleep_until(next) => {
                    self.look(server, &mut watchman).await;
                    self.act(server, &mut watchman).await;
                    if self.is_stranded(&mut watchman) {
                        self.leave_stranded(server).await;
                        return After::Again;
                    }
                    if self.is_to_let_go(&watchman) {
                        return After::LetGo;
                    }
                    next = tokio::time::Instant::now() + self.pause(&watchman);
                }
            }
        }
    }

    /// Nothing where nobody could lead instead.
    fn hold_fence(&self, server: &Server) -> Option<FenceHolder> {
        let kept = Kept::new(server.endpoint().clone(), self.agent.nodes.clone());
        if self.agent.set.sentinel().is_some() {
            return Some(FenceHolder::OfSet(FenceKeeper::start(self.fence_post(kept))));
        }
        let post = ShardPost {
            server: kept,
            clock: self.agent.clock,
            shared: self.agent.shared.clone(),
            metrics: Arc::clone(&self.agent.metrics),
        };
        self.shard_terms().map(|terms| FenceHolder::OfShard(ShardFenceKeeper::start(post, terms)))
    }

    fn fence_post(&self, server: Kept) -> Post {
        Post {
            server,
            me: self.me.server.clone(),
            views: self.agent.inbox.hearing.subscribe(),
            clock: self.agent.clock,
            shared: self.agent.shared.clone(),
            metrics: Arc::clone(&self.agent.metrics),
        }
    }

    /// True: the server is stopped, as asked.
    async fn react(&mut self, server: &mut Server, watchman: &mut Watchman, event: Event) -> bool {
        match event {
            Event::Succeed => {}
            Event::Terminate if watchman.leaves_at.is_none() && self.is_behind_a_service() => {
                tracing::info!("told to end: serves on until the Services have taken that in");
                watchman.leaves_at = Some(farewell::of_node(self.grace()));
            }
            Event::Terminate => {
                self.leave(server, watchman, true, self.grace()).await;
                return true;
            }
            Event::Command(Command::Stop { hand_over }) => {
                self.leave(server, watchman, hand_over, self.grace()).await;
                return true;
            }
            Event::Command(Command::Switchover { to, cause, id, reply }) => {
                let answer = self.switchover(server, watchman, to, cause, id).await;
                // Who asked may have gone; the result is in the state, too.
                drop(reply.send(answer));
            }
            Event::Command(Command::Rebalance { wish, reply }) => self.rebalance(wish, reply),
            Event::Command(command @ Command::Prune { .. }) => {
                command.refuse(&format!("{} is a data node", self.me.name), "ask the agent of a Sentinel");
            }
            Event::Settings => self.reconfigure(server, watchman).await,
            Event::Sentinels => {
                self.hear();
            }
        }
        false
    }

    /// Clients find this node by an address that is not its own, and others in its place.
    fn is_behind_a_service(&self) -> bool {
        self.agent.args.bind.is_some() && self.could_hand_over()
    }

    /// The server came back to follow a master that has gone since. What it holds must be compared first.
    fn is_stranded(&self, watchman: &mut Watchman) -> bool {
        let now = self.agent.clock.now();
        // In a cluster it waits for its master where it is.
        let waits = !self.is_clustered()
            && self.durable.outside().is_none()
            && watchman.elect.is_none()
            && !watchman.joined
            && watchman.named != NamedMaster::Leads
            && watchman.seen.as_ref().is_some_and(|seen| !seen.loading && !seen.is_connected());
        watchman.stranded_since = waits.then(|| watchman.stranded_since.unwrap_or(now));
        watchman.stranded_since.is_some_and(|since| now.since(since) >= STRANDED_AFTER)
    }

    fn pause(&self, watchman: &Watchman) -> Duration {
        let now = self.agent.clock.now();
        let mut pause = match &watchman.seen {
            None => EAGER,
            Some(_) if !watchman.hang.silent_for().is_zero() => WORRIED,
            // Whom nobody here looks after may be away for days.
            Some(seen) if !seen.settled() && self.durable.outside().is_some() => EAGER * 4,
            Some(seen) if !seen.settled() => EAGER,
            Some(_) if !watchman.files_settled && watchman.files_fault.is_none() => EAGER * 4,
            Some(_) if self.durable.is_copying() => EAGER * 4,
            Some(seen) if seen.cluster.is_some() && !self.is_ready(seen) => EAGER * 4,
            // Whoever moves slots goes on when everybody says that they have arrived.
            Some(seen) if seen.cluster.as_ref().is_some_and(|cluster| cluster.view.open > 0) => EAGER * 4,
            // Nobody tells a replica that it was elected, and others ask its agent who leads.
            Some(seen) if seen.cluster.is_some() && !seen.leads() => CALM / 4,
            Some(_) => CALM,
        };
        if let Some(wake) = watchman.rescue.wake_at() {
            pause = pause.min(wake.since(now).max(EAGER));
        }
        if watchman.alone_since.is_some() {
            pause = pause.min(redoubt_election::ALONE_FOR);
        }
        pause
    }

    pub(super) fn hang_limit(&self) -> Duration {
        Duration::from_millis(self.agent.set.durability.hang_limit_ms)
    }

    /// The server ended. If it was the master, another one is to lead at once.
    pub(super) async fn mourn(&mut self, how: &str, hung: bool) {
        // Before anything that takes time: others must not take this server for a living one.
        self.set_phase(Phase::Backoff { why: how.to_owned() });
        self.agent.shared.update_node(|node| node.on_disk = OnDisk::Unknown);
        self.agent.shared.update(|state| state.server_pid = None);
        self.agent.shared.notice("ServerEnded", how, true);
        let was_master = self.last_seen.as_ref().is_some_and(|seen| seen.master);
        if was_master && self.is_clustered() {
            self.have_replaced(if hung { Cause::Hang } else { Cause::Crash }).await;
        }
        if was_master && self.agent.set.sentinel().is_some() && self.agent.set.nodes.len() > 1 {
            let cause = if hung { Cause::Hang } else { Cause::Crash };
            let master = self.me.server.clone();
            self.change_master(self.request(cause, master, None)).await;
        }
    }
}
