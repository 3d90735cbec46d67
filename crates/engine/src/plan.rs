//! What to do next. Pure: the same resource, world and memory give the same plan.
//!
//! At most one step at a time. The rules are asked in order; the first that has something to say decides, and a rule
//! is only reached when all before it are satisfied: members exist, agents have the configuration, a master serves,
//! stale entries are gone, members that are too many have left, old processes are replaced, everybody is well.

mod create;
mod pace;
mod roles;
mod roll;
mod scale;
mod sentinels;
mod shards;
mod spread;

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use redoubt_api::CheckedRedis;
use redoubt_wire::state::{AgentState, ConfigFault};

pub(crate) use self::spread::left as left_to_move;
pub use self::{
    pace::{Attempt, Memory},
    spread::Progress,
};
use crate::{
    look::{Look, is_running},
    world::{Counts, MemberView, World},
};

/// What to do next, or why nothing is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The one step to take now.
    pub step: Option<Step>,
    /// What is waited for when there is none; `None` as well: all is as the resource asks.
    pub waiting: Option<Waiting>,
    /// Why the last try at what is still to be done failed, unless that is what is waited for.
    pub failed: Option<String>,
}

/// One thing to do. Each can be cut off at any point and done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Have the platform compare what runs with what should: an engine that has just started does not know what the
    /// one before it had told. Nothing is missing, and mostly nothing comes of it.
    Confirm {
        /// How many.
        counts: Counts,
    },
    /// Have the platform run so many members with the newest configuration; takes none away.
    Apply {
        /// How many.
        counts: Counts,
        /// Why.
        why: String,
    },
    /// Have the last member of a kind leave.
    Leave {
        /// Who leaves.
        member: String,
        /// How many stay.
        counts: Counts,
        /// Why.
        why: String,
    },
    /// Have the master hand over.
    Handover {
        /// The master.
        from: String,
        /// Who shall lead; a single Sentinel chooses by itself.
        to: Option<String>,
        /// Why.
        why: String,
    },
    /// Give a member a new process.
    Replace {
        /// Who.
        member: String,
        /// Why.
        why: String,
    },
    /// Have slots move until each shard owns its share; what is half done is finished first.
    Rebalance {
        /// Whose agent moves them.
        mover: String,
        /// How much each shard owns in proportion to the others; 0 empties it. None at all: nothing new is begun.
        weights: BTreeMap<u32, u32>,
        /// How far it is.
        progress: Progress,
        /// Why.
        why: String,
    },
    /// Have a Sentinel forget members that have left.
    Prune {
        /// Which Sentinel.
        sentinel: String,
        /// Why.
        why: String,
    },
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// One CamelCase word for programs.
    pub reason: &'static str,
    /// What is waited for, and what happens then or what to do, for people.
    pub why: String,
    /// When to look again, if time alone changes something.
    pub until: Option<Timestamp>,
}

impl Waiting {
    pub(crate) fn new(reason: &'static str, why: impl Into<String>) -> Self {
        Self { reason, why: why.into(), until: None }
    }

    /// Something that was asked for is at fault, and time alone does not change that.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.reason, "ConfigRefused" | "ReferenceRefused")
    }

    /// What one member says does not go with what another says.
    pub(crate) fn is_contradiction(&self) -> bool {
        matches!(
            self.reason,
            "SentinelsDisagree" | "MasterIsReplica" | "MasterNotServing" | "MasterUnknown" | "NodesDisagree"
        )
    }
}

impl Step {
    /// One CamelCase word for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Confirm { .. } => "Confirming",
            Self::Apply { .. } => "Applying",
            Self::Leave { .. } => "ScalingIn",
            Self::Handover { .. } => "HandingOver",
            Self::Replace { .. } => "Replacing",
            Self::Rebalance { .. } => "MovingSlots",
            Self::Prune { .. } => "Pruning",
        }
    }

    /// Takes something down or moves the master: looked at afresh before it is taken.
    #[must_use]
    pub fn is_delicate(&self) -> bool {
        !matches!(self, Self::Confirm { .. } | Self::Apply { .. })
    }

    /// The same thing done to the same member, whatever the reason.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Confirm { counts: a }, Self::Confirm { counts: b })
            | (Self::Apply { counts: a, .. }, Self::Apply { counts: b, .. })
            | (Self::Leave { counts: a, .. }, Self::Leave { counts: b, .. }) => a == b,
            (Self::Handover { from: a, to: x, .. }, Self::Handover { from: b, to: y, .. }) => {
                a == b && x == y
            }
            (Self::Rebalance { weights: a, .. }, Self::Rebalance { weights: b, .. }) => a == b,
            (Self::Replace { member: a, .. }, Self::Replace { member: b, .. })
            | (Self::Prune { sentinel: a, .. }, Self::Prune { sentinel: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirm { counts } => {
                write!(f, "confirming {counts}")
            }
            Self::Apply { counts, why } => {
                write!(f, "applying {counts}: {why}")
            }
            Self::Leave { member, why, .. } => write!(f, "removing {member}: {why}"),
            Self::Handover { from, to: Some(to), why } => {
                write!(f, "handing over from {from} to {to}: {why}")
            }
            Self::Handover { from, to: None, why } => write!(f, "handing over from {from}: {why}"),
            Self::Replace { member, why } => write!(f, "restarting {member}: {why}"),
            Self::Rebalance { mover, progress, why, .. } => {
                write!(f, "moving slots ({progress}), by the agent of {mover}: {why}")
            }
            Self::Prune { sentinel, why } => write!(f, "pruning {sentinel}: {why}"),
        }
    }
}

/// What a rule has to say.
enum Next {
    Step(Step),
    Wait(Waiting),
}

impl From<Waiting> for Next {
    fn from(waiting: Waiting) -> Self {
        Self::Wait(waiting)
    }
}

/// What to do next.
#[must_use]
pub fn plan(redis: &CheckedRedis, world: &World, memory: &Memory) -> Plan {
    plan_for(&Look::new(redis, world), memory)
}

pub(crate) fn plan_for(look: &Look<'_>, memory: &Memory) -> Plan {
    if look.redis.spec.paused {
        return Plan::default();
    }
    let apply = create::apply(look, memory);
    let applied = apply.clone().map(|step| Plan::paced(step, memory, look.world.at));
    // A member that does not come up must not hold up what else can be done, such as giving it the corrected image.
    if let Some(plan @ Plan { step: Some(_), .. }) = applied {
        return plan;
    }
    let other = match roll::mend(look).or_else(|| sentinels::shed(look)).or_else(|| with_master(look, memory))
    {
        Some(Next::Step(step)) => Some(Plan::paced(step, memory, look.world.at)),
        Some(Next::Wait(waiting)) => Some(waiting.into()),
        None => None,
    };
    match (other, applied) {
        (Some(plan), Some(applied)) => {
            plan.beside(applied, apply.and_then(|step| memory.attempt(&step)?.failed()))
        }
        (plan, applied) => plan.or(applied).unwrap_or_default(),
    }
}

/// Rules that need to know what is, and who leads.
fn with_master(look: &Look<'_>, memory: &Memory) -> Option<Next> {
    if let Some(waiting) = leaving(look).or_else(|| configured(look)) {
        return Some(waiting.into());
    }
    if look.redis.cluster().is_some() {
        return shards::next(look, memory);
    }
    let master = match look.settled() {
        Ok(master) => master,
        Err(waiting) => return Some(sentinels::unblock(look).unwrap_or_else(|| waiting.into())),
    };
    // A hand-over wants more than one Sentinel: nodes leave while there are many.
    sentinels::prune(look, sentinels::Stale::Sentinels)
        .or_else(|| scale::leave(look, master))
        .or_else(|| sentinels::leave(look))
        .or_else(|| sentinels::prune(look, sentinels::Stale::Nodes))
        .or_else(|| roll::sentinels(look))
        .or_else(|| roll::nodes(look, master))
        .or_else(|| everybody_well(look).or_else(|| short(look)).or_else(|| unfit(look)).map(Next::from))
}

fn leaving(look: &Look<'_>) -> Option<Waiting> {
    let view = look.world.members.iter().find(|view| view.member.leaving)?;
    Some(Waiting::new(
        "Leaving",
        format!("{} is being stopped; the next step waits until it is gone", view.member.name),
    ))
}

/// Agents apply the configuration by themselves. While one refuses it nobody gets a new process, which would have no
/// older configuration to fall back on; one whose server does not run has nothing to apply it to and is not waited for.
fn configured(look: &Look<'_>) -> Option<Waiting> {
    let views = || look.nodes().chain(look.sentinels());
    if let Some((agent, fault)) =
        views().filter_map(MemberView::agent).find_map(|agent| Some((agent, refused(look, agent)?)))
    {
        return Some(Waiting::new("ConfigRefused", refusal(fault, &agent.name)));
    }
    let serving = views().filter(|view| is_running(view)).filter_map(MemberView::agent);
    let late: Vec<&str> =
        serving.filter(|agent| !look.is_configured(agent)).map(|agent| agent.name.as_str()).collect();
    (!late.is_empty()).then(|| {
        Waiting::new(
            "ConfigPending",
            format!("{} have not applied the newest configuration yet", late.join(", ")),
        )
    })
}

fn refused<'a>(look: &Look<'_>, agent: &'a AgentState) -> Option<&'a ConfigFault> {
    agent.config_fault.as_ref().filter(|fault| fault.revision == look.revision)
}

/// Begins with the field, whoever wrote the message.
fn refusal(fault: &ConfigFault, agent: &str) -> String {
    let field = fault.directive.as_ref().map(|directive| format!("spec.config.{directive}: "));
    let field = field.filter(|field| !fault.message.starts_with(field.as_str())).unwrap_or_default();
    format!("{field}{} (said by {agent})", fault.message)
}

/// The platform has no addresses for all that is asked for.
fn short(look: &Look<'_>) -> Option<Waiting> {
    let shortage = look.world.shortage.as_ref()?;
    Some(Waiting::new("NoAddresses", format!("not all members that are asked for can be made: {shortage}")))
}

/// What runs is well and is not what is asked for.
fn unfit(look: &Look<'_>) -> Option<Waiting> {
    let unfit = &look.world.unfit;
    (!unfit.is_empty()).then(|| Waiting::new("ReferenceRefused", unfit.join("; ")))
}

/// Nothing is left to do but to let members come up.
fn everybody_well(look: &Look<'_>) -> Option<Waiting> {
    let faults: Vec<String> = (look.nodes().chain(look.sentinels()))
        .map(|view| (view, look.standing(view)))
        .filter(|(_, standing)| !standing.is_good())
        .map(|(view, standing)| format!("{}: {}", view.member.name, standing.fault()))
        .collect();
    (!faults.is_empty()).then(|| Waiting::new("MembersNotReady", faults.join("; ")))
}

impl Plan {
    /// The same step again waits for its turn: its effect may be on the way, and what fails is not hurried.
    fn paced(step: Step, memory: &Memory, now: Timestamp) -> Self {
        match memory.attempt(&step) {
            Some(attempt) if now < attempt.due => attempt.waiting().into(),
            attempt => Self { failed: attempt.and_then(Attempt::failed), step: Some(step), waiting: None },
        }
    }

    /// While the platform was told of the resource and is to be told again: looked at again when that is due, and what
    /// came of it is not hidden by what is waited for beside it.
    fn beside(mut self, applied: Self, failed: Option<String>) -> Self {
        let until = applied.waiting.and_then(|waiting| waiting.until);
        if let Some(waiting) = &mut self.waiting {
            waiting.until = [waiting.until, until].into_iter().flatten().min();
        }
        self.failed = self.failed.or(failed);
        self
    }
}

impl From<Waiting> for Plan {
    fn from(waiting: Waiting) -> Self {
        Self { waiting: Some(waiting), ..Self::default() }
    }
}

#[cfg(test)]
mod tests;
