//! Nodes that come, go, and change whom they follow.

use redoubt_redis::{Endpoint, Error, Value, cluster::NodeId};

use crate::{
    access::Access,
    cluster::{Cluster, Node},
    create::{empty, serves},
    error::SlotsError,
    plan, settle,
};

/// Brings an empty node in, as a master without slots or as a replica of this master.
pub async fn add(
    access: &Access,
    cluster: &Cluster,
    endpoint: &Endpoint,
    master: Option<&NodeId>,
) -> Result<(), SlotsError> {
    let (mut connection, id) = empty(access, endpoint).await?;
    let entry = first(cluster)?;
    connection.cluster_meet(entry).await?;
    // A node that has just joined refuses keys for a moment more.
    let known = |cluster: &Cluster| all_know(cluster, &id) && serves(cluster);
    settle::until(access, entry, "all nodes know the new one", known).await?;
    let Some(master) = master else { return Ok(()) };
    connection.cluster_replicate(master).await?;
    let follows =
        |cluster: &Cluster| cluster.node(&id).is_some_and(|node| node.master.as_ref() == Some(master));
    settle::until(access, entry, "the new node follows its master", follows).await?;
    Ok(())
}

/// Takes a node without slots out: its replicas follow others, everybody forgets it, and it forgets everybody.
pub async fn remove(access: &Access, cluster: &Cluster, node: &Node) -> Result<(), SlotsError> {
    if !node.slots.is_empty() {
        return Err(SlotsError::Refused(format!(
            "{} owns {} slots; move them away first: `redoubt cluster rebalance --weight {}=0`",
            node.endpoint,
            node.slots.len(),
            node.endpoint
        )));
    }
    let on_their_way = cluster.open().filter(|(at, open)| at.id == node.id || open.peer == node.id).count();
    if on_their_way > 0 {
        return Err(SlotsError::Refused(format!(
            "slots are on their way to or from {}, and may have keys there; `redoubt cluster fix` finishes them",
            node.endpoint
        )));
    }
    let rest: Vec<&Node> = cluster.nodes.iter().filter(|other| other.id != node.id).collect();
    if let Some(silent) = rest.iter().find(|other| other.view.is_err()) {
        return Err(SlotsError::Refused(format!(
            "{} does not answer: it would not forget {}, and tell the others of it again",
            silent.endpoint, node.endpoint
        )));
    }
    let orphans: Vec<&Node> = cluster.replicas_of(&node.id).collect();
    let masters: Vec<&Node> = cluster.masters().filter(|master| !master.slots.is_empty()).collect();
    if !orphans.is_empty() {
        follow_others(access, cluster, &orphans, &masters).await?;
    }
    // Gossip brings a node back to those who forgot it more than a minute ago: all are told within that time.
    for other in rest {
        match access.connect(&other.endpoint).await?.cluster_forget(&node.id).await {
            Ok(()) => {}
            Err(Error::Server { message, .. }) if message.contains("Unknown node") => {}
            Err(error) => return Err(error.into()),
        }
    }
    if node.view.is_ok() {
        access.connect(&node.endpoint).await?.cluster_reset().await?;
    }
    Ok(())
}

/// Makes masters out of replicas until there are so many masters, then gives the remaining replicas to the masters that
/// have the fewest. New masters own no slots yet.
pub async fn spread(access: &Access, cluster: &Cluster, masters: usize) -> Result<Cluster, SlotsError> {
    let entry = first(cluster)?;
    let lacking = masters.saturating_sub(cluster.masters().count());
    let candidates = spare_replicas(cluster);
    if lacking > candidates.len() {
        return Err(SlotsError::Refused(format!(
            "{masters} masters are wanted, but there are {} and {} replicas to make masters of",
            cluster.masters().count(),
            candidates.len()
        )));
    }
    for replica in candidates.into_iter().take(lacking) {
        let mut connection = access.connect(&replica.endpoint).await?;
        connection.cluster_reset().await?;
        connection.cluster_meet(entry).await?;
    }
    let led = |cluster: &Cluster| {
        cluster.masters().count() >= masters
            && cluster.nodes.iter().all(|node| all_know(cluster, &node.id))
            && !settle::may_pass(&crate::check(cluster))
    };
    let cluster = settle::until(access, entry, "the new masters are known", led).await?;
    even_out(access, &cluster).await
}

/// Replicas, those first whose master has the most.
fn spare_replicas(cluster: &Cluster) -> Vec<&Node> {
    let mut replicas: Vec<(usize, &Node)> = Vec::new();
    for master in cluster.masters() {
        replicas.extend(cluster.replicas_of(&master.id).filter(|node| node.view.is_ok()).enumerate());
    }
    replicas.sort_by_key(|(place, _)| usize::MAX - place);
    replicas.into_iter().map(|(_, node)| node).collect()
}

async fn even_out(access: &Access, cluster: &Cluster) -> Result<Cluster, SlotsError> {
    let masters: Vec<&Node> = cluster.masters().collect();
    let replicas = cluster.nodes.iter().filter(|node| !node.is_master).count();
    let fair = replicas.div_ceil(masters.len().max(1));
    let spare: Vec<&Node> =
        masters.iter().flat_map(|master| cluster.replicas_of(&master.id).skip(fair)).collect();
    if !spare.is_empty() {
        follow_others(access, cluster, &spare, &masters).await?;
    }
    let entry = first(cluster)?;
    settle::until(access, entry, "the replicas follow their masters", |cluster| {
        crate::check(cluster).is_empty() && serves(cluster)
    })
    .await
}

async fn follow_others(
    access: &Access,
    cluster: &Cluster,
    replicas: &[&Node],
    masters: &[&Node],
) -> Result<(), SlotsError> {
    let staying = |master: &Node| {
        cluster
            .replicas_of(&master.id)
            .filter(|node| replicas.iter().all(|moving| moving.id != node.id))
            .count()
    };
    let leaders: Vec<(&str, usize)> =
        masters.iter().map(|master| (master.endpoint.host.as_str(), staying(master))).collect();
    let hosts: Vec<&str> = replicas.iter().map(|node| node.endpoint.host.as_str()).collect();
    for (replica, leader) in replicas.iter().zip(plan::spread(&leaders, &hosts)) {
        let Some(master) = masters.get(leader) else { continue };
        access.connect(&replica.endpoint).await?.cluster_replicate(&master.id).await?;
    }
    Ok(())
}

/// One command at every node, or at every master: what each answered.
pub async fn call(
    access: &Access,
    cluster: &Cluster,
    words: &[String],
    only_masters: bool,
) -> Vec<(Endpoint, Result<Value, Error>)> {
    let mut answers = Vec::new();
    for node in cluster.nodes.iter().filter(|node| node.is_master || !only_masters) {
        let answer = async { access.connect(&node.endpoint).await?.call(words).await }.await;
        answers.push((node.endpoint.clone(), answer));
    }
    answers
}

fn first(cluster: &Cluster) -> Result<&Endpoint, SlotsError> {
    let none = || SlotsError::Refused("no master of this cluster answers".to_owned());
    let mut masters: Vec<&Node> = cluster.masters().collect();
    masters.sort_by_key(|node| node.slots.is_empty());
    Ok(&masters.first().ok_or_else(none)?.endpoint)
}

fn all_know(cluster: &Cluster, id: &NodeId) -> bool {
    cluster.nodes.iter().all(|node| {
        node.view.as_ref().is_ok_and(|view| view.nodes.all().any(|known| known.id == *id && known.is_there()))
    })
}
