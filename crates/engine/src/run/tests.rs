use std::sync::atomic::{AtomicU32, Ordering};

use redoubt_api::{ConditionStatus, ConditionType, RedisStatus};
use secrecy::SecretString;
use tokio::{sync::Notify, task::JoinHandle};

use super::*;
use crate::{
    View,
    platform::{Identity, Member, PlatformError, Publication, Workload},
    scene,
    sim::{ModelDial, ModelPlatform, Shared},
};

/// An engine at work on a model whose clock runs.
struct Lab {
    model: Shared,
    changes: mpsc::Sender<Change>,
    views: watch::Receiver<Views>,
    engine: JoinHandle<()>,
    clock: JoinHandle<()>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.engine.abort();
        self.clock.abort();
    }
}

impl Lab {
    fn start(model: &Shared) -> Self {
        let platform = Arc::new(ModelPlatform(model.clone()));
        Self::start_with(model, platform)
    }

    fn start_with<P: Platform>(model: &Shared, platform: Arc<P>) -> Self {
        let engine = Engine::new();
        let views = engine.views();
        let (changes, heard) = mpsc::channel(8);
        let dial = ModelDial(model.clone());
        let engine = tokio::spawn(async move { engine.run_with(platform, dial, heard).await });
        let ticking = model.clone();
        let clock = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                ticking.tick();
            }
        });
        Self { model: model.clone(), changes, views, engine, clock }
    }

    async fn apply(&self, redis: &CheckedRedis) {
        self.model.want(redis);
        self.changes.send(Change::Applied(Box::new(redis.clone()))).await.expect("an engine");
    }

    async fn until(&mut self, what: impl FnMut(&Views) -> bool) {
        let seen = tokio::time::timeout(Duration::from_mins(1), self.views.wait_for(what)).await.is_ok();
        assert!(seen, "not seen in time: {:#?}", self.views.borrow());
    }
}

fn key() -> Key {
    scene::redis().key
}

fn is(view: Option<&View>, kind: ConditionType, status: ConditionStatus) -> bool {
    let conditions = view.map(|view| view.status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|condition| condition.kind == kind && condition.status == status)
}

fn ready(views: &Views) -> bool {
    is(views.get(&key()), ConditionType::Ready, ConditionStatus::True)
}

#[tokio::test]
async fn a_redis_comes_to_life_follows_its_resource_and_goes() {
    let model = Shared::new(1);
    let mut lab = Lab::start(&model);
    let mut redis = scene::redis();
    lab.apply(&redis).await;
    lab.until(ready).await;
    redis.spec.replicas = 2;
    redis.generation = 2;
    lab.apply(&redis).await;
    lab.until(|views| ready(views) && views[&key()].status.observed_generation == 2).await;
    assert_eq!(lab.views.borrow()[&key()].status.nodes.len(), 2);
    lab.changes.send(Change::Deleted(key())).await.unwrap();
    lab.until(Views::is_empty).await;
    assert_eq!(model.members(), 0);
}

#[tokio::test]
async fn a_resource_that_is_deleted_and_made_again_is_made_anew() {
    let model = Shared::new(2);
    let mut lab = Lab::start(&model);
    lab.apply(&scene::redis()).await;
    lab.until(ready).await;
    lab.changes.send(Change::Deleted(key())).await.unwrap();
    lab.apply(&scene::redis()).await;
    let seen = model.clone();
    lab.until(|views| seen.tally().deletions == 1 && ready(views)).await;
    assert_eq!(model.members(), 6);
}

#[tokio::test]
async fn a_refused_resource_is_reported_and_what_runs_stays() {
    let model = Shared::new(3);
    let mut lab = Lab::start(&model);
    let refuse =
        || Change::Refused { key: key(), faults: vec!["spec.replicas: must be at least 1".to_owned()] };
    let refused = |views: &Views| {
        let status = views.get(&key()).map(|view| &view.status);
        status
            .is_some_and(|status| status.conditions.iter().any(|condition| condition.reason == "SpecRefused"))
    };
    lab.changes.send(refuse()).await.unwrap();
    lab.until(refused).await;
    lab.apply(&scene::redis()).await;
    lab.until(|views| ready(views) && !refused(views)).await;
    lab.changes.send(refuse()).await.unwrap();
    lab.until(|views| ready(views) && refused(views)).await;
}

#[tokio::test]
async fn an_engine_that_restarts_writes_nothing_when_all_is_well() {
    let model = Shared::new(4);
    let mut lab = Lab::start(&model);
    lab.apply(&scene::redis()).await;
    lab.until(ready).await;
    let status = lab.views.borrow()[&key()].status.clone();
    drop(lab);
    let published = model.tally().publications;
    let mut lab = Lab::start(&model);
    lab.apply(&scene::redis()).await;
    lab.until(ready).await;
    assert_eq!(lab.views.borrow()[&key()].status, status);
    assert_eq!(model.tally().publications, published);
}

#[tokio::test]
async fn an_engine_whose_changes_end_stops_and_leaves_the_set_running() {
    let model = Shared::new(5);
    let mut lab = Lab::start(&model);
    lab.apply(&scene::redis()).await;
    lab.until(ready).await;
    let (closed, _) = mpsc::channel(1);
    drop(std::mem::replace(&mut lab.changes, closed));
    (&mut lab.engine).await.unwrap();
    assert_eq!(model.members(), 6);
}

/// Frozen since it was last heard: what it said then must not count as a copy in sync.
#[tokio::test(start_paused = true)]
async fn nothing_is_taken_down_on_the_word_of_an_agent_that_does_not_answer_any_more() {
    let model = Shared::new(9);
    let mut lab = Lab::start(&model);
    let mut redis = scene::redis();
    lab.apply(&redis).await;
    lab.until(ready).await;
    let old = crate::template(&redis);
    (redis.spec.restarted_at, redis.generation) = (Some("now".to_owned()), 2);
    let new = crate::template(&redis);
    lab.apply(&redis).await;
    let has =
        |name: &str, template: &str| model.templates().contains(&(name.to_owned(), template.to_owned()));
    lab.until(|_| has("cart-sentinel-2", &new)).await;
    assert!(has("cart-2", &old), "nodes come after the Sentinels");
    model.freeze("cart-1");
    lab.until(|_| has("cart-1", &new) || has("cart-2", &new)).await;
    assert!(has("cart-2", &old) && has("cart-0", &old), "{:?}", model.templates());
}

/// At rest an hour passes in no time, and every call is counted.
#[tokio::test(start_paused = true)]
async fn at_rest_nothing_is_written_and_agents_are_heard_once_a_minute() {
    let model = Shared::new(6);
    let mut lab = Lab::start(&model);
    lab.apply(&scene::redis()).await;
    lab.until(ready).await;
    lab.clock.abort();
    tokio::time::sleep(Duration::from_mins(5)).await;
    let before = model.tally();
    tokio::time::sleep(Duration::from_hours(1)).await;
    let after = model.tally();
    assert_eq!(after.writes, before.writes);
    assert!(after.requests - before.requests <= 6 * 62, "{before:?} {after:?}");
    assert!(after.looks - before.looks <= 80, "{before:?} {after:?}");
}

/// A platform on which the work for one Redis panics, and that for another hangs.
struct Poisoned {
    model: ModelPlatform,
    panics: AtomicU32,
    hung: Notify,
    deleted: Notify,
}

impl Poisoned {
    async fn bite(&self, key: &Key) {
        let first = key.name == "panics" && self.panics.fetch_add(1, Ordering::SeqCst) == 0;
        assert!(!first, "a fault of our own");
        if key.name == "hangs" {
            self.hung.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

impl Platform for Poisoned {
    async fn identify(&self, redis: &CheckedRedis) -> Result<Identity, PlatformError> {
        self.model.identify(redis).await
    }

    async fn observe(&self, key: &Key) -> Result<Vec<Member>, PlatformError> {
        self.bite(key).await;
        if *key == scene::redis().key { self.model.observe(key).await } else { Ok(Vec::new()) }
    }

    async fn apply(&self, workload: &Workload) -> Result<(), PlatformError> {
        if workload.redis.key == scene::redis().key { self.model.apply(workload).await } else { Ok(()) }
    }

    async fn replace(&self, workload: &Workload, member: &str) -> Result<(), PlatformError> {
        self.model.replace(workload, member).await
    }

    async fn publish(&self, key: &Key, publication: &Publication) -> Result<(), PlatformError> {
        if *key == scene::redis().key { self.model.publish(key, publication).await } else { Ok(()) }
    }

    async fn published(&self, _: &Key) -> Result<Option<RedisStatus>, PlatformError> {
        Ok(None)
    }

    async fn delete(&self, key: &Key) -> Result<(), PlatformError> {
        self.deleted.notify_one();
        self.model.delete(key).await
    }

    async fn token(&self, key: &Key) -> Result<Arc<SecretString>, PlatformError> {
        self.model.token(key).await
    }
}

impl Poisoned {
    fn new(model: &Shared) -> Arc<Self> {
        let model = ModelPlatform(model.clone());
        Arc::new(Self { model, panics: AtomicU32::new(0), hung: Notify::new(), deleted: Notify::new() })
    }
}

/// A platform on which a restart takes for ever, and that remembers whom clients were led to.
struct Slow {
    model: ModelPlatform,
    restarts: watch::Sender<u32>,
    led: watch::Sender<Vec<Vec<String>>>,
}

impl Platform for Slow {
    async fn identify(&self, redis: &CheckedRedis) -> Result<Identity, PlatformError> {
        self.model.identify(redis).await
    }

    async fn observe(&self, key: &Key) -> Result<Vec<Member>, PlatformError> {
        self.model.observe(key).await
    }

    async fn apply(&self, workload: &Workload) -> Result<(), PlatformError> {
        self.model.apply(workload).await
    }

    async fn replace(&self, _: &Workload, _: &str) -> Result<(), PlatformError> {
        self.restarts.send_modify(|restarts| *restarts += 1);
        std::future::pending().await
    }

    async fn lead(&self, _: &Key, masters: &[String]) -> Result<(), PlatformError> {
        let mut first = false;
        self.led.send_modify(|led| {
            first = led.last().is_none_or(|last| last != masters);
            led.push(masters.to_vec());
        });
        // What fails is tried again.
        if first {
            Err(PlatformError { what: "a write".to_owned(), why: "bad luck".to_owned(), next: String::new() })
        } else {
            Ok(())
        }
    }

    async fn publish(&self, key: &Key, publication: &Publication) -> Result<(), PlatformError> {
        self.model.publish(key, publication).await
    }

    async fn published(&self, key: &Key) -> Result<Option<RedisStatus>, PlatformError> {
        self.model.published(key).await
    }

    async fn delete(&self, key: &Key) -> Result<(), PlatformError> {
        self.model.delete(key).await
    }

    async fn token(&self, key: &Key) -> Result<Arc<SecretString>, PlatformError> {
        self.model.token(key).await
    }
}

#[tokio::test(start_paused = true)]
async fn clients_are_led_to_a_new_master_while_a_restart_takes_its_time() {
    let model = Shared::new(10);
    let (restarts, led) = (watch::Sender::new(0), watch::Sender::new(Vec::new()));
    let (mut restarting, mut seen) = (restarts.subscribe(), led.subscribe());
    let platform = Arc::new(Slow { model: ModelPlatform(model.clone()), restarts, led });
    let mut lab = Lab::start_with(&model, platform);
    let mut redis = scene::redis();
    lab.apply(&redis).await;
    lab.until(ready).await;
    let first = lab.views.borrow()[&key()].status.master.clone().unwrap();
    (redis.spec.restarted_at, redis.generation) = (Some("now".to_owned()), 2);
    lab.apply(&redis).await;
    restarting.wait_for(|restarts| *restarts == 1).await.unwrap();
    let heir = if first == "cart-1" { 2 } else { 1 };
    model.promote(heir);
    let heir = format!("cart-{heir}");
    let twice =
        |led: &Vec<Vec<String>>| led.iter().filter(|masters| **masters == [heir.clone()]).count() >= 2;
    let led = tokio::time::timeout(Duration::from_secs(10), seen.wait_for(twice)).await;
    assert!(led.is_ok_and(|led| led.is_ok()), "the first try failed, and was made again");
}

fn named(name: &str) -> CheckedRedis {
    let mut redis = scene::redis();
    name.clone_into(&mut redis.key.name);
    redis
}

#[tokio::test]
async fn a_deletion_cuts_off_what_hangs() {
    let model = Shared::new(8);
    let platform = Poisoned::new(&model);
    let lab = Lab::start_with(&model, Arc::clone(&platform));
    lab.changes.send(Change::Applied(Box::new(named("hangs")))).await.unwrap();
    platform.hung.notified().await;
    lab.changes.send(Change::Deleted(named("hangs").key)).await.unwrap();
    tokio::time::timeout(Duration::from_mins(1), platform.deleted.notified()).await.expect("deleted");
}

#[tokio::test]
async fn one_that_panics_or_hangs_stops_no_other() {
    let model = Shared::new(7);
    let mut lab = Lab::start_with(&model, Poisoned::new(&model));
    for name in ["panics", "hangs"] {
        lab.changes.send(Change::Applied(Box::new(named(name)))).await.unwrap();
    }
    lab.apply(&scene::redis()).await;
    lab.until(ready).await;
    let panicked = named("panics").key;
    lab.until(|views| {
        let events = views.get(&panicked).map(|view| view.status.events.as_slice()).unwrap_or_default();
        events
            .iter()
            .any(|event| event.reason == "InternalError" && event.message.contains("a fault of our own"))
    })
    .await;
}
