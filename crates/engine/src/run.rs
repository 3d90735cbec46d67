//! One task for each Redis; none of them can stop another.

use std::{any::Any, collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use jiff::Timestamp;
use redoubt_api::{CheckedRedis, Event, Key};
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tracing::{error, info};

use crate::{
    agents::{Dial, Http},
    backoff::Backoff,
    gate::Gate,
    platform::Platform,
    tenant::{Tenant, Views, Wanted},
};

/// After a fault of our own a task starts anew.
const ANEW: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// What the engine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// This is wanted now.
    Applied(Box<CheckedRedis>),
    /// A resource is not acceptable; the one before stays in force.
    Refused {
        /// Which.
        key: Key,
        /// All that is wrong with it, each with its field.
        faults: Vec<String>,
    },
    /// The resource is gone; its members go.
    Deleted(Key),
    /// Something about its members changed on the platform.
    Nudge(Key),
}

/// Looks after every Redis it is told of.
pub struct Engine {
    views: watch::Sender<Views>,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine that has been told of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { views: watch::Sender::new(Views::new()) }
    }

    /// How all Redis are, as it changes.
    #[must_use]
    pub fn views(&self) -> watch::Receiver<Views> {
        self.views.subscribe()
    }

    /// Works until the other end of `changes` is dropped, then stops at once. Whatever runs goes on running, a
    /// hand-over under way included: agents need no engine, and steps that were cut off are taken up by the next one.
    pub async fn run<P: Platform>(&self, platform: Arc<P>, changes: mpsc::Receiver<Change>) {
        self.run_with(platform, Http, changes).await;
    }

    /// [`Engine::run`] with another way to agents.
    pub async fn run_with<P: Platform, D: Dial>(
        &self,
        platform: Arc<P>,
        dial: D,
        mut changes: mpsc::Receiver<Change>,
    ) {
        let mut tenants = Tenants {
            gate: Arc::new(Gate::new(platform)),
            dial: Arc::new(dial),
            views: self.views.clone(),
            wanted: HashMap::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
        };
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Some(change) => tenants.hear(change),
                    None => break,
                },
                Some(ended) = tenants.tasks.join_next_with_id() => tenants.ended(ended),
            }
        }
        info!("the engine stops; what runs goes on running");
    }
}

/// All tasks, and what they are told.
struct Tenants<P, D> {
    gate: Arc<Gate<P>>,
    dial: Arc<D>,
    views: watch::Sender<Views>,
    wanted: HashMap<Key, Arc<watch::Sender<Wanted>>>,
    tasks: JoinSet<()>,
    running: HashMap<Id, Key>,
}

impl<P: Platform, D: Dial> Tenants<P, D> {
    fn hear(&mut self, change: Change) {
        match change {
            Change::Applied(redis) => {
                let key = redis.key.clone();
                self.tell(key, |wanted| wanted.apply(*redis));
            }
            Change::Refused { key, faults } => self.tell(key, |wanted| wanted.refuse(faults)),
            Change::Deleted(key) => self.tell(key, |wanted| {
                wanted.delete();
                true
            }),
            Change::Nudge(key) => {
                if let Some(wanted) = self.wanted.get(&key) {
                    wanted.send_modify(|wanted| wanted.nudges += 1);
                }
            }
        }
    }

    fn tell(&mut self, key: Key, change: impl FnOnce(&mut Wanted) -> bool) {
        if let Some(wanted) = self.wanted.get(&key) {
            wanted.send_if_modified(change);
            return;
        }
        let mut wanted = Wanted::default();
        change(&mut wanted);
        let wanted = Arc::new(watch::Sender::new(wanted));
        self.wanted.insert(key.clone(), Arc::clone(&wanted));
        self.start(key, wanted);
    }

    fn start(&mut self, key: Key, wanted: Arc<watch::Sender<Wanted>>) {
        let task =
            guarded(key.clone(), Arc::clone(&self.gate), Arc::clone(&self.dial), wanted, self.views.clone());
        let id = self.tasks.spawn(task).id();
        self.running.insert(id, key);
    }

    /// A task ends when its resource is gone. If a new one came at that very moment, it has a task again.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        let Some(key) = self.running.remove(&id) else { return };
        let Some(wanted) = self.wanted.get(&key).map(Arc::clone) else { return };
        if wanted.borrow().is_over() {
            self.wanted.remove(&key);
        } else {
            self.start(key, wanted);
        }
    }
}

/// Runs the task of one Redis; after a panic it begins anew, with an event that says so.
async fn guarded<P: Platform, D: Dial>(
    key: Key,
    gate: Arc<Gate<P>>,
    dial: Arc<D>,
    wanted: Arc<watch::Sender<Wanted>>,
    views: watch::Sender<Views>,
) {
    let mut anew = Backoff::new(ANEW.0, ANEW.1);
    let mut fault = None;
    loop {
        let mut tenant =
            Tenant::new(key.clone(), Arc::clone(&gate), Arc::clone(&dial), &wanted, views.clone());
        if let Some(fault) = fault.take() {
            tenant.remember(fault);
        }
        let began = Instant::now();
        let Err(panic) = AssertUnwindSafe(tenant.run()).catch_unwind().await else { return };
        let why = message(panic.as_ref());
        if began.elapsed() > ANEW.1 {
            anew.clear();
        }
        let pause = anew.next();
        error!(redis = %key.name, %why, retry_ms = pause.as_millis(), "the engine's own work on this Redis failed");
        fault = Some(internal_error(&key, &why));
        tokio::time::sleep(pause).await;
    }
}

fn internal_error(key: &Key, why: &str) -> Event {
    Event {
        at: Timestamp::now(),
        source: key.name.clone(),
        reason: "InternalError".to_owned(),
        message: format!(
            "the engine's own work failed and begins anew; what runs is untouched; please report: {why}"
        ),
        warning: true,
    }
}

pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests;
