//! Carries out repairs.

use std::collections::BTreeMap;

use redoubt_redis::{
    Connection, Error,
    cluster::{NodeId, SlotSet},
};

use super::{Repair, Repairs, copies};
use crate::{
    cluster::{Cluster, Node},
    error::SlotsError,
    guard::Guard,
    mover::{Mover, Stop},
    plan::Move,
};

/// Keys that are asked for at once.
const LISTED: &str = "100";
/// A small batch that is not answered by then has met a dead target.
const LIMIT_MS: &str = "5000";

/// All of them, one after the other; moves of whole slots together.
pub(super) async fn all(
    repairs: &Repairs<'_>,
    cluster: &Cluster,
    guard: &Guard,
    what: &[Repair],
) -> Result<(), SlotsError> {
    let mut finishing: BTreeMap<(NodeId, NodeId), SlotSet> = BTreeMap::new();
    for one in what {
        match one {
            Repair::Meet { by, node } => repairs.access.connect(by).await?.cluster_meet(node).await?,
            Repair::Own { slot, node, instead_of } => own(repairs, cluster, *slot, node, instead_of).await?,
            Repair::Close { slot, owner, others } => {
                // The owner first: from then on it sends nobody to the others.
                for id in std::iter::once(owner).chain(others) {
                    cluster_call(
                        &mut connect(repairs, cluster, id).await?,
                        &["SETSLOT", &slot.to_string(), "STABLE"],
                    )
                    .await?;
                }
            }
            Repair::Finish { slot, from, to } => {
                name_owner(repairs, cluster, *slot, from, to).await?;
                finishing.entry((from.clone(), to.clone())).or_default().insert(*slot);
            }
            Repair::Fetch { slot, from, to, .. } => fetch(repairs, cluster, *slot, from, to).await?,
        }
    }
    let finishing: Vec<Move> =
        finishing.into_iter().map(|((from, to), slots)| Move { from, to, slots }).collect();
    if !finishing.is_empty() {
        let options = crate::Options { method: crate::Method::Migrate, ..repairs.options.clone() };
        let mover = Mover { access: repairs.access, cluster, options: &options, report: repairs.report };
        mover.run(guard, finishing, Stop::never()).await?;
    }
    Ok(())
}

/// The losers disown the slot and mark it as coming from its owner: so they keep their keys, which a node that is taken
/// a slot by a higher epoch throws away.
async fn own(
    repairs: &Repairs<'_>,
    cluster: &Cluster,
    slot: u16,
    node: &NodeId,
    instead_of: &[NodeId],
) -> Result<(), SlotsError> {
    let number = slot.to_string();
    for loser in instead_of {
        let mut loser = connect(repairs, cluster, loser).await?;
        cluster_call(&mut loser, &["DELSLOTS", &number]).await?;
        cluster_call(&mut loser, &["SETSLOT", &number, "IMPORTING", node.as_str()]).await?;
    }
    let mut owner = connect(repairs, cluster, node).await?;
    if instead_of.is_empty() {
        // In its view somebody else may own it still.
        match cluster_call(&mut owner, &["DELSLOTS", &number]).await {
            Ok(()) | Err(SlotsError::Redis(Error::Server { .. })) => {}
            Err(error) => return Err(error),
        }
        cluster_call(&mut owner, &["ADDSLOTS", &number]).await?;
    }
    cluster_call(&mut owner, &["SETSLOT", &number, "STABLE"]).await?;
    cluster_call(&mut owner, &["BUMPEPOCH"]).await
}

/// Tells a node who owns a slot, if it does not know. One that takes a slot does not hear of its owner's failover, and then
/// neither sends nor accepts keys of it.
async fn name_owner(
    repairs: &Repairs<'_>,
    cluster: &Cluster,
    slot: u16,
    owner: &NodeId,
    to: &NodeId,
) -> Result<(), SlotsError> {
    let view = node(cluster, to)?.view.as_ref().ok();
    let mut known = view.into_iter().flat_map(|view| view.nodes.all());
    if known.any(|known| known.id == *owner && known.slots.contains(slot)) {
        return Ok(());
    }
    let mut connection = connect(repairs, cluster, to).await?;
    cluster_call(&mut connection, &["SETSLOT", &slot.to_string(), "NODE", owner.as_str()]).await
}

/// Keys that nobody is served from go to the owner of their slot. Where both have one, the owner's is in use and stays; the
/// other one goes if it is equal, and stays too if it is not, unless it shall replace it.
async fn fetch(
    repairs: &Repairs<'_>,
    cluster: &Cluster,
    slot: u16,
    from: &NodeId,
    to: &NodeId,
) -> Result<(), SlotsError> {
    let (number, target) = (slot.to_string(), node(cluster, to)?);
    let (mut holder, mut owner) =
        (connect(repairs, cluster, from).await?, connect(repairs, cluster, to).await?);
    name_owner(repairs, cluster, slot, to, from).await?;
    // MIGRATE of a slot that is another's works only while the slot is open.
    cluster_call(&mut holder, &["SETSLOT", &number, "IMPORTING", to.as_str()]).await?;
    loop {
        let names = holder
            .call_as(&["CLUSTER", "GETKEYSINSLOT", &number, LISTED], |reply| {
                reply
                    .into_array()?
                    .iter()
                    .map(|name| Ok(name.as_bytes()?.to_vec()))
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?;
        if names.is_empty() {
            break;
        }
        let text = |text: &str| text.as_bytes().to_vec();
        let mut words: Vec<Vec<u8>> =
            ["MIGRATE", &target.endpoint.host, &target.endpoint.port.to_string(), "", "0", LIMIT_MS]
                .map(text)
                .to_vec();
        words.extend(repairs.replace.then(|| text("REPLACE")));
        words.extend(repairs.access.migrate_words());
        words.push(text("KEYS"));
        words.extend(names.iter().cloned());
        if let Err(error) = holder.call(&words).await {
            let is_busy = matches!(&error, Error::Server { message, .. } if message.contains("BUSYKEY"));
            if is_busy && copies::drop_equal(&mut holder, &mut owner, &names).await? > 0 {
                continue;
            }
            return Err(SlotsError::Move {
                slot,
                source_node: node(cluster, from)?.endpoint.clone(),
                target: target.endpoint.clone(),
                why: if is_busy {
                    format!(
                        "both hold a copy of a key, which differ, and the owner's is in use ({error}); with --replace the other one wins"
                    )
                } else {
                    error.to_string()
                },
            });
        }
    }
    cluster_call(&mut holder, &["SETSLOT", &number, "STABLE"]).await
}

async fn cluster_call(connection: &mut Connection, words: &[&str]) -> Result<(), SlotsError> {
    let words: Vec<&str> = std::iter::once("CLUSTER").chain(words.iter().copied()).collect();
    connection.call(&words).await?;
    Ok(())
}

async fn connect(repairs: &Repairs<'_>, cluster: &Cluster, id: &NodeId) -> Result<Connection, SlotsError> {
    Ok(repairs.access.connect(&node(cluster, id)?.endpoint).await?)
}

fn node<'a>(cluster: &'a Cluster, id: &NodeId) -> Result<&'a Node, SlotsError> {
    cluster.node(id).ok_or_else(|| SlotsError::Refused(format!("there is no node {id}")))
}
