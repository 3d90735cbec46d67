//! The engine's side of a history: one pass a tick, with observations that may be old.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::SignedDuration;
use rand::RngExt as _;
use redoubt_api::{ConditionStatus, ConditionType, RedisStatus};
use redoubt_wire::state::AgentState;

use super::ModelDial;
use super::platform::{ModelPlatform, Shared};
use crate::{
    Dial as _,
    act::act,
    backoff::pause,
    gate::Gate,
    look::Look,
    plan::{Memory, Plan, plan_for},
    platform::{Member, PlatformError, Publication},
    scene,
    status::{Activity, status_for},
    world::{Counts, MemberView, Observed, World},
};

pub(super) struct Brain {
    model: Shared,
    gate: Gate<ModelPlatform>,
    dial: ModelDial,
    memory: Memory,
    /// What long polls brought.
    heard: HashMap<String, Observed<AgentState>>,
    published: Option<RedisStatus>,
    pub(super) plan: Option<Plan>,
}

impl Brain {
    pub(super) fn new(model: Shared) -> Self {
        Self {
            gate: Gate::new(Arc::new(ModelPlatform(model.clone()))),
            dial: ModelDial(model.clone()),
            model,
            memory: Memory::default(),
            heard: HashMap::new(),
            published: None,
            plan: None,
        }
    }

    /// As after a restart.
    pub(super) fn forget(&mut self) {
        self.memory = Memory::default();
        self.heard.clear();
        self.published = None;
    }

    /// As when the resource changed.
    pub(super) fn try_again(&mut self) {
        self.memory.forget();
    }

    /// Nothing to do, nothing to wait for.
    pub(super) fn is_content(&self) -> bool {
        self.plan == Some(Plan::default())
    }

    /// Observe, plan, report, act. A failed call ends the pass.
    pub(super) async fn pass(&mut self) {
        let _ = self.try_pass().await;
    }

    async fn try_pass(&mut self) -> Result<(), PlatformError> {
        let redis = self.model.lock().redis.clone();
        if self.published.is_none() {
            self.published = Some(self.gate.published(&redis.key).await?.unwrap_or_default());
        }
        self.hear();
        let mut world = self.world().await?;
        let first = plan_for(&Look::new(&redis, &world), &self.memory);
        if first.step.as_ref().is_some_and(crate::Step::is_delicate) {
            self.ask_everybody();
            world = self.world().await?;
        }
        let look = Look::new(&redis, &world);
        let plan = plan_for(&look, &self.memory);
        if plan == Plan::default() {
            self.memory.forget();
        }
        self.plan = Some(plan.clone());
        if !matches!(plan.step, Some(crate::Step::Confirm { .. })) {
            self.report(&look, &plan).await?;
        }
        if let Some(step) = &plan.step {
            let link = |name: &str| {
                world.identity.agent(name).map(|agent| Arc::new(self.dial.dial(agent, &token())))
            };
            let result = act(&self.gate, &look, link, &mut self.memory, step).await;
            let pause = pause(Duration::from_secs(1), Duration::from_mins(1), self.memory.tries(step));
            let pause = SignedDuration::try_from(pause).expect("a short pause");
            let failure = result.err().map(|error| error.to_string());
            self.memory.tried(step.clone(), failure, world.at, pause);
        }
        Ok(())
    }

    async fn report(&mut self, look: &Look<'_>, plan: &Plan) -> Result<(), PlatformError> {
        let activity = Activity { plan: plan.clone(), ..Activity::default() };
        let before = self.published.clone().unwrap_or_default();
        let status = status_for(look, &activity, &before);
        assert_eq!(status_for(look, &activity, &status), status, "a status is not its own successor");
        assert!(status.events.len() <= redoubt_api::MAX_EVENTS);
        let ready = status.conditions.iter().find(|condition| condition.kind == ConditionType::Ready);
        let ready = ready.is_some_and(|condition| condition.status == ConditionStatus::True);
        let paused = look.redis.spec.paused;
        assert!(paused || ready == (*plan == Plan::default()), "Ready and the plan disagree: {plan:?}");
        let outdated = look.world.members.iter().find(|view| view.member.template != look.template);
        assert!(!ready || outdated.is_none(), "Ready, and {outdated:?} has an old template");
        if status != before {
            self.gate
                .publish(&look.redis.key, &Publication { status: status.clone(), events: Vec::new() })
                .await?;
            self.published = Some(status);
        }
        Ok(())
    }

    /// Long polls bring most of what is new, not always at once; silence is noticed late.
    fn hear(&mut self) {
        let mut model = self.model.lock();
        let names: Vec<String> = model.units.iter().map(|unit| unit.member.name.clone()).collect();
        for name in names {
            let (at, prompt) = (model.at, model.rng.random_bool(0.7));
            match model.state(&name) {
                Some(value) if prompt => drop(self.heard.insert(name, Observed { value, at })),
                None if prompt => drop(self.heard.remove(&name)),
                _ => {}
            }
        }
    }

    fn ask_everybody(&mut self) {
        let model = self.model.lock();
        let states = model.units.iter().filter_map(|unit| Some((unit, model.state(&unit.member.name)?)));
        self.heard = states
            .map(|(unit, value)| (unit.member.name.clone(), Observed { value, at: model.at }))
            .collect();
    }

    async fn world(&self) -> Result<World, PlatformError> {
        let redis = self.model.lock().redis.clone();
        let members = self.gate.observe(&redis.key).await?;
        let counts = Counts::wanted(&redis).max(Counts::existing(&members));
        let view = |member: Member| MemberView {
            state: self.heard.get(&member.name).filter(|_| member.running).cloned(),
            member,
        };
        let at = self.model.lock().at;
        Ok(World::new(at, scene::identity(counts), members.into_iter().map(view).collect()))
    }
}

fn token() -> Arc<secrecy::SecretString> {
    Arc::new("token".to_owned().into())
}
