//! One drill from its first look to its last.

use std::{future::Future, time::Duration};

use jiff::Timestamp;
use redoubt_redis::cluster::{SlotSet, key_slot};
use redoubt_wire::failover::{Failover, Outcome};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    Answers, ClientKind, DrillError, DrillResult, Health, LogLine, Saboteur, Scenario, Step, Target,
    account::{Span, WriterLog, ceil_ms, longest_pause, timeline, worst_writer_pause},
    assess,
    client::PATIENCE,
    key::Keys,
    plan::{Before, Blow, Plan, scene},
    readback,
    result::MAX_LOST_KEYS,
    survey::{cluster_of, shards},
    watch::Watcher,
    writer::Crew,
};

/// Writers that all got through this long before the blow show what is usual.
const LEAD_IN: Duration = Duration::from_secs(1);
/// Writers that go on this long after the set is whole would meet a second change of master.
const LEAD_OUT: Duration = Duration::from_secs(1);
/// How long the first write may take, also from a machine that is busy with other things.
pub(crate) const FIRST_WRITE: Duration = Duration::from_secs(30);
/// How long writers may need to find the master of a set that is whole.
const RETURN: Duration = Duration::from_secs(30);
/// How long the last look waits for a set that was whole a moment ago.
const LAST_LOOK: Duration = Duration::from_secs(10);
/// Clocks of agents and of the drill may differ by this much without hiding a failover.
const CLOCK_SLACK: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

/// What to break, and how to look on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// What is broken.
    pub scenario: Scenario,
    /// In which shard of a cluster; the first one, or all of them, as the scenario has it, if none is named.
    pub shard: Option<u32>,
    /// How the writers find the master.
    pub client: ClientKind,
    /// How many write at once, at least 1.
    pub writers: u32,
    /// How long writers go on after the event, at least.
    pub duration: Duration,
    /// Break it though it is not whole.
    pub force: bool,
}

/// Told of every line of the drill's log as it happens.
pub type Progress<'a> = &'a (dyn Fn(&LogLine) + Send + Sync);

/// Holds one drill.
///
/// Guarantees: nothing is broken unless the set is whole (or `force`); a frozen server is thawed; every key that was
/// written is removed where a master can be reached, also when `interrupt` resolves, and expires by itself elsewhere.
pub async fn run(
    target: &Target,
    drill: &Drill,
    saboteur: &impl Saboteur,
    progress: Progress<'_>,
    interrupt: impl Future<Output = ()>,
) -> Result<DrillResult, DrillError> {
    let target = &scene(target, drill.scenario, drill.shard)?;
    let mut watcher = Watcher::start(target).await;
    let before = assess(&target.config, &watcher.now());
    if !before.is_whole() && !drill.force {
        return Err(DrillError::Unhealthy { redis: target.config.name.clone(), troubles: before.troubles });
    }
    let plan = Plan::new(drill.scenario, &target.config, before.master())?;
    let parts = parts(target);
    let keys = Keys::new(tags(target, &before, &watcher.now())?);
    let mut stage = Stage { target, drill, progress, start: Instant::now(), log: Vec::new() };
    let crew = Crew::start(&parts, drill, &keys, stage.start)?;
    let course = tokio::select! {
        course = stage.perform(&plan, &mut watcher, &crew, saboteur) => course,
        () = interrupt => Err(DrillError::Interrupted { scenario: drill.scenario }),
    };
    let logs = crew.stop().await;
    let end = stage.start.elapsed();
    if let Blow::Freeze(server) = &plan.blow {
        // Usually its agent has ended it by now, and there is nothing to thaw.
        let _ = saboteur.thaw_server(server).await;
    }
    let (health, lost) = stage.account(&mut watcher, &keys, &logs).await;
    let course = course?;
    Ok(stage.result(&keys, &logs, &before, &course, Close { end, health, lost, answers: watcher.now() }))
}

fn only(shards: &[Option<u32>]) -> Option<u32> {
    if let [shard] = shards { *shard } else { None }
}

/// The set, or each shard of a cluster.
fn parts(target: &Target) -> Vec<Target> {
    let shards = shards(&target.config).into_iter();
    shards
        .filter_map(|shard| shard.map_or_else(|| Some(target.clone()), |shard| target.shard(shard)))
        .collect()
}

/// What the keys of each part begin with. Anything, where there are no slots.
fn tags(target: &Target, health: &Health, answers: &Answers) -> Result<Vec<String>, DrillError> {
    /// A shard owns a hundredth of the slots at least.
    const ENOUGH: u32 = 100_000;
    let tag = |shard: Option<u32>| {
        if shard.is_none() {
            return Some(String::new());
        }
        let slots = &cluster_of(answers, health.masters.get(&shard)?)?.slots;
        let owned: SlotSet = slots.parse().ok()?;
        (0..ENOUGH).map(|number| format!("{{{number}}}")).find(|tag| owned.contains(key_slot(tag.as_bytes())))
    };
    let tags: Option<Vec<String>> = shards(&target.config).into_iter().map(tag).collect();
    tags.ok_or_else(|| DrillError::Impossible {
        what: "the drill".to_owned(),
        needs: "a master with slots in every shard",
        redis: target.config.name.clone(),
    })
}

/// When things happened.
struct Course {
    event: Duration,
    event_at: Timestamp,
    healthy_after: Option<Duration>,
}

/// What was found at the end.
struct Close {
    end: Duration,
    health: Health,
    lost: Option<Vec<String>>,
    answers: Answers,
}

struct Stage<'a> {
    target: &'a Target,
    drill: &'a Drill,
    progress: Progress<'a>,
    start: Instant,
    log: Vec<LogLine>,
}

impl Stage<'_> {
    fn note(&mut self, what: impl Into<String>) {
        let line = LogLine { at_ms: ceil_ms(self.start.elapsed()), what: what.into() };
        (self.progress)(&line);
        self.log.push(line);
    }

    /// Waits for the writers, strikes, waits until the set is whole.
    async fn perform(
        &mut self,
        plan: &Plan,
        watcher: &mut Watcher,
        crew: &Crew,
        saboteur: &impl Saboteur,
    ) -> Result<Course, DrillError> {
        self.note(format!("{} writers, client {}", self.drill.writers, self.drill.client));
        self.first_writes(crew).await?;
        sleep(LEAD_IN).await;
        let before = Before::of(plan, &watcher.now());
        self.note(plan.blow.describe());
        let (event, event_at) = (self.start.elapsed(), Timestamp::now());
        strike(&plan.blow, saboteur).await?;
        let healthy_after = self.recovery(plan, &before, watcher, event).await;
        self.return_of(crew).await;
        let writing = self.start + event + self.drill.duration;
        sleep_until(writing.max(Instant::now() + LEAD_OUT)).await;
        Ok(Course { event, event_at, healthy_after })
    }

    async fn first_writes(&mut self, crew: &Crew) -> Result<(), DrillError> {
        let tally = crew.tally();
        let got_through = tokio::time::timeout(FIRST_WRITE, tally.first_acknowledged()).await.is_ok();
        if got_through || self.drill.force {
            return Ok(());
        }
        let why = tally.last_error().unwrap_or_else(|| "no writer had an answer".to_owned());
        Err(DrillError::NoWrites { after_s: FIRST_WRITE.as_secs(), why })
    }

    /// From the event until the set was whole, within the limit.
    async fn recovery(
        &mut self,
        plan: &Plan,
        before: &Before,
        watcher: &mut Watcher,
        event: Duration,
    ) -> Option<Duration> {
        let config = &self.target.config;
        let met = watcher
            .until(plan.limit, |answers| {
                let health = assess(config, answers);
                let moved = plan.not_master.is_none() || health.master() != plan.not_master.as_deref();
                before.all_replaced(answers) && moved && health.is_whole()
            })
            .await;
        let took = self.start.elapsed().saturating_sub(event);
        if met {
            self.note(format!("whole again after {} ms", ceil_ms(took)));
            return Some(took);
        }
        self.note(format!("not whole after {} s", plan.limit.as_secs()));
        None
    }

    /// A set that is whole is worth nothing to clients that do not find it yet.
    async fn return_of(&mut self, crew: &Crew) {
        if tokio::time::timeout(RETURN, crew.tally().all_again()).await.is_err() {
            let why = crew.tally().last_error().unwrap_or_else(|| "no answer".to_owned());
            self.note(format!("not every writer got through again within {} s: {why}", RETURN.as_secs()));
        }
    }

    /// How the set is in the end, and which keys it lost; `None` where no master can be asked. A master may move once more
    /// while it is read: a cluster that is whole again spreads its masters.
    async fn account(
        &mut self,
        watcher: &mut Watcher,
        keys: &Keys,
        logs: &[WriterLog],
    ) -> (Health, Option<Vec<String>>) {
        const TRIES: usize = 3;
        let mut health = self.last_look(watcher).await;
        for _ in 1..TRIES {
            let lost = self.read_back(keys, logs, &health).await;
            if lost.is_some() {
                return (health, lost);
            }
            health = self.last_look(watcher).await;
        }
        let lost = self.read_back(keys, logs, &health).await;
        (health, lost)
    }

    async fn last_look(&mut self, watcher: &mut Watcher) -> Health {
        let config = &self.target.config;
        watcher.until(LAST_LOOK, |answers| assess(config, answers).is_whole()).await;
        assess(config, &watcher.now())
    }

    /// Reads the acknowledged keys back and removes all; `None` where no master can be asked.
    async fn read_back(&mut self, keys: &Keys, logs: &[WriterLog], health: &Health) -> Option<Vec<String>> {
        let mut lost = Some(Vec::new());
        for (part, shard) in shards(&self.target.config).into_iter().enumerate() {
            let own: Vec<&WriterLog> = logs.iter().filter(|log| keys.part(log.writer) == part).collect();
            let gone = self.read_back_from(health.masters.get(&shard), keys, &own).await;
            lost = lost.zip(gone).map(|(lost, gone)| [lost, gone].concat());
        }
        lost
    }

    async fn read_back_from(
        &mut self,
        master: Option<&String>,
        keys: &Keys,
        logs: &[&WriterLog],
    ) -> Option<Vec<String>> {
        let Some(node) = master.and_then(|name| self.target.config.node(name)) else {
            self.note("no master to read the writes back from");
            return None;
        };
        let acknowledged: usize = logs.iter().map(|log| log.acks.len()).sum();
        self.note(format!("reading {acknowledged} acknowledged writes back from {}", node.name));
        let lost = readback::lost(self.target, node, keys, logs.iter().copied()).await;
        if let Err(error) = &lost {
            self.note(format!("{} could not be read: {error}", node.name));
        }
        if let Err(error) = readback::remove(self.target, node, keys, logs.iter().copied()).await {
            self.note(format!("keys could not be removed and expire within an hour: {error}"));
        }
        lost.ok()
    }

    fn result(
        self,
        keys: &Keys,
        logs: &[WriterLog],
        before: &Health,
        course: &Course,
        close: Close,
    ) -> DrillResult {
        let span = Span { event: course.event, end: close.end };
        let failover = last_failover(&close.answers, course.event_at);
        let lost_keys = close.lost.iter().flatten().take(MAX_LOST_KEYS).cloned().collect();
        DrillResult {
            id: keys.id.clone(),
            redis: self.target.config.name.clone(),
            scenario: self.drill.scenario,
            client: self.drill.client,
            writers: self.drill.writers,
            write_gap_ms: longest_pause(timeline(logs).into_iter(), span, PATIENCE).map(ceil_ms),
            worst_writer_gap_ms: worst_writer_pause(logs, span, PATIENCE).map(ceil_ms),
            acknowledged: logs.iter().map(|log| log.acks.len() as u64).sum(),
            failed: logs.iter().map(|log| log.failed).sum(),
            lost: close.lost.as_ref().map(|lost| lost.len() as u64),
            lost_keys,
            shard: only(&shards(&self.target.config)),
            master_before: before.master().map(str::to_owned),
            master_after: close.health.master().map(str::to_owned),
            healthy_after_ms: course.healthy_after.map(ceil_ms),
            troubles: close.health.troubles,
            failover_id: failover.map(|failover| failover.id.clone()),
            steps: failover.map(steps).unwrap_or_default(),
            log: self.log,
        }
    }
}

async fn strike(blow: &Blow, saboteur: &impl Saboteur) -> Result<(), DrillError> {
    match blow {
        Blow::Kill(servers) => {
            let kills = servers.iter().map(|server| saboteur.kill_server(server));
            futures::future::try_join_all(kills).await?;
        }
        Blow::Freeze(server) => saboteur.freeze_server(server).await?,
        Blow::KillAgent(agent) => saboteur.kill_agent(agent).await?,
        Blow::StopAgent(agent) => saboteur.stop_agent(agent).await?,
        Blow::Switchover(master) => {
            saboteur.switchover(master).await?;
        }
        Blow::Roll => saboteur.roll().await?,
    }
    Ok(())
}

/// The newest change of master since the event that any agent knows of. One that was given up changed nothing.
fn last_failover(answers: &Answers, event_at: Timestamp) -> Option<&Failover> {
    let since = event_at.checked_sub(CLOCK_SLACK).unwrap_or(event_at);
    answers
        .values()
        .flatten()
        .filter_map(|state| state.last_failover.as_ref())
        .filter(|failover| failover.outcome == Outcome::Done && failover.started_at >= since)
        .max_by_key(|failover| failover.started_at)
}

fn steps(failover: &Failover) -> Vec<Step> {
    failover.steps.iter().map(|step| Step { step: step.step.clone(), at_us: step.at_us }).collect()
}
