//! Fewer Sentinels, and Sentinels that know members which have left.
//!
//! A Sentinel counts everybody it ever knew: with each stale one the majority needs more. Entries never age out, and
//! `SENTINEL RESET` blinds it for seconds, so its agent stops it, edits its file and starts it again.

use redoubt_wire::state::SentinelState;

use super::{Next, Step, Waiting};
use crate::{
    look::{Look, knows_strange_nodes, knows_strange_sentinels},
    platform::MemberKind,
    world::{MemberView, majority},
};

/// Which entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stale {
    Sentinels,
    Nodes,
}

impl Stale {
    fn is_in(self, look: &Look<'_>, sentinel: &SentinelState) -> bool {
        match self {
            Self::Sentinels => knows_strange_sentinels(look, sentinel),
            Self::Nodes => knows_strange_nodes(look, sentinel),
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Sentinels => "it knows Sentinels that have left",
            Self::Nodes => "it knows nodes that have left",
        }
    }
}

/// One Sentinel at a time, and only while the others go on without it. Whether they could elect is not asked: it may be
/// the stale entries that keep them from it. One that leaves itself takes its entries along.
pub(super) fn prune(look: &Look<'_>, stale: Stale) -> Option<Next> {
    let stays = |view: &&MemberView| view.member.ordinal < look.wanted.sentinels;
    let is_stale = |view: &&MemberView| view.sentinel().is_some_and(|sentinel| stale.is_in(look, sentinel));
    let name = &look.sentinels().filter(stays).find(is_stale)?.member.name;
    let others = look.voices(|view| view.member.name != *name);
    // A restart of milliseconds does not wait for one that cannot run at all.
    let hopeless =
        look.sentinels().filter(|view| !view.member.running && view.member.trouble.is_some()).count();
    let hopeless = u32::try_from(hopeless).unwrap_or(u32::MAX);
    let step = || Step::Prune { sentinel: name.clone(), why: stale.what().to_owned() };
    Some(with_others(look, look.counts.sentinels.saturating_sub(hopeless), others, step))
}

/// The master died before its Sentinels forgot one that left, and now they are too few to replace it: nobody can elect,
/// so no failover is under way, and none can be until the entries are gone.
pub(super) fn unblock(look: &Look<'_>) -> Option<Next> {
    let named = look.named_master()?;
    let stuck = look.dissenter(named).is_none() && look.electors(|_| true) == 0;
    stuck.then(|| prune(look, Stale::Sentinels)).flatten()
}

/// The step, if the other Sentinels can elect without this one.
pub(super) fn spare(look: &Look<'_>, name: &str, step: impl FnOnce() -> Step) -> Next {
    with_others(look, look.counts.sentinels, look.electors(|view| view.member.name != name), step)
}

/// Where one or two are all there are, nobody can elect without one.
fn with_others(look: &Look<'_>, count: u32, others: u32, step: impl FnOnce() -> Step) -> Next {
    let needed = majority(count).min(count.saturating_sub(1));
    if others < needed { too_few(look, others, needed).into() } else { Next::Step(step()) }
}

/// The last one never came up, so that none of those that stay counts it: it can go whoever leads.
pub(super) fn shed(look: &Look<'_>) -> Option<Next> {
    let wanted = look.wanted.sentinels;
    let counts = look.counts.without_last(MemberKind::Sentinel);
    let last = look.sentinels().find(|view| view.member.ordinal == counts.sentinels)?;
    let id = &look.world.identity.sentinels.iter().find(|entry| entry.name == last.member.name)?.id;
    let mut staying = look.sentinels().filter(|view| view.member.ordinal < wanted);
    // One that does not answer may know it.
    let known = staying.any(|view| view.sentinel().is_none_or(|own| own.known_sentinels.contains(id)));
    if look.counts.sentinels <= wanted || last.member.running || known {
        return None;
    }
    let why = format!("{wanted} Sentinels are asked for, and it never came up");
    Some(Next::Step(Step::Leave { member: last.member.name.clone(), counts, why }))
}

/// The last one leaves, if those that stay are a majority of all that are known until they are told.
pub(super) fn leave(look: &Look<'_>) -> Option<Next> {
    let wanted = look.wanted.sentinels;
    if look.counts.sentinels <= wanted {
        return None;
    }
    let counts = look.counts.without_last(MemberKind::Sentinel);
    let alive = look.electors(|view| view.member.ordinal < counts.sentinels);
    let needed = majority(look.voters()).min(wanted);
    if alive < needed {
        return Some(too_few(look, alive, needed).into());
    }
    let member = look.sentinels().find(|view| view.member.ordinal == counts.sentinels)?.member.name.clone();
    Some(Next::Step(Step::Leave { member, counts, why: format!("{wanted} Sentinels are asked for") }))
}

fn too_few(look: &Look<'_>, alive: u32, needed: u32) -> Waiting {
    let faults: Vec<String> = look
        .sentinels()
        .map(|view| (view, look.standing(view)))
        .filter(|(_, standing)| !standing.is_good())
        .map(|(view, standing)| format!("{}: {}", view.member.name, standing.fault()))
        .collect();
    Waiting::new(
        "SentinelsNotReady",
        format!(
            "{alive} of {needed} Sentinels could elect without the next one to be touched; waiting for {}",
            faults.join("; ")
        ),
    )
}
