//! Redis Cluster (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>): slots, and typed views
//! of what nodes say about each other.

mod info;
mod key_slot;
mod nodes;
mod slots;

pub use info::ClusterInfo;
pub use key_slot::key_slot;
pub use nodes::{ClusterNode, ClusterNodes, Flag, NodeId, OpenSlot, OpenSlotKind};
pub use slots::{SLOTS, SlotRanges, SlotSet};
