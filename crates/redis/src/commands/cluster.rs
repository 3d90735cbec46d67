//! CLUSTER commands that look or change one thing at one node.

use crate::{
    cluster::{ClusterInfo, ClusterNodes, NodeId},
    connection::Connection,
    endpoint::Endpoint,
    error::Error,
    value::{Mismatch, Value},
};

impl Connection {
    /// CLUSTER NODES.
    pub async fn cluster_nodes(&mut self) -> Result<ClusterNodes, Error> {
        self.call_as(&["CLUSTER", "NODES"], |reply| ClusterNodes::parse(reply.as_str()?)).await
    }

    /// CLUSTER LINKS (7.0 and later): the nodes that have opened a link of the bus to the asked one.
    pub async fn cluster_links_from(&mut self) -> Result<Vec<NodeId>, Error> {
        self.call_as(&["CLUSTER", "LINKS"], links_from).await
    }

    /// CLUSTER INFO.
    pub async fn cluster_info(&mut self) -> Result<ClusterInfo, Error> {
        self.call_as(&["CLUSTER", "INFO"], |reply| reply.as_str().map(ClusterInfo::parse)).await
    }

    /// CLUSTER MEET: shakes hands with a node. Answered before they know each other.
    pub async fn cluster_meet(&mut self, node: &Endpoint) -> Result<(), Error> {
        let port = node.port.to_string();
        self.call_as(&["CLUSTER", "MEET", &node.host, &port], Value::into_ok).await
    }

    /// CLUSTER FORGET: for a minute the node is not learnt again from others either.
    pub async fn cluster_forget(&mut self, node: &NodeId) -> Result<(), Error> {
        self.call_as(&["CLUSTER", "FORGET", node.as_str()], Value::into_ok).await
    }

    /// CLUSTER REPLICATE: follow this master. Refused by a master with slots or keys.
    pub async fn cluster_replicate(&mut self, master: &NodeId) -> Result<(), Error> {
        self.call_as(&["CLUSTER", "REPLICATE", master.as_str()], Value::into_ok).await
    }

    /// CLUSTER RESET SOFT: forgets everybody and, on a replica, all data; keeps its id.
    pub async fn cluster_reset(&mut self) -> Result<(), Error> {
        self.call_as(&["CLUSTER", "RESET", "SOFT"], Value::into_ok).await
    }
}

/// `direction` is `from` for a link that the other node has opened.
fn links_from(reply: Value) -> Result<Vec<NodeId>, Mismatch> {
    let mut from = Vec::new();
    for link in reply.into_array()? {
        let (mut inbound, mut node) = (false, None);
        for (name, value) in link.into_pairs()? {
            match name.as_str()? {
                "direction" => inbound = value.as_str()? == "from",
                "node" => node = Some(value.as_str()?.parse()?),
                _ => {}
            }
        }
        from.extend(node.filter(|_| inbound));
    }
    Ok(from)
}
