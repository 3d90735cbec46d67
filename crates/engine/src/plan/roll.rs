//! New processes: Sentinels, then replicas, each well again before the next, then the master after it handed over.

use redoubt_api::Persistence;

use super::{Next, Step, Waiting, sentinels::spare};
use crate::{
    look::{Look, is_broken},
    world::{MemberView, majority},
};

/// What serves nothing and has an old template gets its new one at once: it may be the cure, and takes nothing away.
pub(super) fn mend(look: &Look<'_>) -> Option<Next> {
    // What leaves anyway is mended only if it may be what the set lacks.
    let settled = match look.redis.cluster() {
        Some(_) => look.served().is_ok(),
        None => look.settled().is_ok(),
    };
    let stays = |view: &&MemberView| !settled || look.wanted.holds(view.member.kind, view.member.ordinal);
    // A master's agent has the others elect one of them first; there is nobody to elect beside the only one.
    let others = look.counts.nodes > 1;
    let master = look.master().filter(|master| master.member.running && others).map(|view| &view.member.name);
    let view = (look.nodes().chain(look.sentinels())).filter(stays).find(|view| {
        view.member.template != look.template && is_broken(view) && Some(&view.member.name) != master
    })?;
    let why = format!("{}, and it does not serve ({})", look.outdated(view)?, look.standing(view).fault());
    Some(replace(view, why))
}

pub(super) fn sentinels(look: &Look<'_>) -> Option<Next> {
    let (view, why) = look.sentinels().filter_map(|view| Some((view, look.outdated(view)?))).last()?;
    // What has its new process already must be well before the next one gets it: a bad version stops here.
    if let Some(unwell) =
        look.sentinels().find(|view| look.outdated(view).is_none() && !look.standing(view).is_good())
    {
        return Some(wait_for(look, unwell).into());
    }
    let name = &view.member.name;
    Some(spare(look, name, || Step::Replace { member: name.clone(), why }))
}

pub(super) fn nodes(look: &Look<'_>, master: &MemberView) -> Option<Next> {
    let outdated: Vec<(&MemberView, String)> =
        look.nodes().filter_map(|view| Some((view, look.outdated(view)?))).collect();
    let (_, why) = outdated.first()?;
    if look.counts.nodes == 1 {
        return Some(only_one(look, master, why.clone()));
    }
    if let Some(waiting) = electable(look) {
        return Some(waiting.into());
    }
    let is_master = |view: &MemberView| view.member.name == master.member.name;
    let mut replicas = outdated.iter().rev().filter(|(view, _)| !is_master(view));
    // One that nobody can see is the one to begin with, if there is only one.
    let next = replicas.clone().find(|(view, _)| view.agent().is_none()).or_else(|| replicas.next());
    Some(match next {
        Some((view, why)) => match unwell_beside(look, view) {
            Some(unwell) => wait_for(look, unwell).into(),
            None => replace(view, why.clone()),
        },
        None => hand_over(look, master, why),
    })
}

/// In a cluster replicas come first, then the masters one by one after they handed over: never two nodes at a time, and
/// only while every other one is well.
pub(super) fn shards(look: &Look<'_>) -> Option<Next> {
    let outdated: Vec<(&MemberView, String)> =
        look.nodes().filter_map(|view| Some((view, look.outdated(view)?))).collect();
    outdated.first()?;
    let shards = look.shards();
    let leads = |view: &MemberView| shards.iter().any(|shard| shard.is_led_by(view));
    let mut replicas = outdated.iter().rev().filter(|(view, _)| !leads(view));
    let unseen = replicas.clone().find(|(view, _)| view.agent().is_none());
    let (view, why) = unseen.or_else(|| replicas.next()).or(outdated.first())?;
    if let Some(unwell) = unwell_beside(look, view) {
        return Some(wait_for(look, unwell).into());
    }
    let Some(shard) = shards.iter().find(|shard| shard.is_led_by(view)) else {
        return Some(replace(view, why.clone()));
    };
    if shard.nodes.len() == 1 {
        return Some(only_one(look, view, why.clone()));
    }
    let from = view.member.name.clone();
    Some(match look.heir_in(shard, |heir| look.outdated(heir).is_none()) {
        Some(heir) => {
            Next::Step(Step::Handover { from, to: Some(heir.member.name.clone()), why: why.clone() })
        }
        None => Waiting::new(
            "NoReplicaInSync",
            format!("{from} hands over as soon as a replica of its shard is in sync: {why}"),
        )
        .into(),
    })
}

/// All replicas have their new process.
fn hand_over(look: &Look<'_>, master: &MemberView, why: &str) -> Next {
    if let Some(unwell) = unwell_beside(look, master) {
        return wait_for(look, unwell).into();
    }
    let from = master.member.name.clone();
    match look.heir(|view| look.outdated(view).is_none()) {
        Some(heir) => {
            Next::Step(Step::Handover { from, to: look.named_in_hand_over(heir), why: why.to_owned() })
        }
        None => Waiting::new(
            "NoReplicaInSync",
            format!("{from} hands over as soon as a replica is in sync: {why}"),
        )
        .into(),
    }
}

/// The only copy. Its restart is a pause; without files it would be the end of the data.
fn only_one(look: &Look<'_>, node: &MemberView, why: String) -> Next {
    let kept = is_kept(&look.redis.spec.persistence);
    if kept || look.restart_was_asked(&node.member) {
        return replace(node, why);
    }
    let name = &node.member.name;
    Waiting::new(
        "LastCopyInSync",
        format!(
            "{why}, but {name} is the only copy and nothing is kept on disk: its restart would lose every key; turn on \
             spec.persistence.rdb or spec.persistence.aof, or ask for the restart by the annotation redoubt.dev/restartedAt"
        ),
    )
    .into()
}

fn is_kept(persistence: &Persistence) -> bool {
    persistence.aof || !persistence.rdb_save.is_empty()
}

/// A hand-over needs a vote, and so does whatever may go wrong while a node restarts.
fn electable(look: &Look<'_>) -> Option<Waiting> {
    let alive = look.electors(|_| true);
    let needed = majority(look.counts.sentinels);
    let sentinels = look.redis.sentinel().is_some();
    (sentinels && alive < needed).then(|| {
        Waiting::new(
            "SentinelsNotReady",
            format!("no node is restarted while fewer than {needed} Sentinels can elect; {alive} can"),
        )
    })
}

fn unwell_beside<'a>(look: &Look<'a>, view: &MemberView) -> Option<&'a MemberView> {
    look.nodes().find(|other| other.member.name != view.member.name && !look.holds_copy(other))
}

fn wait_for(look: &Look<'_>, view: &MemberView) -> Waiting {
    let name = &view.member.name;
    Waiting::new(
        "WaitingForMember",
        format!("nothing more is restarted until {name} is well: {}", look.standing(view).fault()),
    )
}

fn replace(view: &MemberView, why: String) -> Next {
    Next::Step(Step::Replace { member: view.member.name.clone(), why })
}
