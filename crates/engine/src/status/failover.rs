//! The last change of master, put together from what several agents say of it.

use redoubt_api::{FailoverStep, LastFailover};
use redoubt_redis::Endpoint;
use redoubt_wire::failover::{Failover, Outcome};

use super::members::name_of;
use crate::{
    platform::Identity,
    world::{MemberView, World},
};

const DONE: &str = "Done";

/// The newest one that was done; of one and the same epoch the fullest account, which is that of the agent that led it.
/// An attempt that was given up is shown only while there is nothing else: it changed no master.
pub(super) fn last(world: &World, previous: Option<&LastFailover>) -> Option<LastFailover> {
    let seen =
        world.members.iter().filter_map(MemberView::agent).filter_map(|agent| agent.last_failover.as_ref());
    let all: Vec<LastFailover> =
        seen.map(|failover| told(&world.identity, failover)).chain(previous.cloned()).collect();
    let newest = all.iter().max_by_key(|failover| (failover.outcome == DONE, failover.started_at))?;
    let same = |other: &&LastFailover| {
        other.id == newest.id
            || (newest.epoch.is_some() && other.epoch == newest.epoch && other.outcome == newest.outcome)
    };
    // `max_by_key` takes the last among equals: the one that was published before, so that a tie changes nothing.
    all.iter().filter(same).max_by_key(|failover| (failover.steps.len(), failover.votes.len())).cloned()
}

fn told(identity: &Identity, failover: &Failover) -> LastFailover {
    let name = |endpoint: &Option<Endpoint>| endpoint.as_ref().map(|endpoint| name_of(identity, endpoint));
    LastFailover {
        id: failover.id.clone(),
        cause: failover.cause.as_str().to_owned(),
        old_master: name(&failover.old_master),
        new_master: name(&failover.new_master),
        epoch: failover.epoch,
        votes: failover.votes.clone(),
        bytes_behind: failover.bytes_behind(),
        started_at: failover.started_at,
        duration_ms: failover.duration_ms,
        outcome: match &failover.outcome {
            Outcome::Done => DONE.to_owned(),
            Outcome::Stopped { why } => why.clone(),
        },
        steps: (failover.steps.iter())
            .map(|step| FailoverStep { step: step.step.clone(), at_us: step.at_us })
            .collect(),
    }
}
