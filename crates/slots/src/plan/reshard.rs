//! So many slots to one master.

use super::{Move, apportion};
use crate::cluster::Node;

/// Takes `count` slots from the sources in proportion to what they own.
pub fn reshard(sources: &[&Node], target: &Node, count: usize) -> Result<Vec<Move>, String> {
    let names = |node: &Node| format!("{} ({})", node.endpoint, node.id.short());
    if let Some(source) = sources.iter().find(|source| source.id == target.id) {
        return Err(format!("{} is source and target", names(source)));
    }
    for (index, source) in sources.iter().enumerate() {
        if sources[..index].iter().any(|other| other.id == source.id) {
            return Err(format!("{} is named twice as a source", names(source)));
        }
    }
    if let Some(node) = sources.iter().chain([&target]).find(|node| !node.is_master) {
        return Err(format!("{} is no master", names(node)));
    }
    let owned: usize = sources.iter().map(|source| source.slots.len()).sum();
    if count == 0 {
        return Err("no slots are to be moved".to_owned());
    }
    if count > owned {
        return Err(format!("{count} slots are to be moved, but the sources own {owned}"));
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 16384")]
    let weights: Vec<f64> = sources.iter().map(|source| source.slots.len() as f64).collect();
    let counts = apportion(count, &weights, |_, _| false);
    let give = |(source, count): (&&Node, usize)| Move {
        from: source.id.clone(),
        to: target.id.clone(),
        slots: source.slots.iter().take(count).collect(),
    };
    Ok(sources.iter().zip(counts).filter(|(_, count)| *count > 0).map(give).collect())
}
