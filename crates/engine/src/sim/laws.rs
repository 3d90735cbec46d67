//! The laws, checked against the truth at the moment the model is asked to take something down.

use super::{brain::Brain, model::Model, unit::Unit};
use crate::{
    platform::{MemberKind, Workload},
    world::{Counts, majority},
};

fn copies(model: &Model, among: impl Fn(&Unit) -> bool) -> usize {
    model.units(MemberKind::Node).filter(|unit| among(unit) && model.in_sync(unit)).count()
}

/// No node leaves that leads, or without which fewer than two copies would be in sync; no Sentinel without which the
/// others could not elect; and never two at once.
pub(super) fn may_apply(model: &Model, workload: &Workload) {
    let leaves = |kind, count| {
        model
            .units(kind)
            .filter(move |unit| !unit.member.leaving && unit.member.ordinal >= count)
            .collect::<Vec<_>>()
    };
    let nodes = leaves(MemberKind::Node, workload.nodes);
    let sentinels = leaves(MemberKind::Sentinel, workload.sentinels);
    assert!(nodes.len() + sentinels.len() <= 1, "two leave at once");
    let wanted = Counts::wanted(&workload.redis);
    if let Some(leaving) = nodes.first() {
        assert_ne!(model.serving(), Some(leaving.member.ordinal), "the master leaves");
        let stay = copies(model, |unit| unit.member.ordinal < workload.nodes);
        assert!(
            stay >= 2.min(wanted.nodes) as usize,
            "{} leaves and {stay} copies stay",
            leaving.member.name
        );
    }
    let counted = |unit: &&&Unit| unit.alive() || model.is_known(unit, wanted.sentinels);
    if let Some(leaving) = sentinels.first().filter(counted) {
        let (alive, known) = model.voices(|unit| unit.member.ordinal < workload.sentinels);
        let needed = majority(known).min(wanted.sentinels);
        assert!(alive >= needed, "{} leaves and {alive} of {known} Sentinels stay", leaving.member.name);
    }
}

/// No node that serves is replaced while another is not in sync, and none that leads unless it is alone; no Sentinel
/// without which the others could not elect.
pub(super) fn may_replace(model: &Model, name: &str) {
    let Some(unit) = model.unit(name) else { return };
    if unit.member.kind == MemberKind::Sentinel {
        may_do_without(model, name, |_| true);
        return;
    }
    let serves = unit.alive() && unit.node().is_some_and(|node| node.up);
    let alone = model.units(MemberKind::Node).count() == 1;
    if !serves || alone {
        return;
    }
    assert_ne!(model.serving(), Some(unit.member.ordinal), "{name} leads and is replaced");
    let others =
        || model.units(MemberKind::Node).filter(|other| other.member.name != name && !other.member.leaving);
    assert!(others().all(|other| model.in_sync(other)), "{name} is replaced while another is not in sync");
}

pub(super) fn may_hand_over(model: &Model, from: &str) {
    let serving = model.serving().map(|ordinal| crate::scene::name(MemberKind::Node, ordinal));
    assert_eq!(serving.as_deref(), Some(from), "one that does not lead is asked to hand over");
}

pub(super) fn may_prune(model: &Model, name: &str) {
    // Those that cannot run at all are not waited for.
    may_do_without(model, name, |unit| unit.member.running || unit.member.trouble.is_none());
    assert!(model.serving().is_some() || !model.can_elect(), "{name} is pruned while a failover is due");
}

/// A Sentinel that can vote is stopped only while the others are enough without it.
fn may_do_without(model: &Model, name: &str, counts: impl Fn(&Unit) -> bool) {
    let alive = model.unit(name).is_some_and(Unit::alive);
    let count = model.units(MemberKind::Sentinel).filter(|unit| !unit.member.leaving && counts(unit)).count();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let (others, _) = model.voices(|unit| unit.member.name != name && !unit.member.leaving);
    let needed = majority(count).min(count.saturating_sub(1));
    assert!(!alive || others >= needed, "{name} is stopped and {others} of {count} Sentinels stay");
}

/// After the faults: all as the resource asks, nothing stale, and the status says so.
pub(super) fn converged(model: &Model, brain: &Brain) {
    assert!(brain.is_content(), "not converged: {:#?}\n{model}", brain.plan);
    let wanted = Counts::wanted(&model.redis);
    assert_eq!(model.units(MemberKind::Node).count(), wanted.nodes as usize, "nodes");
    assert_eq!(model.units(MemberKind::Sentinel).count(), wanted.sentinels as usize, "Sentinels");
    assert!(model.units(MemberKind::Node).all(|unit| model.in_sync(unit)), "replicas are not in sync");
    let template = crate::template(&model.redis);
    for unit in &model.units {
        assert_eq!(unit.member.template, template, "{} has an old template", unit.member.name);
        let Some(sentinel) = unit.sentinel() else { continue };
        assert_eq!(sentinel.known_sentinels.len() + 1, wanted.sentinels as usize, "stale Sentinels");
        assert_eq!(sentinel.known_replicas.len() + 1, wanted.nodes as usize, "stale replicas");
    }
}
