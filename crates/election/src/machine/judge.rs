//! What follows from one look around: go on, and with whom; or why not.

use std::{cmp::Reverse, collections::BTreeMap};

use redoubt_redis::Endpoint;
use redoubt_wire::{config::SetConfig, failover::Cause};

use super::sight::{Look, NodeRole, NodeSight, Quorum};
use crate::Request;

/// How the change is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// The master lives: pause it, wait for equal offsets, swap.
    HandOver,
    /// The master does not lead any more.
    TakeOver,
}

/// Why not to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halt {
    /// A majority names this one: that is the master.
    Named(Endpoint),
    /// The master that is to be replaced leads, and was not to be handed over.
    Lives,
    /// There is nothing to do, or not as asked.
    Over(String),
    /// No living copy of the data is in reach: the boot rules decide, and compare what the files hold.
    Nobody(String),
    /// It cannot be done now.
    NotNow(String),
}

/// All that the judgement is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) set: &'a SetConfig,
    pub(crate) request: &'a Request,
    pub(crate) mode: Mode,
    pub(crate) look: &'a Look,
    pub(crate) quorum: Quorum,
}

impl Case<'_> {
    /// The node that shall lead.
    pub(crate) fn judge(&self) -> Result<usize, Halt> {
        self.sentinels_agree()?;
        match self.mode {
            Mode::HandOver => self.master_can_hand_over()?,
            Mode::TakeOver => self.master_is_gone()?,
        }
        self.choose()
    }

    fn replaced(&self) -> Option<usize> {
        self.index_of(&self.request.replaces)
    }

    pub(crate) fn index_of(&self, server: &Endpoint) -> Option<usize> {
        self.set.nodes.iter().position(|node| node.server == *server)
    }

    fn old_master(&self) -> Option<&NodeSight> {
        self.look.nodes.get(&self.replaced()?)
    }

    fn name(&self, node: usize) -> &str {
        self.set.nodes.get(node).map_or("?", |node| &node.name)
    }

    /// Enough of them answer, and all that do name the master that is to be replaced.
    fn sentinels_agree(&self) -> Result<(), Halt> {
        let mut tally: BTreeMap<&Endpoint, usize> = BTreeMap::new();
        for sight in self.look.sentinels.values() {
            *tally.entry(&sight.names).or_default() += 1;
        }
        let others = tally.iter().filter(|(name, _)| **name != &self.request.replaces);
        if let Some((name, count)) = others.max_by_key(|(_, count)| **count) {
            if *count >= self.quorum.majority {
                return Err(Halt::Named((*name).clone()));
            }
            return Err(Halt::NotNow(format!(
                "{count} of {} Sentinels name {name} master",
                self.quorum.known
            )));
        }
        let (answered, needed) = (self.look.sentinels.len(), self.quorum.votes);
        if answered < needed {
            let known = self.quorum.known;
            return Err(Halt::NotNow(format!(
                "{answered} of {known} Sentinels are in reach, {needed} are needed; Sentinel fails over by itself \
                 when they are back"
            )));
        }
        Ok(())
    }

    fn master_can_hand_over(&self) -> Result<(), Halt> {
        let master = &self.request.replaces;
        match self.old_master() {
            None => return Err(Halt::NotNow(format!("the master {master} does not answer"))),
            Some(sight) if !sight.leads() => {
                return Err(Halt::NotNow(format!("{master} is named master, and reports replica")));
            }
            Some(_) => {}
        }
        if self.look.sentinels.values().any(|sight| sight.failing_over) {
            return Err(Halt::NotNow("Sentinel has a failover of its own under way".to_owned()));
        }
        Ok(())
    }

    /// Its own agent saw it end, or it does not answer as master and nobody else hears from it.
    fn master_is_gone(&self) -> Result<(), Halt> {
        let asked_to_lead_again = self.request.to.as_deref().is_some_and(|to| {
            self.request.cause == Cause::Outage && self.replaced().is_some_and(|index| self.name(index) == to)
        });
        match self.old_master() {
            Some(sight) if sight.leads() && !asked_to_lead_again => Err(Halt::Lives),
            _ => self.nobody_hears_the_silent(),
        }
    }

    /// A node that does not answer here, while another still hears from it as its master, lives, and may have taken
    /// writes that nobody else has.
    fn nobody_hears_the_silent(&self) -> Result<(), Halt> {
        for (hearer, sight) in &self.look.nodes {
            let NodeRole::Replica { of, link_up: true } = &sight.role else { continue };
            let Some(heard) = self.index_of(of) else { continue };
            let known_dead = self.request.knows_it_dead() && Some(heard) == self.replaced();
            if !known_dead && !self.look.nodes.contains_key(&heard) {
                let (hearer, heard) = (self.name(*hearer), self.name(heard));
                return Err(Halt::NotNow(format!(
                    "{hearer} still hears from {heard}, which does not answer here"
                )));
            }
        }
        Ok(())
    }

    fn choose(&self) -> Result<usize, Halt> {
        if let Some(chosen) = self.look.promoted().filter(|_| self.adopts()) {
            let reachable = self.index_of(chosen).filter(|index| self.look.nodes.contains_key(index));
            return reachable.ok_or_else(|| {
                Halt::NotNow(format!("Sentinel has chosen {chosen} by itself, and it does not answer"))
            });
        }
        if let Some(to) = self.request.to.as_ref().filter(|_| !self.adopts()) {
            return self.asked_for(to);
        }
        let able: Vec<usize> =
            self.look.nodes.keys().copied().filter(|node| self.able(*node).is_ok()).collect();
        let best = able.iter().copied().min_by_key(|node| self.rank(*node));
        let best = best.ok_or_else(|| Halt::Nobody("no replica in reach can lead".to_owned()))?;
        let best = self.leader_of(best).filter(|leader| able.contains(leader)).unwrap_or(best);
        self.comparable(best, &able)?;
        Ok(best)
    }

    /// Who leads, named or not, and feeds this node. It has all that this node has, and writes on their way: an offset
    /// read a moment later at the replica only looks like more.
    fn leader_of(&self, node: usize) -> Option<usize> {
        let mut at = node;
        // Two nodes may follow each other.
        for _ in 0..self.set.nodes.len() {
            match &self.look.nodes.get(&at)?.role {
                NodeRole::Master => return Some(at),
                NodeRole::Replica { of, link_up: true } => at = self.index_of(of)?,
                NodeRole::Replica { link_up: false, .. } => return None,
            }
        }
        None
    }

    /// A choice that Sentinel made, or began to carry out, is taken over; not where the records of all nodes have
    /// decided.
    fn adopts(&self) -> bool {
        self.mode == Mode::TakeOver && self.request.cause != Cause::Outage
    }

    fn asked_for(&self, to: &str) -> Result<usize, Halt> {
        let node = self.set.nodes.iter().position(|node| node.name == to);
        let node = node.ok_or_else(|| Halt::Over(format!("there is no node {to}")))?;
        if self.mode == Mode::HandOver && Some(node) == self.replaced() {
            return Err(Halt::Over(format!("{to} is the master already")));
        }
        match self.able(node) {
            Ok(()) => Ok(node),
            Err(why) if self.mode == Mode::HandOver => Err(Halt::Over(format!("{to} cannot lead: it {why}"))),
            Err(why) => Err(Halt::NotNow(format!("{to} cannot lead: it {why}"))),
        }
    }

    /// Best first: in a hand-over, where all data is waited for, who can write its files; the most data; then who leads
    /// already; then the name, so that all candidates choose alike.
    fn rank(&self, node: usize) -> (bool, Reverse<u64>, bool, &str) {
        let sight = self.look.nodes.get(&node);
        let refuses = self.mode == Mode::HandOver && sight.is_some_and(|sight| sight.unwritable);
        let offset = sight.map_or(0, |sight| sight.offset);
        (refuses, Reverse(offset), !sight.is_some_and(NodeSight::leads), self.name(node))
    }

    /// Why this node cannot lead.
    fn able(&self, node: usize) -> Result<(), String> {
        let sight = self.look.nodes.get(&node).ok_or("does not answer")?;
        if sight.incomplete {
            return Err("is loading or takes a full copy".to_owned());
        }
        if self.request.cause == Cause::Outage {
            return Ok(());
        }
        if Some(node) == self.replaced() && self.request.cause != Cause::Rescue {
            return Err("is the node to be replaced".to_owned());
        }
        if sight.priority == 0 {
            return Err("has replica-priority 0".to_owned());
        }
        match (self.mode, self.old_master()) {
            (Mode::HandOver, Some(master)) if !sight.link_up() || sight.replid != master.replid => {
                Err("is not in sync with the master".to_owned())
            }
            // Who is being stopped hands over all the same: what was acknowledged comes before what is refused.
            (Mode::HandOver, _) if sight.unwritable && self.request.cause != Cause::Stop => {
                Err("cannot write its files, and would refuse writes".to_owned())
            }
            (Mode::HandOver, _) => Ok(()),
            (Mode::TakeOver, _) => self.of_known_history(sight),
        }
    }

    fn of_known_history(&self, sight: &NodeSight) -> Result<(), String> {
        match &self.request.history {
            Some(replid) if !sight.is_of_history(replid) => {
                Err(format!("has data of another history ({}, not {replid})", sight.replid))
            }
            _ => Ok(()),
        }
    }

    /// Offsets of different histories say nothing about each other. Who never had data does not matter.
    fn comparable(&self, best: usize, able: &[usize]) -> Result<(), Halt> {
        let Some(sight) = self.look.nodes.get(&best) else { return Ok(()) };
        let stranger = able.iter().filter_map(|node| Some((node, self.look.nodes.get(node)?)));
        match stranger
            .filter(|(_, other)| other.has_history())
            .find(|(_, other)| !sight.shares_history(other))
        {
            None => Ok(()),
            Some((other, _)) => {
                let (best, other) = (self.name(best), self.name(*other));
                Err(Halt::NotNow(format!("{best} and {other} hold data of different histories")))
            }
        }
    }
}

#[cfg(test)]
mod tests;
