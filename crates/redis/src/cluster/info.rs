//! CLUSTER INFO.

use crate::info::Info;

/// What a node thinks of the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterInfo {
    /// `cluster_state:ok`: it serves.
    pub is_ok: Option<bool>,
    /// Slots that have an owner.
    pub slots_assigned: Option<u64>,
    /// Nodes it knows, itself included.
    pub known_nodes: Option<u64>,
    /// Masters with slots.
    pub size: Option<u64>,
    /// The highest epoch it has seen.
    pub current_epoch: Option<u64>,
}

impl ClusterInfo {
    /// Reads the text of the reply.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let info = Info::parse(text);
        let number = |name: &str| info.get(name).and_then(|value| value.parse().ok());
        Self {
            is_ok: info.get("cluster_state").map(|state| state == "ok"),
            slots_assigned: number("cluster_slots_assigned"),
            known_nodes: number("cluster_known_nodes"),
            size: number("cluster_size"),
            current_epoch: number("cluster_current_epoch"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_does_not_say_stays_unknown() {
        let info = ClusterInfo::parse("cluster_state:fail\r\ncluster_known_nodes:6\r\ncluster_size:x\r\n");
        assert_eq!((info.is_ok, info.known_nodes, info.size), (Some(false), Some(6), None));
        assert_eq!(ClusterInfo::parse(""), ClusterInfo::default());
    }
}
