//! What a cluster is, by the word of each of its nodes.

use redoubt_redis::{
    Endpoint,
    cluster::{ClusterInfo, ClusterNodes, NodeId, OpenSlot, SlotSet},
    version::ServerVersion,
};

/// All nodes that any node knows.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Masters first, each followed by its replicas.
    pub nodes: Vec<Node>,
}

/// One node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Who.
    pub id: NodeId,
    /// Where the others reach it.
    pub endpoint: Endpoint,
    /// It may own slots.
    pub is_master: bool,
    /// Whom it follows.
    pub master: Option<NodeId>,
    /// What it says it owns; when it does not answer, what others say.
    pub slots: SlotSet,
    /// Others call it failed.
    pub is_failed: bool,
    /// What it says itself, or why it does not.
    pub view: Result<View, String>,
}

/// What one node says.
#[derive(Debug, Clone)]
pub struct View {
    /// Of all nodes.
    pub nodes: ClusterNodes,
    /// Of the whole.
    pub info: ClusterInfo,
    /// How many keys it has.
    pub keys: u64,
    /// Bytes it uses.
    pub used_memory: Option<u64>,
    /// Bytes it may use; 0 is no limit.
    pub max_memory: Option<u64>,
    /// What it is.
    pub version: Option<ServerVersion>,
}

impl Cluster {
    /// The node of this id.
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == *id)
    }

    /// The node of this id, of the only id that begins so, or at this address.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Node> {
        /// Fewer digits are likely to be meant as something else.
        const DIGITS: usize = 4;
        let at = self.nodes.iter().find(|node| node.endpoint.to_string() == name);
        let mut alike = self
            .nodes
            .iter()
            .filter(|node| name.len() >= DIGITS && node.id.as_str().starts_with(&name.to_ascii_lowercase()));
        at.or_else(|| alike.next().filter(|_| alike.next().is_none()))
    }

    /// Nodes that may own slots and answer.
    pub fn masters(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_master && node.view.is_ok())
    }

    /// Nodes that follow this one.
    pub fn replicas_of<'a>(&'a self, master: &'a NodeId) -> impl Iterator<Item = &'a Node> {
        self.nodes.iter().filter(move |node| node.master.as_ref() == Some(master))
    }

    /// Who says it owns this slot.
    pub fn owners(&self, slot: u16) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.is_master && node.slots.contains(slot))
    }

    /// The only owner of a slot.
    #[must_use]
    pub fn owner(&self, slot: u16) -> Option<&Node> {
        let mut owners = self.owners(slot);
        owners.next().filter(|_| owners.next().is_none())
    }

    /// Slots that somebody says he owns.
    #[must_use]
    pub fn covered(&self) -> SlotSet {
        self.nodes.iter().filter(|node| node.is_master).flat_map(|node| node.slots.iter()).collect()
    }

    /// Every slot on its way, with the node that says so.
    pub fn open(&self) -> impl Iterator<Item = (&Node, &OpenSlot)> {
        self.nodes.iter().flat_map(|node| node.open().iter().map(move |open| (node, open)))
    }
}

impl Node {
    /// The slots it says are on their way.
    #[must_use]
    pub fn open(&self) -> &[OpenSlot] {
        self.view.as_ref().map_or(&[], |view| &view.nodes.myself.open)
    }

    /// Its keys, if it says.
    #[must_use]
    pub fn keys(&self) -> Option<u64> {
        self.view.as_ref().ok().map(|view| view.keys)
    }
}
