//! What is: all that was observed of one Redis, and when.

use std::fmt;

use jiff::Timestamp;
use redoubt_api::{CheckedRedis, CheckedTopology};
use redoubt_redis::Endpoint;
use redoubt_wire::state::{AgentRole, AgentState, NodeState, SentinelState};

use crate::platform::{Identity, Member, MemberKind, Seat};

/// One Redis as it was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// When it was put together.
    pub at: Timestamp,
    /// Who the set is; covers the members that exist and those the resource asks for, but for a `shortage`.
    pub identity: Identity,
    /// Why there are no addresses for members that the resource asks for; what exists goes on without them.
    pub shortage: Option<String>,
    /// What the resource refers to and cannot be used, in words for people; what runs stays as it is.
    pub unfit: Vec<String>,
    /// The members the platform knows of, by kind and ordinal.
    pub members: Vec<MemberView>,
}

/// One member: the platform's view and its agent's.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberView {
    /// What the platform says.
    pub member: Member,
    /// What its agent says; `None` while it does not answer.
    pub state: Option<Observed<AgentState>>,
}

/// A value and when it was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed<T> {
    /// The value.
    pub value: T,
    /// When it was last confirmed.
    pub at: Timestamp,
}

/// How many members of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Data nodes; in a cluster those of each shard.
    pub nodes: u32,
    /// Shards; 0 but in a cluster.
    pub shards: u32,
    /// Sentinels.
    pub sentinels: u32,
}

impl Counts {
    /// What the resource asks for.
    #[must_use]
    pub fn wanted(redis: &CheckedRedis) -> Self {
        let nodes = redis.spec.replicas;
        match &redis.spec.topology {
            CheckedTopology::Standalone => Self { nodes, ..Self::default() },
            CheckedTopology::Sentinel(sentinel) => {
                Self { nodes, sentinels: sentinel.replicas, ..Self::default() }
            }
            CheckedTopology::Cluster(cluster) => Self {
                nodes: cluster.replicas_per_shard.saturating_add(1),
                shards: cluster.shards,
                sentinels: 0,
            },
        }
    }

    /// What exists and stays: the highest ordinal, since members leave from the top.
    #[must_use]
    pub fn existing<'a>(members: impl IntoIterator<Item = &'a Member>) -> Self {
        let mut counts = Self::default();
        for member in members.into_iter().filter(|member| !member.leaving) {
            let seat = Seat::of(member.ordinal);
            counts.shards = counts.shards.max(seat.map_or(0, |seat| seat.shard + 1));
            let count = counts.of_mut(member.kind);
            *count = (*count).max(seat.map_or(member.ordinal, |seat| seat.index) + 1);
        }
        counts
    }

    /// How many there are addresses for.
    #[must_use]
    pub fn covered(identity: &Identity) -> Self {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let shards = identity.nodes.iter().filter_map(|node| node.shard).max().map_or(0, |last| last + 1);
        let in_shard = |shard| identity.nodes.iter().filter(|node| node.shard == shard).count();
        let nodes = match shards {
            0 => identity.nodes.len(),
            shards => (0..shards).map(|shard| in_shard(Some(shard))).min().unwrap_or_default(),
        };
        Self { nodes: count(nodes), shards, sentinels: count(identity.sentinels.len()) }
    }

    /// The ordinals of the members of a kind, in order.
    pub fn ordinals(self, kind: MemberKind) -> impl Iterator<Item = u32> {
        let sharded = kind == MemberKind::Node && self.shards > 0;
        let shards = if sharded { self.shards } else { 1 };
        let seat = move |shard, index| if sharded { Seat { shard, index }.number() } else { index };
        (0..shards).flat_map(move |shard| (0..self.of(kind)).map(move |index| seat(shard, index)))
    }

    /// How many members of a kind in all.
    #[must_use]
    pub fn total(self, kind: MemberKind) -> u32 {
        let shards = if kind == MemberKind::Node { self.shards.max(1) } else { 1 };
        self.of(kind).saturating_mul(shards)
    }

    /// The member of this ordinal is among them.
    #[must_use]
    pub fn holds(self, kind: MemberKind, ordinal: u32) -> bool {
        match Seat::of(ordinal) {
            Some(seat) => seat.shard < self.shards && seat.index < self.of(kind),
            None => ordinal < self.of(kind),
        }
    }

    /// The smaller of each.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.min(other.nodes),
            shards: self.shards.min(other.shards),
            sentinels: self.sentinels.min(other.sentinels),
        }
    }

    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.max(other.nodes),
            shards: self.shards.max(other.shards),
            sentinels: self.sentinels.max(other.sentinels),
        }
    }

    /// Of this kind; of nodes in a cluster those of each shard.
    #[must_use]
    pub fn of(self, kind: MemberKind) -> u32 {
        match kind {
            MemberKind::Node => self.nodes,
            MemberKind::Sentinel => self.sentinels,
        }
    }

    /// One less of this kind.
    #[must_use]
    pub fn without_last(mut self, kind: MemberKind) -> Self {
        let count = self.of_mut(kind);
        *count = count.saturating_sub(1);
        self
    }

    fn of_mut(&mut self, kind: MemberKind) -> &mut u32 {
        match kind {
            MemberKind::Node => &mut self.nodes,
            MemberKind::Sentinel => &mut self.sentinels,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shards {
            0 => write!(f, "{} nodes and {} Sentinels", self.nodes, self.sentinels),
            shards => write!(f, "{} nodes in each of {shards} shards", self.nodes),
        }
    }
}

/// More than half.
#[must_use]
pub fn majority(of: u32) -> u32 {
    of / 2 + 1
}

impl World {
    /// Puts it together, members in the order of their ordinals.
    #[must_use]
    pub fn new(at: Timestamp, identity: Identity, mut members: Vec<MemberView>) -> Self {
        members.sort_by_key(|view| (view.member.kind, view.member.ordinal));
        Self { at, identity, shortage: None, unfit: Vec::new(), members }
    }

    /// Whoever has not been heard since then is unknown.
    pub(crate) fn forget_before(&mut self, since: Timestamp) {
        for view in &mut self.members {
            view.state.take_if(|observed| observed.at < since);
        }
    }

    /// The members of one kind that stay.
    pub fn staying(&self, kind: MemberKind) -> impl Iterator<Item = &MemberView> {
        self.members.iter().filter(move |view| view.member.kind == kind && !view.member.leaving)
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&MemberView> {
        self.members.iter().find(|view| view.member.name == name)
    }

    /// The data node that is announced at this endpoint.
    #[must_use]
    pub fn node_at(&self, server: &Endpoint) -> Option<&MemberView> {
        let name = self.identity.node_name(server)?;
        self.member(name)
    }
}

impl Identity {
    /// Name of the data node that is announced at this endpoint.
    #[must_use]
    pub fn node_name(&self, server: &Endpoint) -> Option<&str> {
        self.nodes.iter().find(|node| node.server == *server).map(|node| node.name.as_str())
    }

    /// Where the server of this node or Sentinel is announced.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&Endpoint> {
        let node = self.nodes.iter().find(|node| node.name == name).map(|node| &node.server);
        node.or_else(|| self.sentinels.iter().find(|entry| entry.name == name).map(|entry| &entry.server))
    }

    /// Where the agent of this node or Sentinel answers.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&Endpoint> {
        let node = self.nodes.iter().find(|node| node.name == name).map(|node| &node.agent);
        node.or_else(|| self.sentinels.iter().find(|entry| entry.name == name).map(|entry| &entry.agent))
    }
}

impl MemberView {
    /// What its agent says, if it answers and is the one that should answer there.
    #[must_use]
    pub fn agent(&self) -> Option<&AgentState> {
        self.state.as_ref().map(|observed| &observed.value).filter(|state| state.name == self.member.name)
    }

    /// The part of a data node's agent.
    #[must_use]
    pub fn node(&self) -> Option<&NodeState> {
        match &self.agent()?.role {
            AgentRole::Node(node) => Some(node),
            AgentRole::Sentinel(_) => None,
        }
    }

    /// The part of a Sentinel's agent.
    #[must_use]
    pub fn sentinel(&self) -> Option<&SentinelState> {
        match &self.agent()?.role {
            AgentRole::Sentinel(sentinel) => Some(sentinel),
            AgentRole::Node(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(kind: MemberKind, ordinal: u32, leaving: bool) -> Member {
        Member {
            name: format!("m-{ordinal}"),
            kind,
            ordinal,
            template: String::new(),
            running: true,
            leaving,
            trouble: None,
            domain: None,
        }
    }

    #[test]
    fn a_member_that_leaves_is_not_counted_and_a_gap_is() {
        use MemberKind::{Node, Sentinel};
        let members = [
            member(Node, 0, false),
            member(Node, 2, false),
            member(Node, 3, true),
            member(Sentinel, 0, true),
        ];
        assert_eq!(Counts::existing(&members), Counts { nodes: 3, ..Counts::default() });
    }

    #[test]
    fn a_node_of_a_cluster_is_counted_in_its_shard() {
        let seat = |shard, index| Seat { shard, index }.number();
        let members: Vec<Member> = [(0, 0), (0, 1), (2, 0)]
            .map(|(shard, index)| member(MemberKind::Node, seat(shard, index), false))
            .into();
        let counts = Counts::existing(&members);
        assert_eq!(counts, Counts { nodes: 2, shards: 3, sentinels: 0 });
        assert_eq!(counts.total(MemberKind::Node), 6);
        assert!(counts.holds(MemberKind::Node, seat(2, 1)) && !counts.holds(MemberKind::Node, seat(3, 0)));
        let all: Vec<u32> = counts.ordinals(MemberKind::Node).collect();
        assert_eq!((all.len(), all.first(), all.last()), (6, Some(&seat(0, 0)), Some(&seat(2, 1))));
        assert_eq!(Seat::of(seat(2, 1)), Some(Seat { shard: 2, index: 1 }));
        assert_eq!(Seat::of(7), None);
    }

    #[test]
    fn more_than_half_is_more_than_half() {
        for (of, want) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)] {
            assert_eq!(majority(of), want);
        }
    }
}
