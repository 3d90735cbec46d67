//! The servers' own migration, where the server under test has it.

use std::sync::Mutex;

use redoubt_slots::{Event, Method, Options, Stop};
use tokio::sync::watch;

use crate::{
    harness::Lab,
    writers::{Writers, count, fill, filled},
};

fn atomic() -> Options {
    Options { method: Method::Atomic, ..Options::default() }
}

/// Elsewhere it is refused, with nothing moved.
async fn has_it(lab: &Lab) -> bool {
    let cluster = lab.look().await;
    let version = cluster.masters().next().unwrap().view.as_ref().unwrap().version.unwrap();
    if !version.has_valkey(9, 0) {
        let refused = lab.run(lab.plan(0, 1, 10).await, &atomic()).await.unwrap_err().to_string();
        assert!(refused.contains("Valkey 9"), "{refused}");
    }
    version.has_valkey(9, 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn atomic_moves_lose_nothing_under_writers() {
    let lab = Lab::start(3, 0).await;
    if !has_it(&lab).await {
        return;
    }
    let writers = Writers::start(&lab, 4);
    writers.more(200).await;
    for (from, to) in [(0, 1), (1, 0), (0, 2)] {
        assert_eq!(lab.run(lab.plan(from, to, 1500).await, &atomic()).await.unwrap().slots, 1500);
        assert_eq!(lab.look().await.open().count(), 0);
    }
    let live = writers.end().await;
    lab.whole().await;
    assert_eq!(count(&lab).await, live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_atomic_move_leaves_its_slots_where_they_are() {
    let lab = Lab::start(3, 0).await;
    if !has_it(&lab).await {
        return;
    }
    fill(&lab, 20_000, 1000).await;
    let (ask, asked) = watch::channel(false);
    let ask = Mutex::new(ask);
    let report = |event: Event| {
        if matches!(event, Event::Slot { .. }) {
            ask.lock().unwrap().send(true).unwrap();
        }
    };
    let summary =
        lab.run_until(lab.plan(0, 1, 5000).await, &atomic(), Stop::new(asked), &report).await.unwrap();
    assert!(summary.stopped && (512..5000).contains(&summary.slots), "{summary:?}");
    lab.whole().await;
    filled(&lab, 20_000, 1000).await;
}

/// The sources have no password for the target: their migrations fail at once, and MIGRATE has ours. Both go to one target,
/// which opens no slot by hand while any other migration goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_servers_cannot_move_goes_by_migrate() {
    let lab = Lab::with(3, 0, &["--requirepass", "s3cret"], Some("s3cret")).await;
    if !has_it(&lab).await {
        return;
    }
    fill(&lab, 3000, 100).await;
    let refused = lab.run(lab.plan(0, 1, 600).await, &atomic()).await.unwrap_err().to_string();
    assert!(refused.contains("failed"), "{refused}");
    let told = Mutex::new(Vec::new());
    let report = |event: Event| {
        if let Event::FallsBack { why } = event {
            told.lock().unwrap().push(why);
        }
    };
    let moves = [lab.plan(0, 1, 600).await, lab.plan(2, 1, 600).await].concat();
    let summary = lab.run_until(moves, &Options::default(), Stop::never(), &report).await.unwrap();
    assert_eq!((summary.slots, summary.stopped), (1200, false));
    assert_eq!(told.into_inner().unwrap().len(), 2);
    lab.whole().await;
    filled(&lab, 3000, 100).await;
}
