//! One single Sentinel: nobody else in whose name to announce.

use std::time::Duration;

use redoubt_election::{Verdict, change_master};
use redoubt_wire::failover::Cause;

use crate::{
    harness::{Lab, Shape},
    writers::Writers,
};

async fn lab() -> Lab {
    Lab::shaped(Shape { sentinels: 1, ..Shape::default() }).await
}

#[tokio::test]
async fn a_crash_under_a_single_sentinel_falls_back_to_its_own_failover() {
    let mut lab = lab().await;
    let writers = Writers::start(&lab, 2).await;
    let request = lab.request(Cause::Crash, 0);
    lab.nodes[0].kill();
    let report = change_master(&lab.context(0), request).await;
    assert_eq!(report.verdict, Verdict::Done, "{report:?}");
    assert!(report.failover.steps.iter().any(|step| step.step == "sentinel-failover"), "{report:?}");
    assert!(report.failover.votes.is_empty());
    let new = lab.index_of(report.failover.new_master.as_ref().unwrap());
    lab.whole(new).await;
    let outcome = writers.finish(&lab, new).await;
    println!("gap {:?}", outcome.gap);
    outcome.lost_no_more_than_a_kill_does();
    assert!(outcome.gap < Duration::from_secs(4), "{:?}", outcome.gap);
}

#[tokio::test]
async fn a_hand_over_under_a_single_sentinel_loses_no_acknowledged_write() {
    let lab = lab().await;
    let writers = Writers::start(&lab, 2).await;
    let report = change_master(&lab.context(0), lab.request(Cause::Switchover, 0)).await;
    assert_eq!(report.verdict, Verdict::Done, "{report:?}");
    let new = lab.index_of(report.failover.new_master.as_ref().unwrap());
    writers.go_on(Duration::from_millis(300)).await;
    lab.whole(new).await;
    let outcome = writers.finish(&lab, new).await;
    println!("gap {:?}, {report:?}", outcome.gap);
    assert_eq!(outcome.lost, 0, "of {}", outcome.acknowledged);
}

#[tokio::test]
async fn a_single_sentinel_cannot_be_told_whom_to_choose() {
    let lab = lab().await;
    let mut request = lab.request(Cause::Switchover, 0);
    request.to = Some("cart-2".to_owned());
    let report = change_master(&lab.context(0), request).await;
    assert!(report.verdict.why().is_some_and(|why| why.contains("single Sentinel")), "{report:?}");
    assert_eq!(lab.masters().await, [0]);
}
