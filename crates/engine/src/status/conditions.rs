//! `Ready`, `Available`, `Progressing`, `Degraded`, `SentinelQuorum`: each with its reason and the next step.

use redoubt_api::{Condition, ConditionStatus, ConditionType, Finding as Remark};
use redoubt_redis::cluster::SLOTS;
use redoubt_wire::state::{Phase, Replication};

use super::Activity;
use crate::{
    look::{Finding, Look, can_vote},
    plan::Plan,
    platform::MemberKind,
    world::majority,
};

/// One aspect before it has a time.
struct Aspect {
    status: ConditionStatus,
    reason: &'static str,
    message: String,
}

impl Aspect {
    fn new(status: ConditionStatus, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }
}

/// All aspects, with the time of their last transition.
pub(super) fn of(look: &Look<'_>, activity: &Activity, previous: &[Condition]) -> Vec<Condition> {
    let mut aspects = vec![
        (ConditionType::Ready, ready(look, activity)),
        (ConditionType::Available, available(look)),
        (ConditionType::Progressing, progressing(look, activity)),
        (ConditionType::Degraded, degraded(look)),
    ];
    if look.redis.sentinel().is_some() {
        aspects.push((ConditionType::SentinelQuorum, sentinel_quorum(look)));
    }
    if let Some(failover) = &look.redis.failover {
        aspects.push((ConditionType::Honoured, honoured(look, &failover.not_honoured)));
        aspects.push((ConditionType::Questionable, questionable(&failover.warnings)));
    }
    let condition = |(kind, aspect): (ConditionType, Aspect)| Condition {
        kind,
        status: aspect.status,
        reason: aspect.reason.to_owned(),
        message: aspect.message,
        last_transition_time: look.world.at,
    };
    aspects.into_iter().map(condition).map(|condition| since(condition, previous)).collect()
}

/// The time of a transition stays until the status changes.
pub(super) fn since(condition: Condition, previous: &[Condition]) -> Condition {
    let before = previous.iter().find(|old| old.kind == condition.kind && old.status == condition.status);
    Condition {
        last_transition_time: before.map_or(condition.last_transition_time, |old| old.last_transition_time),
        ..condition
    }
}

fn ready(look: &Look<'_>, activity: &Activity) -> Aspect {
    let plan = &activity.plan;
    let not = |reason, message| Aspect::new(ConditionStatus::False, reason, message);
    match (&plan.step, &plan.waiting) {
        (Some(step), _) => not(step.reason(), with_failure(plan, &step.to_string())),
        (None, Some(waiting)) => not(waiting.reason, with_failure(plan, &waiting.why)),
        (None, None) => unplanned(look),
    }
}

/// A failure says more than what it keeps waiting: it comes first.
fn with_failure(plan: &Plan, message: &str) -> String {
    plan.failed.as_ref().map_or_else(|| message.to_owned(), |failed| format!("{failed}; {message}"))
}

/// Nothing is planned for a paused resource, whatever its members do, and whatever they should.
fn unplanned(look: &Look<'_>) -> Aspect {
    let (faults, behind) = (faults(look), look.behind());
    let (reason, why) = match (faults.is_empty(), behind.is_empty()) {
        (true, true) => return Aspect::new(ConditionStatus::True, "AsAsked", as_asked(look)),
        (false, _) => ("MembersNotReady", faults),
        (true, false) => ("NotAsAsked", behind),
    };
    Aspect::new(ConditionStatus::False, reason, why.join("; "))
}

fn as_asked(look: &Look<'_>) -> String {
    let counted = |count: u32, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    if look.counts.shards > 0 {
        let (shards, nodes) = (look.counts.shards, look.counts.total(MemberKind::Node));
        return format!("{shards} shards of {nodes} nodes as asked, all slots served, replicas in sync");
    }
    let nodes = counted(look.counts.nodes, "node");
    match look.counts.sentinels {
        0 => format!("{nodes} as asked"),
        sentinels => format!("{nodes} and {} as asked, replicas in sync", counted(sentinels, "Sentinel")),
    }
}

fn available(look: &Look<'_>) -> Aspect {
    if look.redis.cluster().is_some() {
        return available_slots(look);
    }
    let Some(endpoint) = look.named_master() else {
        return nobody_named(look);
    };
    let Some(master) = look.master() else {
        return Aspect::new(
            ConditionStatus::False,
            "NoMaster",
            format!("{endpoint} is named master and is not there"),
        );
    };
    let (name, fault) = (&master.member.name, look.standing(master));
    let unknown = |reason, message| Aspect::new(ConditionStatus::Unknown, reason, message);
    match master.node().map(|node| (&node.phase, &node.replication)) {
        _ if look.serves() => {
            Aspect::new(ConditionStatus::True, "MasterServes", format!("{name} takes writes at {endpoint}"))
        }
        None if master.member.running => {
            let address = look.agent_address(name);
            unknown(
                "MasterUnknown",
                format!(
                    "{name} is the master and its agent does not answer; see whether {address} is reachable"
                ),
            )
        }
        // The Sentinels' agents and its own tell their news at different moments.
        Some((Phase::Running, Some(Replication::Replica { .. }))) => {
            unknown("MasterIsReplica", format!("{name}: {}", fault.fault()))
        }
        _ => Aspect::new(
            ConditionStatus::False,
            "MasterNotServing",
            format!("{name} is the master and does not serve: {}", fault.fault()),
        ),
    }
}

/// All slots, or which are not.
fn available_slots(look: &Look<'_>) -> Aspect {
    let shards = look.serving_shards();
    let unserved: Vec<String> = shards
        .iter()
        .filter(|shard| !shard.serves())
        .map(|shard| {
            let slots = shard.slots();
            let which = if slots.is_empty() { String::new() } else { format!(" with {}", slots.outline()) };
            format!("shard {}{which}", shard.number)
        })
        .collect();
    if !unserved.is_empty() {
        // An agent that does not answer may have a server that serves.
        let silent = look.nodes().any(|view| view.member.running && view.agent().is_none());
        let status = if silent { ConditionStatus::Unknown } else { ConditionStatus::False };
        let message = format!("{} has no master that serves{}", unserved.join(", "), waits(look));
        return Aspect::new(status, "ShardNotServed", message);
    }
    let owned = shards.iter().map(|shard| shard.slots().len()).sum::<usize>();
    if owned < usize::from(SLOTS) && look.is_told_whole() {
        let message =
            format!("{owned} of {SLOTS} slots have an owner by his own word; the others have just moved");
        return Aspect::new(ConditionStatus::Unknown, "SlotsMoving", message);
    }
    if owned < usize::from(SLOTS) {
        let message = format!("{owned} of {SLOTS} slots have an owner; look at `redoubt cluster check`");
        return Aspect::new(ConditionStatus::False, "SlotsUncovered", message);
    }
    Aspect::new(
        ConditionStatus::True,
        "SlotsServed",
        format!("{} masters serve all {SLOTS} slots", shards.len()),
    )
}

/// "No" takes a majority that could have said "yes".
fn nobody_named(look: &Look<'_>) -> Aspect {
    if let Some(outside) = look.outside() {
        let message =
            format!("the nodes follow {outside}, from which they are filled: none of them takes writes");
        return Aspect::new(ConditionStatus::False, "Bootstrapping", message);
    }
    let answering = look.sentinels().filter(|view| view.sentinel().is_some()).count();
    let enough = answering >= majority(look.voters()) as usize || answering == look.voters() as usize;
    let status = if enough { ConditionStatus::False } else { ConditionStatus::Unknown };
    let message = format!(
        "{answering} of {} Sentinels answer and no majority names a master{}",
        look.voters(),
        waits(look)
    );
    Aspect::new(status, "NoMaster", message)
}

/// What the nodes themselves say they wait for.
fn waits(look: &Look<'_>) -> String {
    let waiting = look
        .nodes()
        .filter(|view| view.node().is_some_and(|node| matches!(node.phase, Phase::Waiting { .. })));
    let reasons: Vec<String> =
        waiting.map(|view| format!("{}: {}", view.member.name, look.standing(view).fault())).collect();
    if reasons.is_empty() { String::new() } else { format!("; {}", reasons.join("; ")) }
}

fn progressing(look: &Look<'_>, activity: &Activity) -> Aspect {
    let idle = |reason, message: String| Aspect::new(ConditionStatus::False, reason, message);
    if !activity.refused.is_empty() {
        let faults = activity.refused.join("; ");
        return idle(
            "SpecRefused",
            format!("the resource was refused and the one before stays in force: {faults}"),
        );
    }
    if look.redis.spec.paused {
        return idle(
            "Paused",
            "redoubt.dev/paused is \"true\": nothing is done until it is removed".to_owned(),
        );
    }
    let under_way =
        |reason, message| Aspect::new(ConditionStatus::True, reason, with_failure(&activity.plan, message));
    match (&activity.plan.step, &activity.plan.waiting) {
        (Some(step), _) => under_way(step.reason(), &step.to_string()),
        (None, Some(waiting)) if waiting.is_refusal() => idle(waiting.reason, waiting.why.clone()),
        (None, Some(waiting)) => under_way(waiting.reason, &waiting.why),
        (None, None) => idle("NothingToDo", "all is as the resource asks".to_owned()),
    }
}

fn degraded(look: &Look<'_>) -> Aspect {
    let faults = faults(look);
    if faults.is_empty() {
        return Aspect::new(ConditionStatus::False, "AllWell", "every member is well");
    }
    let members = look.nodes().chain(look.sentinels());
    let finding = members.filter_map(|view| look.standing(view).finding).map(Finding::reason).next();
    Aspect::new(ConditionStatus::True, finding.unwrap_or("MembersNotReady"), faults.join("; "))
}

/// What is wrong with each member that is not well.
fn faults(look: &Look<'_>) -> Vec<String> {
    let members = (look.nodes().chain(look.sentinels())).map(|view| (view, look.standing(view)));
    let unwell = members.filter(|(_, standing)| !standing.is_good());
    let missing = look.missing().into_iter().map(|name| format!("{name}: not created yet"));
    unwell
        .map(|(view, standing)| format!("{}: {}", view.member.name, standing.fault()))
        .chain(missing)
        .collect()
}

fn sentinel_quorum(look: &Look<'_>) -> Aspect {
    let quorum = look.config.sentinel().map_or(0, |sentinel| sentinel.quorum);
    let needed = majority(look.voters()).max(quorum);
    let alive = look.sentinels().filter(|view| can_vote(view)).count();
    let silent = look.sentinels().filter(|view| view.member.running && view.sentinel().is_none()).count();
    let count = look.counts.sentinels;
    if alive >= needed as usize {
        return Aspect::new(
            ConditionStatus::True,
            "Enough",
            format!("at least {needed} of {count} Sentinels can elect"),
        );
    }
    let message = format!(
        "{alive} of {count} Sentinels can elect, {needed} are needed: a dead master would not be replaced"
    );
    if alive + silent >= needed as usize {
        return Aspect::new(
            ConditionStatus::Unknown,
            "SentinelsSilent",
            format!("{message}; {silent} do not answer"),
        );
    }
    Aspect::new(ConditionStatus::False, "TooFew", message)
}

/// Every field that is not honoured, with what to do.
fn honoured(look: &Look<'_>, missed: &[Remark]) -> Aspect {
    let late = look.config.bootstrap.is_some() && look.outside().is_none();
    let late = late.then(|| {
        let why = "is not honoured: the nodes have a master among them, and follow nobody outside any more";
        Remark::at("spec.bootstrapNode", why).hint("remove it")
    });
    let missed: Vec<&Remark> = missed.iter().chain(&late).collect();
    if missed.is_empty() {
        return Aspect::new(ConditionStatus::True, "EveryField", "every field that is written is honoured");
    }
    Aspect::new(ConditionStatus::False, "NotHonoured", listed(&missed))
}

fn questionable(warnings: &[Remark]) -> Aspect {
    if warnings.is_empty() {
        return Aspect::new(ConditionStatus::False, "NothingToSay", "nothing deserves a second look");
    }
    Aspect::new(ConditionStatus::True, "SecondLook", listed(&warnings.iter().collect::<Vec<_>>()))
}

/// One a line, since each has a `;` of its own.
fn listed(remarks: &[&Remark]) -> String {
    remarks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The condition of this kind holds.
pub(crate) fn holds(conditions: &[Condition], kind: ConditionType) -> bool {
    conditions.iter().any(|condition| condition.kind == kind && condition.status == ConditionStatus::True)
}
