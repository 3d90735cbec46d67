//! What the Sentinels say, put together by a task of its own: nothing that the main loop waits for makes the agent deaf.

use redoubt_election::{Clock, SentinelViews, watch};
use redoubt_redis::Connector;
use redoubt_wire::config::SentinelConfig;
use tokio::sync::watch::{Receiver, Sender};
use tokio_util::task::AbortOnDropHandle;

/// Listens at Sentinels, and remembers what they said also while it does not.
#[derive(Debug)]
pub(crate) struct Hearing {
    views: Sender<SentinelViews>,
    news: Receiver<SentinelViews>,
    clock: Clock,
    listening: Option<AbortOnDropHandle<()>>,
}

impl Hearing {
    /// Nothing heard yet.
    pub(crate) fn new(clock: Clock) -> Self {
        let (views, news) = tokio::sync::watch::channel(SentinelViews::default());
        Self { views, news, clock, listening: None }
    }

    /// Listens at these Sentinels from now on; others are forgotten.
    pub(crate) fn listen(&mut self, config: &SentinelConfig, connector: &Connector) {
        let names: Vec<String> = config.sentinels.iter().map(|entry| entry.name.clone()).collect();
        self.views.send_modify(|views| views.listen_to(&names));
        let (watch, mut heard) = watch(config, connector);
        let (views, clock) = (self.views.clone(), self.clock);
        let listening = async move {
            let _watch = watch;
            while let Some(event) = heard.recv().await {
                views.send_modify(|views| views.hear(&event, clock.now()));
            }
        };
        self.listening = Some(AbortOnDropHandle::new(tokio::spawn(listening)));
    }

    /// Listens no more.
    pub(crate) fn stop(&mut self) {
        self.listening = None;
    }

    /// What they say now.
    pub(crate) fn views(&self) -> SentinelViews {
        self.views.borrow().clone()
    }

    /// For those who wait for what they say next.
    pub(crate) fn subscribe(&self) -> Receiver<SentinelViews> {
        self.views.subscribe()
    }

    /// Waits until they have said something new. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        // The sender lives as long as `self`, so there is no failure.
        drop(self.news.changed().await);
    }
}
