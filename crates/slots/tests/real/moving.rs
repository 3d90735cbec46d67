//! Moves while clients write.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redoubt_redis::cluster::key_slot;
use redoubt_slots::{Event, Guard, Mover, Options, Stop, plan};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    harness::{Lab, Server, by_migrate},
    writers::{Writers, count, fill, filled},
};

/// A loop of moves between two masters while the writers work, until they have made enough changes.
pub(crate) async fn back_and_forth(lab: &Lab, options: &Options, changes: u64) {
    let writers = Writers::start(lab, 4);
    writers.more(200).await;
    while writers.changes() < changes {
        for (from, to) in [(0, 1), (1, 0)] {
            let moves = lab.plan(from, to, 1500).await;
            assert_eq!(lab.run(moves, options).await.unwrap().slots, 1500);
        }
    }
    let live = writers.end().await;
    lab.whole().await;
    assert_eq!(count(lab).await, live, "keys of nobody, or too few");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_duplicated_or_resurrected_under_writers() {
    let lab = Lab::start(3, 0).await;
    back_and_forth(&lab, &by_migrate(), 8000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_replicas_and_a_password_is_moved_alike() {
    let lab = Lab::with(3, 1, &["--requirepass", "s3cret", "--masterauth", "s3cret"], Some("s3cret")).await;
    back_and_forth(&lab, &Options::default(), 3000).await;
}

/// Valkey 8 and later asks a master's replicas first, for 2 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_answer_late_do_not_end_a_move() {
    let lab = Lab::start(3, 1).await;
    fill(&lab, 3000, 100).await;
    let moves = lab.plan(0, 1, 1000).await;
    let cluster = lab.look().await;
    let replicas: Vec<&Server> = cluster
        .nodes
        .iter()
        .filter(|node| !node.is_master)
        .map(|node| &lab.servers[lab.index(&node.endpoint)])
        .collect();
    let guard = Guard::take(&lab.access, &cluster).await.unwrap();
    let (access, options) = (&lab.access, &by_migrate());
    let work = Mover { access, cluster: &cluster, options, report: &|_| {} };
    for replica in &replicas {
        replica.freeze();
    }
    let awake = async {
        sleep(Duration::from_secs(3)).await;
        for replica in &replicas {
            replica.thaw();
        }
    };
    let begun = Instant::now();
    let (summary, ()) = tokio::join!(work.run(&guard, moves, Stop::never()), awake);
    assert_eq!(summary.unwrap().slots, 1000);
    let version = cluster.nodes[0].view.as_ref().unwrap().version.unwrap();
    assert!(!version.has_valkey(8, 0) || begun.elapsed() >= Duration::from_secs(2), "nobody was late");
    drop(guard);
    lab.whole().await;
    filled(&lab, 3000, 100).await;
}

/// MIGRATE of two servers to each other stands still until its time-out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_both_ways_do_not_stand_still() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, 20_000, 100).await;
    let mut moves = lab.plan(0, 1, 2000).await;
    moves.extend(lab.plan(1, 0, 2000).await);
    moves.extend(
        lab.plan(1, 2, 1000)
            .await
            .into_iter()
            .map(|one| plan::Move { slots: one.slots.iter().map(|slot| slot + 2000).collect(), ..one }),
    );
    moves.extend(lab.plan(2, 0, 1000).await);
    let begun = Instant::now();
    assert_eq!(lab.run(moves, &by_migrate()).await.unwrap().slots, 6000);
    // The prototype took 26 s for a tenth of it, by time-outs of 2 s.
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    lab.whole().await;
    filled(&lab, 20_000, 100).await;
}

/// 7.0 makes it a replica of the target once its last slot is gone, and then refuses SETSLOT.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_master_may_turn_into_a_replica() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, 5000, 100).await;
    let slots = lab.look().await.masters().next().unwrap().slots.len();
    let summary = lab.run(lab.plan(0, 1, slots).await, &by_migrate()).await.unwrap();
    assert_eq!((summary.slots, summary.stopped), (slots, false));
    lab.whole().await;
    filled(&lab, 5000, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_leaves_no_open_slot() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, 30_000, 100).await;
    let (ask, asked) = watch::channel(false);
    let closed = AtomicUsize::new(0);
    let report = |event: Event| {
        if matches!(event, Event::Slot { .. }) && closed.fetch_add(1, Ordering::Relaxed) == 100 {
            ask.send(true).unwrap();
        }
    };
    let moves = lab.plan(0, 1, 5000).await;
    let summary = lab.run_until(moves, &Options::default(), Stop::new(asked), &report).await.unwrap();
    assert!(summary.stopped && summary.slots < 5000, "{summary:?}");
    assert_eq!(lab.look().await.open().count(), 0);
    lab.whole().await;
    filled(&lab, 30_000, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn big_keys_are_told_and_moved() {
    let lab = Lab::start(3, 0).await;
    // In slot 0 of the first master.
    let mut names = (0..u32::MAX).map(|number| format!("big:{number}"));
    let name = names.find(|name| key_slot(name.as_bytes()) < 1000).unwrap();
    lab.at(0, &["SET", &name, &"x".repeat(3_000_000)]).await;
    fill(&lab, 2000, 10).await;
    let told = Mutex::new(BTreeSet::new());
    let report = |event: Event| {
        if let Event::BigKey { key, bytes, .. } = event {
            assert!(bytes >= 3_000_000);
            told.lock().unwrap().insert(key);
        }
    };
    lab.run_until(lab.plan(0, 1, 1000).await, &by_migrate(), Stop::never(), &report).await.unwrap();
    assert_eq!(told.into_inner().unwrap(), BTreeSet::from([name.clone()]));
    assert_eq!(lab.at(1, &["STRLEN", &name]).await.as_u64(), Ok(3_000_000));
    filled(&lab, 2000, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_kept() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, 3000, 1000).await;
    let options = Options { rate: std::num::NonZeroU64::new(400_000), ..by_migrate() };
    let begun = Instant::now();
    let sent = AtomicU32::new(0);
    let report = |event: Event| {
        if let Event::Keys { bytes, .. } = event {
            sent.fetch_add(u32::try_from(bytes).unwrap(), Ordering::Relaxed);
        }
    };
    lab.run_until(lab.plan(0, 1, 5461).await, &options, Stop::never(), &report).await.unwrap();
    let least = Duration::from_secs_f64(f64::from(sent.load(Ordering::Relaxed)) / 400_000.0 * 0.8);
    assert!(least > Duration::from_secs(1) && begun.elapsed() > least, "{:?} of {least:?}", begun.elapsed());
}
