//! Two things at once.

use std::{sync::Arc, time::Duration};

use redoubt_election::{Clock, Context, News, Verdict, change_master, watch};
use redoubt_redis::Endpoint;
use redoubt_wire::{config::Topology, failover::Cause};

use crate::{agents::Agents, harness::Lab};

/// Sentinel has begun a failover of its own, and an agent outbids it: its choice is taken over.
#[tokio::test]
async fn sentinels_own_failover_and_a_candidate_end_with_one_master() {
    for delay in [0, 50, 150, 400, 900] {
        let mut lab = Lab::start().await;
        let (_watch, mut heard) = watch(lab.config(), &lab.at_sentinels);
        lab.nodes[0].kill();
        let epoch = loop {
            if let News::Voted { epoch, .. } = heard.recv().await.unwrap().news {
                break epoch;
            }
        };
        tokio::time::sleep(Duration::from_millis(delay)).await;
        let mut request = lab.request(Cause::Rescue, 0);
        request.epoch_heard = epoch;
        let report = change_master(&lab.context(1), request).await;
        println!("{delay} ms after Sentinel's vote: {:?}, {:?}", report.verdict, report.failover.new_master);
        let _agents = Agents::start(&lab, &[1, 2]);
        let named = lab.index_of(&report.failover.new_master.expect("somebody leads"));
        lab.whole(named).await;
    }
}

/// A Sentinel that the candidate cannot reach hears of the new master at a node.
#[tokio::test]
async fn a_sentinel_out_of_reach_is_told_through_a_node() {
    let mut lab = Lab::start().await;
    let mut set = (*lab.set).clone();
    let Topology::Sentinel(config) = &mut set.topology else { unreachable!() };
    config.sentinels[2].server = Endpoint::new("127.0.0.1", 1);
    let context =
        Context::new(Arc::new(set), "cart-0".to_owned(), lab.at_nodes.clone(), lab.at_sentinels.clone());
    let request = lab.request(Cause::Crash, 0);
    lab.nodes[0].kill();
    let report = change_master(&context, request).await;
    assert_eq!(report.verdict, Verdict::Done, "{report:?}");
    let new = report.failover.new_master.unwrap();
    let named = lab.sentinel(2).await.sentinel_get_master_addr("mymaster").await.unwrap();
    assert_eq!(named, Some(new));
}

/// The best replica is the one that dies, in the moment of its promotion.
#[tokio::test]
async fn a_chosen_replica_that_is_frozen_is_replaced_by_the_other() {
    let mut lab = Lab::start().await;
    let request = lab.request(Cause::Crash, 0);
    lab.nodes[1].freeze();
    lab.nodes[0].kill();
    let clock = Clock::start();
    let report = change_master(&lab.context(0), request).await;
    assert_eq!(report.verdict, Verdict::Done, "{report:?}");
    assert_eq!(lab.index_of(&report.failover.new_master.unwrap()), 2);
    println!("with a frozen replica: {:?}", clock.now());
    lab.nodes[1].thaw();
    let _agents = Agents::start(&lab, &[1, 2]);
    lab.whole(2).await;
}

/// A named master that answers is never replaced by a rescuer.
#[tokio::test]
async fn a_rescuer_leaves_a_living_master_alone() {
    let lab = Lab::start().await;
    let report = change_master(&lab.context(1), lab.request(Cause::Rescue, 0)).await;
    assert!(matches!(report.verdict, Verdict::Stopped { .. }), "{report:?}");
    assert_eq!(report.failover.epoch, None);
    lab.whole(0).await;
}

/// Who does not answer here, while another still hears from it, may have taken writes that nobody else has.
#[tokio::test]
async fn a_silent_master_that_others_still_hear_is_left_to_sentinel() {
    let lab = Lab::start().await;
    lab.nodes[0].freeze();
    let (context, request) = (lab.context(1), lab.request(Cause::Rescue, 0));
    let rescue = tokio::time::timeout(Duration::from_secs(3), change_master(&context, request)).await;
    lab.nodes[0].thaw();
    assert!(rescue.is_err(), "it went on to {rescue:?}");
    assert_eq!(lab.masters().await, [0]);
}

/// After a total outage the records have decided, and the chosen one may be the named master itself.
#[tokio::test]
async fn after_an_outage_the_given_node_leads() {
    for given in [0, 2] {
        let mut lab = Lab::start().await;
        lab.nodes[0].kill();
        if given == 0 {
            lab.start_node(0, Some(1));
        }
        // It must answer.
        while lab.at_nodes.connect(&lab.nodes[given].at).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut request = lab.request(Cause::Outage, 0);
        request.to = Some(format!("cart-{given}"));
        let report = change_master(&lab.context(given), request).await;
        assert_eq!(report.verdict, Verdict::Done, "{report:?}");
        lab.whole(given).await;
    }
}
