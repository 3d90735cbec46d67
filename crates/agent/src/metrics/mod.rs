//! Prometheus metrics: the server's under the names that `redis_exporter` made usual, the agent's under `redoubt_`.
//!
//! One `INFO ALL` and one `SLOWLOG LEN`, in one round trip over a connection that is kept, written straight into the
//! answer. The server pays for nothing else: no CONFIG, no LATENCY, no CLIENT LIST.

mod families;
mod info;
mod live;
mod names;
mod own;
mod server;
mod source;
mod text;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use redoubt_redis::{Connector, Endpoint};
use redoubt_wire::state::{AgentState, Live};

pub(crate) use self::own::Own;
use self::{info::Info, source::Source, text::Text};

/// A scrape waits this long for a server that is busy; Prometheus itself waits 10 s by default.
const SCRAPE: Duration = Duration::from_secs(1);
/// Who asks for the state wants news first of all, and live figures only if they are to be had at once.
const LIVE: Duration = Duration::from_millis(200);

/// What is measured at one agent and its server.
#[derive(Debug)]
pub(crate) struct Metrics {
    source: Source,
    own: Own,
    /// Bytes of the longest answer so far: the next one begins with that much room.
    room: AtomicUsize,
}

impl Metrics {
    /// Of the server there; `redis` is the name of the resource.
    pub(crate) fn new(redis: &str, connector: &Connector, server: Endpoint) -> Self {
        Self {
            source: Source::new(connector.with_deadline(SCRAPE), server),
            own: Own::new(redis),
            room: AtomicUsize::new(0),
        }
    }

    /// What the agent counts itself.
    pub(crate) fn own(&self) -> &Own {
        &self.own
    }

    /// The text of `/metrics`.
    pub(crate) async fn render(&self, state: &AgentState) -> String {
        let answer = self.source.everything(SCRAPE).await;
        let mut text = Text::with_room(self.room.load(Ordering::Relaxed));
        text.gauge("redis_up", u64::from(answer.is_some()));
        if let Some(answer) = &answer {
            server::write(&Info::parse(&answer.info), answer.slowlog, &mut text);
        }
        self.own.write(state, &mut text);
        let text = text.finish();
        self.room.fetch_max(text.len(), Ordering::Relaxed);
        text
    }

    /// What changes all the time; `None` when the server does not tell at once.
    pub(crate) async fn live(&self) -> Option<Live> {
        let info = self.source.info(LIVE).await?;
        Some(live::read(&Info::parse(&info)))
    }
}

#[cfg(test)]
mod tests;
