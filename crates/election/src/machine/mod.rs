//! One change of master, as a pure machine: events in, calls out; time and randomness are arguments.
//!
//! ```text
//!            ┌────────────── rest: outvoted 1 s, split 10..60 ms ◄──────────────────┐
//!            ▼                                                                      │
//!  start ─► look ─► vote ─► look again ─┬─ take over ─► drain ─────────► promote ─┐ │
//!            │                          └─ hand over ─► pause ─► equal ─► promote ─► demote
//!            ▼                                            │        │        │         │
//!           end                                   undo ◄──┴────────┴────────┘         ▼
//!                                                                             announce, count
//!                                                                                     ▼
//!                              done ◄── arm the fence ◄── lift it, re-point, unpause, cut clients
//! ```
//!
//! # Guarantees
//! - Nothing is promoted without the votes of max(quorum, majority) of all known Sentinels in one epoch, no older
//!   than 500 ms.
//! - Nothing is re-pointed to the promoted node, and nobody can write to it, before a majority names it. From then until
//!   the first replica has attached, some milliseconds, it takes writes alone: clients would be refused with an error
//!   that no client library tries again.
//! - Whatever stops between pause and demotion unpauses. From the demotion on the change is finished, or left to a
//!   rescuer: the promoted node holds everything that was acknowledged.
//! - Each step that a rescuer might do instead carries the moment after which it is not sent any more.
//!
//! # Assumptions
//! Every call is answered once, by `Lost` if need be. A Sentinel votes once per epoch.
//!
//! # Caveats
//! A single Sentinel leaves nobody in whose name to announce: there `SENTINEL FAILOVER` is asked for instead, which
//! takes a second and chooses by itself.

mod ballot;
mod call;
mod elect;
mod hello;
mod judge;
mod limits;
mod log;
#[cfg(test)]
mod model;
mod proclaim;
mod sight;
mod single;
mod swap;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use redoubt_redis::Endpoint;
use redoubt_wire::config::SetConfig;

#[cfg(test)]
pub(crate) use self::model::set as model_set;
use self::{
    ballot::Ballot,
    judge::{Case, Mode},
    sight::{Look, Quorum},
};
pub(crate) use self::{
    call::{Answer, Ask, Call, Event, Place, VoteReply},
    limits::{NODE_WITHIN, PAUSE, PAUSE_PART},
    log::Log,
    sight::{NodeRole, NodeSight, Peer, SentinelSight},
};
use crate::{Moment, Request, Verdict};

/// One change of master.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    set: Arc<SetConfig>,
    request: Request,
    /// 40 hex digits: whom the Sentinels vote for.
    candidate: String,
    /// What may be paused, earlier pauses taken off.
    pause: Duration,
    mode: Mode,
    phase: Phase,
    /// Calls of this phase that are not answered yet.
    waiting: BTreeMap<u32, Place>,
    next_call: u32,
    round: u32,
    look: Look,
    quorum: Quorum,
    ballot: Ballot,
    /// The first call of this ballot: replies to older ones are not counted.
    ballot_from: u32,
    /// Rounds in which nobody voted: the Sentinels are ahead by more than shows.
    stale: u32,
    /// A vote came back too old to act on.
    slow: bool,
    /// Elections won so far.
    won: u32,
    voted_at: Moment,
    /// When that was asked on which the next step rests.
    asked_at: Moment,
    paused_at: Option<Moment>,
    /// Who shall lead, and whether it was told so.
    target: Option<usize>,
    promoted: bool,
    /// The old master was told to follow the target.
    demoted: bool,
    named: BTreeMap<usize, Option<Endpoint>>,
    log: Log,
    out: Vec<Call>,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    New,
    Look,
    Vote,
    LookAgain,
    Drain { poll_at: Moment },
    Pause,
    Equal { seen: BTreeMap<usize, NodeSight>, poll_at: Option<Moment> },
    Promote,
    Demote,
    Announce { tries: u32, again_at: Option<Moment> },
    Settle,
    Attach { pause: Duration, poll_at: Option<Moment> },
    Undo { why: String },
    Single { since: Moment, poll_at: Option<Moment> },
    Rest { until: Moment, why: String },
    End(Verdict),
}

impl Machine {
    /// A machine that has not begun. `pause` bounds the hand-over's pause.
    pub(crate) fn new(set: Arc<SetConfig>, request: Request, candidate: String, pause: Duration) -> Self {
        let mode = if request.is_hand_over() { Mode::HandOver } else { Mode::TakeOver };
        Self {
            set,
            request,
            candidate,
            pause,
            mode,
            phase: Phase::New,
            waiting: BTreeMap::new(),
            next_call: 0,
            round: 0,
            look: Look::default(),
            quorum: Quorum::default(),
            ballot: Ballot::default(),
            ballot_from: 0,
            stale: 0,
            slow: false,
            won: 0,
            voted_at: Moment::START,
            asked_at: Moment::START,
            paused_at: None,
            target: None,
            promoted: false,
            demoted: false,
            named: BTreeMap::new(),
            log: Log::default(),
            out: Vec::new(),
        }
    }

    /// Takes in what happened; gives what is to be done now. `random` is a fresh random number.
    pub(crate) fn on(&mut self, event: Event, now: Moment, random: u64) -> Vec<Call> {
        match event {
            Event::Start => self.start_look(now),
            Event::Time => self.on_time(now),
            Event::Answer { id, place, answer } => self.on_answer(id, place, answer, now, random),
        }
        std::mem::take(&mut self.out)
    }

    /// When [`Event::Time`] is due.
    pub(crate) fn wake_at(&self) -> Option<Moment> {
        match &self.phase {
            Phase::Equal { poll_at: at, .. }
            | Phase::Announce { again_at: at, .. }
            | Phase::Attach { poll_at: at, .. }
            | Phase::Single { poll_at: at, .. } => *at,
            Phase::Drain { poll_at: at } | Phase::Rest { until: at, .. } => Some(*at),
            _ => None,
        }
    }

    /// How it ended.
    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        match &self.phase {
            Phase::End(verdict) => Some(verdict),
            _ => None,
        }
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Names of the Sentinels that voted for this change, in its last epoch.
    pub(crate) fn votes(&self) -> Vec<String> {
        let Some(config) = self.set.sentinel() else { return Vec::new() };
        let named = self.ballot.ours().filter_map(|index| config.sentinels.get(index));
        named.map(|entry| entry.name.clone()).collect()
    }

    fn on_answer(&mut self, id: u32, place: Place, answer: Answer, now: Moment, random: u64) {
        if let (Place::Sentinel(sentinel), Answer::Vote(reply), true) =
            (place, &answer, id >= self.ballot_from)
        {
            // Also one that comes after the majority: the report names all who voted.
            self.ballot.reply(sentinel, reply.clone(), now);
        }
        if self.waiting.remove(&id).is_none() {
            return;
        }
        match self.phase {
            Phase::Look | Phase::LookAgain => self.on_look(place, answer, now),
            Phase::Vote => self.on_vote(now, random),
            Phase::Pause => self.on_pause(&answer, now),
            Phase::Equal { .. } => self.on_equal(place, answer, now),
            Phase::Promote => self.on_promote(answer, now, random),
            Phase::Demote => self.on_demote(&answer, now),
            Phase::Announce { .. } => self.on_announce(place, answer, now),
            Phase::Settle => self.on_settle(now),
            Phase::Attach { .. } => self.on_attach(&answer, now),
            Phase::Undo { .. } => self.on_undo(),
            Phase::Single { .. } => self.on_single(place, answer, now),
            Phase::New | Phase::Drain { .. } | Phase::Rest { .. } | Phase::End(_) => {}
        }
    }

    fn on_time(&mut self, now: Moment) {
        if self.wake_at().is_none_or(|at| now < at) {
            return;
        }
        match self.phase {
            Phase::Drain { .. } => self.look_again(now),
            Phase::Equal { .. } => self.poll_offsets(now),
            Phase::Announce { tries, .. } => self.announce(tries + 1, now),
            Phase::Attach { pause, .. } => self.look_for_replica(pause * 2),
            Phase::Single { .. } => self.poll_single(now),
            Phase::Rest { .. } => self.next_round(now),
            _ => {}
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.waiting.clear();
        self.phase = phase;
    }

    fn end(&mut self, verdict: Verdict) {
        self.enter(Phase::End(verdict));
    }

    fn rest(&mut self, why: impl Into<String>, until: Moment) {
        self.enter(Phase::Rest { until, why: why.into() });
    }

    fn next_round(&mut self, now: Moment) {
        self.round += 1;
        match &self.phase {
            Phase::Rest { why, .. } if self.round >= limits::ROUNDS => {
                let (why, after) = (why.clone(), self.stand_down());
                self.end(Verdict::RetryAfter { why, after });
            }
            _ => self.start_look(now),
        }
    }

    /// Every vote holds Sentinel's own failover back for twice its time-out. Who wins again and again, and gets nowhere
    /// with it, leaves Sentinel that time.
    fn stand_down(&self) -> Duration {
        match self.set.sentinel().filter(|_| self.led_nowhere()) {
            Some(config) => limits::STAND_BACK + 2 * Duration::from_millis(config.failover_timeout_ms),
            None => limits::STAND_BACK,
        }
    }

    /// Elections were won, and none came to its end.
    pub(crate) fn led_nowhere(&self) -> bool {
        self.won >= limits::WASTED && self.verdict() != Some(&Verdict::Done)
    }

    /// Sends a call that the phase waits for.
    fn call(&mut self, place: Place, ask: Ask, within: Duration, not_after: Option<Moment>) {
        let id = self.send(place, ask, within, not_after);
        self.waiting.insert(id, place);
    }

    /// Sends a call that nothing waits for.
    fn send(&mut self, place: Place, ask: Ask, within: Duration, not_after: Option<Moment>) -> u32 {
        let id = self.next_call;
        self.next_call += 1;
        self.out.push(Call { id, place, ask, within, not_after });
        id
    }

    fn case(&self) -> Case<'_> {
        Case {
            set: &self.set,
            request: &self.request,
            mode: self.mode,
            look: &self.look,
            quorum: self.quorum,
        }
    }

    fn sentinels(&self) -> usize {
        self.set.sentinel().map_or(0, |config| config.sentinels.len())
    }

    fn replaced(&self) -> Option<usize> {
        self.case().index_of(&self.request.replaces)
    }

    fn server(&self, node: usize) -> Option<Endpoint> {
        self.set.nodes.get(node).map(|node| node.server.clone())
    }

    fn down_after(&self) -> Duration {
        Duration::from_millis(self.set.sentinel().map_or(0, |config| config.down_after_ms))
    }
}
