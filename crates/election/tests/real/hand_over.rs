//! The master lives, and hands over.

use std::time::Duration;

use redoubt_election::{Verdict, change_master};
use redoubt_wire::failover::Cause;

use crate::{harness::Lab, writers::Writers};

#[tokio::test]
async fn ten_hand_overs_lose_no_acknowledged_write_and_cause_no_full_copy() {
    let lab = Lab::start().await;
    let contexts: Vec<_> = (0..3).map(|node| lab.context(node)).collect();
    let (writers, full_syncs) = (Writers::start(&lab, 4).await, lab.full_syncs().await);
    let mut master = 0;
    for round in 0..10 {
        let report = change_master(&contexts[master], lab.request(Cause::Switchover, master)).await;
        assert_eq!(report.verdict, Verdict::Done, "round {round}: {report:?}");
        assert_eq!(report.failover.bytes_behind(), Some(0), "{report:?}");
        master = lab.index_of(report.failover.new_master.as_ref().unwrap());
        writers.go_on(Duration::from_millis(150)).await;
        lab.whole(master).await;
    }
    let outcome = writers.finish(&lab, master).await;
    println!("gap {:?}, {} acknowledged", outcome.gap, outcome.acknowledged);
    assert_eq!(outcome.lost, 0, "of {}", outcome.acknowledged);
    assert_eq!(lab.full_syncs().await, full_syncs, "a replica took a full copy");
    assert!(outcome.gap < Duration::from_millis(1500), "{:?}", outcome.gap);
}

#[tokio::test]
async fn a_node_that_was_asked_for_leads() {
    let lab = Lab::start().await;
    let mut request = lab.request(Cause::Switchover, 0);
    request.to = Some("cart-2".to_owned());
    let report = change_master(&lab.context(0), request).await;
    assert_eq!(report.verdict, Verdict::Done, "{report:?}");
    lab.whole(2).await;
}

#[tokio::test]
async fn a_node_that_cannot_lead_is_refused_and_nothing_is_touched() {
    let mut lab = Lab::start().await;
    lab.nodes[2].kill();
    lab.node(1).await.config_set(&[("replica-priority", "0")]).await.unwrap();
    for (to, why) in [
        ("cart-9", "there is no node cart-9"),
        ("cart-0", "cart-0 is the master already"),
        ("cart-1", "replica-priority 0"),
        ("cart-2", "does not answer"),
    ] {
        let mut request = lab.request(Cause::Switchover, 0);
        request.to = Some(to.to_owned());
        let report = change_master(&lab.context(0), request).await;
        assert!(report.verdict.why().is_some_and(|said| said.contains(why)), "{to}: {report:?}");
        assert!(report.failover.epoch.is_none(), "a vote was asked for");
    }
    assert_eq!(lab.masters().await, [0]);
}

#[tokio::test]
async fn a_replica_that_does_not_catch_up_makes_the_master_go_on() {
    let lab = Lab::start().await;
    lab.nodes[1].freeze();
    lab.nodes[2].freeze();
    let report = change_master(&lab.context(0), lab.request(Cause::Switchover, 0)).await;
    assert!(matches!(report.verdict, Verdict::RetryAfter { .. }), "{report:?}");
    lab.nodes[1].thaw();
    lab.nodes[2].thaw();
    lab.whole(0).await;
    lab.node(0).await.call(&["SET", "still", "writable"]).await.unwrap();
}
