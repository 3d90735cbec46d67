//! How one member stands, in a word for the status and in a sentence for whoever has to act.

use redoubt_wire::state::Phase;

use super::Look;
use crate::{platform::MemberKind, world::MemberView};

/// How one member stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// For the status: a word or two.
    pub(crate) word: &'static str,
    /// What is wrong with it; `None` is as it should be.
    fault: Option<String>,
    /// Not merely down or on its way: it contradicts the others, and the agents mend it.
    pub(crate) finding: Option<Finding>,
}

/// Contradictions between members, and what keeps a member from its work though it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The Sentinels' master says it is a replica.
    MasterIsReplica,
    /// A node leads that the Sentinels do not name.
    SecondMaster,
    /// A replica follows another than the master.
    FollowsAnother,
    /// A Sentinel names another master than the majority.
    SentinelsDisagree,
    /// A Sentinel has no master.
    SentinelWithoutMaster,
    /// The files of a node cannot be written.
    CannotWrite,
}

impl Finding {
    /// One word for programs.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::MasterIsReplica => "MasterIsReplica",
            Self::SecondMaster => "SecondMaster",
            Self::FollowsAnother => "FollowsAnother",
            Self::SentinelsDisagree => "SentinelsDisagree",
            Self::SentinelWithoutMaster => "SentinelWithoutMaster",
            Self::CannotWrite => "CannotWrite",
        }
    }
}

impl Standing {
    pub(super) fn good(word: &'static str) -> Self {
        Self { word, fault: None, finding: None }
    }

    pub(super) fn bad(word: &'static str, fault: impl Into<String>) -> Self {
        Self { word, fault: Some(fault.into()), finding: None }
    }

    pub(super) fn found(word: &'static str, finding: Finding, fault: impl Into<String>) -> Self {
        Self { finding: Some(finding), ..Self::bad(word, fault) }
    }

    pub(crate) fn is_good(&self) -> bool {
        self.fault.is_none()
    }

    pub(crate) fn fault(&self) -> &str {
        self.fault.as_deref().unwrap_or(self.word)
    }
}

impl Look<'_> {
    /// How this member stands.
    pub(crate) fn standing(&self, view: &MemberView) -> Standing {
        if let Some(standing) = absent(view) {
            return standing;
        }
        match view.member.kind {
            MemberKind::Node => self.node_standing(view),
            MemberKind::Sentinel => self.sentinel_standing(view),
        }
    }
}

/// Its server runs.
pub(crate) fn is_running(view: &MemberView) -> bool {
    matches!(phase(view), Some(Phase::Running))
}

fn phase(view: &MemberView) -> Option<&Phase> {
    view.node().map(|node| &node.phase).or(view.sentinel().map(|sentinel| &sentinel.phase))
}

/// Nothing of it serves, and waiting alone will not change that: a new process costs nothing.
pub(crate) fn is_broken(view: &MemberView) -> bool {
    let troubled = view.agent().is_none() && view.member.trouble.is_some();
    !view.member.running || troubled || matches!(phase(view), Some(Phase::Backoff { .. }))
}

/// The platform, or the silence of its agent, says all there is to say.
fn absent(view: &MemberView) -> Option<Standing> {
    let trouble = || view.member.trouble.clone();
    if view.member.leaving {
        return Some(Standing::bad("leaving", "it is being removed"));
    }
    if !view.member.running {
        return Some(Standing::bad(
            "not running",
            trouble().unwrap_or_else(|| "its agent does not run".to_owned()),
        ));
    }
    if view.agent().is_none() {
        let why = trouble().unwrap_or_else(|| match &view.state {
            None => "its agent does not answer".to_owned(),
            Some(other) => format!("{} answers at its address", other.value.name),
        });
        return Some(Standing::bad("unreachable", why));
    }
    None
}

/// What the phase alone says; `None` while the server runs.
pub(super) fn in_phase(phase: &Phase) -> Option<Standing> {
    Some(match phase {
        Phase::Waiting { why, until: None } => Standing::bad("waiting", why.clone()),
        Phase::Waiting { why, until: Some(until) } => {
            Standing::bad("waiting", format!("{why}; goes on at {until:.0} in any case"))
        }
        Phase::Starting => Standing::bad("starting", "its server does not answer yet"),
        Phase::Loading => Standing::bad("loading", "its server reads its files"),
        Phase::Backoff { why } => Standing::bad("restarting", why.clone()),
        Phase::Stopping => Standing::bad("stopping", "its agent is stopping"),
        Phase::Running => return None,
    })
}
