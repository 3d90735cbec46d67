//! Rows of the table of what was measured that fit nowhere else: elections that meet.

use redoubt_election::{Verdict, change_master};
use redoubt_wire::failover::Cause;

use crate::{harness::Lab, writers::Writers};

/// Two agents that both want a hand-over: one vote, one winner, and the loser touched nothing.
#[tokio::test]
async fn two_hand_overs_at_once_have_one_winner_and_lose_nothing() {
    for _ in 0..5 {
        let lab = Lab::start().await;
        let writers = Writers::start(&lab, 2).await;
        let (one, other) = (lab.context(0), lab.context(0));
        let reports = tokio::join!(
            change_master(&one, lab.request(Cause::Switchover, 0)),
            change_master(&other, lab.request(Cause::Switchover, 0)),
        );
        let reports = [reports.0, reports.1];
        let done = reports.iter().filter(|report| report.verdict == Verdict::Done).count();
        assert!(done <= 1, "{reports:?}");
        let masters = lab.masters().await;
        assert_eq!(masters.len(), 1, "{reports:?}");
        lab.whole(masters[0]).await;
        let outcome = writers.finish(&lab, masters[0]).await;
        assert_eq!(outcome.lost, 0, "of {}: {reports:?}", outcome.acknowledged);
    }
}

/// A Sentinel that does not answer costs neither of two candidates the election.
#[tokio::test]
async fn two_candidates_and_a_frozen_sentinel_elect_one() {
    let mut lab = Lab::start().await;
    let (first, second) = (lab.request(Cause::Crash, 0), lab.request(Cause::Rescue, 0));
    let contexts = [lab.context(0), lab.context(1)];
    lab.sentinels[2].freeze();
    lab.nodes[0].kill();
    let reports = tokio::join!(change_master(&contexts[0], first), change_master(&contexts[1], second));
    let reports = [reports.0, reports.1];
    assert_eq!(reports.iter().filter(|report| report.verdict == Verdict::Done).count(), 1, "{reports:?}");
    lab.sentinels[2].thaw();
    let masters = lab.masters().await;
    assert_eq!(masters.len(), 1, "{reports:?}");
    lab.whole(masters[0]).await;
}
