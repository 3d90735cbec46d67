//! Movers that were killed: before and after each SETSLOT, and anywhere else.

use redoubt_slots::Stop;

use crate::{
    harness::{Lab, by_migrate},
    writers::{Writers, count, tag_of},
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
