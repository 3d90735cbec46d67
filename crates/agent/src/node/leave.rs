//! Stopping a server so that nothing is lost, and handing the mastership over.

use std::time::Duration;

use redoubt_election::{Report, Request, Verdict};
use redoubt_serverconf::{aof::LastSave, files::off_thread};
use redoubt_supervise::Exit;
use redoubt_wire::{
    failover::{Cause, Failover},
    requests::Refusal,
    state::{Phase, Replication},
};

use super::{Node, serve::Watchman};
use crate::{record::has_snapshot, server::Server};

/// Of the grace period, this much is kept for ending the server by force and for saying good-bye.
const RESERVE: Duration = Duration::from_secs(1);

/// Of a hand-over, what comes after the demotion takes some milliseconds.
const LAST_STEPS: Duration = Duration::from_millis(100);

impl Node {
    /// Hands over if this is the master, then stops the server, all within the grace.
    pub(super) async fn leave(
        &mut self,
        server: &mut Server,
        watchman: &mut Watchman,
        hand_over: bool,
        grace: Duration,
    ) {
        let began = tokio::time::Instant::now();
        self.set_phase(Phase::Stopping);
        self.end_moving().await;
        self.look(server, watchman).await;
        if hand_over && watchman.leads() && self.could_hand_over() {
            let handed_over = tokio::time::timeout(grace / 2, self.hand_over_last(server, watchman)).await;
            if let Some(why) = handed_over.unwrap_or_else(|_| Some("no time left".to_owned())) {
                let told = format!("stops without a hand-over: {why}");
                self.agent.shared.notice("HandOverFailed", told, true);
            }
        }
        if let Err(error) = self.durable.keep_now().await {
            tracing::warn!(%error, "the record is older than the data");
        }
        let left = grace.saturating_sub(began.elapsed());
        let exit = if hand_over && watchman.follows() {
            self.stop_replica(server, watchman, left).await
        } else {
            self.stop_server(server, watchman, left).await
        };
        self.agent.shared.update(|state| state.server_pid = None);
        tracing::info!(%exit, "the server is stopped");
    }

    /// Tries again what may work at the next try: whoever stops as a master leaves writes behind that nobody else has.
    /// Gives why it cannot be done.
    async fn hand_over_last(&mut self, server: &mut Server, watchman: &mut Watchman) -> Option<String> {
        loop {
            let report = match self.try_switchover(server, watchman, None, Cause::Stop, None).await {
                Ok(report) => report,
                Err(refusal) => return Some(refusal.error),
            };
            match report.verdict {
                Verdict::Done => return None,
                Verdict::Stopped { why } => return Some(why),
                Verdict::RetryAfter { after, .. } => tokio::select! {
                    exit = server.ended() => return Some(format!("the server ended: {exit}")),
                    () = tokio::time::sleep(after) => {}
                },
            }
        }
    }

    /// Stops a server that was never in sync: its files stay as they are.
    pub(super) async fn leave_stranded(&mut self, server: &mut Server) {
        let why =
            "the master it was to follow is gone: its data is compared with the others' before anybody leads";
        self.agent.shared.notice("Stranded", why, true);
        if let Ok(connection) = server.connection().await
            && let Err(error) = connection.shutdown(false).await
        {
            tracing::debug!(%error, "SHUTDOWN NOSAVE was refused");
        }
        server.child().stop(RESERVE).await;
        self.agent.shared.update(|state| state.server_pid = None);
    }

    /// A replica that will come back while its master leads: it saves what lets it copy the difference only.
    async fn stop_replica(&self, server: &mut Server, watchman: &Watchman, grace: Duration) -> Exit {
        let began = tokio::time::Instant::now();
        let dir = self.agent.args.data.clone();
        let last_save = match off_thread(|| LastSave::begin(dir)).await {
            Ok(last_save) => last_save.filter(|_| !watchman.is_empty()),
            Err(error) => {
                tracing::warn!(%error, "no last save: this node will copy everything when it comes back");
                None
            }
        };
        let Some(last_save) = last_save else { return self.stop_server(server, watchman, grace).await };
        let asked = async { server.connection().await?.shutdown(true).await };
        if let Ok(Err(error)) = tokio::time::timeout(grace, asked).await {
            tracing::debug!(%error, "SHUTDOWN SAVE has not ended the server yet");
        }
        let exit = server.stop(grace.saturating_sub(began.elapsed())).await;
        if exit.success()
            && let Err(error) = off_thread(|| last_save.finish()).await
        {
            tracing::warn!(%error, "this node will copy everything when it comes back");
        }
        exit
    }

    /// Never saves an empty data set over a snapshot that may hold something.
    async fn stop_server(&self, server: &mut Server, watchman: &Watchman, grace: Duration) -> Exit {
        if has_snapshot(&self.agent.args.data)
            && watchman.is_empty()
            && let Ok(connection) = server.connection().await
            && let Err(error) = connection.shutdown(false).await
        {
            tracing::warn!(%error, "SHUTDOWN NOSAVE was refused; the server is stopped by a signal");
        }
        server.stop(grace).await
    }

    /// How long it may take to end.
    pub(super) fn grace(&self) -> Duration {
        Duration::from_millis(self.agent.set.grace_period_ms).saturating_sub(RESERVE)
    }

    pub(super) fn could_hand_over(&self) -> bool {
        let elects = self.agent.set.sentinel().is_some() || self.is_clustered();
        elects && self.agent.set.same_data(&self.me).count() > 1
    }

    /// Hands the mastership over, to `to` or to the best.
    pub(super) async fn switchover(
        &mut self,
        server: &mut Server,
        watchman: &mut Watchman,
        to: Option<String>,
        cause: Cause,
        id: Option<String>,
    ) -> Result<Failover, Refusal> {
        let report = self.try_switchover(server, watchman, to, cause, id).await?;
        let (why, retry_after) = match report.verdict {
            Verdict::Done => return Ok(report.failover),
            Verdict::Stopped { why } => (why, None),
            Verdict::RetryAfter { why, after } => (why, Some(after)),
        };
        let retry_after_ms = retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        let next = "nothing is lost; look at `redoubt status` and ask again";
        Err(Refusal { retry_after_ms, ..Refusal::new(why, next) })
    }

    async fn try_switchover(
        &mut self,
        server: &mut Server,
        watchman: &mut Watchman,
        to: Option<String>,
        cause: Cause,
        id: Option<String>,
    ) -> Result<Report, Refusal> {
        self.look(server, watchman).await;
        self.may_switch(watchman, to.as_deref())?;
        if cause == Cause::Switchover && is_giving_or_taking(watchman) {
            return Err(Refusal::new(
                format!("slots are on their way to or from {}", self.me.name),
                "ask again when they have arrived; `redoubt status` shows how many are left",
            ));
        }
        let mut request = self.request(cause, self.me.server.clone(), to);
        if let Some(id) = id {
            request.id = id;
        }
        if self.is_clustered() {
            let report = self.hand_slots_over(server, request).await;
            self.look(server, watchman).await;
            return Ok(report);
        }
        let report = self.carry_out(server, request).await?;
        self.durable.heard_epoch(report.failover.epoch.unwrap_or(0));
        self.remember(&report);
        self.look(server, watchman).await;
        Ok(report)
    }

    async fn carry_out(&self, server: &Server, request: Request) -> Result<Report, Refusal> {
        let change = redoubt_election::change_master(&self.context, request);
        tokio::pin!(change);
        tokio::select! {
            report = &mut change => Ok(report),
            // It may have ended of being demoted: a server that follows and cannot write its files aborts.
            exit = server.ended() => tokio::time::timeout(LAST_STEPS, change).await.map_err(|_| {
                let why = format!("the server ended during the hand-over: {exit}");
                Refusal::new(why, "its agent has another node elected")
            }),
        }
    }

    /// What can be known to be wrong before anything is begun.
    fn may_switch(&self, watchman: &Watchman, to: Option<&str>) -> Result<(), Refusal> {
        let me = &self.me.name;
        let leads = watchman.seen.as_ref().filter(|seen| seen.leads());
        let Some(Replication::Master { replicas }) = leads.map(|seen| &seen.replication) else {
            return Err(Refusal::new(
                format!("{me} is not the master"),
                "ask the node that is; `redoubt status` names it",
            ));
        };
        if !self.could_hand_over() {
            return Err(Refusal::new(
                "there is no other node to hand over to",
                "raise spec.replicas in mode Sentinel, spec.replicasPerShard in mode Cluster",
            ));
        }
        let Some(to) = to else { return Ok(()) };
        if to == me {
            return Err(Refusal::new(format!("{to} is the master already"), "name another node, or none"));
        }
        let Some(node) = self.agent.set.node(to) else {
            let nodes: Vec<_> = self.agent.set.nodes.iter().map(|node| node.name.as_str()).collect();
            return Err(Refusal::new(
                format!("there is no node {to}"),
                format!("the nodes are {}", nodes.join(", ")),
            ));
        };
        if replicas.contains(&node.server) {
            return Ok(());
        }
        Err(Refusal::new(
            format!("{to} is not in sync with the master {me}, or down"),
            "wait until `redoubt status` shows it ready, or name another node",
        ))
    }
}

/// Most servers hand no open slot on to who leads next: its keys would be out of reach until the move goes on.
fn is_giving_or_taking(watchman: &Watchman) -> bool {
    let seen = watchman.seen.as_ref().and_then(|seen| seen.cluster.as_ref());
    seen.is_some_and(|cluster| cluster.view.open > 0)
}
