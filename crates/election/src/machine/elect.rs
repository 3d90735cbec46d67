//! Looking around, asking for votes, looking again.

use super::{
    Machine, Phase,
    ballot::{Ballot, Outcome},
    call::{Answer, Ask, Place},
    judge::{Halt, Mode},
    limits::{
        ASK_WITHIN, DRAIN_POLL, DRAIN_WITHIN, EQUAL_WITHIN, NODE_WITHIN, SPLIT_PAUSE_MS, STAND_BACK,
        VOTE_HOLDS,
    },
    sight::{Look, NodeRole, NodeSight, Quorum},
};
use crate::{Moment, Verdict};

impl Machine {
    /// Asks every Sentinel and every node, all at once.
    pub(super) fn start_look(&mut self, now: Moment) {
        self.enter(Phase::Look);
        self.asked_at = now;
        self.look = Look::default();
        for sentinel in 0..self.sentinels() {
            self.call(Place::Sentinel(sentinel), Ask::Sentinel, ASK_WITHIN, None);
        }
        for node in (0..self.set.nodes.len()).filter(|node| self.worth_asking(*node)).collect::<Vec<_>>() {
            self.call(Place::Node(node), Ask::Node, NODE_WITHIN, None);
        }
        if self.waiting.is_empty() {
            self.judge(now);
        }
    }

    /// The agent of a dead server knows that it is dead; everybody else asks.
    fn worth_asking(&self, node: usize) -> bool {
        !(self.request.knows_it_dead() && Some(node) == self.replaced())
    }

    pub(super) fn on_look(&mut self, place: Place, answer: Answer, now: Moment) {
        match (place, answer) {
            (Place::Sentinel(sentinel), Answer::Sentinel(sight)) => {
                self.look.sentinels.insert(sentinel, sight);
            }
            (Place::Node(node), Answer::Node(sight)) => {
                self.look.nodes.insert(node, sight);
            }
            _ => {}
        }
        if self.seen_enough() {
            self.judge(now);
        }
    }

    /// All nodes, since any may hold the most data; of the Sentinels a majority, and when looking again everyone who
    /// had answered the vote.
    fn seen_enough(&self) -> bool {
        let again = self.phase == Phase::LookAgain;
        let expected = |place: &Place| match place {
            Place::Node(_) => true,
            Place::Sentinel(sentinel) => again && self.ballot.answered(*sentinel),
        };
        let enough = self.look.sentinels.len() >= Quorum::of(&self.set, &self.look).votes;
        self.waiting.is_empty() || (enough && !self.waiting.values().any(expected))
    }

    fn judge(&mut self, now: Moment) {
        self.quorum = Quorum::of(&self.set, &self.look);
        let first = self.phase == Phase::Look;
        self.log.step(if first { "look" } else { "look-again" }, now);
        match self.case().judge() {
            Err(halt) => self.halt(halt, now),
            Ok(target) => {
                // Whoever was told to lead before is somebody else now.
                self.promoted &= self.target == Some(target);
                self.target = Some(target);
                if first { self.ready(now) } else { self.elected(now) }
            }
        }
    }

    /// Everything is there that the rest will need: a vote that nothing follows holds Sentinel itself back.
    fn ready(&mut self, now: Moment) {
        if self.mode == Mode::HandOver && self.pause < EQUAL_WITHIN * 2 {
            let why = "the last hand-over paused this master only just now".to_owned();
            return self.end(Verdict::RetryAfter { why, after: self.down_after() });
        }
        if self.quorum.known == 1 { self.start_single(now) } else { self.start_vote(now) }
    }

    fn start_vote(&mut self, now: Moment) {
        let highest = self.look.epoch().max(self.request.epoch_heard).max(self.ballot.highest());
        let epoch = highest + (1 << self.stale.min(8));
        self.ballot = Ballot::new(epoch, &self.candidate);
        self.ballot_from = self.next_call;
        self.voted_at = now;
        self.log.epoch = Some(epoch);
        self.enter(Phase::Vote);
        for sentinel in 0..self.sentinels() {
            let (master, candidate) = (self.request.replaces.clone(), self.candidate.clone());
            self.call(Place::Sentinel(sentinel), Ask::Vote { master, epoch, candidate }, ASK_WITHIN, None);
        }
    }

    pub(super) fn on_vote(&mut self, now: Moment, random: u64) {
        match self.ballot.outcome(self.quorum, self.waiting.is_empty()) {
            Outcome::Open => {}
            Outcome::Won => {
                self.log.step("vote", now);
                self.won += 1;
                if let (true, Some(heard_at)) = (self.slow, self.ballot.heard_at) {
                    self.voted_at = heard_at;
                }
                self.look_again(now);
            }
            Outcome::Outvoted { by } => {
                let why = format!("{by} was elected in an epoch from {} on", self.ballot.epoch);
                self.rest(why, now + STAND_BACK);
            }
            Outcome::Split => self.rest_briefly("the Sentinels' votes were split", now, random),
            Outcome::Stale => {
                self.stale += 1;
                self.rest_briefly("the Sentinels are in a later epoch", now, random);
            }
        }
    }

    pub(super) fn rest_briefly(&mut self, why: &str, now: Moment, random: u64) {
        let (least, most) = SPLIT_PAUSE_MS;
        self.rest(why, now + std::time::Duration::from_millis(least + random % (most - least + 1)));
    }

    /// The same look as before: another may have been named, or chosen, while the votes were on their way.
    pub(super) fn look_again(&mut self, now: Moment) {
        let nodes: Vec<usize> = self.look.nodes.keys().copied().collect();
        self.enter(Phase::LookAgain);
        self.asked_at = now;
        self.look = Look::default();
        for sentinel in 0..self.sentinels() {
            self.call(Place::Sentinel(sentinel), Ask::Sentinel, ASK_WITHIN, None);
        }
        for node in nodes {
            self.call(Place::Node(node), Ask::Node, NODE_WITHIN, None);
        }
    }

    fn elected(&mut self, now: Moment) {
        let overtaken = self.look.sentinels.values().any(|sight| sight.config_epoch >= self.ballot.epoch);
        if overtaken {
            return self.rest("another was announced in a later epoch", now + STAND_BACK);
        }
        if now.since(self.voted_at) > VOTE_HOLDS {
            // Twice in a row this is no stall of ours but a slow disk at the Sentinels, who write a vote down before
            // they tell anybody: then its age counts from the first reply.
            self.slow = true;
            return self.rest("the vote was too old to act on", now + STAND_BACK);
        }
        match self.mode {
            Mode::HandOver => self.start_pause(now),
            Mode::TakeOver if self.draining() && now.since(self.voted_at) < DRAIN_WITHIN => {
                self.enter(Phase::Drain { poll_at: now + DRAIN_POLL });
            }
            Mode::TakeOver => self.promote(),
        }
    }

    /// A replica still reads what the master sent before it died: its offset grows yet, and a promotion would throw the
    /// rest away.
    fn draining(&self) -> bool {
        let reads = |sight: &NodeSight| {
            sight.link_up()
                && matches!(&sight.role, NodeRole::Replica { of, .. } if *of == self.request.replaces)
        };
        self.request.knows_it_dead() && self.look.nodes.values().any(reads)
    }

    fn halt(&mut self, halt: Halt, now: Moment) {
        match halt {
            Halt::Named(master)
                if self.promoted
                    && self.target.and_then(|node| self.server(node)).as_ref() == Some(&master) =>
            {
                self.settle(now);
            }
            Halt::Named(master) => {
                self.log.new_master = Some(master.clone());
                self.end(Verdict::Stopped { why: format!("{master} is named master by now") });
            }
            Halt::Lives if self.promoted => {
                let why = format!("the master {} was not demoted", self.request.replaces);
                self.undo(why, now);
            }
            Halt::Lives => {
                let why = format!("the master {} leads", self.request.replaces);
                self.end(Verdict::Stopped { why });
            }
            Halt::Over(why) => self.end(Verdict::Stopped { why }),
            // Nobody is to be waited for: nodes that come back ask what became of this one.
            Halt::Nobody(why) if !self.promoted => {
                self.end(Verdict::RetryAfter { why, after: EQUAL_WITHIN });
            }
            // Somebody waits for the answer, and nothing is broken.
            Halt::NotNow(why) | Halt::Nobody(why) if self.mode == Mode::HandOver => {
                self.end(Verdict::RetryAfter { why, after: STAND_BACK });
            }
            Halt::NotNow(why) | Halt::Nobody(why) => self.rest(why, now + STAND_BACK),
        }
    }
}
