//! Failovers of either end while slots move, asked for and because its server died.
//!
//! Redis, and Valkey before 8, hand no open slot on to the node that is promoted: until the next run, its clients find
//! the keys that have gone already at neither end. So what is written meanwhile here are keys that were never there.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redoubt_redis::{Connection, Endpoint};
use redoubt_slots::{Access, Event, Stop};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    client::Client,
    harness::{Lab, PATIENCE, by_migrate},
    writers::{count, fill, filled},
};

const KEYS: usize = 20_000;
/// Slots that have gone when it happens.
const HALF: usize = 300;
/// A node gives its vote for a shard once in two node timeouts; one that was given to an election that failed is lost.
const ASKED_AGAIN: Duration = Duration::from_secs(8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Asked,
    Died,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_hands_over_loses_nothing() {
    survives(0, How::Asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_hands_over_loses_nothing() {
    survives(1, How::Asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_dies_and_is_replaced_loses_nothing() {
    survives(0, How::Died).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_dies_and_is_replaced_loses_nothing() {
    survives(1, How::Died).await;
}

/// Moves slots of the first master to the second, and has a replica take the place of one of them in the middle.
async fn survives(end: usize, how: How) {
    let mut lab = Lab::start(3, 1).await;
    fill(&lab, KEYS, 100).await;
    for master in 0..3 {
        let copies = lab.at(master, &["WAIT", "1", "20000"]).await;
        assert_eq!(copies.as_u64(), Ok(1));
    }
    let adders: Vec<Adder> = (0..3).map(|number| Adder::start(&lab, number)).collect();
    let before = lab.look().await;
    let old = before.find(&lab.servers[end].endpoint.to_string()).unwrap();
    let heir = lab.index(&before.replicas_of(&old.id).next().unwrap().endpoint);
    let (wanted, options) = (lab.plan(0, 1, 5000).await, by_migrate());
    let (half, is_half) = mpsc::channel(1);
    let (goes_on, may_go_on) = std::sync::mpsc::sync_channel(1);
    tokio::spawn(hand_over(lab.access.clone(), lab.servers[heir].endpoint.clone(), is_half, goes_on));
    let (closed, may_go_on) = (AtomicUsize::new(0), Mutex::new(may_go_on));
    // The mover stands still until this returns.
    let report = |event: Event| {
        if !matches!(event, Event::Slot { .. }) || closed.fetch_add(1, Ordering::Relaxed) != HALF {
            return;
        }
        match how {
            How::Asked => {
                half.try_send(()).unwrap();
                may_go_on.lock().unwrap().recv().unwrap();
            }
            How::Died => lab.servers[end].freeze(),
        }
    };
    let told = timeout(PATIENCE, lab.run_until(wanted, &options, Stop::never(), &report)).await;
    assert!(told.expect("it waits for ever").is_err());
    if how == How::Died {
        lab.servers[end].kill();
        until_leading(&mut lab.connect(heir).await, PATIENCE).await.unwrap();
        lab.servers[end].restart();
    }
    lab.repair().await.unwrap();
    lab.whole().await;
    filled(&lab, KEYS, 100).await;
    let mut there = KEYS;
    for adder in adders {
        let (added, lost) = adder.end().await;
        // What a master answers in its last moment it may not have sent to its replica yet.
        assert!(lost.len() <= usize::from(how == How::Died), "lost of {added}: {lost:?}");
        there += added - lost.len();
    }
    assert_eq!(count(&lab).await, there as u64);
}

/// What it has sent by then is at the target, and at its heir as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_dies_in_the_middle_of_a_batch_leaves_no_key_twice() {
    let mut lab = Lab::start(3, 1).await;
    fill(&lab, KEYS, 100).await;
    for master in 0..3 {
        let copies = lab.at(master, &["WAIT", "1", "20000"]).await;
        assert_eq!(copies.as_u64(), Ok(1));
    }
    let before = lab.look().await;
    let old = before.find(&lab.servers[2].endpoint.to_string()).unwrap();
    let heir = lab.index(&before.replicas_of(&old.id).next().unwrap().endpoint);
    let (wanted, options) = (lab.plan(2, 1, 5000).await, by_migrate());
    let (closed, frozen) = (AtomicUsize::new(0), tokio::sync::Notify::new());
    let report = |event: Event| {
        if matches!(event, Event::Slot { .. }) && closed.fetch_add(1, Ordering::Relaxed) == HALF {
            lab.servers[1].freeze();
            frozen.notify_one();
        }
    };
    let moving = timeout(PATIENCE, lab.run_until(wanted, &options, Stop::never(), &report));
    let dies = async {
        frozen.notified().await;
        let end = Instant::now() + PATIENCE;
        // It serves nobody while it waits for an answer to its MIGRATE.
        while timeout(Duration::from_millis(100), lab.at(2, &["PING"])).await.is_ok() {
            assert!(Instant::now() < end, "it sends nothing");
        }
        lab.servers[2].freeze();
        lab.servers[1].thaw();
    };
    let (told, ()) = tokio::join!(moving, dies);
    assert!(told.expect("it waits for ever").is_err());
    lab.servers[2].kill();
    until_leading(&mut lab.connect(heir).await, PATIENCE).await.unwrap();
    assert!(count(&lab).await > KEYS as u64, "no key is there twice");
    lab.repair().await.unwrap();
    lab.servers[2].restart();
    lab.whole().await;
    filled(&lab, KEYS, 100).await;
    assert_eq!(count(&lab).await, KEYS as u64);
}

/// Once it is told to, has a replica lead, and tells when it does.
async fn hand_over(
    access: Access,
    heir: Endpoint,
    mut when: mpsc::Receiver<()>,
    done: std::sync::mpsc::SyncSender<()>,
) {
    if when.recv().await.is_none() {
        return;
    }
    let mut heir = access.connect(&heir).await.unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        heir.call(&["CLUSTER", "FAILOVER"]).await.unwrap();
        if until_leading(&mut heir, ASKED_AGAIN).await.is_some() {
            done.send(()).unwrap();
            return;
        }
        assert!(Instant::now() < end, "the replica is not promoted");
    }
}

/// Waits until it leads.
async fn until_leading(heir: &mut Connection, limit: Duration) -> Option<()> {
    let end = Instant::now() + limit;
    loop {
        let role = heir.call(&["ROLE"]).await.unwrap().into_array().unwrap();
        if role[0].as_str() == Ok("master") {
            return Some(());
        }
        if Instant::now() > end {
            return None;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// A client that sets one new key after the other.
struct Adder {
    stop: Arc<AtomicBool>,
    task: JoinHandle<(Client, Vec<String>)>,
}

impl Adder {
    fn start(lab: &Lab, number: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut client, stopped) = (Client::new(&lab.access, lab.endpoints()), stop.clone());
        let task = tokio::spawn(async move {
            let mut added = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let key = format!("added:{number}:{}", added.len());
                client.call(&["SET", &key, &key]).await;
                added.push(key);
            }
            (client, added)
        });
        Self { stop, task }
    }

    /// Stops it, and looks for every key: how many it has added, and which of them are gone.
    async fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut client, added) = self.task.await.unwrap();
        let mut lost = Vec::new();
        for key in &added {
            if client.call(&["GET", key]).await.0.as_str() != Ok(key.as_str()) {
                lost.push(key.clone());
            }
        }
        (added.len(), lost)
    }
}
