//! One single Sentinel: it has no other in whose name to announce, so it is asked to fail over by itself.
//!
//! It promotes after some 0.3 s and names the new master a second later. A living master is paused before, and made
//! a replica as soon as the promotion shows, so that nothing it acknowledged is lost here either.

use super::{
    Machine, Phase,
    call::{Answer, Ask, Place},
    judge::Mode,
    limits::{ACT_WITHIN, ASK_WITHIN, SINGLE_POLL, SINGLE_WITHIN, STAND_BACK, UNPAUSE_TENTHS},
    sight::SentinelSight,
};
use crate::{Moment, Verdict};

impl Machine {
    pub(super) fn start_single(&mut self, now: Moment) {
        let choices = self.look.nodes.len()
            - usize::from(self.replaced().is_some_and(|node| self.look.nodes.contains_key(&node)));
        if self.request.to.is_some() && choices > 1 {
            let why =
                "a single Sentinel chooses the new master by itself; ask without naming a node, or give the \
                       set three Sentinels"
                    .to_owned();
            return self.end(Verdict::Stopped { why });
        }
        self.voted_at = now;
        match self.mode {
            Mode::HandOver => self.start_pause(now),
            Mode::TakeOver => self.fail_over_by_sentinel(now),
        }
    }

    pub(super) fn fail_over_by_sentinel(&mut self, now: Moment) {
        self.enter(Phase::Single { since: now, poll_at: None });
        self.call(Place::Sentinel(0), Ask::SentinelFailover, ASK_WITHIN, None);
    }

    pub(super) fn poll_single(&mut self, now: Moment) {
        let Phase::Single { since, .. } = self.phase else { return };
        if now.since(since) > SINGLE_WITHIN {
            let why = format!("the single Sentinel named no new master within {SINGLE_WITHIN:?}");
            return self.undo_single(why, now);
        }
        self.enter(Phase::Single { since, poll_at: None });
        self.call(Place::Sentinel(0), Ask::Sentinel, ASK_WITHIN, None);
        for node in 0..self.set.nodes.len() {
            if self.mode == Mode::HandOver && Some(node) != self.replaced() {
                self.call(Place::Node(node), Ask::Node, ACT_WITHIN, None);
            }
        }
    }

    pub(super) fn on_single(&mut self, place: Place, answer: Answer, now: Moment) {
        match (place, answer) {
            (_, Answer::Refused(why)) => {
                return self.undo_single(format!("the Sentinel refused: {why}"), now);
            }
            (Place::Sentinel(_), Answer::Done) => self.log.step("sentinel-failover", now),
            (Place::Node(_), Answer::Done) => self.release_once(),
            // Seen as the promoted one again in the next poll, and demoted again.
            (Place::Node(node), Answer::Lost(_)) if Some(node) == self.replaced() => {
                self.mode = Mode::HandOver;
            }
            (Place::Sentinel(_), Answer::Sentinel(sight)) if sight.names != self.request.replaces => {
                return self.named_by_single(&sight, now);
            }
            (Place::Node(node), Answer::Node(sight)) if sight.leads() && self.mode == Mode::HandOver => {
                self.target = Some(node);
                self.log.step("promote", now);
                self.log.new_offset = Some(sight.offset);
                return self.demote_unbounded();
            }
            _ => {}
        }
        if self.waiting.is_empty()
            && let Phase::Single { poll_at, .. } = &mut self.phase
        {
            *poll_at = Some(now + SINGLE_POLL);
        }
    }

    /// Sentinel has promoted and will go on: the sooner the old master follows the better, also after the pause.
    fn demote_unbounded(&mut self) {
        let (Some(old), Some(master)) = (self.replaced(), self.target.and_then(|node| self.server(node)))
        else {
            return;
        };
        self.mode = Mode::TakeOver;
        self.promoted = true;
        self.demoted = true;
        self.call(Place::Node(old), Ask::Follow { master }, ACT_WITHIN, None);
    }

    fn release_once(&mut self) {
        let not_after = self.paused_until(UNPAUSE_TENTHS);
        if let (Some(old), true) = (self.replaced(), self.paused_at.take().is_some()) {
            self.call(Place::Node(old), Ask::Release, ACT_WITHIN, Some(not_after));
        }
    }

    fn named_by_single(&mut self, sight: &SentinelSight, now: Moment) {
        self.target = self.case().index_of(&sight.names);
        self.log.new_master = Some(sight.names.clone());
        self.log.announced_at = Some(now);
        self.log.epoch = Some(sight.config_epoch);
        self.log.step("announce", now);
        self.end(Verdict::Done);
    }

    fn undo_single(&mut self, why: String, now: Moment) {
        match self.mode {
            Mode::HandOver => self.undo(why, now),
            Mode::TakeOver => self.rest(why, now + STAND_BACK),
        }
    }
}
