//! Runs machines against a tiny world, in every order of events, and checks the laws after each.

mod agents;
mod explore;
mod laws;
mod sim;
mod tests;
mod timed;
mod world;

use std::hash::{Hash, Hasher};

use self::sim::Flight;
pub(crate) use self::world::set;
use super::{Machine, Phase};

impl Machine {
    /// Everything that decides about the future; not the log.
    fn hash_state<H: Hasher>(&self, state: &mut H) {
        (&self.candidate, self.pause, self.mode, &self.phase, &self.waiting, self.round).hash(state);
        (
            &self.look,
            self.quorum,
            &self.ballot,
            self.stale,
            (self.slow, self.won),
            self.voted_at,
            self.asked_at,
            self.paused_at,
        )
            .hash(state);
        (self.target, self.promoted, self.demoted, &self.named).hash(state);
    }

    /// Whom the votes elect, and in which epoch.
    fn elected_in(&self) -> (&str, u64) {
        (&self.candidate, self.ballot.epoch)
    }

    /// It believes itself elected, and acts on it.
    fn holds_election(&self) -> bool {
        let acts = matches!(
            self.phase,
            Phase::LookAgain
                | Phase::Drain { .. }
                | Phase::Pause
                | Phase::Equal { .. }
                | Phase::Promote
                | Phase::Demote
                | Phase::Announce { .. }
        );
        acts && self.quorum.known > 1
    }

    fn demotes(&self) -> bool {
        self.phase == Phase::Demote
    }

    /// Reads whose answers nobody waits for any more change nothing: fewer orders to go through.
    fn forget_idle(&self, flights: &mut Vec<Flight>) {
        flights.retain(|flight| !flight.call.ask.reads() || self.waiting.contains_key(&flight.call.id));
    }
}
