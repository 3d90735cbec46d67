//! How a Redis is, for people and programs. Pure, and the same value as before when nothing changed: then nothing is
//! written. Transition times and events are carried over from the status before.

mod conditions;
mod events;
mod failover;
mod members;

use jiff::Timestamp;
use redoubt_api::{CheckedRedis, Condition, ConditionStatus, ConditionType, Event, RedisStatus};

pub(crate) use self::conditions::holds;
use crate::{
    look::Look,
    plan::{Memory, Plan, plan_for},
    world::World,
};

/// What the engine is about, beside what it sees.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Activity {
    /// The plan for this world.
    pub(crate) plan: Plan,
    /// Faults of a newer resource that was refused: what runs follows the one before.
    pub(crate) refused: Vec<String>,
    /// What the engine did since the last status.
    pub(crate) events: Vec<Event>,
}

/// How this Redis is.
#[must_use]
pub fn status(redis: &CheckedRedis, world: &World, memory: &Memory, previous: &RedisStatus) -> RedisStatus {
    let look = Look::new(redis, world);
    let plan = plan_for(&look, memory);
    status_for(&look, &Activity { plan, ..Activity::default() }, previous)
}

pub(crate) fn status_for(look: &Look<'_>, activity: &Activity, previous: &RedisStatus) -> RedisStatus {
    let conditions = conditions::of(look, activity, &previous.conditions);
    let turns = events::of_transitions(look, &conditions, previous);
    let news = events::of_notices(look.world).chain(activity.events.iter().cloned()).chain(turns);
    RedisStatus {
        observed_generation: look.redis.generation,
        master: look.named_master().map(|endpoint| members::name_of(&look.world.identity, endpoint)),
        nodes: members::nodes(look),
        sentinels: members::sentinels(look),
        shards: members::shards(look),
        moving: members::moving(look, &activity.plan),
        last_failover: failover::last(look.world, previous.last_failover.as_ref()),
        events: events::merged(&previous.events, news),
        conditions,
    }
}

/// A status when nothing could be observed: as before, with the reason beside it.
#[must_use]
pub(crate) fn unobserved(
    previous: &RedisStatus,
    reason: &str,
    message: &str,
    events: &[Event],
    at: Timestamp,
) -> RedisStatus {
    let no = |kind| Condition {
        kind,
        status: ConditionStatus::False,
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: at,
    };
    let mut status = previous.clone();
    // What was never seen is not ready, and people look there first.
    let never_seen = previous.nodes.is_empty().then(|| no(ConditionType::Ready));
    for condition in never_seen.into_iter().chain([no(ConditionType::Progressing)]) {
        status.conditions.retain(|old| old.kind != condition.kind);
        status.conditions.push(conditions::since(condition, &previous.conditions));
    }
    status.conditions.sort_by_key(|condition| condition.kind);
    status.events = events::merged(&previous.events, events.iter().cloned());
    status
}

#[cfg(test)]
mod tests;
