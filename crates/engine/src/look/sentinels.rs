//! Sentinels: which can vote, and which know members that are no more.

use redoubt_redis::Endpoint;
use redoubt_wire::state::{Phase, SentinelState};

use super::{
    Look,
    standing::{Finding, Standing, in_phase},
};
use crate::world::MemberView;

impl Look<'_> {
    pub(super) fn sentinel_standing(&self, view: &MemberView) -> Standing {
        let Some(sentinel) = view.sentinel() else {
            return Standing::bad("unreachable", "a data node answers at its address");
        };
        if self.outside().is_some() && matches!(sentinel.phase, Phase::Waiting { .. }) {
            return Standing::good("waits for a master");
        }
        if let Some(standing) = in_phase(&sentinel.phase) {
            return standing;
        }
        match (&sentinel.master, self.named_master()) {
            (None, _) => Standing::found(
                "no master",
                Finding::SentinelWithoutMaster,
                "it has no master; its agent asks the nodes for one",
            ),
            (Some(_), None) => Standing::bad("no majority", "the Sentinels do not agree on a master"),
            (Some(own), Some(named)) if own != named => Standing::found(
                "disagrees",
                Finding::SentinelsDisagree,
                format!("it names {own}, the majority {named}; the agents announce the newer one to it"),
            ),
            (Some(_), Some(named)) => self.as_voter(view, sentinel, named),
        }
    }

    fn as_voter(&self, view: &MemberView, sentinel: &SentinelState, master: &Endpoint) -> Standing {
        let missing = self.unknown_to(view, sentinel, master);
        if !missing.is_empty() {
            return Standing::bad("discovering", format!("it does not know {} yet", missing.join(", ")));
        }
        if knows_strange_sentinels(self, sentinel) || knows_strange_nodes(self, sentinel) {
            return Standing::bad("stale entries", "it knows members that have left");
        }
        if !sentinel.quorum_ok {
            return Standing::bad("no quorum", "it does not reach enough other Sentinels to elect");
        }
        Standing::good("running")
    }

    fn unknown_to(&self, view: &MemberView, sentinel: &SentinelState, master: &Endpoint) -> Vec<&str> {
        let others = self.config.sentinel().map_or(&[][..], |config| &config.sentinels);
        let sentinels = others
            .iter()
            .filter(|other| other.name != view.member.name && !sentinel.known_sentinels.contains(&other.id))
            .map(|other| other.name.as_str());
        let nodes = (self.config.nodes.iter())
            .filter(|node| node.server != *master && !sentinel.known_replicas.contains(&node.server))
            .map(|node| node.name.as_str());
        sentinels.chain(nodes).collect()
    }

    /// Sentinels among these that run and name the master.
    pub(crate) fn voices(&self, among: impl Fn(&MemberView) -> bool) -> u32 {
        self.agreeing(|view| {
            among(view) && view.sentinel().is_some_and(|own| matches!(own.phase, Phase::Running))
        })
    }

    /// Sentinels among these that could elect now: stale entries alone do not silence one.
    pub(crate) fn electors(&self, among: impl Fn(&MemberView) -> bool) -> u32 {
        self.agreeing(|view| among(view) && can_vote(view))
    }

    fn agreeing(&self, among: impl Fn(&MemberView) -> bool) -> u32 {
        let named = self.named_master();
        let agrees = |view: &MemberView| view.sentinel().is_some_and(|own| own.master.as_ref() == named);
        let count =
            self.sentinels().filter(|view| view.member.running && agrees(view) && among(view)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// It runs, has a master to watch, and reaches enough others.
pub(crate) fn can_vote(view: &MemberView) -> bool {
    let able = |sentinel: &SentinelState| {
        matches!(sentinel.phase, Phase::Running) && sentinel.quorum_ok && sentinel.master.is_some()
    };
    view.member.running && view.sentinel().is_some_and(able)
}

/// It knows a Sentinel that is not in the configuration: with each one the majority needs more.
pub(crate) fn knows_strange_sentinels(look: &Look<'_>, sentinel: &SentinelState) -> bool {
    let config = look.config.sentinel().map_or(&[][..], |config| &config.sentinels);
    sentinel.known_sentinels.iter().any(|id| !config.iter().any(|entry| entry.id == *id))
}

/// It knows a data node that is not in the configuration: one that another set may own tomorrow.
pub(crate) fn knows_strange_nodes(look: &Look<'_>, sentinel: &SentinelState) -> bool {
    let mut known = sentinel.known_replicas.iter().chain(&sentinel.master);
    known.any(|endpoint| !look.config.nodes.iter().any(|node| node.server == *endpoint))
}
