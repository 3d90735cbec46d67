//! One machine on a clock: every call takes as long as it is said to take.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use redoubt_wire::failover::Cause;

use super::world::{World, set};
use crate::{
    Moment, Request, Verdict,
    machine::{Answer, Ask, Call, Event, Machine, Place, limits},
};

struct Run {
    world: World,
    machine: Machine,
    due: BTreeMap<(Moment, u32), Call>,
    votes: u32,
}

impl Run {
    /// The master is dead, and its agent asks.
    fn crash() -> Self {
        let set = set(3, 3);
        let request = Request {
            id: "0".repeat(12),
            cause: Cause::Crash,
            replaces: set.nodes[0].server.clone(),
            to: None,
            old_offset: None,
            history: None,
            epoch_heard: 0,
        };
        let mut world = World::new(3, 3);
        world.nodes[0].up = false;
        let machine = Machine::new(Arc::clone(&set), request, "candidate".to_owned(), limits::PAUSE);
        Self { world, machine, due: BTreeMap::new(), votes: 0 }
    }

    /// Runs to the end; `takes` is how long a call is on its way, `answers` may refuse it.
    fn run(&mut self, takes: impl Fn(&Call) -> Duration, refuses: impl Fn(&Call) -> bool) -> Verdict {
        self.tell(Event::Start, &takes);
        loop {
            if let Some(verdict) = self.machine.verdict() {
                return verdict.clone();
            }
            let wake = self.machine.wake_at();
            let first = self.due.keys().next().copied();
            match first {
                Some((at, id)) if wake.is_none_or(|wake| at <= wake) => {
                    let call = self.due.remove(&(at, id)).unwrap();
                    self.world.pass(at);
                    let answer = if refuses(&call) {
                        Answer::Refused("NOPERM".to_owned())
                    } else {
                        self.world.execute(call.place, &call.ask)
                    };
                    self.tell(Event::Answer { id: call.id, place: call.place, answer }, &takes);
                }
                _ => {
                    self.world.pass(wake.expect("it waits for something"));
                    self.tell(Event::Time, &takes);
                }
            }
        }
    }

    fn tell(&mut self, event: Event, takes: &impl Fn(&Call) -> Duration) {
        for call in self.machine.on(event, self.world.now, 7) {
            self.votes += u32::from(matches!(call.ask, Ask::Vote { .. }) && call.place == Place::Sentinel(0));
            let takes = takes(&call);
            assert!(takes < call.within, "a call that is not answered in time is not part of this");
            self.due.insert((self.world.now + takes, call.id), call);
        }
    }
}

const fn quick(_: &Call) -> Duration {
    Duration::from_millis(1)
}

#[test]
fn sentinels_with_a_slow_disk_can_still_elect() {
    let mut run = Run::crash();
    let slow_votes = |call: &Call| match call.ask {
        Ask::Vote { .. } => Duration::from_millis(700),
        _ => quick(call),
    };
    assert_eq!(run.run(slow_votes, |_| false), Verdict::Done);
    assert_eq!(run.votes, 2, "the first time it may have been a stall");
    assert!(run.world.now < Moment::ms(2700), "{:?}", run.world.now);
}

#[test]
fn announcements_to_slow_disks_are_counted_again() {
    let mut run = Run::crash();
    let slow_announcements = |call: &Call| match call.ask {
        Ask::Announce { .. } => Duration::from_millis(700),
        _ => quick(call),
    };
    assert_eq!(run.run(slow_announcements, |_| false), Verdict::Done);
    assert_eq!(run.votes, 1);
    assert_eq!(run.world.nodes[2].master, Some(1), "the other replica was not re-pointed");
}

#[test]
fn who_may_not_promote_does_not_hold_sentinel_back_for_ever() {
    let mut run = Run::crash();
    let refused = run.run(quick, |call| matches!(call.ask, Ask::Promote { .. }));
    let Verdict::RetryAfter { why, after } = refused else { panic!("{refused:?}") };
    assert!(why.contains("NOPERM"), "{why}");
    assert_eq!(after, Duration::from_secs(21), "twice failover-timeout, and a second");
    assert_eq!(run.votes, limits::ROUNDS);
}

#[test]
fn what_the_dead_master_had_sent_is_read_before_anybody_leads() {
    let mut run = Run::crash();
    run.world.nodes[2].unread = Some((Moment::ms(40), vec![901, 902]));
    assert_eq!(run.run(quick, |_| false), Verdict::Done);
    assert_eq!(run.world.named(), Some(2), "it has the most data once it has read it");
    assert!(run.world.nodes[2].data.starts_with(&[901, 902]), "{:?}", run.world.nodes[2].data);
    assert_eq!(run.votes, 1);
}

#[test]
fn a_link_that_does_not_end_with_its_master_is_not_waited_for_long() {
    let mut run = Run::crash();
    run.world.nodes[2].unread = Some((Moment::ms(60_000), vec![901]));
    assert_eq!(run.run(quick, |_| false), Verdict::Done);
    assert_eq!(run.votes, 1);
    assert!(run.world.now < Moment::ms(400), "{:?}", run.world.now);
}
