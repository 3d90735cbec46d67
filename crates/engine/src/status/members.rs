//! Nodes and Sentinels, as the status lists them.

use redoubt_api::{MovingStatus, NodeStatus, Role, SentinelStatus, ShardStatus};
use redoubt_redis::Endpoint;
use redoubt_wire::state::{ClusterView, Replication};

use crate::{
    look::{Look, Shard, cluster},
    plan::{Plan, Progress, Step, left_to_move},
    platform::Identity,
    world::MemberView,
};

/// Name of a node, its address where it is none of this set.
pub(super) fn name_of(identity: &Identity, endpoint: &Endpoint) -> String {
    identity.node_name(endpoint).map_or_else(|| endpoint.to_string(), str::to_owned)
}

pub(super) fn nodes(look: &Look<'_>) -> Vec<NodeStatus> {
    let entries = look.world.identity.nodes.iter();
    entries
        .filter_map(|entry| {
            let view = listed(look, &entry.name)?;
            Some(NodeStatus {
                name: entry.name.clone(),
                address: entry.server.to_string(),
                role: view.and_then(|view| role(look, view, &entry.server)),
                ready: view.is_some_and(|view| look.standing(view).is_good()),
                state: state(look, view),
            })
        })
        .collect()
}

/// The map of the slots.
pub(super) fn shards(look: &Look<'_>) -> Vec<ShardStatus> {
    let status = |shard: Shard<'_>| ShardStatus {
        shard: shard.number,
        master: shard.master.map(|view| view.member.name.clone()),
        slots: shard.slots().to_string(),
        count: u16::try_from(shard.slots().len()).unwrap_or(u16::MAX),
    };
    look.shards().into_iter().map(status).collect()
}

/// Slots that are not where they are to be.
pub(super) fn moving(look: &Look<'_>, plan: &Plan) -> Option<MovingStatus> {
    let slots_left = left_to_move(look);
    let progress = match &plan.step {
        Some(Step::Rebalance { progress, .. }) => *progress,
        _ => Progress::new(slots_left, None),
    };
    (slots_left > 0).then(|| MovingStatus {
        slots_left,
        slots_per_second: progress.per_second,
        seconds_left: progress.seconds_left(),
    })
}

pub(super) fn sentinels(look: &Look<'_>) -> Vec<SentinelStatus> {
    let entries = look.world.identity.sentinels.iter();
    entries
        .filter_map(|entry| {
            let view = listed(look, &entry.name)?;
            let sentinel = view.and_then(MemberView::sentinel);
            Some(SentinelStatus {
                name: entry.name.clone(),
                address: entry.server.to_string(),
                master: sentinel.and_then(|sentinel| sentinel.master.as_ref()).map(Endpoint::to_string),
                ready: view.is_some_and(|view| look.standing(view).is_good()),
                state: state(look, view),
            })
        })
        .collect()
}

/// What exists, and what is asked for and does not exist yet; nothing for addresses kept from earlier times.
#[allow(clippy::option_option, reason = "outer: is it listed at all; inner: does it exist yet")]
fn listed<'a>(look: &Look<'a>, name: &str) -> Option<Option<&'a MemberView>> {
    match look.world.member(name) {
        Some(view) => Some(Some(view)),
        None => look.missing().iter().any(|missing| missing == name).then_some(None),
    }
}

fn state(look: &Look<'_>, view: Option<&MemberView>) -> String {
    view.map_or("not created", |view| look.standing(view).word).to_owned()
}

/// The master is whom the Sentinels name; a replica is what says so.
fn role(look: &Look<'_>, view: &MemberView, server: &Endpoint) -> Option<Role> {
    let is_master = |own: &ClusterView| own.leads() || (own.master.is_none() && !own.is_blank());
    if look.named_master() == Some(server) || cluster(view).is_some_and(is_master) {
        return Some(Role::Master);
    }
    match view.node()?.replication {
        Some(Replication::Replica { .. }) => Some(Role::Replica),
        _ => None,
    }
}
