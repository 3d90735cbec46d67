//! After each look: the rescue, and whatever does not fit with whom the Sentinels name.

use std::{mem, time::Duration};

use redoubt_election::{
    ALONE_FOR, Action, FRESH, FenceTerms, Mine, Moment, NamedMaster, Request, Situation, Verdict,
    look_at_master, named_now,
};
use redoubt_redis::Endpoint;
use redoubt_serverconf::{ELECTABLE, NO_FAILOVER};
use redoubt_wire::{
    failover::Cause,
    state::{NodeState, OnDisk, Replication},
};

use super::{
    Node,
    fence::Facts,
    look::Seen,
    serve::{FenceHolder, Watchman},
    shard_fence::ShardTerms,
};
use crate::{agent::ANSWER, server::Server};

impl Node {
    /// Takes in what the Sentinels say; true when it may change what this node does.
    pub(super) fn hear(&mut self) -> bool {
        let views = self.agent.inbox.hearing.views();
        self.durable.heard_epoch(views.epoch());
        let named = views.named().cloned();
        if named == self.named {
            return false;
        }
        if let Some(old) = mem::replace(&mut self.named, named) {
            self.note_sentinels_choice(&views, old);
        }
        true
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
        self.name_data_set(watchman).await;
        if self.is_clustered() {
            self.tend(server, watchman).await;
            self.leave_full_disk(server, watchman).await;
        }
        if self.agent.set.sentinel().is_none() {
            return;
        }
        self.be_filled(server, watchman).await;
        self.join(server, watchman).await;
        self.elect_if_due(server, watchman).await;
        self.leave_full_disk(server, watchman).await;
        if watchman.alone_since.is_some() {
            self.confirm(watchman).await;
            self.tell_fence(watchman);
        }
        self.rescue(server, watchman).await;
    }

    /// A replica in sync holds its master's data set; the master's agent says which that is.
    async fn learn_data_set(&mut self, watchman: &mut Watchman) {
        let Some(master) = watchman.seen.as_ref().and_then(|seen| self.durable.unknown_master(seen)) else {
            return;
        };
        let Some(node) = self.agent.set.node_at(master) else { return };
        let (set, servers) = (&self.agent.set, &self.agent.nodes);
        let state = self.agent.peers.node_state(set, servers, node, ANSWER).await;
        if let Some(NodeState { on_disk: OnDisk::Data(record), .. }) = state {
            self.durable.joined(record.data_set, master.clone());
            if let Some(seen) = &watchman.seen {
                self.durable.saw(seen);
            }
            self.keep_record(watchman).await;
        }
    }

    /// A replica may be elected before the agent of its master has said which data set it holds.
    async fn name_data_set(&mut self, watchman: &mut Watchman) {
        let leads = |seen: &&Seen| watchman.joined && seen.leads();
        if let Some(seen) = watchman.seen.as_ref().filter(leads)
            && self.durable.led_unnamed(seen)
        {
            self.keep_record(watchman).await;
        }
    }

    /// A replica that got in sync is a living copy from now on, and may be elected.
    pub(super) async fn join(&mut self, server: &mut Server, watchman: &mut Watchman) {
        // In a cluster a server is a master before it has a place.
        let in_sync = watchman.seen.as_ref().is_some_and(|seen| {
            seen.link_up()
                && (seen.cluster.is_none() || matches!(seen.replication, Replication::Replica { .. }))
        });
        if watchman.joined
            || self.durable.outside().is_some()
            || !in_sync
            || !self.make_electable(server).await
        {
            return;
        }
        watchman.joined = true;
        self.durable.set_joined();
        self.agent.shared.update_node(|node| node.joined = true);
    }

    pub(super) async fn make_electable(&self, server: &mut Server) -> bool {
        let priority = self.agent.set.directives.get("replica-priority").map_or(ELECTABLE, String::as_str);
        let setting = if self.is_clustered() { (NO_FAILOVER, "no") } else { ("replica-priority", priority) };
        let set = match server.connection().await {
            Ok(connection) => connection.config_set(&[setting]).await,
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

    /// What the fence depends on.
    pub(super) fn tell_fence(&self, watchman: &Watchman) {
        match &watchman.fence {
            Some(FenceHolder::OfSet(keeper)) => {
                if let Some(facts) = self.fence_facts(watchman) {
                    keeper.tell(facts);
                }
            }
            Some(FenceHolder::OfShard(keeper)) => {
                if let Some(terms) = self.shard_terms() {
                    keeper.tell(terms);
                }
            }
            None => {}
        }
    }

    /// In a cluster.
    pub(super) fn shard_terms(&self) -> Option<ShardTerms> {
        let cluster = self.agent.set.cluster()?;
        Some(ShardTerms {
            has_replicas: self.agent.set.same_data(&self.me).count() > 1,
            floor: self.agent.set.durability.min_replicas_to_write,
            node_timeout: Duration::from_millis(cluster.node_timeout_ms),
        })
    }

    /// In a set with Sentinels.
    fn fence_facts(&self, watchman: &Watchman) -> Option<Facts> {
        let sentinel = self.agent.set.sentinel()?;
        let durability = &self.agent.set.durability;
        Some(Facts {
            terms: FenceTerms {
                nodes: u32::try_from(self.agent.set.nodes.len()).unwrap_or(u32::MAX),
                floor: durability.min_replicas_to_write,
                max_lag: Duration::from_secs(durability.max_replica_lag_s),
                down_after: Duration::from_millis(sentinel.down_after_ms),
            },
            leads: watchman.leads(),
            bootstrapped: self.durable.is_bootstrapped(),
            confirmed: watchman.confirmed,
            missing_at: watchman.missing_at,
            whole_since: watchman.whole_since,
            alone_since: watchman.alone_since,
            found_lifted: found_lifted(watchman),
        })
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
        let views = self.agent.inbox.hearing.views();
        let Some(named) = views.named().cloned() else { return };
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
            views: &views,
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
                let why = "the Sentinel names this node, a replica, and nobody leads: it takes the lead it was given";
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
                if self.point(server, watchman, Some(&master), "ReplicaRepointed", &why).await {
                    self.durable.set_outside(None);
                }
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

    /// REPLICAOF; a master that steps down also cuts its clients, so that they look for the new one. True: it is done.
    async fn point(
        &self,
        server: &mut Server,
        watchman: &Watchman,
        master: Option<&Endpoint>,
        reason: &str,
        why: &str,
    ) -> bool {
        let steps_down = master.is_some() && watchman.leads();
        let done = async {
            let connection = server.connection().await?;
            if self.durable.outside().is_some() {
                self.log_in_at_set(connection).await?;
            }
            connection.replicaof(master).await?;
            if steps_down {
                connection.client_kill_normal().await?;
            }
            Ok::<(), redoubt_redis::Error>(())
        };
        let done = done.await;
        let told = match &done {
            Ok(()) => why.to_owned(),
            Err(error) => format!("{why}; it failed and is tried again: {error}"),
        };
        self.agent.shared.notice(reason, told, true);
        done.is_ok()
    }
}

/// Who had this node elected lifts its fence until the first replica has attached, and may have died since.
fn found_lifted(watchman: &Watchman) -> Option<Moment> {
    let seen = watchman.seen.as_ref().filter(|seen| seen.good_replicas.is_none() && watchman.leads())?;
    let attaching = watchman.alone_since.is_some_and(|since| seen.at.since(since) < ALONE_FOR);
    (!attaching).then_some(seen.at)
}

/// What the own server is, compared with whom the Sentinels name.
fn mine(watchman: &Watchman, named: &Endpoint) -> Mine {
    match watchman.seen.as_ref().map(|seen| &seen.replication) {
        Some(Replication::Master { .. }) => Mine::Leads { promoted: watchman.promoted },
        Some(Replication::Replica { master, .. }) => Mine::Follows { named: master == named },
        None => Mine::Down,
    }
}
