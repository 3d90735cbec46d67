//! What Sentinels and nodes are seen to be, and what a majority of them is.

use std::collections::{BTreeMap, BTreeSet};

use redoubt_redis::Endpoint;
use redoubt_wire::config::SetConfig;

/// What one Sentinel said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SentinelSight {
    /// Whom it names master.
    pub(crate) names: Endpoint,
    pub(crate) config_epoch: u64,
    pub(crate) quorum: usize,
    /// It leads a failover of its own.
    pub(crate) failing_over: bool,
    /// The other Sentinels it knows.
    pub(crate) peers: Vec<Peer>,
    /// Replicas that a failover of its own has chosen.
    pub(crate) promoted: Vec<Endpoint>,
}

/// A Sentinel as another one knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    pub(crate) id: String,
    pub(crate) at: Endpoint,
    /// Epoch of the last vote it was heard to give.
    pub(crate) voted_epoch: u64,
}

/// What one node said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct NodeSight {
    pub(crate) role: NodeRole,
    pub(crate) replid: String,
    pub(crate) replid2: Option<String>,
    /// How far its data goes in that history, bytes.
    pub(crate) offset: u64,
    /// 0: must not lead.
    pub(crate) priority: u64,
    /// Loads its files, or takes a full copy.
    pub(crate) incomplete: bool,
    /// Its files cannot be written: as master it would refuse writes.
    pub(crate) unwritable: bool,
    /// Replicas that are attached to it and online.
    pub(crate) attached: usize,
}

/// What a node says it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum NodeRole {
    Master,
    Replica { of: Endpoint, link_up: bool },
}

impl NodeSight {
    pub(crate) fn leads(&self) -> bool {
        self.role == NodeRole::Master
    }

    pub(crate) fn link_up(&self) -> bool {
        matches!(self.role, NodeRole::Replica { link_up: true, .. })
    }

    pub(crate) fn is_of_history(&self, replid: &str) -> bool {
        self.replid == replid || self.replid2.as_deref() == Some(replid)
    }

    /// Offsets of the two can be compared.
    pub(crate) fn shares_history(&self, other: &Self) -> bool {
        other.is_of_history(&self.replid) || self.replid2.as_deref().is_some_and(|id| other.is_of_history(id))
    }

    /// It has had data of a master. A node that never synced is at 0, one that restarted without a saved
    /// history at 1.
    pub(crate) fn has_history(&self) -> bool {
        self.offset > 1
    }
}

/// Everything seen in one look around. Who is not in it did not answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Look {
    pub(crate) sentinels: BTreeMap<usize, SentinelSight>,
    pub(crate) nodes: BTreeMap<usize, NodeSight>,
}

impl Look {
    /// The highest epoch that shows anywhere.
    pub(crate) fn epoch(&self) -> u64 {
        let votes = self.sentinels.values().flat_map(|sight| &sight.peers).map(|peer| peer.voted_epoch);
        self.sentinels.values().map(|sight| sight.config_epoch).chain(votes).max().unwrap_or(0)
    }

    /// A replica that Sentinel has chosen by itself.
    pub(crate) fn promoted(&self) -> Option<&Endpoint> {
        self.sentinels.values().flat_map(|sight| &sight.promoted).next()
    }
}

/// How many Sentinels it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Quorum {
    /// All that anybody knows of, reachable or not.
    pub(crate) known: usize,
    /// More than half of them.
    pub(crate) majority: usize,
    /// Votes that elect: the majority, and at least the quorum.
    pub(crate) votes: usize,
}

impl Quorum {
    /// The largest number that the set's configuration and the Sentinels give cause for: an election must not be
    /// won with fewer votes than any of them would ask for.
    pub(crate) fn of(set: &SetConfig, look: &Look) -> Self {
        let mut ids = BTreeSet::new();
        let mut quorum = 1;
        if let Some(config) = set.sentinel() {
            ids.extend(config.sentinels.iter().map(|entry| entry.id.as_str()));
            quorum = usize::try_from(config.quorum).unwrap_or(usize::MAX);
        }
        for sight in look.sentinels.values() {
            ids.extend(sight.peers.iter().map(|peer| peer.id.as_str()));
            quorum = quorum.max(sight.quorum);
        }
        let majority = ids.len() / 2 + 1;
        Self { known: ids.len(), majority, votes: majority.max(quorum) }
    }
}
