//! What to move: pure functions of the cluster as it is and as it should be.

mod layout;
mod phases;
mod rebalance;
mod reshard;

pub use layout::{Layout, layout, layout_of_shards, spread};
pub use phases::phases;
pub use rebalance::{Share, rebalance};
pub use reshard::reshard;

use redoubt_redis::cluster::{NodeId, SlotSet};

/// Slots that go from one master to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Who gives.
    pub from: NodeId,
    /// Who takes.
    pub to: NodeId,
    /// What.
    pub slots: SlotSet,
}

/// Splits `total` in proportion to `weights`, each part rounded down or up, the biggest remainders first up.
/// `prefer` decides between parts before their remainders do.
fn apportion(total: usize, weights: &[f64], prefer: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    /// A share that is a whole number but for the last bits of its computation is not rounded up.
    const ROUNDING: f64 = 1e-6;
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 {
        return vec![0; weights.len()];
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 16384")]
    let exact: Vec<f64> = weights.iter().map(|weight| total as f64 * weight / sum).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 16384")]
    let mut parts: Vec<usize> = exact.iter().map(|part| part.floor() as usize).collect();
    let mut order: Vec<usize> = (0..parts.len()).filter(|index| exact[*index].fract() > ROUNDING).collect();
    order.sort_by(|a, b| {
        let preferred = |index: usize| prefer(index, parts[index]);
        preferred(*b).cmp(&preferred(*a)).then(exact[*b].fract().total_cmp(&exact[*a].fract())).then(a.cmp(b))
    });
    let missing = total - parts.iter().sum::<usize>().min(total);
    for index in order.into_iter().cycle().take(missing) {
        parts[index] += 1;
    }
    parts
}
