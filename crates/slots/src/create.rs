//! A new cluster of empty nodes.

use redoubt_redis::{
    Connection, Endpoint, Error,
    cluster::{NodeId, SlotSet},
};

use crate::{access::Access, check::check, cluster::Cluster, error::SlotsError, plan::Layout, settle};

/// Makes them one cluster. Refuses nodes that hold keys or know other nodes: they may be another cluster's.
pub async fn create(access: &Access, nodes: &[Endpoint], layout: &Layout) -> Result<Cluster, SlotsError> {
    let mut members = Vec::new();
    for endpoint in nodes {
        members.push(empty(access, endpoint).await?);
    }
    for (number, (master, slots)) in layout.masters.iter().enumerate() {
        own(&mut members[*master].0, slots).await?;
        let epoch = (number + 1).to_string();
        match members[*master].0.call(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await {
            // From an attempt that was cut off: RESET SOFT leaves it. Two that are alike the bus tells apart.
            Err(Error::Server { message, .. }) if message.contains("already non-zero") => {}
            outcome => drop(outcome?),
        }
    }
    let entry = &nodes[layout.masters[0].0];
    for (member, endpoint) in members.iter_mut().zip(nodes).filter(|(_, endpoint)| *endpoint != entry) {
        member.0.cluster_meet(entry).await.map_err(|error| unmet(endpoint, error))?;
    }
    let count = nodes.len();
    let met = |cluster: &Cluster| cluster.nodes.len() == count && knows_all(cluster);
    settle::until(access, entry, "all nodes know each other", met).await?;
    for (replica, master) in &layout.replicas {
        let id = members[*master].1.clone();
        members[*replica].0.cluster_replicate(&id).await?;
    }
    let whole = |cluster: &Cluster| check(cluster).is_empty() && serves(cluster);
    settle::until(access, entry, "all nodes agree and serve", whole).await
}

/// A connection to a node that has nothing and knows nobody, and its id.
pub(crate) async fn empty(access: &Access, endpoint: &Endpoint) -> Result<(Connection, NodeId), SlotsError> {
    let mut connection = access.connect(endpoint).await?;
    let nodes = connection.cluster_nodes().await.map_err(|error| SlotsError::entry(endpoint, error))?;
    let keys = connection.dbsize().await?;
    let refuse = |why: String| Err(SlotsError::Refused(format!("{endpoint} is not empty: {why}")));
    if keys > 0 {
        return refuse(format!("it holds {keys} keys"));
    }
    if !nodes.others.is_empty() {
        return refuse(format!("it knows {} other nodes", nodes.others.len()));
    }
    if !nodes.myself.slots.is_empty() {
        return refuse(format!("it owns the slots {}", nodes.myself.slots));
    }
    Ok((connection, nodes.myself.id))
}

/// One ADDSLOTS: ADDSLOTSRANGE came with 7.0.
async fn own(connection: &mut Connection, slots: &SlotSet) -> Result<(), Error> {
    let words = ["CLUSTER", "ADDSLOTS"].map(str::to_owned);
    let words: Vec<String> = words.into_iter().chain(slots.iter().map(|slot| slot.to_string())).collect();
    connection.call(&words).await.map(drop)
}

fn unmet(endpoint: &Endpoint, error: Error) -> SlotsError {
    match error {
        Error::Server { message, .. } if message.contains("Invalid node address") => SlotsError::Refused(
            format!("{endpoint} cannot be met under this name: nodes know each other by address"),
        ),
        error => SlotsError::Redis(error),
    }
}

fn knows_all(cluster: &Cluster) -> bool {
    let count = cluster.nodes.len();
    cluster.nodes.iter().all(|node| node.view.as_ref().is_ok_and(|view| view.nodes.all().count() == count))
}

/// Every node says that the cluster is ok.
pub(crate) fn serves(cluster: &Cluster) -> bool {
    cluster.nodes.iter().all(|node| node.view.as_ref().is_ok_and(|view| view.info.is_ok == Some(true)))
}
