//! What happened: the agents' notices, the engine's steps, and turns of the conditions.

use redoubt_api::{Condition, ConditionStatus, ConditionType, Event, MAX_EVENTS, RedisStatus};

use crate::{
    look::Look,
    world::{MemberView, World},
};

pub(super) fn of_notices(world: &World) -> impl Iterator<Item = Event> + '_ {
    world.members.iter().filter_map(MemberView::agent).flat_map(|agent| {
        agent.notices.iter().map(|notice| Event {
            at: notice.at,
            source: agent.name.clone(),
            reason: notice.reason.clone(),
            message: notice.message.clone(),
            warning: notice.warning,
        })
    })
}

/// An event when the set begins or ceases to serve, to be complete, or to be able to elect.
pub(super) fn of_transitions(look: &Look<'_>, now: &[Condition], before: &RedisStatus) -> Vec<Event> {
    now.iter().filter_map(|condition| turn(look, condition, before)).collect()
}

fn turn(look: &Look<'_>, condition: &Condition, before: &RedisStatus) -> Option<Event> {
    use ConditionStatus::{False, True};
    let old = before.conditions.iter().find(|old| old.kind == condition.kind).map(|old| old.status);
    let (began, ended) = names(condition.kind)?;
    // What was not known for a while and is as it was before is no news, nor is what never was at all.
    let said = before
        .events
        .iter()
        .rev()
        .find(|event| event.reason == began || Some(event.reason.as_str()) == ended);
    let held = old == Some(True) || said.is_some_and(|event| event.reason == began);
    let (reason, warning) = match condition.status {
        True if ended.is_some() && !held => (began, false),
        True if ended.is_none() && old != Some(True) => (began, false),
        False if held => (ended?, true),
        _ => return None,
    };
    Some(Event {
        at: look.world.at,
        source: look.redis.key.name.clone(),
        reason: reason.to_owned(),
        message: condition.message.clone(),
        warning,
    })
}

/// What it is called when it begins, and when it ends.
fn names(kind: ConditionType) -> Option<(&'static str, Option<&'static str>)> {
    match kind {
        ConditionType::Ready => Some(("Ready", None)),
        ConditionType::Available => Some(("Available", Some("NotAvailable"))),
        ConditionType::SentinelQuorum => Some(("SentinelQuorum", Some("NoSentinelQuorum"))),
        ConditionType::Progressing
        | ConditionType::Degraded
        | ConditionType::Honoured
        | ConditionType::Questionable => None,
    }
}

/// Old and new, each once, in order of time, the newest [`MAX_EVENTS`]. An agent tells its notices again and again: an
/// event is known by its content, and one that fell off the list is older than all that are on it.
pub(super) fn merged(before: &[Event], news: impl Iterator<Item = Event>) -> Vec<Event> {
    let mut events: Vec<Event> = before.to_vec();
    for event in news {
        if !events.contains(&event) {
            events.push(event);
        }
    }
    events.sort_by(|a, b| {
        (a.at, &a.source, &a.reason, &a.message).cmp(&(b.at, &b.source, &b.reason, &b.message))
    });
    events.split_off(events.len().saturating_sub(MAX_EVENTS))
}
