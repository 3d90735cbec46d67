//! While the Sentinel runs.

use std::time::Duration;

use redoubt_wire::{config::SentinelConfig, requests::Refusal, state::Phase};
use tokio::{sync::oneshot, time::Instant};

use super::{Sentinel, look::Look};
use crate::{farewell, http::Command, inbox::Event, server::Server};

/// Until everybody is known, somebody waits for it.
const EAGER: Duration = Duration::from_millis(50);
/// At rest its own events tell what changes; this finds what they do not tell (who is known, whether the quorum holds).
const CALM: Duration = Duration::from_secs(2);
/// A Sentinel holds no data: it ends at once, or hangs.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// Of a Sentinel that is slow (a busy disk) nothing is to be feared; one that says nothing for so long is ended.
const HANGS_AFTER: Duration = Duration::from_secs(30);

/// What came after serving.
pub(super) enum After {
    /// The agent was asked to stop, and the Sentinel is stopped.
    Stopped,
    /// To be started again with a fresh file.
    Again,
    /// The Sentinel ended by itself.
    Ended(String),
}

impl Sentinel {
    /// Looks after a running Sentinel.
    pub(super) async fn serve(&mut self, server: &mut Server) -> After {
        if let Err(exit) = server.first_answer().await {
            return After::Ended(format!("the Sentinel ended while starting: {exit}"));
        }
        self.listen();
        let mut next = Instant::now();
        let mut heard = Instant::now();
        let mut pause = EAGER;
        let mut leaves_at: Option<Instant> = None;
        let after = loop {
            tokio::select! {
                exit = server.ended() => break After::Ended(format!("the Sentinel ended: {exit}")),
                event = self.agent.inbox.next() => {
                    if matches!(event, Event::Terminate) && leaves_at.is_none() && self.agent.args.bind.is_some() {
                        leaves_at = Some(farewell::of_sentinel(Duration::from_millis(self.agent.set.grace_period_ms)));
                        continue;
                    }
                    if let Some(after) = self.react(server, event).await {
                        break after;
                    }
                    next = Instant::now();
                    pause = EAGER;
                }
                () = farewell::due(leaves_at) => break self.leave(server).await,
                () = tokio::time::sleep_until(next) => {
                    let look = self.look(server).await;
                    match look {
                        Look::Silent => {}
                        Look::NoMaster => break self.start_over(server).await,
                        Look::Settled | Look::Unsettled => {
                            heard = Instant::now();
                            self.answer_pruned();
                        }
                    }
                    if heard.elapsed() > HANGS_AFTER {
                        self.agent.shared.notice("SentinelHangs", "the Sentinel has not answered for 30 s: it is ended", true);
                        server.child().stop(Duration::ZERO).await;
                    }
                    pause = if look == Look::Settled { CALM } else { (pause * 3 / 2).min(CALM) };
                    next = Instant::now() + pause;
                }
            }
        };
        self.agent.inbox.hearing.stop();
        after
    }

    /// Listens to the own Sentinel only; what the others say they tell through their own agents.
    fn listen(&mut self) {
        if let Some(config) = self.config() {
            let own = SentinelConfig { sentinels: vec![self.me.clone()], ..config.clone() };
            self.agent.inbox.hearing.listen(&own, &self.agent.sentinels);
        }
    }

    async fn react(&mut self, server: &mut Server, event: Event) -> Option<After> {
        match event {
            Event::Terminate | Event::Command(Command::Stop { .. }) => Some(self.leave(server).await),
            Event::Command(Command::Prune { reply }) => Some(self.prune(server, reply).await),
            Event::Command(command) => {
                command.refuse(&format!("{} is a Sentinel", self.me.name), "ask the agent of a data node");
                None
            }
            Event::Settings => self.reconfigure(server).await,
            // A Sentinel has no clients to lose: its agent is simply started again. What it says is looked at each time.
            Event::Succeed | Event::Sentinels => None,
        }
    }

    async fn leave(&self, server: &mut Server) -> After {
        self.set_phase(Phase::Stopping);
        server.child().stop(STOP_WITHIN).await;
        After::Stopped
    }

    /// Stopped, its file made anew without those that left, and started again: by [`After::Again`].
    async fn prune(&mut self, server: &mut Server, reply: oneshot::Sender<Result<(), Refusal>>) -> After {
        server.child().stop(STOP_WITHIN).await;
        self.agent.shared.notice("Pruned", "restarts to forget members that left the set", false);
        self.pruning.push(reply);
        After::Again
    }

    /// The Sentinel answers again, from a file without the members that left.
    fn answer_pruned(&mut self) {
        for reply in self.pruning.drain(..) {
            // Who asked may have gone.
            drop(reply.send(Ok(())));
        }
    }

    async fn start_over(&mut self, server: &mut Server) -> After {
        server.child().stop(STOP_WITHIN).await;
        let why = "the Sentinel knows no master any more: it learns it from the others and starts again";
        self.agent.shared.notice("SentinelForgot", why, true);
        After::Again
    }

    /// Waits without a Sentinel; true when asked to stop.
    pub(super) async fn rest(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            let event = tokio::select! {
                event = self.agent.inbox.next() => event,
                () = tokio::time::sleep_until(until) => return false,
            };
            match event {
                Event::Terminate | Event::Command(Command::Stop { .. }) => return true,
                Event::Command(command) => {
                    command.refuse(
                        "the Sentinel is not running",
                        "ask again when `redoubt status` shows it running",
                    );
                }
                Event::Settings => {
                    if let Some(change) = self.agent.reload_settings() {
                        self.agent.accept(&change);
                    }
                    return false;
                }
                Event::Succeed | Event::Sentinels => {}
            }
        }
    }
}
