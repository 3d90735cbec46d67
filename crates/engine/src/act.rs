//! Does one step. Each can be cut off at any point and done again.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use redoubt_api::Event;
use redoubt_wire::{
    client::AgentError,
    failover::{Cause, Failover, Outcome},
    requests::{Rebalance, Rebalanced},
};

use crate::{
    agents::AgentLink,
    gate::Gate,
    look::Look,
    plan::{Attempt, Memory, Step},
    platform::{Platform, PlatformError, Workload},
    world::Counts,
};

/// Why a step was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error("{0}; {next}", next = .0.next())]
    Agent(#[from] AgentError),
    #[error("the agent stopped it: {why}")]
    Stopped { why: String },
    #[error("{member} cannot be asked: nothing is known of its agent")]
    NoAgent { member: String },
}

/// What a step that was done leaves to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Id of the failover it led to.
    pub(crate) failover: Option<String>,
    /// What became of slots.
    pub(crate) moved: Option<Rebalanced>,
}

/// Slots are moved for so long before the world is looked at again, and what is wanted. An engine that dies meanwhile ends
/// it as well.
const MOVES_FOR: Duration = Duration::from_secs(5);

/// Does this step; what the platform was told is remembered.
pub(crate) async fn act<P: Platform, L: AgentLink>(
    gate: &Gate<P>,
    look: &Look<'_>,
    link: impl Fn(&str) -> Option<Arc<L>>,
    memory: &mut Memory,
    step: &Step,
) -> Result<Done, StepError> {
    let agent = |name: &str| link(name).ok_or_else(|| StepError::NoAgent { member: name.to_owned() });
    match step {
        Step::Confirm { counts } | Step::Apply { counts, .. } | Step::Leave { counts, .. } => {
            apply(gate, look, memory, *counts).await?;
        }
        Step::Replace { member, .. } => gate.replace(&look.workload(look.counts), member).await?,
        Step::Handover { from, to, .. } => {
            return done(agent(from)?.switchover(to.as_deref(), Cause::Switchover, None).await?);
        }
        Step::Rebalance { mover, weights, .. } => {
            let for_ms = u64::try_from(MOVES_FOR.as_millis()).unwrap_or(u64::MAX);
            let wish = Rebalance { weights: weights.clone(), for_ms };
            let moved = agent(mover)?.rebalance(&wish).await?;
            return Ok(Done { moved: Some(moved), ..Done::default() });
        }
        Step::Prune { sentinel, .. } => agent(sentinel)?.prune().await?,
    }
    Ok(Done::default())
}

async fn apply<P: Platform>(
    gate: &Gate<P>,
    look: &Look<'_>,
    memory: &mut Memory,
    counts: Counts,
) -> Result<(), PlatformError> {
    let workload: Workload = look.workload(counts);
    // Cut off half way, the platform may have been told or not: it is told again.
    memory.applied = None;
    gate.apply(&workload).await?;
    memory.applied = Some(Box::new(workload));
    Ok(())
}

/// How fast slots were moved. The first one of a new shard, which goes alone, tells nothing of that.
pub(crate) fn per_second(step: &Step, moved: &Rebalanced) -> Option<u32> {
    let Step::Rebalance { weights, .. } = step else { return None };
    let rate = u64::from(moved.slots) * 1000 / moved.took_ms.max(1);
    (moved.slots as usize > weights.len()).then(|| u32::try_from(rate).unwrap_or(u32::MAX).max(1))
}

fn done(failover: Failover) -> Result<Done, StepError> {
    match failover.outcome {
        Outcome::Done => Ok(Done { failover: Some(failover.id), ..Done::default() }),
        Outcome::Stopped { why } => Err(StepError::Stopped { why }),
    }
}

/// What people read of a step: what is done for good, and a failure when it is a new one.
pub(crate) fn event(
    source: &str,
    step: &Step,
    result: &Result<Done, StepError>,
    before: Option<&Attempt>,
    at: Timestamp,
) -> Option<Event> {
    let (reason, message) = match result {
        Ok(_) if before.is_some_and(|before| before.failure.is_none()) => return None,
        Ok(Done { failover: Some(id), .. }) => (reason(step)?, format!("{step} (failover {id})")),
        // Only the last part of many is worth telling.
        Ok(Done { moved: Some(moved), .. }) if moved.left > 0 || moved.slots == 0 => return None,
        Ok(Done { moved: Some(_), .. }) => {
            ("SlotsMoved", "every shard owns its share of the slots".to_owned())
        }
        Ok(Done { .. }) => (reason(step)?, step.to_string()),
        Err(error) if before.is_some_and(|before| before.failure == Some(error.to_string())) => return None,
        Err(error) => ("StepFailed", format!("{step} failed: {error}")),
    };
    Some(Event {
        at,
        source: source.to_owned(),
        reason: reason.to_owned(),
        message,
        warning: result.is_err(),
    })
}

fn reason(step: &Step) -> Option<&'static str> {
    match step {
        Step::Confirm { .. } | Step::Apply { .. } => None,
        Step::Leave { .. } => Some("ScaledIn"),
        Step::Handover { .. } => Some("HandedOver"),
        Step::Replace { .. } => Some("Restarted"),
        Step::Rebalance { .. } => Some("SlotsMoved"),
        Step::Prune { .. } => Some("Pruned"),
    }
}
