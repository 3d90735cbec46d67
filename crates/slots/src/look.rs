//! Asks every node of a cluster what it knows.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use redoubt_redis::{
    Connection, Endpoint, Error,
    cluster::{ClusterNode, Flag, NodeId, SLOTS, SlotSet},
};

use crate::{
    access::Access,
    cluster::{Cluster, Node, View},
    error::SlotsError,
};

/// So many nodes are asked at once; the biggest clusters have a thousand.
const AT_ONCE: usize = 32;

/// Looks at the cluster that this node belongs to. Nodes that do not answer are in it, with the reason.
pub async fn look(access: &Access, entry: &Endpoint) -> Result<Cluster, SlotsError> {
    let first = view(access, entry).await.map_err(|error| SlotsError::entry(entry, error))?;
    let mut views = BTreeMap::new();
    let mut known = BTreeMap::new();
    let mut fresh = remember(&mut known, &first, entry);
    fresh.retain(|(id, _)| *id != first.nodes.myself.id);
    views.insert(first.nodes.myself.id.clone(), Ok(first));
    // A node may know others that the first one has forgotten.
    while !fresh.is_empty() {
        let asked = stream::iter(std::mem::take(&mut fresh)).map(|(id, endpoint)| async move {
            let view = view(access, &endpoint).await.map_err(|error| error.to_string());
            (id, endpoint, view)
        });
        let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        for (id, endpoint, view) in answers {
            let view = view.and_then(|view| same_node(&id, view));
            if let Ok(view) = &view {
                fresh.extend(remember(&mut known, view, &endpoint));
            }
            views.insert(id, view);
        }
        fresh.retain(|(id, _)| !views.contains_key(id));
    }
    Ok(assemble(&known, views))
}

/// Keys of slots that a node does not own, by master and slot.
pub async fn strays(access: &Access, cluster: &Cluster) -> Result<Vec<(NodeId, u16, u64)>, SlotsError> {
    let foreign = |node: &Node| SlotSet::all().without(&node.slots).iter().collect::<Vec<u16>>();
    let masters = cluster.masters().map(|node| (node.id.clone(), node.endpoint.clone(), foreign(node)));
    let counted = stream::iter(masters.collect::<Vec<_>>()).map(|(id, endpoint, foreign)| async move {
        let mut connection = access.connect(&endpoint).await?;
        let counts = count(&mut connection, &foreign).await?;
        let counts = foreign.into_iter().zip(counts).filter(|(_, keys)| *keys > 0);
        Ok::<_, Error>(counts.map(|(slot, keys)| (id.clone(), slot, keys)).collect::<Vec<_>>())
    });
    let counted: Vec<_> = counted.buffered(AT_ONCE).collect().await;
    let mut all = Vec::new();
    for found in counted {
        all.extend(found?);
    }
    Ok(all)
}

/// Keys in each of these slots at one node.
pub(crate) async fn count(connection: &mut Connection, slots: &[u16]) -> Result<Vec<u64>, Error> {
    let commands: Vec<_> = slots
        .iter()
        .map(|slot| vec!["CLUSTER".to_owned(), "COUNTKEYSINSLOT".to_owned(), slot.to_string()])
        .collect();
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let replies = connection.pipeline(&commands).await?;
    replies.into_iter().map(|reply| Ok(reply?.as_u64().unwrap_or(0))).collect()
}

async fn view(access: &Access, endpoint: &Endpoint) -> Result<View, Error> {
    let mut connection = access.connect(endpoint).await?;
    let nodes = connection.cluster_nodes().await?;
    let info = connection.cluster_info().await?;
    let all = connection.info(None).await?;
    let memory = |name: &str| all.number(name);
    let (used_memory, max_memory) = (memory("used_memory"), memory("maxmemory"));
    let keys = connection.dbsize().await?;
    Ok(View { nodes, info, keys, used_memory, max_memory, version: all.version() })
}

/// Another node may have taken the address.
fn same_node(id: &NodeId, view: View) -> Result<View, String> {
    let found = &view.nodes.myself.id;
    if found == id { Ok(view) } else { Err(format!("another node answers there: {found}")) }
}

/// What is known of each node by the others: the latest word of the highest epoch.
type Known = BTreeMap<NodeId, Hearsay>;

struct Hearsay {
    endpoint: Endpoint,
    node: ClusterNode,
    is_failed: bool,
}

/// Takes up what a node says of others. Gives those that were not known before.
fn remember(known: &mut Known, view: &View, asked: &Endpoint) -> Vec<(NodeId, Endpoint)> {
    let mut fresh = Vec::new();
    for node in view.nodes.all() {
        if node.has(&Flag::Handshake) || node.has(&Flag::NoAddress) {
            continue;
        }
        let is_failed = node.has(&Flag::Failed);
        let mut endpoint = node.endpoint.clone();
        if endpoint.host.is_empty() {
            endpoint.host.clone_from(&asked.host);
        }
        let entry = known.entry(node.id.clone()).or_insert_with(|| {
            fresh.push((node.id.clone(), endpoint.clone()));
            Hearsay { endpoint: endpoint.clone(), node: node.clone(), is_failed }
        });
        entry.is_failed |= is_failed;
        if node.has(&Flag::Myself) || node.config_epoch > entry.node.config_epoch {
            entry.node = node.clone();
        }
    }
    fresh
}

fn assemble(known: &Known, mut views: BTreeMap<NodeId, Result<View, String>>) -> Cluster {
    let mut nodes: Vec<Node> = known
        .iter()
        .map(|(id, heard)| {
            let view = views.remove(id).unwrap_or_else(|| Err("it was not asked".to_owned()));
            let said = view.as_ref().map_or(&heard.node, |view| &view.nodes.myself);
            Node {
                id: id.clone(),
                endpoint: heard.endpoint.clone(),
                is_master: said.is_master(),
                master: said.master.clone(),
                slots: said.slots.clone(),
                is_failed: heard.is_failed,
                view,
            }
        })
        .collect();
    let first_slot = |node: &Node| node.slots.iter().next().unwrap_or(SLOTS);
    let masters: BTreeMap<NodeId, u16> =
        nodes.iter().map(|node| (node.id.clone(), first_slot(node))).collect();
    nodes.sort_by_cached_key(|node| {
        let leader = node.master.as_ref().unwrap_or(&node.id);
        let place = masters.get(leader).copied().unwrap_or(SLOTS);
        (place, leader.clone(), !node.is_master, node.endpoint.clone())
    });
    Cluster { nodes }
}
