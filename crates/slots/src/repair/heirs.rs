//! Keys that were on their way to a master which died: its heir has them, and does not know that their slots were coming.

use redoubt_redis::{
    Endpoint,
    cluster::{ClusterNodes, SlotSet},
};

use crate::{access::Access, error::SlotsError, look::count};

/// Marks slots that are another's, and of which this master holds keys, as coming from their owners, which is what a server
/// does by itself with keys that it finds in its files. From then on everybody sees that they are open, and a
/// [repair](super::repair) brings the keys to where clients look for them. Gives the slots.
///
/// Redis, and Valkey before 8, hand no open slot on to the replica that is promoted. Where both ends of a slot die, nobody
/// else knows any more that it was on its way.
pub async fn mark_strays(access: &Access, master: &Endpoint) -> Result<SlotSet, SlotsError> {
    let mut connection = access.connect(master).await?;
    let nodes = connection.cluster_nodes().await?;
    let foreign: Vec<u16> = unmarked(&nodes).iter().collect();
    let counts = count(&mut connection, &foreign).await?;
    let mut marked = SlotSet::default();
    for (slot, _) in foreign.into_iter().zip(counts).filter(|(_, keys)| *keys > 0) {
        let Some(owner) = nodes.others.iter().find(|node| node.slots.contains(slot)) else { continue };
        let words = ["CLUSTER", "SETSLOT", &slot.to_string(), "IMPORTING", owner.id.as_str()];
        connection.call(&words).await?;
        marked.insert(slot);
    }
    Ok(marked)
}

/// Slots that it does not own, but for those that it knows to be on their way.
fn unmarked(nodes: &ClusterNodes) -> SlotSet {
    let open: SlotSet = nodes.myself.open.iter().map(|open| open.slot).collect();
    SlotSet::all().without(&nodes.myself.slots).without(&open)
}
