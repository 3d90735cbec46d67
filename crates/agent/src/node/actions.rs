//! After each look: the fence, the rescue, and whatever does not fit with whom the Sentinels name.

use std::time::Duration;

use redoubt_election::{
    ALONE_FOR, Action, FRESH, Fence, FenceState, FenceView, Mine, NamedMaster, Request, Situation, Verdict,
    WatchEvent, fence, look_at_master, named_now,
};
use redoubt_redis::Endpoint;
use redoubt_serverconf::ELECTABLE;
use redoubt_wire::{
    failover::Cause,
    state::{AgentRole, NodeState, OnDisk, Replication},
};

use super::{Node, look::Seen, serve::Watchman};
use crate::{agent::ANSWER, server::Server};

impl Node {
    /// Takes in what a Sentinel said; true when it may change what this node does.
    pub(super) fn hear(&mut self, event: &WatchEvent) -> bool {
        let before = self.views.named().cloned();
        self.views.hear(event, self.agent.clock.now());
        self.durable.heard_epoch(self.views.epoch());
        let changed = before.as_ref() != self.views.named();
        if changed && let Some(old) = before {
            self.note_sentinels_choice(old);
        }
        changed
    }

    /// Does what the last look calls for.
    pub(super) async fn act(&mut self, server: &mut Server, watchman: &mut Watchman) {
        if watchman.hung || !watchman.fresh || watchman.seen.as_ref().is_none_or(|seen| seen.loading) {
            return;
        }
        self.settle_files(server, watchman).await;
        if watchman.settings_due {
            self.reconfigure(server, watchman).await;
        }
        self.learn_data_set(watchman).await;
        if self.agent.set.sentinel().is_none() {
            return;
        }
        self.join(server, watchman).await;
        self.elect_if_due(server, watchman).await;
        self.hold_fence(server, watchman).await;
        self.rescue(server, watchman).await;
    }

    /// A replica in sync holds its master's data set; the master's agent says which that is.
    async fn learn_data_set(&mut self, watchman: &mut Watchman) {
        let Some(master) = watchman.seen.as_ref().and_then(|seen| self.durable.unknown_master(seen)) else {
            return;
        };
        let Some(node) = self.agent.set.node_at(master) else { return };
        let state = self.agent.peers.state(&node.name, &node.agent, ANSWER).await;
        if let Some(AgentRole::Node(NodeState { on_disk: OnDisk::Data(record), .. })) =
            state.map(|state| state.role)
        {
            self.durable.joined(record.data_set, master.clone());
            if let Some(seen) = &watchman.seen {
                self.durable.saw(seen);
            }
            self.keep_record(watchman);
        }
    }

    /// A replica that got in sync is a living copy from now on, and may be elected.
    async fn join(&mut self, server: &mut Server, watchman: &mut Watchman) {
        let in_sync = watchman.seen.as_ref().is_some_and(Seen::link_up);
        if watchman.joined || !in_sync || !self.make_electable(server).await {
            return;
        }
        watchman.joined = true;
        self.durable.set_joined();
        self.agent.shared.update_node(|node| node.joined = true);
    }

    async fn make_electable(&self, server: &mut Server) -> bool {
        let priority = self.agent.set.directives.get("replica-priority").map_or(ELECTABLE, String::as_str);
        let set = match server.connection().await {
            Ok(connection) => connection.config_set(&[("replica-priority", priority)]).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &set {
            tracing::warn!(%error, "the node cannot be elected yet; tried again");
        }
        set.is_ok()
    }

    /// After a total outage: this node has loaded the most advanced data, now it is voted for.
    async fn elect_if_due(&mut self, server: &mut Server, watchman: &mut Watchman) {
        let Some(named) = watchman.elect.clone() else { return };
        if !self.make_electable(server).await {
            return;
        }
        let request = self.request(Cause::Outage, named, Some(self.me.name.clone()));
        match self.change_master(request).await.verdict {
            Verdict::Done | Verdict::Stopped { .. } => watchman.elect = None,
            Verdict::RetryAfter { .. } => {}
        }
    }

    async fn hold_fence(&mut self, server: &mut Server, watchman: &mut Watchman) {
        if self.has_majority(watchman) {
            watchman.majority_heard = self.agent.clock.now();
        }
        if watchman.alone_since.is_some() {
            self.confirm(watchman).await;
        }
        let Some(view) = self.fence_view(watchman) else { return };
        let wanted = fence(&view);
        if watchman.fence.as_ref() != Some(&wanted) || self.was_lifted_by_another(watchman, wanted) {
            self.set_fence(server, watchman, wanted).await;
        }
    }

    /// A master that comes back from behind a partition finds Sentinels that answer, before it knows whom they name:
    /// its fence stays raised until a majority names it.
    fn has_majority(&self, watchman: &Watchman) -> bool {
        let leads = watchman.leads() && self.durable.is_bootstrapped();
        self.views.majority_in_reach() && (!leads || self.views.named() == Some(&self.me.server))
    }

    /// What the fence is decided by; nothing in a set without Sentinels.
    pub(super) fn fence_view(&self, watchman: &Watchman) -> Option<FenceView> {
        let sentinel = self.agent.set.sentinel()?;
        let durability = &self.agent.set.durability;
        Some(FenceView {
            now: self.agent.clock.now(),
            nodes: u32::try_from(self.agent.set.nodes.len()).unwrap_or(u32::MAX),
            bootstrapped: self.durable.is_bootstrapped(),
            floor: durability.min_replicas_to_write,
            max_lag: Duration::from_secs(durability.max_replica_lag_s),
            down_after: Duration::from_millis(sentinel.down_after_ms),
            majority_heard: watchman.majority_heard,
            majority_named_me: watchman.confirmed,
            alone_since: watchman.alone_since,
        })
    }

    /// Who had this node elected lifts its fence until the first replica has attached, and may have died since.
    fn was_lifted_by_another(&self, watchman: &Watchman, wanted: Fence) -> bool {
        let lifted = watchman.seen.as_ref().is_some_and(|seen| !seen.fenced);
        let now = self.agent.clock.now();
        let attaching = watchman.alone_since.is_some_and(|since| now.since(since) < ALONE_FOR);
        wanted.min_replicas_to_write > 0 && lifted && watchman.leads() && !attaching
    }

    async fn set_fence(&self, server: &mut Server, watchman: &mut Watchman, wanted: Fence) {
        let (replicas, lag) =
            (wanted.min_replicas_to_write.to_string(), wanted.min_replicas_max_lag_s.to_string());
        let pairs = [("min-replicas-max-lag", lag.as_str()), ("min-replicas-to-write", replicas.as_str())];
        let set = match server.connection().await {
            Ok(connection) => connection.config_set(&pairs).await,
            Err(error) => Err(error),
        };
        if let Err(error) = set {
            tracing::warn!(%error, "the fence could not be set; tried again");
            return;
        }
        let before = watchman.fence.replace(wanted).map(|fence| fence.state);
        let leads = watchman.leads();
        self.agent.metrics.own().fence(Some(u64::from(wanted.min_replicas_to_write)));
        match (before, wanted.state) {
            (before, now) if before == Some(now) || before.is_none() || !leads => {}
            (_, FenceState::Lifted) => self.agent.shared.notice(
                "FenceLifted",
                "no replica is in reach and a Sentinel majority names this master: it takes writes alone",
                true,
            ),
            (_, FenceState::Raised) => self.agent.shared.notice(
                "FenceRaised",
                "no Sentinel majority is in reach: writes need every replica, since another master may be elected",
                true,
            ),
            (_, FenceState::Armed | FenceState::Open) => {
                self.agent.shared.notice("FenceArmed", "writes need a replica in reach, as usual", false);
            }
        }
    }

    /// Asks every Sentinel afresh whom it names.
    async fn confirm(&self, watchman: &mut Watchman) {
        let asked = self.agent.clock.now();
        let named = named_now(&self.context, FRESH).await;
        if named.as_ref() == Some(&self.me.server) {
            watchman.confirmed = Some(asked);
        }
    }

    async fn rescue(&mut self, server: &mut Server, watchman: &mut Watchman) {
        let Some(named) = self.views.named().cloned() else { return };
        watchman.named = if self.knows_it_leads(watchman, &named) {
            NamedMaster::Leads
        } else {
            look_at_master(&self.context, &named, ANSWER).await
        };
        let ids: Vec<String> = self
            .agent
            .set
            .sentinel()
            .map(|sentinel| sentinel.sentinels.iter().map(|entry| entry.id.clone()).collect())
            .unwrap_or_default();
        let situation = Situation {
            me: &self.me.server,
            mine: mine(watchman, &named),
            may_lead: watchman.joined,
            busy: false,
            views: &self.views,
            sentinel_ids: &ids,
            named: &watchman.named,
        };
        let action = watchman.rescue.decide(&situation, self.agent.clock.now(), rand::random());
        match action {
            None => {}
            // What this server holds has not been compared: others are better candidates, or the boot rules decide.
            Some(Action::BeCandidate { .. }) if !watchman.joined => {}
            Some(Action::BeCandidate { replaces, why }) => self.come_to_rescue(replaces, &why).await,
            Some(Action::LeadAsNamed) => {
                let why = "a Sentinel majority names this node, a replica, and nobody leads: it takes the lead it was given";
                self.point(server, watchman, None, "MasterRestored", why).await;
            }
            Some(Action::FollowNamed { master }) if watchman.leads() => {
                let why = format!(
                    "a Sentinel majority names {master}: this master steps down, follows it, and cuts its clients"
                );
                self.point(server, watchman, Some(&master), "MasterDeposed", &why).await;
            }
            Some(Action::FollowNamed { master }) => {
                let why = format!(
                    "this replica follows another than {master}, whom a Sentinel majority names: it is re-pointed"
                );
                self.point(server, watchman, Some(&master), "ReplicaRepointed", &why).await;
            }
        }
    }

    /// A replica with its link up, or the master itself, need not ask.
    fn knows_it_leads(&self, watchman: &Watchman, named: &Endpoint) -> bool {
        match watchman.seen.as_ref().map(|seen| &seen.replication) {
            Some(Replication::Master { .. }) => *named == self.me.server,
            Some(Replication::Replica { master, link_up, .. }) => *link_up && master == named,
            None => false,
        }
    }

    async fn come_to_rescue(&mut self, replaces: Endpoint, why: &str) {
        self.agent.shared.notice("Rescue", format!("asks for a vote: {why}"), true);
        let request: Request = self.request(Cause::Rescue, replaces, None);
        self.change_master(request).await;
    }

    /// REPLICAOF; a master that steps down also cuts its clients, so that they look for the new one.
    async fn point(
        &self,
        server: &mut Server,
        watchman: &Watchman,
        master: Option<&Endpoint>,
        reason: &str,
        why: &str,
    ) {
        let steps_down = master.is_some() && watchman.leads();
        let done = async {
            let connection = server.connection().await?;
            connection.replicaof(master).await?;
            if steps_down {
                connection.client_kill_normal().await?;
            }
            Ok::<(), redoubt_redis::Error>(())
        };
        match done.await {
            Ok(()) => self.agent.shared.notice(reason, why, true),
            Err(error) => {
                self.agent.shared.notice(
                    reason,
                    format!("{why}; it failed and is tried again: {error}"),
                    true,
                );
            }
        }
    }
}

/// What the own server is, compared with whom the Sentinels name.
fn mine(watchman: &Watchman, named: &Endpoint) -> Mine {
    match watchman.seen.as_ref().map(|seen| &seen.replication) {
        Some(Replication::Master { .. }) => Mine::Leads,
        Some(Replication::Replica { master, .. }) => Mine::Follows { named: master == named },
        None => Mine::Down,
    }
}
