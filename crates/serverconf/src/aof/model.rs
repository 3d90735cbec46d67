//! A model of a server and its files, killed at every point: what was safe on the disk is there again.

use proptest::prelude::*;

use super::{AofFiles, Disk, Fingerprint, Holds, RdbFile, StartsAs, Step, View, at_start, next};

/// A file: which one, and how many writes it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Content {
    id: u64,
    writes: u64,
}

#[derive(Debug, Default)]
struct World {
    record: Option<Holds>,
    rdb: Option<Content>,
    aof: Option<Content>,
    /// Writes in the server's memory.
    memory: u64,
    aof_on: bool,
    /// The first rewrite since the AOF was turned on: until it ends, the AOF on disk is another one.
    rewriting: bool,
    /// A save under way, and the writes when it began.
    saving: Option<u64>,
    wanted: bool,
    ids: u64,
    /// Writes that have to survive: all while the AOF is on and whole, all up to the moment when it was turned off,
    /// and those of every RDB that was saved while the AOF was not on.
    promised: u64,
    /// What the agent is about to do, decided on what it saw before other things happened.
    pending: Option<Step>,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Write,
    AutoSave,
    SaveEnds,
    SaveFails,
    RewriteEnds,
    Look,
    CarryOut,
    Want(bool),
    Kill(StartsAs),
    /// It saves at its end, if the AOF holds the data. The agent may die before it has written that down.
    Stop {
        noted: bool,
        then: StartsAs,
    },
}

impl World {
    fn new(wanted: bool) -> Self {
        let mut world = Self { wanted, ..Self::default() };
        world.start(StartsAs::Master);
        world
    }

    fn fresh(&mut self, writes: u64) -> Content {
        self.ids += 1;
        Content { id: self.ids, writes }
    }

    fn disk(&self) -> Disk {
        let fingerprint = |content: Content| Fingerprint::of(&content.id.to_be_bytes(), 0);
        // The clock of this world counts writes.
        let time = |content: Content| Some(content.writes);
        Disk {
            rdb: self.rdb.map(|rdb| RdbFile { fingerprint: fingerprint(rdb), saved_at: time(rdb) }),
            aof: self.aof.map(|aof| AofFiles {
                fingerprint: fingerprint(aof),
                whole: true,
                written_at: time(aof),
            }),
            aof_too_new: false,
        }
    }

    fn view(&self) -> View {
        View {
            loading: false,
            aof_on: self.aof_on,
            rewriting: self.rewriting,
            rewrite_ok: true,
            saving: self.saving.is_some(),
            save_ok: true,
        }
    }

    /// The agent's rule, then the server's: one of the files, by configuration.
    fn start(&mut self, starts_as: StartsAs) {
        let undecided = at_start(self.record.as_ref(), &self.disk(), self.wanted, StartsAs::Undecided);
        self.record = Some(undecided.unwrap().holds);
        let at_start = at_start(self.record.as_ref(), &self.disk(), self.wanted, starts_as).unwrap();
        self.aof_on = at_start.holds.aof_in_file();
        self.record = Some(at_start.holds);
        (self.rewriting, self.saving, self.pending) = (false, None, None);
        let loaded = if self.aof_on { self.aof } else { self.rdb };
        self.memory = loaded.map_or(0, |content| content.writes);
        if self.aof_on && self.aof.is_none() {
            self.aof = Some(self.fresh(0));
        }
    }

    fn stop(&mut self, noted: bool, then: StartsAs) -> Result<(), TestCaseError> {
        if self.record == Some(Holds::Aof) && self.aof_on && !self.rewriting {
            let rdb = self.fresh(self.memory);
            self.rdb = Some(rdb);
            if noted && let Some(rdb) = self.disk().rdb {
                self.record = Some(Holds::Saved { rdb: rdb.fingerprint });
            }
        }
        self.kill(then)
    }

    fn kill(&mut self, then: StartsAs) -> Result<(), TestCaseError> {
        let (promised, written) = (self.promised, self.memory);
        self.start(then);
        prop_assert!(self.memory >= promised, "{promised} writes were safe: {self:?}");
        prop_assert!(self.memory <= written, "never more than was written: {self:?}");
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), TestCaseError> {
        self.take_place(event)?;
        if self.aof_on && !self.rewriting {
            self.promised = self.memory;
        }
        let rdb_counts = match &self.record {
            Some(Holds::Rdb { .. } | Holds::TurningOn { .. }) => true,
            Some(Holds::TurningOff { rdb_before }) => {
                *rdb_before != self.disk().rdb.map(|rdb| rdb.fingerprint)
            }
            _ => false,
        };
        if rdb_counts {
            self.promised = self.promised.max(self.rdb.map_or(0, |rdb| rdb.writes));
        }
        Ok(())
    }

    fn take_place(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Write => {
                self.memory += 1;
                if self.aof_on && !self.rewriting {
                    self.aof = self.aof.map(|aof| Content { writes: self.memory, ..aof });
                }
            }
            Event::AutoSave => self.saving = self.saving.or(Some(self.memory)),
            Event::SaveEnds => {
                if let Some(writes) = self.saving.take() {
                    self.rdb = Some(self.fresh(writes));
                }
            }
            Event::SaveFails => self.saving = None,
            Event::RewriteEnds if self.rewriting => {
                self.rewriting = false;
                self.aof = Some(self.fresh(self.memory));
            }
            Event::RewriteEnds => {}
            Event::Look => self.pending = Some(self.next()),
            Event::CarryOut => {
                if let Some(step) = self.pending.take() {
                    self.carry_out(step);
                }
            }
            Event::Want(wanted) => self.wanted = wanted,
            Event::Kill(then) => self.kill(then)?,
            Event::Stop { noted, then } => self.stop(noted, then)?,
        }
        Ok(())
    }

    fn next(&self) -> Step {
        next(self.wanted, self.record.as_ref().unwrap(), self.view(), &self.disk())
    }

    fn carry_out(&mut self, step: Step) {
        match step {
            Step::Done | Step::Wait(_) => {}
            Step::Failed(what) => panic!("the model never fails {what}"),
            Step::Record(holds) => self.record = Some(holds),
            Step::Switch(on) => {
                self.rewriting = on && (self.rewriting || !self.aof_on);
                self.aof_on = on;
            }
            Step::Save => self.saving = self.saving.or(Some(self.memory)),
            Step::RemoveAof => self.aof = None,
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Write),
        1 => Just(Event::AutoSave),
        3 => Just(Event::SaveEnds),
        1 => Just(Event::SaveFails),
        3 => Just(Event::RewriteEnds),
        8 => Just(Event::Look),
        8 => Just(Event::CarryOut),
        1 => any::<bool>().prop_map(Event::Want),
        1 => starts_as().prop_map(Event::Kill),
        1 => (any::<bool>(), starts_as()).prop_map(|(noted, then)| Event::Stop { noted, then }),
    ]
}

fn starts_as() -> impl Strategy<Value = StartsAs> {
    prop_oneof![Just(StartsAs::Master), Just(StartsAs::Replica)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn no_kill_loses_what_was_safe(wanted: bool, events in prop::collection::vec(event(), 0..80)) {
        let mut world = World::new(wanted);
        for event in events {
            world.happen(event)?;
        }
        world.kill(StartsAs::Master)?;
    }

    #[test]
    fn every_way_ends_where_it_should(start: bool, wanted: bool, events in prop::collection::vec(event(), 0..40)) {
        let mut world = World::new(start);
        for event in events {
            world.happen(event)?;
        }
        world.wanted = wanted;
        for _ in 0..24 {
            for event in [Event::Look, Event::CarryOut, Event::RewriteEnds, Event::SaveEnds] {
                world.happen(event)?;
            }
        }
        prop_assert_eq!(world.next(), Step::Done);
        let holds = if wanted { Holds::Aof } else { Holds::Rdb { remove_aof: false } };
        prop_assert_eq!(world.record.as_ref(), Some(&holds));
        prop_assert_eq!(world.aof_on, wanted);
        prop_assert!(wanted || world.aof.is_none(), "the old AOF is gone");
    }
}
