//! One pass' view of a Redis: resource and world together, and what follows from both. Plan and status read the same
//! one, so that they cannot disagree.

mod master;
mod nodes;
mod sentinels;
mod shards;
mod standing;

use redoubt_api::CheckedRedis;
use redoubt_wire::{config::SetConfig, state::AgentState};

pub(crate) use self::{
    sentinels::{can_vote, knows_strange_nodes, knows_strange_sentinels},
    shards::{Shard, cluster},
    standing::{Finding, is_broken, is_running},
};
use crate::{
    config::set_config,
    platform::{Member, MemberKind, Workload},
    template::template,
    world::{Counts, MemberView, World},
};

/// Resource and world, looked at once.
pub(crate) struct Look<'a> {
    pub(crate) redis: &'a CheckedRedis,
    pub(crate) world: &'a World,
    /// What the resource asks for.
    pub(crate) wanted: Counts,
    /// What runs and what shall run now: above `wanted` while members have yet to leave, below it for want of addresses.
    pub(crate) counts: Counts,
    pub(crate) config: SetConfig,
    /// Revision of `config`.
    pub(crate) revision: String,
    pub(crate) template: String,
}

impl<'a> Look<'a> {
    pub(crate) fn new(redis: &'a CheckedRedis, world: &'a World) -> Self {
        let wanted = Counts::wanted(redis);
        let existing = Counts::existing(world.members.iter().map(|view| &view.member));
        let counts = wanted.min(Counts::covered(&world.identity)).max(existing);
        let config = set_config(redis, &world.identity, counts);
        let revision = config.revision();
        Self { redis, world, wanted, counts, config, revision, template: template(redis) }
    }

    /// What the platform is asked to run, with so many members.
    pub(crate) fn workload(&self, counts: Counts) -> Workload {
        Workload {
            redis: self.redis.clone(),
            nodes: counts.nodes,
            shards: counts.shards,
            sentinels: counts.sentinels,
            config: set_config(self.redis, &self.world.identity, counts),
            template: self.template.clone(),
        }
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &'a MemberView> {
        self.world.staying(MemberKind::Node)
    }

    pub(crate) fn sentinels(&self) -> impl Iterator<Item = &'a MemberView> {
        self.world.staying(MemberKind::Sentinel)
    }

    /// Names of the members that are asked for and do not exist yet.
    pub(crate) fn missing(&self) -> Vec<String> {
        let sentinels = self.config.sentinel().map_or(&[][..], |config| &config.sentinels);
        let names =
            self.config.nodes.iter().map(|node| &node.name).chain(sentinels.iter().map(|entry| &entry.name));
        names.filter(|name| self.world.member(name).is_none()).cloned().collect()
    }

    pub(crate) fn agent_address(&self, name: &str) -> String {
        self.world.identity.agent(name).map_or_else(|| name.to_owned(), ToString::to_string)
    }

    /// The agent has the newest configuration in force.
    pub(crate) fn is_configured(&self, agent: &AgentState) -> bool {
        agent.config.as_deref() == Some(self.revision.as_str())
    }

    /// Why this member needs a new process, if it does.
    pub(crate) fn outdated(&self, view: &MemberView) -> Option<String> {
        if view.member.template != self.template {
            return Some(if view.member.template.is_empty() {
                "it has no agent yet".to_owned()
            } else if self.restart_was_asked(&view.member) {
                "a restart was asked for".to_owned()
            } else {
                "its version, image, resources, placement or grace period changed".to_owned()
            });
        }
        let agent =
            view.agent().filter(|agent| self.is_configured(agent) && !agent.restart_needed.is_empty())?;
        Some(format!("{} takes effect only at a start", agent.restart_needed.join(", ")))
    }

    /// What runs otherwise than the resource asks, well as it may be.
    pub(crate) fn behind(&self) -> Vec<String> {
        let why = |view: &MemberView| {
            if !self.wanted.holds(view.member.kind, view.member.ordinal) {
                return Some("it is one more than asked for".to_owned());
            }
            let late = view.agent().is_some_and(|agent| !self.is_configured(agent));
            let late = late.then(|| "it has not applied the newest configuration".to_owned());
            self.outdated(view).or(late)
        };
        let members = self.nodes().chain(self.sentinels());
        let short = self.counts.min(self.wanted) != self.wanted;
        members
            .filter_map(|view| Some(format!("{}: {}", view.member.name, why(view)?)))
            .chain(short.then(|| "not all members that are asked for can be made".to_owned()))
            .chain(self.world.unfit.iter().cloned())
            .collect()
    }

    pub(crate) fn restart_was_asked(&self, member: &Member) -> bool {
        crate::template::restart_was_asked(&member.template, &self.template)
    }
}
