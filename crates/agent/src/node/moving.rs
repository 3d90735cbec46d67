//! Moves slots of the cluster on a thread of its own: to compare what many nodes say of 16384 slots keeps a processor
//! busy, and the main loop, which judges whether the server hangs, must not wait for that.

use std::{future::Future, io, sync::Arc, thread, time::Duration};

use redoubt_redis::Endpoint;
use redoubt_slots::Access;
use redoubt_wire::{
    config::SetConfig,
    requests::{Rebalance, Rebalanced, Refusal},
};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio_util::sync::CancellationToken;

use super::Node;
use crate::{agent::agent_credentials, cluster};

/// Thousands of slots are counted in one call.
pub(super) const SLOTS_ANSWER: Duration = Duration::from_secs(5);
/// What is on its way when an agent ends: some hundred slots of some megabytes.
const ARRIVED_WITHIN: Duration = Duration::from_secs(5);

/// Slots are being moved.
pub(super) struct Moving {
    enough: CancellationToken,
    /// Its other end is gone when the thread has ended.
    done: oneshot::Receiver<()>,
}

/// All that it takes.
struct Errand {
    access: Access,
    entry: Endpoint,
    set: Arc<SetConfig>,
    wish: Rebalance,
    enough: CancellationToken,
}

impl Node {
    /// Begins to move slots; what came of it goes to whoever waits for it.
    pub(super) fn rebalance(&mut self, wish: Rebalance, reply: oneshot::Sender<Result<Rebalanced, Refusal>>) {
        if let Some(refusal) = self.may_not_move() {
            drop(reply.send(Err(refusal)));
            return;
        }
        let enough = CancellationToken::new();
        let errand = Errand {
            access: Access::new(
                self.agent.nodes.with_deadline(SLOTS_ANSWER),
                Some(agent_credentials(&self.agent.secrets)),
            ),
            entry: self.me.server.clone(),
            set: Arc::clone(&self.agent.set),
            wish,
            enough: enough.clone(),
        };
        match errand.start(reply) {
            Ok(done) => self.moving = Some(Moving { enough, done }),
            // Whoever asked hears that nobody answers any more, and asks again.
            Err(error) => tracing::error!(%error, "no thread to move slots on"),
        }
    }

    fn may_not_move(&mut self) -> Option<Refusal> {
        if !self.is_clustered() {
            return Some(Refusal::new(
                "this is no node of a cluster: it has no slots",
                "ask one of a cluster",
            ));
        }
        let moves = self.moving.as_mut().is_some_and(Moving::is_under_way);
        moves.then(|| Refusal::new("slots are being moved already", "ask again when they have arrived"))
    }

    /// This agent is about to end: what is on its way arrives, and nothing new is begun.
    pub(super) async fn end_moving(&mut self) {
        let Some(Moving { enough, done }) = self.moving.take() else { return };
        enough.cancel();
        if tokio::time::timeout(ARRIVED_WITHIN, done).await.is_err() {
            tracing::warn!("slots stay half moved; who moves the next ones finishes them");
        }
    }
}

/// Work on many slots, beside the main loop.
pub(super) fn on_thread(work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("slots".to_owned()).spawn(move || runtime.block_on(work))?;
    Ok(())
}

impl Moving {
    fn is_under_way(&mut self) -> bool {
        self.done.try_recv() == Err(TryRecvError::Empty)
    }
}

impl Errand {
    fn start(self, reply: oneshot::Sender<Result<Rebalanced, Refusal>>) -> io::Result<oneshot::Receiver<()>> {
        let (ended, done) = oneshot::channel();
        on_thread(async move {
            self.run(reply).await;
            drop(ended);
        })?;
        Ok(done)
    }

    async fn run(self, mut reply: oneshot::Sender<Result<Rebalanced, Refusal>>) {
        let Self { access, entry, set, wish, enough } = &self;
        let moved = cluster::rebalance(access, entry, set, wish, enough);
        tokio::pin!(moved);
        let moved = tokio::select! {
            moved = &mut moved => moved,
            () = reply.closed() => {
                enough.cancel();
                moved.await
            }
        };
        match &moved {
            Ok(moved) => {
                tracing::info!(slots = moved.slots, keys = moved.keys, left = moved.left, "slots moved");
            }
            Err(refusal) => tracing::warn!(error = refusal.error, "slots are not where they are to be"),
        }
        // Who asked may be gone; the next one sees where the slots are.
        drop(reply.send(moved));
    }
}
