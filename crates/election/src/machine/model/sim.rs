//! Candidates in a world: what can happen next, and what it does.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use redoubt_redis::Endpoint;
use redoubt_wire::{config::SetConfig, failover::Cause};

use super::{agents, laws, world::World};
use crate::{
    Moment, Request, Rescue, Verdict,
    machine::{Answer, Ask, Call, Event, Machine, Place},
};

/// How long a stalled candidate sleeps.
const STALL: Duration = Duration::from_secs(2);

/// A call on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) call: Call,
    /// Carried out, and the answer on its way back.
    pub(super) answer: Option<Answer>,
    /// Nothing comes back before this moment.
    pub(super) hangs_until: Option<Moment>,
}

impl Ask {
    /// It changes nothing where it is carried out.
    pub(super) fn reads(&self) -> bool {
        matches!(self, Self::Sentinel | Self::Node | Self::Count)
    }
}

/// A machine and its calls.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// The node whose agent it is.
    pub(super) agent: usize,
    pub(super) machine: Machine,
    pub(super) flights: Vec<Flight>,
    pub(super) starts_at: Option<Moment>,
    pub(super) asleep_until: Option<Moment>,
    pub(super) dead: bool,
}

impl Candidate {
    pub(super) fn is_over(&self) -> bool {
        self.dead || self.machine.verdict().is_some()
    }

    fn is_awake(&self, now: Moment) -> bool {
        !self.is_over() && self.starts_at.is_none() && self.asleep_until.is_none_or(|until| until <= now)
    }

    /// When it does something by itself.
    fn wakes_at(&self, now: Moment) -> Option<Moment> {
        if self.is_over() {
            return None;
        }
        if let Some(until) = self.asleep_until.filter(|until| now < *until) {
            return Some(until);
        }
        let hung = self.flights.iter().filter_map(|flight| flight.hangs_until);
        self.starts_at.into_iter().chain(self.machine.wake_at()).chain(hung).min()
    }
}

/// What may go wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// The connection breaks before the call is carried out.
    RequestLost,
    /// The connection breaks before the answer is back.
    ReplyLost,
    /// No answer until the time-out; it was carried out.
    ReplyHangs,
    /// No answer until the time-out; it was not carried out.
    RequestHangs,
}

pub(super) const FAULTS: [Fault; 4] =
    [Fault::RequestLost, Fault::ReplyLost, Fault::ReplyHangs, Fault::RequestHangs];

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// The next flight of this candidate is carried out (if it was not) and its answer delivered.
    Deliver {
        candidate: usize,
        flight: usize,
    },
    Break {
        candidate: usize,
        flight: usize,
        fault: Fault,
    },
    /// The candidate ends; this many of its calls had been carried out.
    Die {
        candidate: usize,
        sent: usize,
    },
    /// The candidate sleeps 2 s; this many of its calls had been carried out.
    Stall {
        candidate: usize,
        sent: usize,
    },
    /// A node ends.
    NodeDies {
        node: usize,
    },
    /// A Sentinel begins a failover of its own, or takes its next step.
    SentinelActs {
        sentinel: usize,
    },
    /// Nothing else happens until somebody's time has come.
    TimePasses,
}

/// In which order the calls of one candidate are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Order {
    /// Any.
    Any,
    /// Any, but reads come in the order in which they were asked.
    AnyChanges,
    /// That in which they were asked, each candidate beginning with another place.
    #[default]
    Turned,
}

/// What may still go wrong in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Budget {
    pub(super) faults: u32,
    pub(super) deaths: u32,
    pub(super) stalls: u32,
    pub(super) node_deaths: u32,
    /// A Sentinel may begin a failover of its own.
    pub(super) sentinel: bool,
    /// In which order the calls of one candidate are carried out. Those of different ones always mix in any order.
    pub(super) order: Order,
}

/// Everything.
#[derive(Debug, Clone)]
pub(super) struct Sim {
    pub(super) set: Arc<SetConfig>,
    pub(super) world: World,
    pub(super) candidates: Vec<Candidate>,
    pub(super) budget: Budget,
    pub(super) random: u64,
    /// The agents' own.
    pub(super) rescues: Vec<Rescue>,
}

impl Hash for Sim {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.world, self.budget, &self.rescues).hash(state);
        for candidate in &self.candidates {
            // Of one that is over nothing more will come.
            candidate.is_over().hash(state);
            if candidate.is_over() {
                continue;
            }
            candidate.machine.hash_state(state);
            (&candidate.flights, candidate.starts_at, candidate.asleep_until, candidate.dead).hash(state);
        }
    }
}

impl Sim {
    pub(super) fn new(set: &Arc<SetConfig>, budget: Budget) -> Self {
        let sentinels = set.sentinel().map_or(0, |config| config.sentinels.len());
        let world = World::new(set.nodes.len(), sentinels);
        let rescues = vec![Rescue::default(); set.nodes.len()];
        Self { set: Arc::clone(set), world, candidates: Vec::new(), budget, random: 1, rescues }
    }

    /// The master's process ends.
    pub(super) fn kill(&mut self, node: usize) {
        self.world.nodes[node].up = false;
    }

    /// Somebody asks for a change of master.
    pub(super) fn asks(&mut self, cause: Cause, agent: usize, replaces: usize, starts_at: Moment) {
        let number = self.candidates.len();
        let request = Request {
            id: format!("{number:012}"),
            cause,
            replaces: self.set.nodes[replaces].server.clone(),
            to: None,
            old_offset: None,
            history: None,
            epoch_heard: if cause == Cause::Rescue { self.world.epoch() } else { 0 },
        };
        let machine = Machine::new(
            Arc::clone(&self.set),
            request,
            format!("candidate{number}"),
            Duration::from_secs(1),
        );
        self.candidates.push(Candidate {
            agent,
            machine,
            flights: Vec::new(),
            starts_at: Some(starts_at),
            asleep_until: None,
            dead: false,
        });
    }

    /// What can happen next. Empty when everything has come to rest.
    pub(super) fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, candidate) in self.candidates.iter().enumerate() {
            if candidate.is_awake(self.world.now) {
                self.actions_of(index, candidate, &mut actions);
            }
        }
        let moving = !actions.is_empty();
        if self.budget.node_deaths > 0 && moving {
            let alive = (1..self.world.nodes.len()).filter(|node| self.world.nodes[*node].up);
            actions.extend(alive.map(|node| Action::NodeDies { node }));
        }
        for sentinel in 0..self.world.sentinels.len() {
            if self.world.sentinels[sentinel].own.is_some()
                || (self.budget.sentinel && moving && sentinel == 0)
            {
                actions.push(Action::SentinelActs { sentinel });
            }
        }
        if !moving && self.wakes_at().is_some() {
            actions.push(Action::TimePasses);
        }
        actions
    }

    fn wakes_at(&self) -> Option<Moment> {
        let candidates = self.candidates.iter().filter_map(|candidate| candidate.wakes_at(self.world.now));
        candidates.chain(agents::wakes_at(self)).min()
    }

    fn actions_of(&self, index: usize, candidate: &Candidate, actions: &mut Vec<Action>) {
        let ready = candidate.flights.iter().enumerate().filter(|(_, flight)| flight.hangs_until.is_none());
        let ready: Vec<usize> = ready.map(|(flight, _)| flight).collect();
        for flight in &self.deliverable(candidate, &ready) {
            actions.push(Action::Deliver { candidate: index, flight: *flight });
            if self.budget.faults > 0 && candidate.flights[*flight].answer.is_none() {
                let fault = |fault| Action::Break { candidate: index, flight: *flight, fault };
                actions.extend(FAULTS.map(fault));
            }
        }
        if ready.is_empty() {
            return;
        }
        let unsent = candidate.flights.iter().filter(|flight| flight.answer.is_none()).count();
        for sent in 0..=unsent {
            if self.budget.deaths > 0 {
                actions.push(Action::Die { candidate: index, sent });
            }
            if self.budget.stalls > 0 {
                actions.push(Action::Stall { candidate: index, sent });
            }
        }
    }

    fn deliverable(&self, candidate: &Candidate, ready: &[usize]) -> Vec<usize> {
        let first_read = ready.iter().find(|flight| candidate.flights[**flight].call.ask.reads());
        let changes = ready.iter().filter(|flight| !candidate.flights[**flight].call.ask.reads());
        match self.budget.order {
            Order::Any => ready.to_vec(),
            Order::AnyChanges => first_read.into_iter().chain(changes).copied().collect(),
            Order::Turned => {
                let turn = |flight: &&usize| match candidate.flights[**flight].call.place {
                    Place::Sentinel(index) => {
                        (0, (index + self.set.nodes.len() - candidate.agent) % self.set.nodes.len())
                    }
                    Place::Node(index) => (1, index),
                };
                ready.iter().min_by_key(turn).into_iter().copied().collect()
            }
        }
    }

    /// Makes it happen.
    pub(super) fn apply(&mut self, action: Action) {
        match action {
            Action::Deliver { candidate, flight } => self.deliver(candidate, flight),
            Action::Break { candidate, flight, fault } => self.break_off(candidate, flight, fault),
            Action::Die { candidate, sent } => {
                self.budget.deaths -= 1;
                self.execute_first(candidate, sent);
                self.candidates[candidate].dead = true;
                self.candidates[candidate].flights.clear();
            }
            Action::Stall { candidate, sent } => {
                self.budget.stalls -= 1;
                self.execute_first(candidate, sent);
                self.candidates[candidate].asleep_until = Some(self.world.now + STALL);
            }
            Action::NodeDies { node } => {
                self.budget.node_deaths -= 1;
                self.world.nodes[node].up = false;
            }
            Action::SentinelActs { sentinel } => self.sentinel_acts(sentinel),
            Action::TimePasses => self.pass(),
        }
        agents::act(self);
        laws::after_each(self);
    }

    fn sentinel_acts(&mut self, sentinel: usize) {
        if self.world.sentinels[sentinel].own.is_none() {
            self.budget.sentinel = false;
            let epoch = self.world.sentinels[sentinel].current_epoch + 1;
            self.world.sentinels[sentinel].own = Some(super::world::OwnFailover::Asking { epoch });
        } else {
            self.world.own_step(sentinel);
        }
    }

    fn execute_first(&mut self, candidate: usize, sent: usize) {
        let unsent = self.candidates[candidate].flights.iter().enumerate();
        let unsent = unsent.filter(|(_, flight)| flight.answer.is_none()).map(|(index, _)| index);
        for flight in unsent.take(sent).collect::<Vec<_>>() {
            self.execute(candidate, flight);
        }
    }

    fn execute(&mut self, candidate: usize, flight: usize) {
        let call = self.candidates[candidate].flights[flight].call.clone();
        let late = call.not_after.is_some_and(|latest| self.world.now > latest);
        let answer = if late {
            Answer::Lost("too late".to_owned())
        } else {
            laws::before_each(self, candidate, &call);
            self.world.execute(call.place, &call.ask)
        };
        self.candidates[candidate].flights[flight].answer = Some(answer);
    }

    fn deliver(&mut self, candidate: usize, flight: usize) {
        if self.candidates[candidate].flights[flight].answer.is_none() {
            self.execute(candidate, flight);
        }
        let flight = self.candidates[candidate].flights.remove(flight);
        let answer = flight.answer.unwrap_or_else(|| Answer::Lost("nothing".to_owned()));
        self.tell(candidate, Event::Answer { id: flight.call.id, place: flight.call.place, answer });
    }

    fn break_off(&mut self, candidate: usize, flight: usize, fault: Fault) {
        self.budget.faults -= 1;
        if matches!(fault, Fault::ReplyLost | Fault::ReplyHangs) {
            self.execute(candidate, flight);
        }
        let until = self.world.now + self.candidates[candidate].flights[flight].call.within;
        let broken = &mut self.candidates[candidate].flights[flight];
        broken.answer = Some(Answer::Lost("broken off".to_owned()));
        match fault {
            Fault::RequestLost | Fault::ReplyLost => self.deliver(candidate, flight),
            Fault::ReplyHangs | Fault::RequestHangs => broken.hangs_until = Some(until),
        }
    }

    /// To the next moment at which anybody does something.
    fn pass(&mut self) {
        let now = self.world.now;
        let Some(next) = self.wakes_at() else { return };
        let next = next.max(now);
        if next.since(now) >= Duration::from_millis(500) {
            self.world.gossip();
        }
        self.world.pass(next);
        for index in 0..self.candidates.len() {
            self.wake(index);
        }
    }

    fn wake(&mut self, index: usize) {
        let now = self.world.now;
        let candidate = &mut self.candidates[index];
        if candidate.is_over() || candidate.asleep_until.is_some_and(|until| now < until) {
            return;
        }
        candidate.asleep_until = None;
        for flight in &mut candidate.flights {
            flight.hangs_until = flight.hangs_until.filter(|until| now < *until);
        }
        if candidate.starts_at.is_some_and(|at| at <= now) {
            candidate.starts_at = None;
            self.tell(index, Event::Start);
        } else if candidate.starts_at.is_none() && candidate.machine.wake_at().is_some_and(|at| at <= now) {
            self.tell(index, Event::Time);
        }
    }

    fn tell(&mut self, index: usize, event: Event) {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let candidate = &mut self.candidates[index];
        let calls = candidate.machine.on(event, self.world.now, self.random >> 33);
        let flights = calls.into_iter().map(|call| Flight { call, answer: None, hangs_until: None });
        candidate.flights.extend(flights);
        candidate.machine.forget_idle(&mut candidate.flights);
    }

    pub(super) fn server(&self, node: usize) -> Endpoint {
        self.set.nodes[node].server.clone()
    }

    /// Whether any candidate said that it worked.
    pub(super) fn done(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.machine.verdict() == Some(&Verdict::Done))
    }
}
