//! Movers that were killed: before and after each SETSLOT, and anywhere else.

use redoubt_slots::{Event, Stop};

use crate::{
    harness::{Lab, by_migrate},
    writers::{Writers, count, fill, filled, tag_of},
};

/// Where a mover was when it died, with some of the slot's keys moved or none.
#[derive(Debug, Clone, Copy)]
enum Point {
    Importing,
    Migrating,
    HalfMoved,
    AllMoved,
    OwnedByTarget,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_is_finished_or_taken_back_wherever_its_mover_died() {
    let lab = Lab::start(3, 0).await;
    let (source, target) = (lab.id(0).await, lab.id(1).await);
    let points =
        [Point::Importing, Point::Migrating, Point::HalfMoved, Point::AllMoved, Point::OwnedByTarget];
    let mut keys = Vec::new();
    for (slot, point) in (100u16..).zip(points) {
        let tag = tag_of(slot);
        let names: Vec<String> = (0..20).map(|number| format!("{{{tag}}}:{number}")).collect();
        for name in &names {
            lab.at(0, &["SET", name, &point_name(point)]).await;
        }
        stop_at(&lab, slot, point, (&source, &target), &names).await;
        keys.push((point, names));
    }
    lab.repair().await.unwrap();
    lab.whole().await;
    let mut client = crate::client::Client::new(&lab.access, lab.endpoints());
    for (point, names) in keys {
        for name in names {
            assert_eq!(
                client.call(&["GET", &name]).await.0.as_str(),
                Ok(point_name(point).as_str()),
                "{name}"
            );
        }
    }
    assert_eq!(count(&lab).await, 100);
}

fn point_name(point: Point) -> String {
    format!("{point:?}")
}

async fn stop_at(lab: &Lab, slot: u16, point: Point, (source, target): (&str, &str), names: &[String]) {
    lab.setslot(1, slot, &["IMPORTING", source]).await;
    if matches!(point, Point::Importing) {
        return;
    }
    lab.setslot(0, slot, &["MIGRATING", target]).await;
    let moved = match point {
        Point::HalfMoved => names.len() / 2,
        Point::AllMoved | Point::OwnedByTarget => names.len(),
        _ => return,
    };
    let host = &lab.servers[1].endpoint.host;
    let mut words = vec!["MIGRATE", host, "6379", "", "0", "5000", "KEYS"];
    words.extend(names[..moved].iter().map(String::as_str));
    lab.at(0, &words).await;
    if matches!(point, Point::OwnedByTarget) {
        lab.setslot(1, slot, &["NODE", target]).await;
    }
}

/// As after two failovers of the source: it owns the slot, and takes new keys of it that the mover has not seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_its_source_no_longer_gives_stays_with_it() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, 2000, 10).await;
    let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
    let (taken_back, is_taken_back) = std::sync::mpsc::sync_channel(1);
    let mut source = lab.connect(0).await;
    tokio::spawn(async move {
        has_begun.recv().await.unwrap();
        let stable =
            |slot: u16| ["CLUSTER", "SETSLOT", &slot.to_string(), "STABLE"].map(str::to_owned).to_vec();
        let commands: Vec<Vec<String>> = (0..20).map(stable).collect();
        assert!(source.pipeline(&commands).await.unwrap().iter().all(Result::is_ok));
        taken_back.send(()).unwrap();
    });
    let is_taken_back = std::sync::Mutex::new(is_taken_back);
    // The mover waits until this returns.
    let report = |event: Event| {
        if matches!(event, Event::Keys { .. }) && begun.try_send(()).is_ok() {
            is_taken_back.lock().unwrap().recv().ok();
        }
    };
    let (wanted, options) = (lab.plan(0, 1, 20).await, by_migrate());
    let refused = lab.run_until(wanted, &options, Stop::never(), &report).await.unwrap_err().to_string();
    assert!(refused.contains("the master that gives the slot"), "{refused}");
    let source = lab.servers[0].endpoint.clone();
    lab.repair().await.unwrap();
    let cluster = lab.whole().await;
    assert!((0..20).any(|slot| cluster.owner(slot).unwrap().endpoint == source));
    filled(&lab, 2000, 10).await;
}

/// Clients delete and change keys all the time; what an abandoned MIGRATE left behind must not come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_cut_off_anywhere_loses_nothing() {
    let lab = Lab::start(3, 0).await;
    let writers = Writers::start(&lab, 4);
    writers.more(500).await;
    for round in 0..12 {
        let wanted = lab.plan(usize::from(round % 2 == 1), usize::from(round % 2 == 0), 2000).await;
        let (seen, mut events) = tokio::sync::watch::channel(0);
        let report = |_| seen.send_modify(|count| *count += 1);
        let options = by_migrate();
        // There are 2000 events at least, one for each slot.
        tokio::select! {
            ended = lab.run_until(wanted, &options, Stop::never(), &report) => panic!("not cut off: {ended:?}"),
            reached = events.wait_for(|count| *count > round * 70) => { reached.unwrap(); }
        }
        lab.repair().await.unwrap();
    }
    let live = writers.end().await;
    lab.whole().await;
    assert_eq!(count(&lab).await, live);
}
