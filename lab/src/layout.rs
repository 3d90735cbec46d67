//! Names, addresses and folders of a lab: all of them follow from its number.

use std::{
    fmt,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

/// Where labs keep what they need while they run. On the disk's own file system, for overlayfs does not nest.
const STATE: &str = "/var/lib/redoubt-lab";
/// Labs of one machine: as many as blocks of services and of pods fit into 198.19.0.0/16.
pub(crate) const INSTANCES: u8 = 8;
/// Nodes of one lab: a block of pods has sixteen ranges of 254 addresses.
pub(crate) const NODES_MAX: u8 = 16;
const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// One of the labs of this machine. Its addresses are from 198.18.0.0/15, kept for benchmarks (RFC 2544), so they clash
/// with nothing: 198.18.I.0/24 for machines, 198.19.0.0/17 for services and 198.19.128.0/17 for pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lab {
    pub(crate) instance: u8,
}

impl Lab {
    pub(crate) fn new(instance: u8) -> Self {
        Self { instance }
    }

    /// Name of its link on the machine, and of its cgroups.
    pub(crate) fn link(self) -> String {
        format!("lab{}", self.instance)
    }

    pub(crate) fn state(self) -> PathBuf {
        Path::new(STATE).join(self.instance.to_string())
    }

    pub(crate) fn kubeconfig(self) -> PathBuf {
        self.state().join("kubeconfig")
    }

    pub(crate) fn certs(self) -> PathBuf {
        self.state().join("certs")
    }

    pub(crate) fn volumes(self) -> PathBuf {
        self.state().join("volumes")
    }

    /// The control plane's address: API server and DNS.
    pub(crate) fn control_plane(self) -> Ipv4Addr {
        self.machine(1)
    }

    /// This machine's own address in the lab.
    pub(crate) fn host(self) -> Ipv4Addr {
        self.machine(254)
    }

    fn machine(self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.instance, last)
    }

    pub(crate) fn services(self) -> String {
        format!("198.19.{}.0/20", self.instance * 16)
    }

    /// Address of the service `kubernetes`: the first of the range.
    pub(crate) fn api_service(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 19, self.instance * 16, 1)
    }

    pub(crate) fn dns_service(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 19, self.instance * 16, 10)
    }

    pub(crate) fn pods(self) -> String {
        format!("198.19.{}.0/20", 128 + self.instance * 16)
    }

    pub(crate) fn nodes(self, count: u8) -> Vec<Node> {
        (0..count).map(|ordinal| Node { lab: self, ordinal }).collect()
    }
}

/// A node of a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) lab: Lab,
    ordinal: u8,
}

impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "node-{}", self.ordinal + 1)
    }
}

impl Node {
    pub(crate) fn zone(self) -> &'static str {
        ZONES[usize::from(self.ordinal) % ZONES.len()]
    }

    pub(crate) fn address(self) -> Ipv4Addr {
        self.lab.machine(11 + self.ordinal)
    }

    pub(crate) fn pods(self) -> String {
        format!("198.19.{}.0/24", 128 + self.lab.instance * 16 + self.ordinal)
    }

    pub(crate) fn state(self) -> PathBuf {
        self.lab.state().join("nodes").join(self.to_string())
    }

    /// The cgroup below which its containers are, in every hierarchy.
    pub(crate) fn cgroup(self) -> String {
        format!("/{}/{self}", cgroup_of(self.lab))
    }
}

/// The cgroup of a whole lab.
pub(crate) fn cgroup_of(lab: Lab) -> String {
    format!("redoubt-{}", lab.link())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_labs_or_nodes_share_an_address() {
        let mut seen = std::collections::BTreeSet::new();
        for lab in (0..INSTANCES).map(Lab::new) {
            assert!(seen.insert(lab.services()) && seen.insert(lab.pods()), "{lab:?}");
            for node in lab.nodes(NODES_MAX) {
                assert!(seen.insert(node.address().to_string()) && seen.insert(node.pods()), "{node}");
                assert!(node.address() != lab.host() && node.address() != lab.control_plane());
            }
        }
    }

    #[test]
    fn nodes_are_spread_over_three_zones() {
        let zones: Vec<_> = Lab::new(0).nodes(4).into_iter().map(Node::zone).collect();
        assert_eq!(zones, ["zone-a", "zone-b", "zone-c", "zone-a"]);
    }
}
