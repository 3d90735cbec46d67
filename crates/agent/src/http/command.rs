//! What others may ask of the agent's main loop.

use redoubt_wire::{
    failover::{Cause, Failover},
    requests::{Rebalance, Rebalanced, Refusal},
};
use tokio::sync::oneshot;

/// A wish, and where its answer goes. Who asked may have gone away by then; that is no fault.
#[derive(Debug)]
pub(crate) enum Command {
    /// Hand the mastership over.
    Switchover {
        /// Name of the node that shall lead; the best one when `None`.
        to: Option<String>,
        /// [`Cause::Switchover`] or [`Cause::Stop`].
        cause: Cause,
        /// 12 hex digits to follow it by; made by the main loop when `None`.
        id: Option<String>,
        /// What came of it, or why it was not begun.
        reply: oneshot::Sender<Result<Failover, Refusal>>,
    },
    /// End the server, then the agent.
    Stop {
        /// A master hands over first.
        hand_over: bool,
    },
    /// Remove entries of former members from the Sentinel.
    Prune {
        /// Done, or why not.
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    /// Move slots of the cluster.
    Rebalance {
        /// Where to.
        wish: Rebalance,
        /// What came of it. It ends when nobody waits for that.
        reply: oneshot::Sender<Result<Rebalanced, Refusal>>,
    },
}

impl Command {
    /// Says no to whoever waits for an answer.
    pub(crate) fn refuse(self, error: &str, next: &str) {
        let refusal = Refusal::new(error, next);
        match self {
            Self::Switchover { reply, .. } => drop(reply.send(Err(refusal))),
            Self::Prune { reply } => drop(reply.send(Err(refusal))),
            Self::Rebalance { reply, .. } => drop(reply.send(Err(refusal))),
            Self::Stop { .. } => {}
        }
    }
}
