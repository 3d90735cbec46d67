//! Carries out moves: many pairs at once, within what [`crate::plan::phases`] allows.

mod atomic;
mod budget;
mod ends;
mod lane;
mod pair;
mod preflight;
mod window;

use std::{collections::BTreeMap, num::NonZeroU64, time::Duration};

use futures::future::join_all;
use redoubt_redis::cluster::NodeId;
use tokio::sync::watch;

use self::{
    ends::Ends,
    lane::{Lane, cut_arrivals},
    pair::{LANES, Pair},
};
use crate::{
    access::Access,
    cluster::{Cluster, Node},
    error::SlotsError,
    guard::Guard,
    plan::{Move, phases},
};

/// How keys are moved.
#[derive(Debug, Clone)]
pub struct Options {
    /// No batch shall keep a server from its clients for longer.
    pub max_pause: Duration,
    /// Keys of one batch at most.
    pub keys: usize,
    /// Bytes a second of each pair at most.
    pub rate: Option<NonZeroU64>,
    /// Keys from so many bytes on are told.
    pub big_key: u64,
    /// By which means.
    pub method: Method,
}

/// By which means keys are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Atomic where both servers can, MIGRATE elsewhere and for what the servers could not move.
    Best,
    /// MIGRATE.
    Migrate,
    /// The servers' own atomic migration.
    Atomic,
}

/// What happens while slots are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// So much will be moved.
    Total {
        /// Slots.
        slots: u64,
        /// Keys in them.
        keys: u64,
    },
    /// Keys have gone to their target.
    Keys {
        /// How many.
        keys: u64,
        /// Their bytes, by MEMORY USAGE.
        bytes: u64,
    },
    /// A slot has its new owner.
    Slot {
        /// Which.
        slot: u16,
    },
    /// A key is so big that servers stand still while it moves.
    BigKey {
        /// Where it is.
        slot: u16,
        /// Its name.
        key: String,
        /// Its bytes, by MEMORY USAGE.
        bytes: u64,
    },
    /// The servers' own migration has failed: the rest of its slots goes by MIGRATE.
    FallsBack {
        /// Why, in the source's words.
        why: String,
    },
}

impl Default for Options {
    /// A pause of 5 ms is felt by nobody; 1000 keys of 100 bytes take about as long.
    fn default() -> Self {
        Self {
            max_pause: Duration::from_millis(5),
            keys: 1000,
            rate: None,
            big_key: 1024 * 1024,
            method: Method::Best,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Slots that have their new owner.
    pub slots: usize,
    /// It was stopped before all were moved.
    pub stopped: bool,
}

/// Asks the mover to finish what it has begun, and to begin no more.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Stops when `true` is sent.
    #[must_use]
    pub fn new(asked: watch::Receiver<bool>) -> Self {
        Self(asked)
    }

    /// Never stops.
    #[must_use]
    pub fn never() -> Self {
        Self(watch::channel(false).1)
    }

    fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves once, when it is asked; never, when nobody can ask any more.
    async fn wait(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What became of moves.
#[derive(Debug, Default)]
struct Progress {
    /// Slots that have their new owner.
    slots: usize,
    /// What the servers' own migration has given up on.
    given_up: Vec<Move>,
}

/// Moves slots of one cluster.
pub struct Mover<'a> {
    /// How its nodes are reached.
    pub access: &'a Access,
    /// What it is.
    pub cluster: &'a Cluster,
    /// How to move.
    pub options: &'a Options,
    /// Told as it happens.
    pub report: &'a (dyn Fn(Event) + Send + Sync),
}

impl Mover<'_> {
    /// Carries out the moves. The guard says that nobody else does so in this cluster.
    ///
    /// On an error, slots may stay open, of which every key is at one of the ends; the error names them, and the next
    /// run finishes them.
    pub async fn run(&self, _guard: &Guard, moves: Vec<Move>, stop: Stop) -> Result<Summary, SlotsError> {
        let expected = preflight::count(self.access, self.cluster, &moves).await?;
        preflight::room(self.cluster, &moves, &expected)?;
        let slots = moves.iter().map(|one| one.slots.len()).sum();
        (self.report)(Event::Total { slots: slots as u64, keys: expected.values().sum() });
        let mut summary = Summary::default();
        for phase in phases(moves) {
            let done = self.phase(phase, self.options.method, &expected, &stop).await?;
            summary.slots += done.slots;
            if done.given_up.is_empty() || stop.is_asked() {
                continue;
            }
            // A node refuses to open slots by hand while any migration of its own goes on.
            for id in done.given_up.iter().flat_map(|one| [&one.from, &one.to]) {
                atomic::ended(self.access, self.node(id)?).await?;
            }
            summary.slots += self.phase(done.given_up, Method::Migrate, &expected, &stop).await?.slots;
        }
        summary.stopped = summary.slots < slots;
        Ok(summary)
    }

    async fn phase(
        &self,
        moves: Vec<Move>,
        method: Method,
        expected: &BTreeMap<u16, u64>,
        stop: &Stop,
    ) -> Result<Progress, SlotsError> {
        // Each source has one pair at a time: it is the one that stands still.
        let mut sources: BTreeMap<NodeId, Vec<Move>> = BTreeMap::new();
        for one in moves {
            sources.entry(one.from.clone()).or_default().push(one);
        }
        let all = sources.into_values().map(|moves| self.source(moves, method, expected, stop));
        let mut all_done = Progress::default();
        for done in join_all(all).await {
            let done = done?;
            all_done.slots += done.slots;
            all_done.given_up.extend(done.given_up);
        }
        Ok(all_done)
    }

    async fn source(
        &self,
        moves: Vec<Move>,
        method: Method,
        expected: &BTreeMap<u16, u64>,
        stop: &Stop,
    ) -> Result<Progress, SlotsError> {
        let mut done = Progress::default();
        for one in moves {
            if stop.is_asked() {
                break;
            }
            let (source, target) = (self.node(&one.from)?, self.node(&one.to)?);
            if !is_atomic(method, source, target)? {
                done.slots += self.pair(source, target, one, expected, stop.clone()).await?;
                continue;
            }
            let outcome = atomic::run(self, source, target, &one.slots, expected, stop.clone()).await?;
            done.slots += outcome.moved.len();
            match outcome.failed {
                Some(error) if method == Method::Atomic => return Err(error),
                Some(error) => {
                    (self.report)(Event::FallsBack { why: error.to_string() });
                    done.given_up.push(Move { slots: one.slots.without(&outcome.moved), ..one });
                }
                None => {}
            }
        }
        Ok(done)
    }

    async fn pair(
        &self,
        source: &Node,
        target: &Node,
        one: Move,
        expected: &BTreeMap<u16, u64>,
        stop: Stop,
    ) -> Result<usize, SlotsError> {
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            let connection = self.access.connect(&source.endpoint).await?;
            lanes.push(Lane::new(connection, target.endpoint.clone(), self.access.clone()));
        }
        let mut ends = self.ends(source, target).await?;
        // What an interrupted run has sent must not arrive any more.
        if self.cluster.open().any(|(_, open)| one.slots.contains(open.slot)) {
            cut_arrivals(&mut ends.target).await?;
        }
        let slots = one.slots.iter().map(|slot| (slot, expected.get(&slot).copied().unwrap_or(0)));
        let round_trip = ends.round_trip().await?;
        let pair = Pair::new(self.options, self.report, lanes, round_trip, slots);
        let outcome = Box::pin(pair.run(ends, stop)).await;
        let Some(fault) = outcome.fault else { return Ok(outcome.moved.len()) };
        let open = if outcome.left_open.is_empty() {
            String::new()
        } else {
            format!("; {} still open", outcome.left_open.outline())
        };
        Err(SlotsError::Move {
            slot: fault.slot,
            source_node: source.endpoint.clone(),
            target: target.endpoint.clone(),
            why: format!("{}{open}", fault.error),
        })
    }

    async fn ends(&self, source: &Node, target: &Node) -> Result<Ends, SlotsError> {
        let mut others = Vec::new();
        for other in self.cluster.masters().filter(|node| node.id != source.id && node.id != target.id) {
            // It hears of the slots on the bus as well.
            others.extend(self.access.connect(&other.endpoint).await.ok());
        }
        Ok(Ends {
            source: self.access.connect(&source.endpoint).await?,
            target: self.access.connect(&target.endpoint).await?,
            others,
            source_id: source.id.clone(),
            target_id: target.id.clone(),
        })
    }

    fn node(&self, id: &NodeId) -> Result<&Node, SlotsError> {
        let unknown = || SlotsError::Refused(format!("there is no node {id}"));
        self.cluster.node(id).ok_or_else(unknown)
    }
}

fn is_atomic(method: Method, source: &Node, target: &Node) -> Result<bool, SlotsError> {
    let can = [source, target].iter().all(|node| atomic::is_known_to(node));
    match method {
        Method::Best => Ok(can),
        Method::Migrate => Ok(false),
        Method::Atomic if can => Ok(true),
        Method::Atomic => Err(SlotsError::Refused(format!(
            "{} and {} do not both have atomic slot migration (Valkey 9)",
            source.endpoint, target.endpoint
        ))),
    }
}
