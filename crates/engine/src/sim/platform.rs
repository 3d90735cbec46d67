//! The platform of the model. Every call may fail, before or after it had its effect.

use std::sync::{Arc, Mutex, MutexGuard};

use rand::RngExt as _;
use redoubt_api::{CheckedRedis, Key, RedisStatus};
use secrecy::SecretString;
use tokio::sync::watch;

use super::{laws, model::Model, unit::Unit};
use crate::{
    platform::{Identity, Member, MemberKind, Platform, PlatformError, Publication, Workload},
    scene,
    world::Counts,
};

/// The model, shared by platform, agents and faults.
#[derive(Clone)]
pub(crate) struct Shared {
    model: Arc<Mutex<Model>>,
    /// Wakes long polls.
    ticked: Arc<watch::Sender<()>>,
}

impl Shared {
    pub(crate) fn new(seed: u64) -> Self {
        Self { model: Arc::new(Mutex::new(Model::new(seed))), ticked: Arc::new(watch::Sender::new(())) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("the model")
    }

    pub(super) fn ticked(&self) -> watch::Receiver<()> {
        self.ticked.subscribe()
    }

    pub(crate) fn want(&self, redis: &CheckedRedis) {
        self.lock().redis = redis.clone();
    }

    pub(crate) fn tick(&self) {
        self.lock().tick();
        self.ticked.send_replace(());
    }

    pub(crate) fn members(&self) -> usize {
        self.lock().units.len()
    }

    pub(crate) fn freeze(&self, member: &str) {
        self.lock().frozen = Some(member.to_owned());
    }

    /// The Sentinels agree on another node.
    pub(crate) fn promote(&self, ordinal: u32) {
        self.lock().promote(ordinal);
        self.ticked.send_replace(());
    }

    /// Names and templates.
    pub(crate) fn templates(&self) -> Vec<(String, String)> {
        let model = self.lock();
        let members = model.units.iter().map(|unit| &unit.member);
        members.map(|member| (member.name.clone(), member.template.clone())).collect()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.lock().tally
    }
}

/// What the engine did to the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Calls that change something: apply, replace, publish, hand-over, prune.
    pub(crate) writes: u64,
    /// Of these, publications.
    pub(crate) publications: u64,
    /// Looks at the platform.
    pub(crate) looks: u64,
    /// Deletions.
    pub(crate) deletions: u64,
    /// Requests to agents.
    pub(crate) requests: u64,
}

/// The platform of the model.
pub(crate) struct ModelPlatform(pub(crate) Shared);

impl ModelPlatform {
    /// Does it, fails, or does it and fails.
    fn call<T>(&self, what: impl FnOnce(&mut Model) -> T) -> Result<T, PlatformError> {
        let mut model = self.0.lock();
        let (flaky, fault) = (model.flaky, || PlatformError {
            what: "a call".to_owned(),
            why: "bad luck".to_owned(),
            next: "try again".to_owned(),
        });
        if model.rng.random_bool(flaky / 2.0) {
            return Err(fault());
        }
        let answer = what(&mut model);
        if model.rng.random_bool(flaky / 2.0) { Err(fault()) } else { Ok(answer) }
    }
}

impl Platform for ModelPlatform {
    async fn identify(&self, redis: &CheckedRedis) -> Result<Identity, PlatformError> {
        self.call(|_| scene::identity(Counts::wanted(redis)))
    }

    async fn observe(&self, _: &Key) -> Result<Vec<Member>, PlatformError> {
        self.call(|model| {
            model.tally.looks += 1;
            model.units.iter().map(|unit| unit.member.clone()).collect()
        })
    }

    async fn apply(&self, workload: &Workload) -> Result<(), PlatformError> {
        self.call(|model| model.apply(workload))
    }

    async fn replace(&self, workload: &Workload, member: &str) -> Result<(), PlatformError> {
        self.call(|model| model.replace(workload, member))
    }

    async fn publish(&self, _: &Key, publication: &Publication) -> Result<(), PlatformError> {
        self.call(|model| {
            model.tally.writes += 1;
            model.tally.publications += 1;
            model.published = Some(publication.status.clone());
        })
    }

    async fn published(&self, _: &Key) -> Result<Option<RedisStatus>, PlatformError> {
        self.call(|model| model.published.clone())
    }

    async fn delete(&self, _: &Key) -> Result<(), PlatformError> {
        self.call(|model| {
            model.tally.deletions += 1;
            model.units.clear();
            (model.workload, model.named, model.published, model.acked) = (None, None, None, 0);
        })
    }

    async fn token(&self, _: &Key) -> Result<Arc<SecretString>, PlatformError> {
        self.call(|_| Arc::new("token".to_owned().into()))
    }
}

impl Model {
    fn apply(&mut self, workload: &Workload) {
        laws::may_apply(self, workload);
        self.tally.writes += 1;
        let counts = [(MemberKind::Node, workload.nodes), (MemberKind::Sentinel, workload.sentinels)];
        for (kind, count) in counts {
            for ordinal in 0..count {
                self.ensure(kind, ordinal, workload);
            }
            for unit in self.units.iter_mut().filter(|unit| unit.member.kind == kind) {
                if unit.member.ordinal >= count && !unit.member.leaving {
                    unit.stop();
                    unit.member.leaving = true;
                    unit.gone_in = self.rng.random_range(0..4);
                }
            }
        }
        for unit in &mut self.units {
            unit.hears_in = self.rng.random_range(0..3);
        }
        self.workload = Some((workload.clone(), workload.config.revision()));
    }

    fn ensure(&mut self, kind: MemberKind, ordinal: u32, workload: &Workload) {
        let starts_in = self.rng.random_range(1..4);
        let bad = is_bad(workload);
        let name = scene::name(kind, ordinal);
        match self.unit_mut(&name) {
            None => {
                let member = Member {
                    name,
                    kind,
                    ordinal,
                    template: workload.template.clone(),
                    running: !bad,
                    leaving: false,
                    trouble: bad.then(|| "no such image".to_owned()),
                    domain: None,
                };
                self.units.push(Unit::new(member, starts_in));
            }
            Some(unit) if !unit.member.running && !unit.member.leaving && unit.member.trouble.is_none() => {
                let template = unit.member.template.clone();
                unit.start(&template, starts_in);
            }
            Some(_) => {}
        }
    }

    fn replace(&mut self, workload: &Workload, name: &str) {
        laws::may_replace(self, name);
        self.tally.writes += 1;
        let starts_in = self.rng.random_range(1..5);
        let Some(unit) = self.unit_mut(name) else { return };
        unit.start(&workload.template, starts_in);
        if is_bad(workload) {
            unit.member.running = false;
            unit.member.trouble = Some("no such image".to_owned());
        }
    }
}

fn is_bad(workload: &Workload) -> bool {
    workload.redis.spec.image.as_deref() == Some("bad")
}
