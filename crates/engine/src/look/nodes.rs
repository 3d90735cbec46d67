//! Data nodes: which hold a copy in sync.

use redoubt_redis::Endpoint;
use redoubt_wire::state::{DiskFault, NodeState, Replication};

use super::{
    Look,
    standing::{Finding, Standing, in_phase},
};
use crate::world::MemberView;

impl<'a> Look<'a> {
    pub(super) fn node_standing(&self, view: &MemberView) -> Standing {
        let Some(node) = view.node() else {
            return Standing::bad("unreachable", "a Sentinel answers at its address");
        };
        let phase = in_phase(&node.phase);
        if let Some(DiskFault { why, .. }) = &node.disk_fault {
            let also = phase.map_or_else(String::new, |phase| format!("; {}", phase.fault()));
            return Standing::found("cannot write", Finding::CannotWrite, format!("{why}{also}"));
        }
        if let Some(standing) = phase {
            return standing;
        }
        if self.redis.cluster().is_some() {
            return self.standing_in_cluster(view, node);
        }
        let own = self.world.identity.server(&view.member.name);
        match &node.replication {
            None => Standing::bad("not answering", "its server does not answer its agent"),
            Some(Replication::Master { .. }) => self.as_master(own, node),
            Some(Replication::Replica { master, link_up, syncing }) => {
                self.as_replica(own, node, master, *link_up, *syncing)
            }
        }
    }

    fn as_master(&self, own: Option<&Endpoint>, node: &NodeState) -> Standing {
        match self.named_master() {
            Some(named) if Some(named) != own => Standing::found(
                "not announced",
                Finding::SecondMaster,
                format!("it says it is a master, the Sentinels name {named}; its agent demotes it"),
            ),
            _ if !node.ready => Standing::bad("not ready", "its server runs and is not ready to serve"),
            _ => Standing::good("running"),
        }
    }

    fn as_replica(
        &self,
        own: Option<&Endpoint>,
        node: &NodeState,
        follows: &Endpoint,
        link_up: bool,
        syncing: bool,
    ) -> Standing {
        let named = self.named_master();
        if named.is_some() && named == own {
            let fault = format!(
                "the Sentinels name it master, it follows {follows}; the agents mend this by an election"
            );
            return Standing::found("says replica", Finding::MasterIsReplica, fault);
        }
        if let Some(named) = named.filter(|named| *named != follows) {
            let fault = format!("it follows {follows}, the master is {named}; its agent mends this");
            return Standing::found("follows another", Finding::FollowsAnother, fault);
        }
        match (syncing, link_up, node.ready) {
            (true, ..) => Standing::bad("syncing", format!("a full copy from {follows} is under way")),
            (_, false, _) => Standing::bad("link down", format!("it has no link to its master {follows}")),
            (.., false) => Standing::bad("not in sync", format!("it has not caught up with {follows} yet")),
            _ => Standing::good("in sync"),
        }
    }

    /// The named master, serving, or a replica in sync with it: one copy of every acknowledged write.
    pub(crate) fn holds_copy(&self, view: &MemberView) -> bool {
        (self.named_master().is_some() || self.redis.cluster().is_some()) && self.standing(view).is_good()
    }

    /// How the heir is named in a hand-over. A single Sentinel takes no advice: there is nobody to announce in whose
    /// name.
    pub(crate) fn named_in_hand_over(&self, heir: &MemberView) -> Option<String> {
        (self.counts.sentinels > 1).then(|| heir.member.name.clone())
    }

    /// The replica in sync that is furthest ahead as far as is known, among these; the lowest ordinal among equals.
    pub(crate) fn heir(&self, among: impl Fn(&MemberView) -> bool) -> Option<&'a MemberView> {
        let master = self.master().map(|view| view.member.name.as_str());
        self.nodes()
            .filter(|view| Some(view.member.name.as_str()) != master && self.holds_copy(view) && among(view))
            .max_by_key(|view| (offset(view), std::cmp::Reverse(view.member.ordinal)))
    }
}

pub(super) fn offset(view: &MemberView) -> u64 {
    view.node().and_then(|node| node.live.as_ref()).map_or(0, |live| live.offset)
}
