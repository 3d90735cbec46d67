//! Announcing the new master, counting who took it, and what follows from that.

use std::{collections::BTreeMap, time::Duration};

use redoubt_redis::Endpoint;

use super::{
    Machine, Phase,
    call::{Answer, Ask, Place},
    hello::Announcement,
    limits::{
        ACT_WITHIN, ANNOUNCE_PAUSE, ANNOUNCE_TRIES, ASK_WITHIN, ATTACH_POLL, BEGUN_HOLDS, COUNT_HOLDS,
        STAND_BACK,
    },
    sight::NodeRole,
};
use crate::{ALONE_FOR, Moment, Verdict};

impl Machine {
    /// Tells every Sentinel, each in the name of another, and asks at once whom it names now.
    pub(super) fn announce(&mut self, tries: u32, now: Moment) {
        self.enter(Phase::Announce { tries, again_at: None });
        self.asked_at = now;
        self.named.clear();
        let not_after = Some(self.voted_at + BEGUN_HOLDS);
        let (hellos, at_node) = self.hellos();
        for (sentinel, hello) in hellos {
            self.call(Place::Sentinel(sentinel), Ask::Announce { hello }, ASK_WITHIN, not_after);
        }
        // Who is out of this node's reach may still hear it where all of them listen.
        let everybody = self.look.sentinels.len() == self.sentinels();
        if let (Some(target), false) = (self.target, everybody && tries == 1) {
            let ask = Ask::AnnounceAtNode { hellos: at_node };
            self.send(Place::Node(target), ask, ACT_WITHIN, not_after);
        }
        if self.waiting.is_empty() {
            self.rest("nobody is there to announce to", now + STAND_BACK);
        }
    }

    fn hellos(&self) -> (Vec<(usize, String)>, Vec<String>) {
        let (Some(config), Some(master)) =
            (self.set.sentinel(), self.target.and_then(|node| self.server(node)))
        else {
            return (Vec::new(), Vec::new());
        };
        let announcement = Announcement { config, epoch: self.ballot.epoch, master: &master };
        let to = |sentinel| Some((sentinel, announcement.to(sentinel, self.look.sentinels.get(&sentinel))?));
        ((0..config.sentinels.len()).filter_map(to).collect(), announcement.at_node())
    }

    pub(super) fn on_announce(&mut self, place: Place, answer: Answer, now: Moment) {
        if let (Place::Sentinel(sentinel), Answer::Names(name)) = (place, answer) {
            self.named.insert(sentinel, name);
        }
        let target = self.target.and_then(|node| self.server(node));
        if target.is_some_and(|target| self.count(&target) >= self.quorum.majority) {
            if now.since(self.asked_at) > COUNT_HOLDS {
                return self.count_again(now);
            }
            self.log.step("announce", now);
            self.settle(now);
        } else if self.waiting.is_empty() {
            self.not_taken(now);
        }
    }

    /// The answers took their time: whom do they name now?
    fn count_again(&mut self, now: Moment) {
        self.enter(Phase::Announce { tries: ANNOUNCE_TRIES, again_at: None });
        self.asked_at = now;
        self.named.clear();
        for sentinel in 0..self.sentinels() {
            self.call(Place::Sentinel(sentinel), Ask::Count, COUNT_HOLDS, None);
        }
    }

    fn count(&self, name: &Endpoint) -> usize {
        self.named.values().flatten().filter(|named| *named == name).count()
    }

    /// Less than a majority took it.
    fn not_taken(&mut self, now: Moment) {
        let Phase::Announce { tries, .. } = self.phase else { return };
        if now.since(self.asked_at) > COUNT_HOLDS {
            return self.count_again(now);
        }
        let another = self.named_by_majority().filter(|name| *name != self.request.replaces);
        if let Some(master) = another {
            return self.give_way(&master, now);
        }
        if tries < ANNOUNCE_TRIES && now + ANNOUNCE_PAUSE < self.voted_at + BEGUN_HOLDS {
            self.phase = Phase::Announce { tries, again_at: Some(now + ANNOUNCE_PAUSE) };
            return;
        }
        let took = self.target.and_then(|node| self.server(node)).map_or(0, |target| self.count(&target));
        let why = format!("{took} of {} Sentinels took the announcement", self.quorum.known);
        let all_refused = took == 0 && self.named_by_majority().is_some();
        if all_refused && !self.demoted {
            self.follow_again(now);
        }
        // Who took it tells the others; who may have taken it must not find its master a replica.
        self.rest(why, now + STAND_BACK);
    }

    fn named_by_majority(&self) -> Option<Endpoint> {
        let mut tally: BTreeMap<&Endpoint, usize> = BTreeMap::new();
        for name in self.named.values().flatten() {
            *tally.entry(name).or_default() += 1;
        }
        let majority = self.quorum.majority;
        tally.into_iter().find(|(_, count)| *count >= majority).map(|(name, _)| name.clone())
    }

    /// Another was announced in a later epoch: the node promoted here follows it.
    fn give_way(&mut self, master: &Endpoint, now: Moment) {
        let mut followers: Vec<usize> = self.target.into_iter().collect();
        followers.extend(self.replaced().filter(|_| self.demoted));
        for node in followers {
            if self.server(node).as_ref() != Some(master) {
                let ask = Ask::Follow { master: master.clone() };
                self.send(Place::Node(node), ask, ACT_WITHIN, Some(self.asked_at + COUNT_HOLDS));
            }
        }
        self.log.new_master = Some(master.clone());
        self.rest(format!("{master} was announced in a later epoch"), now + STAND_BACK);
    }

    fn follow_again(&mut self, now: Moment) {
        let not_after = self.voted_at + BEGUN_HOLDS;
        if let (Some(target), true) = (self.target, now < not_after) {
            let ask = Ask::Follow { master: self.request.replaces.clone() };
            self.send(Place::Node(target), ask, ACT_WITHIN, Some(not_after));
            self.promoted = false;
        }
    }

    /// A majority names the target: now, and only now, everybody else is pointed to it.
    pub(super) fn settle(&mut self, now: Moment) {
        let (Some(target), Some(master)) = (self.target, self.target.and_then(|node| self.server(node)))
        else {
            return;
        };
        self.enter(Phase::Settle);
        self.log.announced_at = Some(now);
        self.log.new_master = Some(master.clone());
        let not_after = Some(self.asked_at + COUNT_HOLDS);
        let floor = self.set.durability.min_replicas_to_write;
        self.send(Place::Node(target), Ask::Fence { min_replicas: floor }, ACT_WITHIN, not_after);
        let old = self.replaced().filter(|_| self.demoted);
        if let Some(old) = old {
            self.call(Place::Node(old), Ask::Release, ACT_WITHIN, not_after);
        }
        for node in self.others(target, old, &master) {
            let ask = Ask::Follow { master: master.clone() };
            self.call(Place::Node(node), ask, ACT_WITHIN, not_after);
        }
        self.on_settle(now);
    }

    /// Nodes that answered and do not follow the new master yet.
    fn others(&self, target: usize, old: Option<usize>, master: &Endpoint) -> Vec<usize> {
        let elsewhere = |role: &NodeRole| !matches!(role, NodeRole::Replica { of, .. } if of == master);
        let seen = self.look.nodes.iter().filter(|(_, sight)| elsewhere(&sight.role)).map(|(node, _)| *node);
        seen.filter(|node| *node != target && Some(*node) != old).collect()
    }

    pub(super) fn on_settle(&mut self, now: Moment) {
        if self.waiting.is_empty() {
            self.log.step("settle", now);
            self.look_for_replica(ATTACH_POLL);
        }
    }

    /// The fence is lifted for a few milliseconds only.
    pub(super) fn look_for_replica(&mut self, pause: Duration) {
        let Some(target) = self.target else { return };
        self.enter(Phase::Attach { pause, poll_at: None });
        self.call(Place::Node(target), Ask::Node, ACT_WITHIN, None);
    }

    /// Where no replica comes, the node's own agent decides whether it may go on alone.
    pub(super) fn on_attach(&mut self, answer: &Answer, now: Moment) {
        let (Answer::Node(sight), Some(target)) = (answer, self.target) else {
            return self.end(Verdict::Done);
        };
        let since = self.log.announced_at.unwrap_or(now);
        if sight.leads() && sight.attached > 0 {
            let min_replicas = self.set.durability.min_replicas_to_write.max(1);
            self.send(Place::Node(target), Ask::Fence { min_replicas }, ACT_WITHIN, Some(now + ACT_WITHIN));
            self.end(Verdict::Done);
        } else if sight.leads() && now.since(since) < ALONE_FOR {
            if let Phase::Attach { pause, poll_at } = &mut self.phase {
                *poll_at = Some(now + *pause);
            }
        } else {
            self.end(Verdict::Done);
        }
    }
}
