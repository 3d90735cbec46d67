//! Before the server runs: survey, decide, and wait until somebody may lead.

use std::time::{Duration, Instant};

use redoubt_election::Verdict;
use redoubt_redis::Endpoint;
use redoubt_serverconf::{aof::StartsAs, files::off_thread};
use redoubt_wire::{
    config::SetConfig,
    failover::Cause,
    state::{OnDisk, Phase, copied_data_set},
};

use super::{Node, Role, durable::Beginning};
use crate::{
    boot::{Decision, Election, Survey, decide, gather},
    fault::Fault,
    http::Command,
    inbox::Event,
    record::{self, Held},
};

/// Others that start at the same moment are ready within some tens of milliseconds.
pub(super) const FIRST_LOOK: Duration = Duration::from_millis(20);
/// A master that is found takes the next survey; nobody else says that it is there.
pub(super) const SLOWEST_LOOK: Duration = Duration::from_millis(500);

impl Node {
    /// Waits until this node may start, and as what. `None`: it was asked to stop.
    pub(super) async fn enter(&mut self) -> Option<Role> {
        if self.is_clustered() {
            return self.enter_cluster().await;
        }
        let began = Instant::now();
        let mut pause = FIRST_LOOK;
        let mut told = String::new();
        loop {
            let own = match self.own_record().await {
                Ok(own) => own,
                Err(fault) => {
                    self.tell_waiting(&mut told, fault.to_string(), None);
                    if self.rest(SLOWEST_LOOK).await {
                        return None;
                    }
                    continue;
                }
            };
            match self.decided(own, began.elapsed(), &mut told).await {
                Ok(role) => return Some(role),
                Err(retry) => pause = retry.unwrap_or(pause),
            }
            if self.rest(pause).await {
                return None;
            }
            pause = (pause * 2).min(SLOWEST_LOOK);
        }
    }

    /// Looks around once. Where this node has to wait: for how long, if not as long as usual.
    pub(super) async fn decided(
        &mut self,
        own: OnDisk,
        waited: Duration,
        told: &mut String,
    ) -> Result<Role, Option<Duration>> {
        self.agent.shared.update_node(|node| {
            node.on_disk.clone_from(&own);
        });
        let (set, me) = (&self.agent.set, &self.me.name);
        let survey = gather(set, me, &self.agent.sentinels, &self.agent.peers, own, waited).await;
        self.durable.heard_survey(&survey);
        match decide(&self.agent.set, &survey) {
            Decision::Follow(master) => {
                let beginning =
                    Beginning::Follow { data_set: data_set_of(&self.agent.set, &survey, &master) };
                Ok(Role { follow: Some(master), beginning, ..Role::default() })
            }
            Decision::Lead { new_data_set, why } => {
                self.agent.shared.notice("Leads", format!("starts as master: {why}"), false);
                let beginning = if new_data_set { Beginning::LeadAnew } else { Beginning::Lead };
                Ok(Role { beginning, joined: true, ..Role::default() })
            }
            Decision::Elect(Election::ForMe { named }) => {
                let beginning = Beginning::Follow { data_set: None };
                Ok(Role { follow: Some(named), beginning, elect: true, ..Role::default() })
            }
            Decision::Elect(Election::AwayFromMe) => {
                let server = self.me.server.clone();
                let report = self.change_master(self.request(Cause::Return, server, None)).await;
                match report.verdict {
                    Verdict::RetryAfter { after, .. } => Err(Some(after)),
                    Verdict::Done | Verdict::Stopped { .. } => Err(None),
                }
            }
            Decision::Wait { why, until } => {
                self.tell_waiting(told, why, until.map(|until| until.saturating_sub(waited)));
                Err(None)
            }
        }
    }

    /// What the files of this node hold.
    pub(super) async fn own_record(&mut self) -> Result<OnDisk, Fault> {
        let files = self.files(StartsAs::Undecided).await?;
        let own = self.durable.reload(files.held).await?;
        let dir = self.agent.args.data.clone();
        if own != OnDisk::Nothing
            || files.held == Held::Nothing
            || !off_thread(move || record::has_data(&dir)).await
        {
            return Ok(own);
        }
        // Data from elsewhere: nothing it could be compared by.
        Ok(self.durable.found(&self.me.name))
    }

    /// Says once why this node waits; again only when the reason is another.
    pub(super) fn tell_waiting(&self, told: &mut String, why: String, left: Option<Duration>) {
        if *told == why {
            return;
        }
        told.clone_from(&why);
        tracing::info!("waits: {why}");
        let until = left.and_then(|left| jiff::Timestamp::now().checked_add(left).ok());
        self.set_phase(Phase::Waiting { why, until });
    }

    /// Lets time pass without a server; true when asked to stop. News from a Sentinel or a new configuration ends
    /// the rest early.
    pub(super) async fn rest(&mut self, pause: Duration) -> bool {
        match self.rested(pause).await {
            Rested::Over => false,
            Rested::Stop => true,
            Rested::Settings => {
                if let Some(new) = self.agent.reload_settings() {
                    self.adopt(&new);
                }
                false
            }
        }
    }

    /// Lets time pass while nothing can be asked of the server.
    pub(super) async fn rested(&mut self, pause: Duration) -> Rested {
        let until = tokio::time::Instant::now() + pause;
        loop {
            let event = tokio::select! {
                event = self.agent.inbox.next() => event,
                () = tokio::time::sleep_until(until) => return Rested::Over,
            };
            match event {
                Event::Terminate | Event::Command(Command::Stop { .. }) => {
                    self.set_phase(Phase::Stopping);
                    return Rested::Stop;
                }
                Event::Command(command) => command.refuse(
                    "this node's server is not running",
                    "look at `redoubt status` for what it waits for, and ask again when it runs",
                ),
                // Nothing is handed down in the middle of a start: an agent that waits is simply started again.
                Event::Succeed => {}
                Event::Settings => return Rested::Settings,
                Event::Sentinels => {
                    if self.hear() {
                        return Rested::Over;
                    }
                }
            }
        }
    }
}

/// How a rest ended.
pub(super) enum Rested {
    /// It is time to look again.
    Over,
    /// There may be new settings.
    Settings,
    /// The agent is asked to stop.
    Stop,
}

/// Which data set a master has, by its agent's word; one outside of the set has no agent.
fn data_set_of(set: &SetConfig, survey: &Survey, master: &Endpoint) -> Option<String> {
    if set.bootstrap.as_ref() == Some(master) {
        return Some(copied_data_set(master));
    }
    let leader = set.nodes.iter().find(|node| node.server == *master)?;
    let peer = survey.peers.iter().find(|peer| peer.name == leader.name)?;
    Some(peer.state.as_ref()?.on_disk.record()?.data_set.clone())
}
