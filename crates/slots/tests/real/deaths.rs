//! Servers that die or hang while slots move.

use std::time::Duration;

use redoubt_slots::{Event, Stop};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    harness::{Lab, PATIENCE, by_migrate},
    writers::{count, fill, filled},
};

/// What is acknowledged is on disk.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];
const KEYS: usize = 20_000;

/// Begins a move of the first master's slots to the second, and stops one of them in the middle.
async fn killed(victim: usize) -> Lab {
    let mut lab = Lab::with(3, 0, &DURABLE, None).await;
    fill(&lab, KEYS, 100).await;
    let wanted = lab.plan(0, 1, 5000).await;
    let (seen, mut closed) = tokio::sync::mpsc::channel(10_000);
    let report = move |event: Event| {
        if matches!(event, Event::Slot { .. }) {
            seen.try_send(()).ok();
        }
    };
    let options = by_migrate();
    let mut running = Box::pin(async {
        let cluster = lab.look().await;
        let guard = redoubt_slots::Guard::take(&lab.access, &cluster).await.unwrap();
        let mover = redoubt_slots::Mover {
            access: &lab.access,
            cluster: &cluster,
            options: &options,
            report: &report,
        };
        mover.run(&guard, wanted, Stop::never()).await
    });
    let half = async {
        for _ in 0..300 {
            closed.recv().await.unwrap();
        }
    };
    tokio::select! {
        result = &mut running => panic!("it ended before the death: {result:?}"),
        () = half => {}
    }
    let pid = lab.servers[victim].endpoint.clone();
    lab.servers[victim].freeze();
    let told = timeout(PATIENCE, running).await.expect("it waits for a dead server for ever");
    let error = told.unwrap_err().to_string();
    assert!(error.contains(&pid.host) || error.contains(&lab.servers[0].endpoint.host), "{error}");
    lab.servers[victim].kill();
    lab.servers[victim].restart();
    lab
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_source_loses_nothing() {
    let lab = killed(0).await;
    lab.repair().await.unwrap();
    lab.whole().await;
    filled(&lab, KEYS, 100).await;
    assert_eq!(count(&lab).await, KEYS as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_target_loses_nothing() {
    let lab = killed(1).await;
    lab.repair().await.unwrap();
    lab.whole().await;
    filled(&lab, KEYS, 100).await;
    assert_eq!(count(&lab).await, KEYS as u64);
}

/// Its kernel has taken what MIGRATE sent, and brings it when it wakes up; the mover tries again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_hangs_for_a_moment_is_waited_for() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, KEYS, 100).await;
    for round in 1..=3 {
        let (seen, mut begun) = tokio::sync::watch::channel(0);
        let report = |event: Event| {
            if matches!(event, Event::Keys { .. }) {
                seen.send_modify(|count| *count += 1);
            }
        };
        let (wanted, options) = (lab.plan(0, 1, 1500).await, by_migrate());
        let moving = lab.run_until(wanted, &options, Stop::never(), &report);
        let hang = async {
            begun.wait_for(|count| *count >= round * 5).await.unwrap();
            lab.servers[1].freeze();
            until_unanswered(&lab, round).await;
            lab.servers[1].thaw();
        };
        let (moved, ()) = tokio::join!(moving, hang);
        // Where it took too long to wake up, the mover has given up: then the repair finishes what is open.
        moved.ok();
        lab.repair().await.unwrap();
        lab.whole().await;
        let owned = lab.look().await.find(&lab.servers[1].endpoint.to_string()).unwrap().slots.len();
        lab.run(lab.plan(1, 0, owned - 5462).await, &options).await.unwrap();
    }
    lab.whole().await;
    filled(&lab, KEYS, 100).await;
    assert_eq!(count(&lab).await, KEYS as u64);
}

/// Waits until so many MIGRATE of the first server were not answered by their target.
async fn until_unanswered(lab: &Lab, wanted: u64) {
    let end = Instant::now() + PATIENCE;
    loop {
        let info = lab.at(0, &["INFO", "errorstats"]).await;
        let count =
            info.as_str().unwrap().lines().find_map(|line| line.strip_prefix("errorstat_IOERR:count="));
        if count.is_some_and(|count| count.trim().parse::<u64>().unwrap() >= wanted) {
            return;
        }
        assert!(Instant::now() < end, "no MIGRATE was left without an answer");
        sleep(Duration::from_millis(10)).await;
    }
}
