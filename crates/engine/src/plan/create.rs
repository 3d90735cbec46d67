//! Members that are not there, and news for the platform.

use super::{Memory, Step};
use crate::{look::Look, platform::MemberKind};

/// The platform is told when members are missing or have ended, and when it has been told something else before.
pub(super) fn apply(look: &Look<'_>, memory: &Memory) -> Option<Step> {
    let counts = look.counts;
    if let Some(why) = absent(look) {
        return Some(Step::Apply { counts, why });
    }
    match memory.applied.as_deref() {
        None => Some(Step::Confirm { counts }),
        Some(applied) if *applied != look.workload(counts) => {
            Some(Step::Apply { counts, why: "the resource changed".to_owned() })
        }
        Some(_) => None,
    }
}

fn absent(look: &Look<'_>) -> Option<String> {
    let missing = missing(look, MemberKind::Node) + missing(look, MemberKind::Sentinel);
    let ended: Vec<&str> = (look.nodes().chain(look.sentinels()))
        .filter(|view| !view.member.running)
        .map(|view| view.member.name.as_str())
        .collect();
    match (missing, ended.is_empty()) {
        (0, true) => None,
        (0, false) => Some(format!("{} do not run", ended.join(", "))),
        (missing, _) => Some(format!("{missing} members are missing")),
    }
}

fn missing(look: &Look<'_>, kind: MemberKind) -> usize {
    (look.counts.total(kind) as usize).saturating_sub(look.world.staying(kind).count())
}
