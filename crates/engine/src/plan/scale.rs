//! Fewer nodes: one leaves at a time, from the top.

use super::{Next, Step, Waiting};
use crate::{look::Look, platform::MemberKind, world::MemberView};

/// Nodes that stay must hold at least this many copies in sync before another one goes: the master and one replica,
/// or all, if fewer are asked for.
const COPIES: u32 = 2;

pub(super) fn leave(look: &Look<'_>, master: &MemberView) -> Option<Next> {
    let wanted = look.wanted.nodes;
    if look.counts.nodes <= wanted {
        return None;
    }
    let why = format!("{wanted} nodes are asked for");
    let stays = |view: &MemberView| view.member.ordinal < wanted;
    if !stays(master) {
        return Some(away_from(look, master, stays, why));
    }
    let counts = look.counts.without_last(MemberKind::Node);
    let copies =
        look.nodes().filter(|view| view.member.ordinal < counts.nodes && look.holds_copy(view)).count();
    if copies < COPIES.min(wanted) as usize {
        return Some(too_few_copies(look, counts.nodes).into());
    }
    let member = look.nodes().find(|view| view.member.ordinal == counts.nodes)?.member.name.clone();
    Some(Next::Step(Step::Leave { member, counts, why }))
}

/// The master moves once, to a node that stays, before the first one leaves.
fn away_from(look: &Look<'_>, master: &MemberView, stays: impl Fn(&MemberView) -> bool, why: String) -> Next {
    let from = master.member.name.clone();
    let Some(heir) = look.heir(&stays) else {
        let why =
            format!("{why}, and the master {from} would leave; it stays until a node that stays is in sync");
        return Waiting::new("NoReplicaInSync", why).into();
    };
    let to = look.named_in_hand_over(heir);
    let another_leaves = look.nodes().any(|view| !stays(view) && view.member.name != from);
    if to.is_none() && another_leaves {
        return Waiting::new(
            "SingleSentinel",
            format!(
                "{why}, and the master {from} would leave; a single Sentinel chooses the next one by itself, and may \
                 choose one that leaves too; set spec.sentinel.replicas to 3 until the nodes have left"
            ),
        )
        .into();
    }
    Next::Step(Step::Handover { from, to, why })
}

fn too_few_copies(look: &Look<'_>, stay: u32) -> Waiting {
    let faults: Vec<String> = look
        .nodes()
        .filter(|view| view.member.ordinal < stay && !look.holds_copy(view))
        .map(|view| format!("{}: {}", view.member.name, look.standing(view).fault()))
        .collect();
    Waiting::new(
        "LastCopyInSync",
        format!(
            "the next node to leave holds the last copy in sync beside the master; waiting for {}",
            faults.join("; ")
        ),
    )
}
