//! Asking for a change of master, and remembering what became of it.

use jiff::Timestamp;
use redoubt_election::{Report, Request, SentinelViews, Verdict, change_master, new_id};
use redoubt_redis::Endpoint;
use redoubt_wire::failover::{Cause, Failover, Outcome};

use super::Node;
use crate::last_failover;

impl Node {
    /// A request to replace `master`, with what this node knows of it.
    pub(super) fn request(&self, cause: Cause, master: Endpoint, to: Option<String>) -> Request {
        let seen = self.last_seen.as_ref();
        Request {
            id: new_id(),
            cause,
            replaces: master,
            to,
            old_offset: seen.filter(|seen| seen.master).map(|seen| seen.offset),
            history: seen.map(|seen| seen.replid.clone()),
            epoch_heard: self.durable.epoch(),
        }
    }

    /// Asks for a vote and follows it through.
    pub(super) async fn change_master(&mut self, request: Request) -> Report {
        let report = change_master(&self.context, request).await;
        self.durable.heard_epoch(report.failover.epoch.unwrap_or(0));
        self.remember(&report);
        report
    }

    /// The Sentinels did it by themselves, and named this node: nobody else can tell.
    pub(super) fn note_sentinels_choice(&self, views: &SentinelViews, old: Endpoint) {
        let named_me = views.named() == Some(&self.me.server);
        let Some(vote) = views.last_vote().filter(|vote| named_me && self.is_sentinel(&vote.leader)) else {
            return;
        };
        let lasted = self.agent.clock.now().since(vote.heard);
        let now = Timestamp::now();
        let failover = Failover {
            id: new_id(),
            cause: Cause::Sentinel,
            led_by: None,
            epoch: Some(vote.epoch),
            votes: Vec::new(),
            old_master: Some(old),
            new_master: Some(self.me.server.clone()),
            old_offset: None,
            new_offset: self.last_seen.as_ref().map(|seen| seen.offset),
            started_at: now.checked_sub(lasted).unwrap_or(now),
            duration_ms: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
            steps: Vec::new(),
            outcome: Outcome::Done,
        };
        self.remember(&Report { failover, verdict: Verdict::Done });
    }

    fn is_sentinel(&self, id: &str) -> bool {
        self.agent.set.sentinel().is_some_and(|config| config.sentinels.iter().any(|entry| entry.id == id))
    }

    /// What the agent before this one led, for those who did not hear of it in time.
    pub(super) fn recall(&self) {
        match last_failover::load(&self.agent.args.data) {
            Ok(Some(failover)) => {
                self.agent.shared.update(|state| state.last_failover = Some(failover));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the last failover stays unknown"),
        }
    }

    /// Puts the report where people and the engine find it.
    pub(super) fn remember(&self, report: &Report) {
        let failover = &report.failover;
        let (reason, warning) = match &report.verdict {
            Verdict::Done => {
                ("MasterChanged", failover.cause != Cause::Switchover && failover.cause != Cause::Stop)
            }
            Verdict::Stopped { .. } | Verdict::RetryAfter { .. } => ("ElectionStopped", true),
        };
        self.agent.shared.notice(reason, describe(report), warning);
        self.agent.metrics.own().failover_ended(failover);
        if report.verdict == Verdict::Done {
            if let Err(error) = last_failover::store(&self.agent.args.data, failover) {
                tracing::warn!(%error, "an agent that comes after this one will not know of this failover");
            }
            self.agent.shared.update(|state| state.last_failover = Some(failover.clone()));
        }
    }
}

fn describe(report: &Report) -> String {
    let failover = &report.failover;
    let cause = failover.cause.as_str();
    let id = &failover.id;
    match (&report.verdict, &failover.new_master) {
        (Verdict::Done, Some(new)) => {
            let behind =
                failover.bytes_behind().map_or_else(String::new, |bytes| format!(", {bytes} bytes behind"));
            let old = failover.old_master.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
            format!(
                "{cause}: {new} leads after {old}, in {} ms{behind} (failover {id})",
                failover.duration_ms
            )
        }
        (Verdict::Done, None) => format!("{cause}: settled without a change (failover {id})"),
        (Verdict::Stopped { why } | Verdict::RetryAfter { why, .. }, _) => {
            format!("{cause}: {why} (failover {id})")
        }
    }
}
