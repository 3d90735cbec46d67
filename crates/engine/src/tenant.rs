//! The task of one Redis: observe, plan, report, act, and sleep until something happens.

mod guide;
mod observe;
mod report;
mod wanted;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use redoubt_api::{CheckedRedis, CheckedTopology, ConditionType, Event, Key, MAX_EVENTS, RedisStatus};
use tokio::{sync::watch, time::Instant};
use tracing::{info, warn};

pub(crate) use self::wanted::Wanted;
use self::{guide::Guide, observe::Observer};
use crate::{
    act::{Done, act, event, per_second},
    agents::Dial,
    backoff::{Backoff, jittered, pause},
    gate::Gate,
    look::Look,
    plan::{Memory, Plan, Step, plan_for},
    platform::{Identity, MemberKind, Platform},
    status::{Activity, holds},
};

/// Everything that changes is an event; this is for what nobody noticed.
const SAFETY: Duration = Duration::from_mins(1);
/// When something would be taken down and waits for agents that answered late: the answer itself may be no news.
const LATE: Duration = Duration::from_secs(1);
/// Between two tries of one and the same step.
const STEP: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// Between two tries to see or to publish.
const TROUBLE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(1));
/// One event is told by several agents within milliseconds: one pass for all of them.
const TOGETHER: Duration = Duration::from_millis(20);
/// While members contradict each other: mostly one has told its news and another has not yet.
const CONTRADICTION: SignedDuration = SignedDuration::from_millis(200);
/// While something is amiss, observations older than this are made again.
const STALE: SignedDuration = SignedDuration::from_secs(5);

/// What others may see of a Redis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// As published, or about to be.
    pub status: RedisStatus,
    /// Where its members are, once known.
    pub identity: Option<Identity>,
}

/// All Redis of an engine.
pub type Views = BTreeMap<Key, View>;

/// The task of one Redis.
pub(crate) struct Tenant<P, D: Dial> {
    key: Key,
    gate: Arc<Gate<P>>,
    wanted: watch::Receiver<Wanted>,
    deleted: Arc<watch::Sender<Wanted>>,
    views: watch::Sender<Views>,
    observer: Observer<P, D>,
    guide: Guide,
    memory: Memory,
    /// What was asked for in the last pass.
    last: Wanted,
    /// What was published last; `None` until it has been asked for.
    published: Option<RedisStatus>,
    /// Not published yet.
    events: Vec<Event>,
    trouble: Backoff,
}

/// When to look again, at the latest.
enum Wake {
    Now,
    After(Duration),
}

impl<P: Platform, D: Dial> Tenant<P, D> {
    pub(crate) fn new(
        key: Key,
        gate: Arc<Gate<P>>,
        dial: Arc<D>,
        wanted: &Arc<watch::Sender<Wanted>>,
        views: watch::Sender<Views>,
    ) -> Self {
        let observer = Observer::new(key.clone(), Arc::clone(&gate), dial);
        Self {
            guide: Guide::start(key.clone(), Arc::clone(&gate), observer.sights()),
            observer,
            key,
            gate,
            wanted: wanted.subscribe(),
            deleted: Arc::clone(wanted),
            views,
            memory: Memory::default(),
            last: Wanted::default(),
            published: None,
            events: Vec::new(),
            trouble: Backoff::new(TROUBLE.0, TROUBLE.1),
        }
    }

    /// An event that is published with the next status.
    pub(crate) fn remember(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Runs until the resource is deleted and nothing of it is left.
    pub(crate) async fn run(&mut self) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            self.compare(&wanted);
            let wake = if wanted.delete_first {
                self.delete().await
            } else if wanted.redis.is_some() || !wanted.refused.is_empty() {
                let mut deletion = self.wanted.clone();
                tokio::select! {
                    // Whatever is being done for it is cut off.
                    _ = deletion.wait_for(|wanted| wanted.delete_first) => continue,
                    wake = self.pass(&wanted) => wake,
                }
            } else {
                return;
            };
            if let Wake::After(pause) = wake {
                self.sleep(pause).await;
            }
        }
    }

    async fn sleep(&mut self, pause: Duration) {
        let wake = Instant::now() + pause;
        tokio::select! {
            // The sender lives as long as this task.
            _ = self.wanted.changed() => {}
            () = self.observer.changed() => tokio::time::sleep(TOGETHER).await,
            () = self.guide.changed() => {}
            () = tokio::time::sleep_until(wake) => {}
        }
    }

    fn compare(&mut self, wanted: &Wanted) {
        if *wanted == self.last {
            return;
        }
        // Something else is asked for: what failed may work now.
        if wanted.redis != self.last.redis {
            self.memory.forget();
        }
        self.observer.forget_identity();
        self.last = wanted.clone();
    }

    async fn pass(&mut self, wanted: &Wanted) -> Wake {
        match self.try_pass(wanted).await {
            Ok(wake) => {
                self.trouble.clear();
                wake
            }
            Err(error) => {
                let pause = self.trouble.next();
                warn!(redis = %self.key.name, %error, retry_ms = pause.as_millis(), "cannot see or show this Redis");
                self.report_trouble(&error).await;
                Wake::After(pause)
            }
        }
    }

    async fn try_pass(&mut self, wanted: &Wanted) -> Result<Wake, crate::platform::PlatformError> {
        self.recall().await?;
        let Some(redis) = &wanted.redis else {
            self.report_refused(&wanted.refused).await?;
            return Ok(Wake::After(jittered(SAFETY)));
        };
        let mut world = self.observer.observe(redis).await?;
        self.guide.follow(redis, &world);
        let mut latest = SAFETY;
        if self.needs_a_closer_look(&Look::new(redis, &world)) {
            let began = Timestamp::now();
            self.observer.refresh().await;
            world = self.observer.observe(redis).await?;
            if self.is_delicate(&Look::new(redis, &world)) {
                world.forget_before(began);
                latest = LATE;
            }
        }
        let look = Look::new(redis, &world);
        let plan = plan_for(&look, &self.memory);
        let step = plan.step.clone();
        let wake = self.wake_for(&plan, world.at, latest);
        let activity = Activity { plan, refused: wanted.refused.clone(), events: self.events.clone() };
        // Work goes on when it cannot be shown; that it cannot is tried again. Confirming is no work to speak of: a
        // restart of the engine must not show.
        let shown = match (self.guide.trouble(), &step) {
            (Err(trouble), _) => Err(trouble),
            (Ok(()), Some(Step::Confirm { .. })) => Ok(()),
            (Ok(()), _) => self.report(&look, &activity).await,
        };
        let Some(step) = step else { return shown.map(|()| wake) };
        self.take(&look, step).await;
        shown.map(|()| Wake::Now)
    }

    /// Before something is taken down, while something is amiss that an old observation may hide or feign, and before
    /// it is said that the set does not serve any more.
    fn needs_a_closer_look(&self, look: &Look<'_>) -> bool {
        let plan = plan_for(look, &self.memory);
        let older =
            |limit| self.observer.oldest().is_some_and(|at| Timestamp::now().duration_since(at) > limit);
        let amiss = match (&plan.step, &plan.waiting) {
            (Some(step), _) => step.is_delicate(),
            (None, Some(waiting)) => older(if waiting.is_contradiction() { CONTRADICTION } else { STALE }),
            (None, None) => false,
        };
        amiss
            || self
                .published
                .as_ref()
                .is_some_and(|before| holds(&before.conditions, ConditionType::Available) && !look.serves())
    }

    /// Who did not answer a moment ago may have frozen since it was last heard, and with it a copy that is counted on:
    /// before something is taken down it counts as unknown.
    fn is_delicate(&self, look: &Look<'_>) -> bool {
        plan_for(look, &self.memory).step.as_ref().is_some_and(Step::is_delicate)
    }

    fn wake_for(&mut self, plan: &Plan, now: Timestamp, latest: Duration) -> Wake {
        if *plan == Plan::default() {
            self.memory.forget();
        }
        let until = plan.waiting.as_ref().and_then(|waiting| waiting.until);
        let until = until.map(|until| Duration::try_from(until.duration_since(now)).unwrap_or_default());
        Wake::After(until.unwrap_or(latest).min(jittered(latest)))
    }

    async fn take(&mut self, look: &Look<'_>, step: Step) {
        let redis = &self.key.name;
        info!(%redis, step = step.reason(), "{step}");
        let result = act(&self.gate, look, |name| self.observer.link(name), &mut self.memory, &step).await;
        if let Err(error) = &result {
            warn!(%redis, step = step.reason(), %error, "{step} failed");
        }
        if step.is_delicate() {
            // What was heard of it before is over.
            self.observer.refresh().await;
        }
        let (now, before) = (Timestamp::now(), self.memory.attempt(&step));
        self.events.extend(event(redis, &step, &result, before, now));
        // What cannot be published for long must not pile up: no status shows more.
        self.events.drain(..self.events.len().saturating_sub(MAX_EVENTS));
        if let Ok(Done { moved: Some(moved), .. }) = &result
            && moved.slots > 0
        {
            self.memory.slots_per_second = per_second(&step, moved).or(self.memory.slots_per_second);
            self.memory.advanced(&step);
            return;
        }
        let pause = jittered(pause(STEP.0, STEP.1, self.memory.tries(&step)));
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        self.memory.tried(step, result.err().map(|error| error.to_string()), now, pause);
    }

    async fn delete(&mut self) -> Wake {
        info!(redis = %self.key.name, "deleting");
        self.observer.clear();
        self.guide.clear();
        match self.gate.delete(&self.key).await {
            Ok(()) => {
                self.memory = Memory::default();
                self.published = None;
                self.views.send_modify(|views| drop(views.remove(&self.key)));
                self.deleted.send_modify(|wanted| wanted.delete_first = false);
                Wake::Now
            }
            Err(error) => {
                let pause = self.trouble.next();
                warn!(redis = %self.key.name, %error, retry_ms = pause.as_millis(), "not deleted yet");
                Wake::After(pause)
            }
        }
    }
}

impl<P, D: Dial> Tenant<P, D> {
    fn show(&self, status: &RedisStatus) {
        let view = View { status: status.clone(), identity: self.observer.identity().cloned() };
        self.views.send_if_modified(|views| {
            let changed = views.get(&self.key) != Some(&view);
            if changed {
                views.insert(self.key.clone(), view);
            }
            changed
        });
    }
}

/// The resource as it is while some of its members have yet to leave.
fn grown(redis: &CheckedRedis, counts: crate::world::Counts) -> CheckedRedis {
    let mut redis = redis.clone();
    redis.spec.replicas = counts.total(MemberKind::Node);
    match &mut redis.spec.topology {
        CheckedTopology::Standalone => {}
        CheckedTopology::Sentinel(sentinel) => sentinel.replicas = counts.sentinels,
        CheckedTopology::Cluster(cluster) => {
            cluster.shards = counts.shards;
            cluster.replicas_per_shard = counts.nodes.saturating_sub(1);
        }
    }
    redis
}
