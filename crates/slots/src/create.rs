//! A new cluster of empty nodes.

use redoubt_redis::{
    Connection, Endpoint, Error,
    cluster::{NodeId, SlotSet},
};
use tokio::time::{Instant, sleep};

use crate::{access::Access, check::check, cluster::Cluster, error::SlotsError, plan::Layout, settle};

/// Makes them one cluster. Refuses nodes that hold keys or know other nodes: they may be another cluster's.
///
/// Every node has its part before it is introduced to the others, and is introduced to each of them: what it is stands in
/// the first message that they get of it. Left to itself the bus tells who there is, and what became of them, once a
/// second to one node after the other.
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
    for (replica, master) in &layout.replicas {
        meet(&mut members[*replica].0, &nodes[*replica], &nodes[*master]).await?;
    }
    for (replica, master) in &layout.replicas {
        let id = members[*master].1.clone();
        follow(&mut members[*replica].0, &id).await?;
    }
    for (number, (member, _)) in members.iter_mut().enumerate() {
        for other in &nodes[number + 1..] {
            meet(member, &nodes[number], other).await?;
        }
    }
    let count = nodes.len();
    let whole = |cluster: &Cluster| {
        cluster.nodes.len() == count && knows_all(cluster) && check(cluster).is_empty() && serves(cluster)
    };
    settle::until(access, &nodes[layout.masters[0].0], "all nodes agree and serve", whole).await
}

async fn meet(member: &mut Connection, endpoint: &Endpoint, other: &Endpoint) -> Result<(), SlotsError> {
    member.cluster_meet(other).await.map_err(|error| unmet(endpoint, error))
}

/// Follows a node that it has just been told to meet. It learns its name within two rounds of the bus, a tenth of a second
/// each.
async fn follow(replica: &mut Connection, master: &NodeId) -> Result<(), SlotsError> {
    let end = Instant::now() + settle::PATIENCE;
    loop {
        match replica.cluster_replicate(master).await {
            Err(Error::Server { message, .. })
                if message.contains("Unknown node") && Instant::now() < end =>
            {
                sleep(settle::SOON).await;
            }
            outcome => return Ok(outcome?),
        }
    }
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
