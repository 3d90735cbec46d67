//! What the own server says of the cluster.

use std::fmt::Write as _;

use redoubt_redis::{
    Connection, Error,
    cluster::{ClusterInfo, ClusterNode, ClusterNodes, NodeId, SlotSet},
};
use redoubt_wire::state::ClusterView;
use sha2::{Digest as _, Sha256};

/// What the own server says of the cluster: in its words, and as others are told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClusterSeen {
    pub(crate) nodes: ClusterNodes,
    pub(crate) view: ClusterView,
}

impl ClusterSeen {
    /// Asks.
    pub(crate) async fn ask(connection: &mut Connection) -> Result<Self, Error> {
        let nodes = connection.cluster_nodes().await?;
        let info = connection.cluster_info().await?;
        Ok(Self::new(nodes, &info))
    }

    pub(crate) fn new(nodes: ClusterNodes, info: &ClusterInfo) -> Self {
        let myself = &nodes.myself;
        let master = myself.master.as_ref();
        let leader = nodes.all().find(|node| master.is_none_or(|master| node.id == *master));
        let count = |slots: usize| u16::try_from(slots).unwrap_or(u16::MAX);
        let covered: SlotSet = nodes.all().flat_map(|node| node.slots.iter()).collect();
        let endpoints = |alive: bool| {
            let others = nodes.others.iter().filter(move |node| node.is_there() == alive);
            others.map(|node| node.endpoint.clone()).collect()
        };
        let view = ClusterView {
            id: myself.id.to_string(),
            master: master.map(ToString::to_string),
            is_ok: info.is_ok == Some(true),
            epoch: leader.unwrap_or(myself).config_epoch,
            slots: myself.slots.to_string(),
            knows: endpoints(true),
            misses: endpoints(false),
            covered: count(covered.len()),
            open: count(myself.open.len()),
            map: map(&nodes),
        };
        Self { nodes, view }
    }
}

/// Who owns which slot and who follows whom, in a few digits. Masters vote for a replica only once they know whose it is
/// (cluster.c `clusterSendFailoverAuthIfNeeded`).
fn map(nodes: &ClusterNodes) -> String {
    let there = nodes.others.iter().filter(|node| node.is_there());
    let mut known: Vec<&ClusterNode> = there.chain([&nodes.myself]).collect();
    known.sort_by(|a, b| a.id.cmp(&b.id));
    let text = known.iter().fold(String::new(), |mut text, node| {
        let follows = node.master.as_ref().map_or("-", NodeId::as_str);
        let _ = writeln!(text, "{} {follows} {}", node.id, node.slots);
        text
    });
    Sha256::digest(text.as_bytes())[..6].iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "b3495165167babd2d9935b99e239ae5d3634be57";
    const B: &str = "07c37dfeb235213a872192d90877d0cd55635b91";

    fn seen(text: &str) -> ClusterView {
        let info = ClusterInfo { is_ok: Some(true), ..ClusterInfo::default() };
        ClusterSeen::new(ClusterNodes::parse(text).unwrap(), &info).view
    }

    #[test]
    fn two_nodes_that_agree_draw_the_same_map() {
        let (a, b) = ("10.0.0.1:6379@16379", "10.0.0.2:6379@16379");
        let one = seen(&format!(
            "{A} {a} myself,master - 0 0 3 connected 0-8191\n{B} {b} master - 0 0 4 connected 8192-16383\n"
        ));
        let other = seen(&format!(
            "{A} {a} master - 0 0 3 connected 0-8191\n{B} {b} myself,master - 0 0 4 connected 8192-16383\n"
        ));
        assert_eq!((&one.map, one.covered), (&other.map, 16384));
        let moved = seen(&format!(
            "{A} {a} master - 0 0 3 connected 0-8190\n{B} {b} myself,master - 0 0 4 connected 8191-16383\n"
        ));
        assert_ne!(one.map, moved.map);
        assert_eq!((one.slots.as_str(), one.epoch), ("0-8191", 3));
        let [c, d] = ["c", "d"].map(|digit| digit.repeat(40));
        let with = |of: &str| {
            seen(&format!(
                "{A} {a} myself,master - 0 0 3 connected 0-8191\n{c} 10.0.0.3:6379@16379 slave {of} 0 0 3 connected\n{d} 10.0.0.4:6379@16379 master - 0 0 4 connected 8192-16383\n"
            ))
        };
        assert_ne!(with(A).map, with(&d).map, "whose replica it is counts");
    }

    #[test]
    fn a_replica_has_the_epoch_of_its_master_and_a_failed_node_is_not_counted_on() {
        let view = seen(&format!(
            "{A} 10.0.0.1:6379@16379 myself,slave {B} 0 0 1 connected\n{B} 10.0.0.2:6379@16379 master,fail - 0 0 7 disconnected 0-16383\n"
        ));
        assert_eq!((view.epoch, view.master.as_deref(), view.knows.len()), (7, Some(B), 0));
        assert_eq!(view.misses[0].host, "10.0.0.2");
        assert!(!view.leads() && !view.is_blank());
    }
}
