//! The master's server ends.

use std::time::Duration;

use redoubt_election::{Verdict, change_master};
use redoubt_wire::failover::{Cause, Outcome};

use crate::{harness::Lab, writers::Writers};

/// Under load of other tests, with a second vote when the first came back too late; alone it takes some 15 ms. Sentinel
/// takes 6 s.
const GAP: Duration = Duration::from_secs(4);

/// Sentinels that ask at the same moment split their votes, and come again after twice `failover-timeout`, 20 s: as long as
/// three such rounds in a row take.
const BY_SENTINEL: Duration = Duration::from_secs(90);

#[tokio::test]
async fn a_crash_of_the_master_loses_nothing_that_was_replicated() {
    let mut lab = Lab::start().await;
    let writers = Writers::start(&lab, 4).await;
    let request = lab.request(Cause::Crash, 0);
    lab.nodes[0].kill();
    let report = change_master(&lab.context(0), request).await;
    assert_eq!(report.verdict, Verdict::Done, "{report:?}");
    let new = lab.index_of(report.failover.new_master.as_ref().unwrap());
    writers.go_on(Duration::from_millis(500)).await;
    lab.whole(new).await;

    let outcome = writers.finish(&lab, new).await;
    println!("gap {:?}, {} acknowledged, {:?}", outcome.gap, outcome.acknowledged, report.failover);
    outcome.lost_no_more_than_a_kill_does();
    assert!(outcome.gap < GAP, "{:?}", outcome.gap);
    assert_eq!(report.failover.outcome, Outcome::Done);
    assert!(report.failover.votes.len() >= 2 && report.failover.epoch == Some(1), "{:?}", report.failover);

    lab.start_node(0, Some(new));
    lab.whole(new).await;
}

#[tokio::test]
async fn ten_crashes_in_a_row_lose_nothing_that_was_replicated() {
    let mut lab = Lab::start().await;
    let writers = Writers::start(&lab, 2).await;
    let (mut master, mut epoch) = (0, Some(0));
    for round in 1..=10 {
        let request = lab.request(Cause::Crash, master);
        lab.nodes[master].kill();
        let report = change_master(&lab.context(master), request).await;
        assert_eq!(report.verdict, Verdict::Done, "round {round}: {report:?}");
        assert!(report.failover.epoch > epoch, "after epoch {epoch:?}: {report:?}");
        epoch = report.failover.epoch;
        let new = lab.index_of(report.failover.new_master.as_ref().unwrap());
        lab.start_node(master, Some(new));
        lab.whole(new).await;
        master = new;
        writers.go_on(Duration::from_millis(100)).await;
    }
    // On a busy machine a vote may come back too old to act on, and the next epoch has another.
    assert!(epoch <= Some(2 * 10), "{epoch:?}: epochs were wasted");
    let outcome = writers.finish(&lab, master).await;
    println!("gap {:?}, {} acknowledged", outcome.gap, outcome.acknowledged);
    // Between the reply to a client and the bytes to the replicas lie some microseconds: one write of each writer.
    assert!(outcome.lost <= 2, "{} of {}", outcome.lost, outcome.acknowledged);
    assert!(outcome.gap < GAP, "{:?}", outcome.gap);
}

#[tokio::test]
async fn three_candidates_at_once_elect_one() {
    let mut lab = Lab::start().await;
    let requests = [Cause::Crash, Cause::Rescue, Cause::Rescue].map(|cause| lab.request(cause, 0));
    let contexts = [0, 1, 2].map(|node| lab.context(node));
    lab.nodes[0].kill();
    let [first, second, third] = requests;
    let reports = tokio::join!(
        change_master(&contexts[0], first),
        change_master(&contexts[1], second),
        change_master(&contexts[2], third),
    );
    let reports = [reports.0, reports.1, reports.2];
    let done = reports.iter().filter(|report| report.verdict == Verdict::Done).count();
    assert_eq!(done, 1, "{reports:?}");
    let masters = lab.masters().await;
    assert_eq!(masters.len(), 1);
    lab.whole(masters[0]).await;
}

#[tokio::test]
async fn without_a_majority_nothing_is_promoted_until_sentinel_itself_is_back() {
    let mut lab = Lab::start().await;
    let writers = Writers::start(&lab, 1).await;
    let request = lab.request(Cause::Crash, 0);
    for sentinel in [0, 1] {
        lab.sentinels[sentinel].kill();
    }
    lab.nodes[0].kill();
    let report = change_master(&lab.context(0), request).await;
    assert!(matches!(report.verdict, Verdict::RetryAfter { .. }), "{report:?}");
    assert!(lab.masters().await.is_empty());
    assert_eq!(report.failover.epoch, None, "votes were asked for in vain");

    for sentinel in [0, 1] {
        lab.start_sentinel(sentinel);
    }
    let new = by_sentinel_alone(&lab, 0).await;
    lab.start_node(0, Some(new));
    lab.whole(new).await;
    let outcome = writers.finish(&lab, new).await;
    // One write of each writer may have lain between the reply and the replicas.
    assert!(outcome.lost <= 2, "{} of {}", outcome.lost, outcome.acknowledged);
}

#[tokio::test]
async fn a_frozen_sentinel_does_not_hold_an_election_up() {
    let mut lab = Lab::start().await;
    let request = lab.request(Cause::Crash, 0);
    lab.sentinels[1].freeze();
    lab.nodes[0].kill();
    let report = change_master(&lab.context(0), request).await;
    assert_eq!(report.verdict, Verdict::Done, "{report:?}");
    assert!(report.failover.duration_ms < 500, "{report:?}");
    lab.sentinels[1].thaw();
    lab.whole(lab.index_of(report.failover.new_master.as_ref().unwrap())).await;
}

#[tokio::test]
async fn sentinel_still_fails_over_by_itself_afterwards() {
    let mut lab = Lab::start().await;
    let request = lab.request(Cause::Crash, 0);
    lab.nodes[0].kill();
    let report = change_master(&lab.context(0), request).await;
    let new = lab.index_of(report.failover.new_master.as_ref().unwrap());
    lab.start_node(0, Some(new));
    lab.whole(new).await;

    lab.nodes[new].kill();
    by_sentinel_alone(&lab, new).await;
}

/// Waits until every Sentinel names another master than this one, without any agent's help.
async fn by_sentinel_alone(lab: &Lab, old: usize) -> usize {
    let began = std::time::Instant::now();
    loop {
        if let Some(named) = lab.named_by_all().await.filter(|named| *named != old) {
            println!("by Sentinel alone: {:?}", began.elapsed());
            return named;
        }
        assert!(began.elapsed() < BY_SENTINEL, "Sentinel names no other; logs in {}", lab.dir().display());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
