//! The part of an agent that listens at the Sentinels and finishes what another left half done.

use std::{thread, time::Duration};

use redoubt_election::{
    Action, Clock, Context, Mine, NamedMaster, Request, Rescue, SentinelViews, Situation, change_master,
    look_at_master, new_id, watch,
};
use redoubt_redis::{Endpoint, role::Role};
use redoubt_wire::failover::Cause;
use tokio::sync::watch as watch_channel;

use crate::harness::Lab;

/// Agents at work, each in a thread of its own, as the real ones are processes of their own. They end when this is
/// dropped.
pub(crate) struct Agents {
    stop: watch_channel::Sender<()>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Drop for Agents {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Agents {
    /// The agents of these nodes.
    pub(crate) fn start(lab: &Lab, nodes: &[usize]) -> Self {
        let (stop, stopped) = watch_channel::channel(());
        let start = |node: &usize| {
            let agent = Agent {
                context: lab.context(*node),
                me: lab.nodes[*node].at.clone(),
                sentinel_ids: lab.config().sentinels.iter().map(|entry| entry.id.clone()).collect(),
            };
            let mut stopped = stopped.clone();
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    tokio::select! {
                        () = agent.run() => {}
                        _ = stopped.changed() => {}
                    }
                });
            })
        };
        Self { threads: nodes.iter().map(start).collect(), stop }
    }
}

struct Agent {
    context: Context,
    me: Endpoint,
    sentinel_ids: Vec<String>,
}

/// How often an agent looks at its server when it hears nothing.
const PULSE: Duration = Duration::from_millis(50);

impl Agent {
    async fn run(&self) {
        let config = self.context.set.sentinel().unwrap().clone();
        let (_watch, mut heard) = watch(&config, &self.context.sentinels);
        let mut views = SentinelViews::new(config.sentinels.iter().map(|entry| entry.name.clone()));
        let (clock, mut rescue) = (Clock::start(), Rescue::default());
        loop {
            if let Ok(Some(event)) = tokio::time::timeout(PULSE, heard.recv()).await {
                views.hear(&event, clock.now());
                continue;
            }
            let Some(named) = views.named().cloned() else { continue };
            let (mine, link_up) = self.mine(&named).await;
            let state = match mine {
                Mine::Follows { named: true } if link_up => NamedMaster::Leads,
                _ => look_at_master(&self.context, &named, PULSE).await,
            };
            let situation = Situation {
                me: &self.me,
                mine,
                may_lead: true,
                busy: false,
                views: &views,
                sentinel_ids: &self.sentinel_ids,
                named: &state,
            };
            if let Some(action) = rescue.decide(&situation, clock.now(), rand::random()) {
                self.act(action, views.epoch()).await;
            }
        }
    }

    async fn mine(&self, named: &Endpoint) -> (Mine, bool) {
        let role = async { self.context.nodes.connect(&self.me).await?.role().await };
        match role.await {
            Ok(Role::Replica { master, state, .. }) => {
                let link_up = state == redoubt_redis::role::LinkState::Connected;
                (Mine::Follows { named: master == *named }, link_up)
            }
            Ok(_) => (Mine::Leads { promoted: None }, false),
            Err(_) => (Mine::Down, false),
        }
    }

    async fn act(&self, action: Action, epoch_heard: u64) {
        let master = match action {
            Action::BeCandidate { replaces, .. } => {
                let (cause, to, old_offset, history) = (Cause::Rescue, None, None, None);
                let request = Request { id: new_id(), cause, replaces, to, old_offset, history, epoch_heard };
                change_master(&self.context, request).await;
                return;
            }
            Action::LeadAsNamed => None,
            Action::FollowNamed { master } => Some(master),
        };
        if let Ok(mut connection) = self.context.nodes.connect(&self.me).await {
            let _ = connection.replicaof(master.as_ref()).await;
        }
    }
}
