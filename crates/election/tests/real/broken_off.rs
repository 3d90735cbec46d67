//! The candidate ends, or stalls for 2 s, at every single step; the other agents finish its work.

use std::{
    fmt::{Debug, Write as _},
    panic::panic_any,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use redoubt_election::{Request, change_master};
use redoubt_wire::failover::Cause;
use rustix::process::{Pid, Signal, kill_process};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber as _,
};
use tracing_subscriber::{
    layer::{Context as LayerContext, Layer, SubscriberExt as _},
    registry,
};

use crate::{
    agents::Agents,
    harness::{Lab, PATIENCE},
    writers::{Outcome, Writers},
};

/// What happens at that step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// The candidate dies.
    Dies,
    /// The candidate stalls.
    Stalls,
    /// The server that the step is for dies.
    KillsItsServer,
    /// The old master's server stands still for this long, milliseconds.
    FreezesMaster(u64),
}

/// When: before the first call of this kind is sent, or after its answer is there.
#[derive(Debug, Clone, Copy)]
enum When {
    Before(&'static str),
    After(&'static str),
}

/// Watches the candidate's log for the step, and strikes there. The machine logs each call before it is sent, and
/// each answer before anything follows from it.
struct Striker {
    when: When,
    blow: Blow,
    call: Mutex<Option<String>>,
    struck: Mutex<bool>,
    /// Processes of the nodes.
    nodes: Vec<(usize, Pid)>,
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{value:?} ");
    }
}

impl<S: Subscriber> Layer<S> for Striker {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        if self.is_due(&text.0) && !std::mem::replace(&mut *self.struck.lock().unwrap(), true) {
            match self.blow {
                Blow::Dies => panic_any("the candidate dies here"),
                Blow::Stalls => stall(Duration::from_secs(2)),
                Blow::KillsItsServer => self.kill_its_server(&text.0),
                Blow::FreezesMaster(time) => freeze(self.process(0), Duration::from_millis(time)),
            }
        }
    }
}

impl Striker {
    fn kill_its_server(&self, text: &str) {
        let (_, rest) = text.split_once("place: Node(").expect("the step is for a node");
        let node: usize = rest.split(')').next().unwrap().parse().unwrap();
        assert_ne!(node, 0, "a replica");
        kill_process(self.process(node), Signal::KILL).unwrap();
    }

    fn process(&self, node: usize) -> Pid {
        self.nodes.iter().find(|(other, _)| *other == node).expect("a node").1
    }

    fn is_due(&self, text: &str) -> bool {
        let asks = |step: &str| text.starts_with("asks") && text.contains(&format!("ask: {step}"));
        match self.when {
            When::Before(step) => asks(step),
            When::After(step) => {
                let mut call = self.call.lock().unwrap();
                if call.is_none() && asks(step) {
                    *call =
                        text.split_once("id: ").map(|(_, rest)| rest.split(',').next().unwrap().to_owned());
                    return false;
                }
                let answered =
                    |id: &String| text.starts_with("hears") && text.contains(&format!("{{ id: {id},"));
                call.as_ref().is_some_and(answered)
            }
        }
    }
}

/// As a process that is stopped: the whole thread stands still.
fn stall(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

/// The process stands still; nobody waits for it.
fn freeze(process: Pid, time: Duration) {
    kill_process(process, Signal::STOP).unwrap();
    thread::spawn(move || {
        stall(time);
        kill_process(process, Signal::CONT).unwrap();
    });
}

/// Runs a candidate in a thread of its own, and strikes it.
fn strike(lab: &Lab, request: Request, when: When, blow: Blow) -> thread::JoinHandle<()> {
    // In a crash the old master has no process any more.
    let nodes = if request.cause == Cause::Crash { 1..3 } else { 0..3 };
    let nodes: Vec<_> = nodes.map(|node| (node, lab.nodes[node].pid())).collect();
    let context = lab.context(0);
    let struck = Striker { when, blow, call: Mutex::default(), struck: Mutex::new(false), nodes };
    let subscriber = Arc::new(registry().with(struck));
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { change_master(&context, request).with_subscriber(subscriber).await });
    })
}

/// The set is whole again, and how long that took.
async fn heals(lab: &Lab) -> (usize, Duration) {
    let began = Instant::now();
    loop {
        if let Some(named) = lab.named_by_all().await
            && lab.nodes_follow(named).await
        {
            return (named, began.elapsed());
        }
        assert!(began.elapsed() < Duration::from_secs(20), "not healed; logs in {}", lab.dir().display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The agents' part of it takes 2.5 s at most; Sentinel would take 20 s. The rest is for a busy machine.
const HEALED: Duration = Duration::from_secs(8);

async fn crash(when: When, blow: Blow) -> Outcome {
    let mut lab = Lab::start().await;
    let _agents = Agents::start(&lab, &[1, 2]);
    let writers = Writers::start(&lab, 2).await;
    lab.nodes[0].kill();
    let candidate = strike(&lab, lab.request(Cause::Crash, 0), when, blow);
    end(&lab, writers, candidate, when, blow).await
}

async fn switchover(when: When, blow: Blow) -> Outcome {
    let lab = Lab::start().await;
    let _agents = Agents::start(&lab, &[0, 1, 2]);
    let writers = Writers::start(&lab, 2).await;
    let candidate = strike(&lab, lab.request(Cause::Switchover, 0), when, blow);
    end(&lab, writers, candidate, when, blow).await
}

async fn end(
    lab: &Lab,
    writers: Writers,
    candidate: thread::JoinHandle<()>,
    when: When,
    blow: Blow,
) -> Outcome {
    let began = Instant::now();
    tokio::time::sleep(Duration::from_millis(200)).await;
    heals(lab).await;
    let healed = began.elapsed();
    if blow == Blow::Stalls {
        // It wakes up, and finds its election held without it.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        tokio::task::spawn_blocking(move || candidate.join().is_ok()).await.unwrap();
    }
    let (master, _) = heals(lab).await;
    writers.go_on(Duration::from_millis(200)).await;
    let outcome = writers.finish(lab, master).await;
    println!(
        "{blow:?} {when:?}: healed after {healed:?}, gap {:?}, {} acknowledged, {} lost, cart-{master} leads",
        outcome.gap, outcome.acknowledged, outcome.lost
    );
    assert!(healed < HEALED, "{blow:?} {when:?}: healed after {healed:?}");
    outcome
}

const CRASH: [When; 8] = [
    When::Before("Vote"),
    When::After("Vote"),
    When::Before("Promote"),
    When::After("Promote"),
    When::Before("Announce"),
    When::After("Announce"),
    When::Before("Follow"),
    When::After("Follow"),
];

const SWITCHOVER: [When; 11] = [
    When::After("Vote"),
    When::Before("Pause"),
    When::After("Pause"),
    When::Before("Promote"),
    When::After("Promote"),
    When::Before("Follow"),
    When::After("Follow"),
    When::Before("Announce"),
    When::After("Announce"),
    When::Before("Release"),
    When::After("Release"),
];

#[tokio::test]
async fn a_candidate_that_dies_at_any_step_of_a_crash_is_rescued_without_loss() {
    for when in CRASH {
        crash(when, Blow::Dies).await.lost_no_more_than_a_kill_does();
    }
}

#[tokio::test]
async fn a_candidate_that_dies_at_any_step_of_a_hand_over_is_rescued_without_loss() {
    for when in SWITCHOVER {
        assert_eq!(switchover(when, Blow::Dies).await.lost, 0, "{when:?}");
    }
}

#[tokio::test]
async fn a_candidate_that_stalls_at_any_step_of_a_crash_does_no_harm() {
    for when in CRASH {
        crash(when, Blow::Stalls).await.lost_no_more_than_a_kill_does();
    }
}

#[tokio::test]
async fn a_candidate_that_stalls_at_any_step_of_a_hand_over_does_no_harm() {
    for when in SWITCHOVER {
        assert_eq!(switchover(when, Blow::Stalls).await.lost, 0, "{when:?}");
    }
}

/// What the frozen server had read or had in its sockets it may still acknowledge when it wakes up: one write of each
/// client at most. Its agent would end it after `hangLimit`, 3 s.
#[tokio::test]
async fn a_master_that_stands_still_at_its_demotion_acknowledges_no_more_than_what_lay_in_its_sockets() {
    for when in [When::Before("Promote"), When::After("Promote"), When::Before("Follow")] {
        for time in [500, 1500, 2800] {
            let outcome = switchover(when, Blow::FreezesMaster(time)).await;
            assert!(outcome.lost <= 4, "{when:?} {time} ms: {} lost", outcome.lost);
        }
    }
}

/// The chosen replica takes the promotion with it into its grave: the other one leads, or the chosen one was announced
/// already and is replaced as any master is.
#[tokio::test]
async fn a_replica_that_dies_at_its_promotion_is_replaced_by_the_other() {
    for when in [When::Before("Promote"), When::After("Promote")] {
        let mut lab = Lab::start().await;
        let agents = Agents::start(&lab, &[1, 2]);
        let writers = Writers::start(&lab, 1).await;
        lab.nodes[0].kill();
        let candidate = strike(&lab, lab.request(Cause::Crash, 0), when, Blow::KillsItsServer);
        let began = Instant::now();
        let dead = loop {
            if let Some(dead) = [1, 2].into_iter().find(|node| lab.nodes[*node].has_ended()) {
                break dead;
            }
            assert!(began.elapsed() < PATIENCE, "{when:?}: nobody was promoted");
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        lab.nodes[dead].kill();
        let (master, healed) = heals(&lab).await;
        println!("{when:?}: cart-{master} leads {healed:?} after the death of cart-{dead}");
        assert_eq!(master, 3 - dead, "{when:?}");
        assert!(healed < HEALED, "{when:?}: healed after {healed:?}");
        drop(agents);
        tokio::task::spawn_blocking(move || candidate.join().unwrap()).await.unwrap();
        for node in [0, dead] {
            lab.start_node(node, Some(master));
        }
        lab.whole(master).await;
        let outcome = writers.finish(&lab, master).await;
        // What lay between a reply and the replicas when the master ended: one write of each client at most.
        assert!(outcome.lost <= 2, "{when:?}: {} of {}", outcome.lost, outcome.acknowledged);
    }
}
