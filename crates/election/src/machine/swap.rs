//! Pause, equal offsets, promotion, demotion; and the way back.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Machine, Phase,
    call::{Answer, Ask, Place},
    judge::Mode,
    limits::{
        ACT_WITHIN, ANNOUNCE_PAUSE, BEGUN_HOLDS, COUNT_HOLDS, DEMOTE_TENTHS, EQUAL_POLL, EQUAL_WITHIN,
        STAND_BACK, UNPAUSE_TENTHS, VOTE_HOLDS,
    },
    sight::NodeSight,
};
use crate::{Moment, Verdict};

impl Machine {
    pub(super) fn start_pause(&mut self, now: Moment) {
        let Some(master) = self.replaced() else { return };
        self.enter(Phase::Pause);
        self.paused_at = Some(now);
        let (hold, not_after) = (self.pause, self.voted_at + VOTE_HOLDS);
        self.call(Place::Node(master), Ask::Pause { hold }, EQUAL_WITHIN, Some(not_after));
    }

    pub(super) fn on_pause(&mut self, answer: &Answer, now: Moment) {
        match answer {
            Answer::Done => {
                self.log.step("pause", now);
                self.poll_offsets(now);
            }
            other => self.undo(format!("the master could not be paused: {}", other.words()), now),
        }
    }

    /// Nodes that must have everything the paused master has. A single Sentinel chooses by itself: then all.
    fn must_be_equal(&self) -> Vec<usize> {
        if self.quorum.known > 1 {
            return self.target.into_iter().collect();
        }
        let replaced = self.replaced();
        self.look.nodes.keys().copied().filter(|node| Some(*node) != replaced).collect()
    }

    pub(super) fn poll_offsets(&mut self, now: Moment) {
        let Some(master) = self.replaced() else { return };
        let left = EQUAL_WITHIN.saturating_sub(self.paused_for(now));
        if left.is_zero() {
            let behind = self.behind().map_or_else(String::new, |bytes| format!(", {bytes} bytes behind"));
            return self.undo(format!("no equal offsets within {EQUAL_WITHIN:?}{behind}"), now);
        }
        let seen = match &mut self.phase {
            Phase::Equal { seen, .. } => std::mem::take(seen),
            _ => BTreeMap::new(),
        };
        self.enter(Phase::Equal { seen, poll_at: None });
        self.call(Place::Node(master), Ask::Node, left, None);
        for node in self.must_be_equal() {
            self.call(Place::Node(node), Ask::Node, left, None);
        }
    }

    pub(super) fn on_equal(&mut self, place: Place, answer: Answer, now: Moment) {
        let (Place::Node(node), Answer::Node(sight)) = (place, answer) else {
            return self.undo("a node stopped answering during the pause", now);
        };
        let Phase::Equal { seen, .. } = &mut self.phase else { return };
        seen.insert(node, sight);
        if !self.waiting.is_empty() {
            return;
        }
        match self.behind() {
            None => self.undo("a node changed its role during the pause", now),
            Some(0) => self.all_equal(now),
            Some(_) => {
                if let Phase::Equal { poll_at, .. } = &mut self.phase {
                    *poll_at = Some(now + EQUAL_POLL);
                }
            }
        }
    }

    /// Bytes that the slowest of them lacks; `None` if that cannot be said.
    fn behind(&self) -> Option<u64> {
        let Phase::Equal { seen, .. } = &self.phase else { return None };
        let master = seen.get(&self.replaced()?).filter(|sight| sight.leads())?;
        let lacks = |node: usize| {
            let sight = seen.get(&node).filter(|sight| !sight.leads() && sight.replid == master.replid)?;
            Some(master.offset.saturating_sub(sight.offset))
        };
        self.must_be_equal().into_iter().map(lacks).try_fold(0, |most, bytes| Some(most.max(bytes?)))
    }

    fn all_equal(&mut self, now: Moment) {
        self.log.step("equal", now);
        if let Phase::Equal { seen, .. } = &self.phase {
            let master = self.replaced().and_then(|node| seen.get(&node));
            self.log.old_offset = master.map(|sight| sight.offset);
        }
        if self.quorum.known == 1 { self.fail_over_by_sentinel(now) } else { self.promote() }
    }

    /// The fence is closed first: nobody can write to a node that has not been announced, whoever attaches to it. One
    /// replica was enough when a master that had stood still woke up to the demotion in its socket, and fed its clients to
    /// a node that another candidate had just outdone.
    pub(super) fn promote(&mut self) {
        let Some(target) = self.target else { return };
        self.enter(Phase::Promote);
        self.promoted = true;
        let min_replicas = u32::try_from(self.set.nodes.len()).unwrap_or(u32::MAX);
        let not_after = self.voted_at + VOTE_HOLDS;
        self.call(Place::Node(target), Ask::Promote { min_replicas }, ACT_WITHIN, Some(not_after));
    }

    pub(super) fn on_promote(&mut self, answer: Answer, now: Moment, random: u64) {
        match answer {
            Answer::Node(sight) if sight.leads() => self.is_promoted(&sight, now),
            other => {
                let why = format!("the chosen node was not promoted: {}", other.words());
                match self.mode {
                    Mode::HandOver => self.undo(why, now),
                    Mode::TakeOver => self.rest_briefly(&why, now, random),
                }
            }
        }
    }

    fn is_promoted(&mut self, sight: &NodeSight, now: Moment) {
        self.log.step("promote", now);
        self.log.new_offset = Some(sight.offset);
        self.log.new_master = self.target.and_then(|node| self.server(node));
        match self.mode {
            Mode::HandOver => self.demote(now),
            Mode::TakeOver => self.announce(1, now),
        }
    }

    /// From here on it is a take-over: the target holds all that was acknowledged, whatever becomes of the rest.
    pub(super) fn demote(&mut self, now: Moment) {
        let (Some(master), Some(target)) = (self.replaced(), self.target.and_then(|node| self.server(node)))
        else {
            return;
        };
        let not_after = self.paused_until(DEMOTE_TENTHS);
        if now > not_after {
            return self.undo("the pause ran out before the old master was demoted", now);
        }
        self.enter(Phase::Demote);
        self.mode = Mode::TakeOver;
        self.call(Place::Node(master), Ask::Follow { master: target }, EQUAL_WITHIN, Some(not_after));
    }

    pub(super) fn on_demote(&mut self, answer: &Answer, now: Moment) {
        match answer {
            Answer::Done => {
                self.log.step("demote", now);
                self.demoted = true;
                self.announce(1, now);
            }
            Answer::Refused(why) => {
                self.mode = Mode::HandOver;
                self.undo(format!("the old master was not demoted: {why}"), now);
            }
            // It may or may not have happened: ask again while the pause lasts, then look.
            _ if now + ANNOUNCE_PAUSE < self.paused_until(DEMOTE_TENTHS) => self.demote(now),
            other => {
                let why = format!("whether the old master was demoted is not known: {}", other.words());
                self.rest(why, now + STAND_BACK);
            }
        }
    }

    /// Takes back what was begun: the target follows again, the master is unpaused.
    pub(super) fn undo(&mut self, why: impl Into<String>, now: Moment) {
        self.enter(Phase::Undo { why: why.into() });
        if let (Some(master), true) = (self.replaced(), self.paused_at.is_some()) {
            let not_after = Some(self.paused_until(UNPAUSE_TENTHS));
            self.call(Place::Node(master), Ask::Unpause, ACT_WITHIN, not_after);
        }
        if let (Some(target), true) = (self.target, self.promoted) {
            let master = self.request.replaces.clone();
            let not_after = (self.voted_at + BEGUN_HOLDS).max(self.asked_at + COUNT_HOLDS);
            self.call(Place::Node(target), Ask::Follow { master }, ACT_WITHIN, Some(not_after));
        }
        self.log.step("undo", now);
        if self.waiting.is_empty() {
            self.on_undo();
        }
    }

    pub(super) fn on_undo(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        if let Phase::Undo { why } = &self.phase {
            let why = why.clone();
            self.end(Verdict::RetryAfter { why, after: self.down_after() });
        }
    }

    fn paused_for(&self, now: Moment) -> Duration {
        self.paused_at.map_or(Duration::ZERO, |at| now.since(at))
    }

    /// When so many tenths of the pause are over.
    pub(super) fn paused_until(&self, tenths: u32) -> Moment {
        self.paused_at.unwrap_or(Moment::START) + self.pause * tenths / 10
    }
}
