//! The shards of a cluster: who leads each, and whether all slots are served. By the nodes' own word: what the masters
//! elected is in what each of them says of itself.

use redoubt_redis::{
    Endpoint,
    cluster::{SLOTS, SlotSet},
};
use redoubt_wire::state::{ClusterView, NodeState, Phase, Replication};

use super::{
    Look,
    standing::{Finding, Standing},
};
use crate::{plan::Waiting, platform::Seat, world::MemberView};

/// One shard.
#[derive(Debug, Clone)]
pub(crate) struct Shard<'a> {
    /// Which.
    pub(crate) number: u32,
    /// Its nodes, in order.
    pub(crate) nodes: Vec<&'a MemberView>,
    /// Who owns its slots.
    pub(crate) master: Option<&'a MemberView>,
    /// Who is to own slots, in a shard that has none: the first of its nodes that follows nobody.
    pub(crate) idle: Option<&'a MemberView>,
}

impl Shard<'_> {
    /// This node owns its slots.
    pub(crate) fn is_led_by(&self, view: &MemberView) -> bool {
        self.master.is_some_and(|master| master.member.name == view.member.name)
    }

    /// The slots of its master.
    pub(crate) fn slots(&self) -> SlotSet {
        self.master.and_then(cluster).map(owned).unwrap_or_default()
    }

    /// Its master takes writes.
    pub(crate) fn serves(&self) -> bool {
        let writes = |node: &NodeState| !node.disk_fault.as_ref().is_some_and(|fault| fault.refuses_writes);
        self.master.and_then(MemberView::node).is_some_and(|node| node.ready && writes(node))
    }
}

impl<'a> Look<'a> {
    /// The shards of a cluster; none in other modes.
    pub(crate) fn shards(&self) -> Vec<Shard<'a>> {
        (0..self.counts.shards)
            .map(|number| {
                let inside = |view: &&MemberView| {
                    Seat::of(view.member.ordinal).is_some_and(|seat| seat.shard == number)
                };
                let nodes: Vec<&MemberView> = self.nodes().filter(inside).collect();
                let leaders =
                    nodes.iter().copied().filter(|view| cluster(view).is_some_and(ClusterView::leads));
                let master = leaders.max_by_key(|view| cluster(view).map(|view| view.epoch));
                let is_idle = |view: &&MemberView| {
                    cluster(view).is_some_and(|own| own.master.is_none() && !own.is_blank())
                };
                let idle = nodes.iter().copied().filter(|_| master.is_none()).find(is_idle);
                Shard { number, nodes, master, idle }
            })
            .collect()
    }

    /// Those that have to serve: whoever owns slots, and while some have no owner, whoever does not say that he owns none.
    pub(crate) fn serving_shards(&self) -> Vec<Shard<'a>> {
        let shards = self.shards();
        let whole = owned_by(&shards).len() == usize::from(SLOTS);
        let serves = |shard: &Shard<'_>| shard.master.is_some() || !(whole || shard.idle.is_some());
        shards.into_iter().filter(serves).collect()
    }

    /// Every master says that all slots have an owner. Of slots that have just moved, one end may not have told yet.
    pub(crate) fn is_told_whole(&self) -> bool {
        let shards = self.shards();
        let mut masters = shards.iter().filter_map(|shard| shard.master).filter_map(cluster).peekable();
        masters.peek().is_some() && masters.all(|own| own.covered == SLOTS)
    }

    fn shard_of(&self, view: &MemberView) -> Option<Shard<'a>> {
        let number = Seat::of(view.member.ordinal)?.shard;
        self.shards().into_iter().find(|shard| shard.number == number)
    }

    /// Every slot has a master that serves it, none is on its way, and all nodes agree. Only then may anything be taken
    /// down.
    pub(crate) fn served(&self) -> Result<(), Waiting> {
        self.owned()?;
        if let Some(view) = self.opened() {
            let why =
                format!("slots are on their way at {}; nothing is taken down meanwhile", view.member.name);
            return Err(Waiting::new("SlotsOpen", why));
        }
        self.agreed()
    }

    /// Every slot has a master that serves it.
    pub(crate) fn owned(&self) -> Result<(), Waiting> {
        let shards = self.serving_shards();
        let unled: Vec<String> = shards
            .iter()
            .filter(|shard| !shard.serves())
            .map(|shard| format!("shard {}: {}", shard.number, self.why_unled(shard)))
            .collect();
        if !unled.is_empty() {
            return Err(Waiting::new("ShardNotServed", unled.join("; ")));
        }
        let all = owned_by(&shards);
        if all.len() < usize::from(SLOTS) {
            let missing = SlotSet::all().without(&all).outline();
            if self.is_told_whole() {
                let why = format!("nobody says yet that he owns {missing} that have moved");
                return Err(Waiting::new("NodesDisagree", why));
            }
            let why = format!("nobody owns {missing}; look at `redoubt cluster check`");
            return Err(Waiting::new("SlotsUncovered", why));
        }
        Ok(())
    }

    /// A node that says of slots that they are on their way.
    pub(crate) fn opened(&self) -> Option<&'a MemberView> {
        self.nodes().find(|view| cluster(view).is_some_and(|own| own.open > 0))
    }

    /// All nodes see the same.
    pub(crate) fn agreed(&self) -> Result<(), Waiting> {
        let shards = self.serving_shards();
        let views = || self.nodes().filter_map(|view| Some((view, cluster(view)?)));
        let map = shards.first().and_then(|shard| cluster(shard.master?)).map(|view| &view.map);
        if let Some((other, _)) = views().find(|(_, view)| Some(&view.map) != map) {
            let why = format!(
                "{} sees another map of slots and replicas than the first master; what changed is on its way over the bus",
                other.member.name
            );
            return Err(Waiting::new("NodesDisagree", why));
        }
        self.held_for_dead()
    }

    /// A master that was away stays marked as failed for a while after it is back.
    fn held_for_dead(&self) -> Result<(), Waiting> {
        let well = self.nodes().filter(|view| self.standing(view).is_good());
        for view in well {
            let Some(server) = self.world.identity.server(&view.member.name) else { continue };
            let doubts = |other: &&MemberView| {
                let own = other.member.name == view.member.name;
                !own && cluster(other).is_some_and(|own| !own.knows.contains(server))
            };
            if let Some(other) = self.nodes().find(doubts) {
                let (node, other) = (&view.member.name, &other.member.name);
                let why = format!(
                    "{other} holds {node} for failed, or does not know it yet; the bus and their agents mend this"
                );
                return Err(Waiting::new("NodesDisagree", why));
            }
        }
        Ok(())
    }

    /// Nobody knows a node that is no more: neither one that left the set, nor one whose seat another has taken.
    pub(crate) fn forgotten(&self) -> Result<(), Waiting> {
        let seats = &self.world.identity.nodes;
        let is_stranger = |own: &Endpoint, view: &ClusterView, endpoint: &Endpoint| {
            let replaced =
                view.misses.contains(endpoint) && (view.knows.contains(endpoint) || endpoint == own);
            replaced || !seats.iter().any(|seat| seat.server == *endpoint)
        };
        for view in self.nodes() {
            let (Some(said), Some(own)) = (cluster(view), self.world.identity.server(&view.member.name))
            else {
                continue;
            };
            let mut known = said.knows.iter().chain(&said.misses);
            if let Some(stranger) = known.find(|endpoint| is_stranger(own, said, endpoint)) {
                let why = format!(
                    "{} still knows a node at {stranger} that is none of this Redis any more; its agent forgets it once it is held for dead",
                    view.member.name
                );
                return Err(Waiting::new("NodesDisagree", why));
            }
        }
        Ok(())
    }

    fn why_unled(&self, shard: &Shard<'_>) -> String {
        if let Some(master) = shard.master {
            return format!(
                "{} leads and does not serve: {}",
                master.member.name,
                self.standing(master).fault()
            );
        }
        let faults = shard.nodes.iter().map(|view| (view, self.standing(view)));
        let faults: Vec<String> = faults
            .filter(|(_, standing)| !standing.is_good())
            .map(|(view, standing)| format!("{}: {}", view.member.name, standing.fault()))
            .collect();
        format!("no node owns slots ({})", faults.join("; "))
    }

    pub(super) fn standing_in_cluster(&self, view: &MemberView, node: &NodeState) -> Standing {
        let (Some(own), Some(replication)) = (node.cluster.as_deref(), &node.replication) else {
            return Standing::bad("not answering", "its server does not answer its agent");
        };
        let shard = self.shard_of(view);
        let master = shard.as_ref().and_then(|shard| shard.master);
        if own.leads() {
            return match master {
                Some(master) if master.member.name != view.member.name => Standing::found(
                    "not announced",
                    Finding::SecondMaster,
                    format!(
                        "it owns slots beside {}, which was elected later; the bus demotes it",
                        master.member.name
                    ),
                ),
                _ if !node.ready => {
                    Standing::bad("not ready", "the cluster does not serve its slots yet, by its own word")
                }
                _ => Standing::good("running"),
            };
        }
        let idle = shard.as_ref().and_then(|shard| shard.idle);
        let Some(leader) = own.master.as_ref() else {
            // In a cluster that is whole, a shard may be without slots: it is new, or has given them away.
            let is_whole = own.is_ok && own.covered == SLOTS;
            if is_whole && idle.is_some_and(|idle| idle.member.name == view.member.name) {
                return Standing::good("without slots");
            }
            return Standing::bad("joining", "it has no place in the cluster yet; its agent finds it");
        };
        let elected = master.or(idle).and_then(cluster).map(|view| &view.id);
        if elected.is_some_and(|elected| elected != leader) {
            let fault = "it follows another than the master of its shard; its agent mends this";
            return Standing::found("follows another", Finding::FollowsAnother, fault);
        }
        match replication {
            Replication::Replica { syncing: true, .. } => {
                Standing::bad("syncing", "a full copy is under way")
            }
            Replication::Replica { link_up: false, master, .. } => {
                Standing::bad("link down", format!("it has no link to its master {master}"))
            }
            _ if !node.ready => Standing::bad("not in sync", "it has not caught up with its master yet"),
            _ => Standing::good("in sync"),
        }
    }

    /// The replica in sync that is furthest ahead in this shard, among these.
    pub(crate) fn heir_in(
        &self,
        shard: &Shard<'a>,
        among: impl Fn(&MemberView) -> bool,
    ) -> Option<&'a MemberView> {
        let fits =
            |view: &&MemberView| !shard.is_led_by(view) && self.standing(view).is_good() && among(view);
        shard
            .nodes
            .iter()
            .copied()
            .filter(fits)
            .max_by_key(|view| (super::nodes::offset(view), std::cmp::Reverse(view.member.ordinal)))
    }
}

/// What the masters of these own.
fn owned_by(shards: &[Shard<'_>]) -> SlotSet {
    shards.iter().flat_map(|shard| shard.slots().iter().collect::<Vec<_>>()).collect()
}

/// What its server says of the cluster, while it runs.
pub(crate) fn cluster(view: &MemberView) -> Option<&ClusterView> {
    view.node().filter(|node| node.phase == Phase::Running)?.cluster.as_deref()
}

/// Text that is no list of slots owns none.
fn owned(view: &ClusterView) -> SlotSet {
    view.slots.parse().unwrap_or_default()
}
