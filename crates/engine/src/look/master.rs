//! Who leads: whom a majority of the Sentinels names, never who says so of itself.

use redoubt_redis::Endpoint;
use redoubt_wire::state::{Phase, Replication, SentinelState};

use super::{Look, shards::Shard};
use crate::{
    plan::Waiting,
    world::{MemberView, majority},
};

impl<'a> Look<'a> {
    /// Where the master is announced: by a majority of all Sentinels, answering or not. Without Sentinels
    /// the only node. A cluster has many.
    pub(crate) fn named_master(&self) -> Option<&'a Endpoint> {
        if self.redis.cluster().is_some() {
            return None;
        }
        if self.redis.sentinel().is_none() {
            return self.world.identity.nodes.first().map(|node| &node.server);
        }
        let named: Vec<&Endpoint> =
            self.sentinels().filter_map(|view| view.sentinel()?.master.as_ref()).collect();
        let needed = majority(self.voters()) as usize;
        named
            .iter()
            .copied()
            .find(|endpoint| named.iter().filter(|other| *other == endpoint).count() >= needed)
    }

    /// The Redis outside of the set that the nodes follow, as long as the set has no master of its own.
    pub(crate) fn outside(&self) -> Option<&Endpoint> {
        self.config.bootstrap.as_ref().filter(|_| self.named_master().is_none())
    }

    /// The named master, if it is a member.
    pub(crate) fn master(&self) -> Option<&'a MemberView> {
        self.world.node_at(self.named_master()?)
    }

    /// As many as a majority is counted among: all that run, and all members that the Sentinels themselves count. One
    /// that never came up, or that has left, has no voice that could be missed.
    pub(crate) fn voters(&self) -> u32 {
        let run = self.sentinels().filter(|view| view.member.running).count();
        let counted = self
            .sentinels()
            .filter_map(|view| running(view.sentinel()?))
            .map(|own| 1 + self.members_known_to(own));
        u32::try_from(counted.max().unwrap_or_default().max(run)).unwrap_or(u32::MAX)
    }

    fn members_known_to(&self, sentinel: &SentinelState) -> usize {
        let entries = self.config.sentinel().map_or(&[][..], |config| &config.sentinels);
        entries.iter().filter(|entry| sentinel.known_sentinels.contains(&entry.id)).count()
    }

    /// The master, when nothing is moving: a majority names it, no Sentinel names another, and it says it is one.
    /// Only then may anything be taken down.
    pub(crate) fn settled(&self) -> Result<&'a MemberView, Waiting> {
        let Some(endpoint) = self.named_master() else { return Err(self.nobody_named()) };
        let Some(master) = self.master() else {
            return Err(Waiting::new(
                "StrangerIsMaster",
                format!(
                    "the Sentinels name {endpoint}, which is no node of this set; no step is taken until they name one"
                ),
            ));
        };
        if let Some((dissenter, other)) = self.dissenter(endpoint) {
            return Err(Waiting::new(
                "SentinelsDisagree",
                format!(
                    "{dissenter} names {other}, the majority {endpoint}: a failover is under way or being mended by the agents"
                ),
            ));
        }
        self.serving(master).map(|()| master)
    }

    fn nobody_named(&self) -> Waiting {
        if let Some(outside) = self.outside() {
            return self.filling(outside);
        }
        let answering = self.sentinels().filter(|view| view.sentinel().is_some()).count();
        let why = format!(
            "no majority of the Sentinels names a master ({answering} of {} answer); the agents decide who leads as soon as enough of them answer",
            self.voters()
        );
        // Whom the platform cannot run never answers by itself.
        let said = [Some(why), self.troubles()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        Waiting::new("NoMaster", said)
    }

    /// The nodes follow somebody outside, until the resource says no more that they shall.
    fn filling(&self, outside: &Endpoint) -> Waiting {
        let faults: Vec<String> = (self.nodes().map(|view| (view, self.standing(view))))
            .filter(|(_, standing)| !standing.is_good())
            .map(|(view, standing)| format!("{}: {}", view.member.name, standing.fault()))
            .collect();
        let why = if faults.is_empty() {
            format!(
                "all nodes hold what {outside} has, and follow it; stop the writers there, then remove spec.bootstrapNode: the node that is ahead leads"
            )
        } else {
            format!(
                "the nodes are filled from {outside}; leave spec.bootstrapNode until all hold what it has: {}",
                faults.join("; ")
            )
        };
        Waiting::new("Bootstrapping", why)
    }

    /// What the platform says of those it cannot run, each trouble once: `cart-0, cart-1: no machine takes its pod`.
    fn troubles(&self) -> Option<String> {
        let mut troubles: Vec<(&str, Vec<&str>)> = Vec::new();
        for member in self.nodes().chain(self.sentinels()).map(|view| &view.member) {
            let Some(trouble) = member.trouble.as_deref() else { continue };
            match troubles.iter_mut().find(|(known, _)| *known == trouble) {
                Some((_, names)) => names.push(&member.name),
                None => troubles.push((trouble, vec![&member.name])),
            }
        }
        let said = troubles.iter().map(|(trouble, names)| format!("{}: {trouble}", names.join(", ")));
        (!troubles.is_empty()).then(|| said.collect::<Vec<_>>().join("; "))
    }

    /// A Sentinel that runs and names another master.
    pub(crate) fn dissenter(&self, named: &Endpoint) -> Option<(&'a str, &'a Endpoint)> {
        self.sentinels().find_map(|view| {
            let other = running(view.sentinel()?)?.master.as_ref().filter(|other| *other != named)?;
            Some((view.member.name.as_str(), other))
        })
    }

    /// The named master takes writes; in a cluster those of all shards do.
    pub(crate) fn serves(&self) -> bool {
        if self.redis.cluster().is_some() {
            return self.serving_shards().iter().all(Shard::serves);
        }
        self.master().and_then(MemberView::node).is_some_and(|node| {
            node.ready
                && !node.disk_fault.as_ref().is_some_and(|fault| fault.refuses_writes)
                && matches!(
                    (&node.phase, &node.replication),
                    (Phase::Running, Some(Replication::Master { .. }))
                )
        })
    }

    fn serving(&self, master: &MemberView) -> Result<(), Waiting> {
        let name = &master.member.name;
        match master.node().map(|node| (&node.phase, &node.replication)) {
            Some((Phase::Running, Some(Replication::Master { .. }))) => Ok(()),
            Some((Phase::Running, Some(Replication::Replica { master, .. }))) => Err(Waiting::new(
                "MasterIsReplica",
                format!(
                    "the Sentinels name {name}, which says it is a replica of {master}; the agents mend this by an election"
                ),
            )),
            Some(_) => Err(Waiting::new(
                "MasterNotServing",
                format!("{name} is the master and does not serve yet: {}", self.standing(master).fault()),
            )),
            None => Err(Waiting::new(
                "MasterUnknown",
                format!(
                    "{name} is the master and its agent does not answer; nothing is taken down until it is known how the set is"
                ),
            )),
        }
    }
}

/// Only a Sentinel that runs has an opinion.
fn running(sentinel: &SentinelState) -> Option<&SentinelState> {
    matches!(sentinel.phase, Phase::Running).then_some(sentinel)
}
