//! What is refused, with nothing moved.

use redoubt_slots::{Guard, Options, SlotsError, add, create, look, plan, remove};

use crate::{
    harness::{Lab, Server, access},
    writers::fill,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_without_room_is_refused() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, 3000, 1000).await;
    let used = lab.look().await.masters().nth(1).unwrap().view.as_ref().unwrap().used_memory.unwrap();
    lab.at(1, &["CONFIG", "SET", "maxmemory", &(used + 100_000).to_string()]).await;
    let before: Vec<_> = lab.look().await.masters().map(|node| node.slots.clone()).collect();
    let refused = lab.run(lab.plan(0, 1, 5000).await, &Options::default()).await.unwrap_err();
    assert!(matches!(refused, SlotsError::NoRoom { .. }), "{refused}");
    let after: Vec<_> = lab.look().await.masters().map(|node| node.slots.clone()).collect();
    assert_eq!(before, after);
}

/// A target that fills up although it seemed to have room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_fills_up_is_told_and_finished_when_it_has_room() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, 3000, 1000).await;
    let used = lab.look().await.masters().nth(1).unwrap().view.as_ref().unwrap().used_memory.unwrap();
    let wanted = lab.plan(0, 1, 5000).await;
    let cluster = lab.look().await;
    lab.at(1, &["CONFIG", "SET", "maxmemory", &(used + 300_000).to_string()]).await;
    let guard = Guard::take(&lab.access, &cluster).await.unwrap();
    let options = crate::harness::by_migrate();
    let mover =
        redoubt_slots::Mover { access: &lab.access, cluster: &cluster, options: &options, report: &|_| {} };
    let refused = mover.run(&guard, wanted, redoubt_slots::Stop::never()).await.unwrap_err();
    assert!(refused.to_string().contains("OOM"), "{refused}");
    drop(guard);
    lab.at(1, &["CONFIG", "SET", "maxmemory", "0"]).await;
    lab.repair().await.unwrap();
    lab.whole().await;
    crate::writers::filled(&lab, 3000, 1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_movers_at_once_are_refused() {
    let lab = Lab::start(3, 0).await;
    let cluster = lab.look().await;
    let guard = Guard::take(&lab.access, &cluster).await.unwrap();
    let refused = Guard::take(&lab.access, &cluster).await.unwrap_err();
    assert!(matches!(refused, SlotsError::Busy { .. }), "{refused}");
    drop(guard);
    let end = tokio::time::Instant::now() + crate::harness::PATIENCE;
    while Guard::take(&lab.access, &cluster).await.is_err() {
        assert!(tokio::time::Instant::now() < end, "it is held for ever");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn impossible_moves_are_refused() {
    let lab = Lab::start(3, 0).await;
    let cluster = lab.look().await;
    let nodes: Vec<_> = cluster.masters().collect();
    for (sources, target, count, word) in [
        (vec![nodes[0]], nodes[0], 10, "source and target"),
        (vec![nodes[0]], nodes[1], 9000, "own 546"),
        (vec![nodes[0], nodes[0]], nodes[1], 10, "twice"),
        (vec![nodes[0]], nodes[1], 0, "no slots"),
    ] {
        let refused = plan::reshard(&sources, target, count).unwrap_err();
        assert!(refused.contains(word), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_cluster_not_there_or_wants_a_password_is_told() {
    let locked = Server::start(&["--requirepass", "s3cret"]);
    let refused = look(&access(None), &locked.endpoint).await.unwrap_err();
    assert!(matches!(refused, SlotsError::NoPassword { .. }), "{refused}");
    let wrong = look(&access(Some("wrong")), &locked.endpoint).await.unwrap_err();
    assert!(!wrong.to_string().contains("wrong\""), "{wrong}");

    let plain = Server::start(&["--cluster-enabled", "no"]);
    let refused = look(&access(None), &plain.endpoint).await.unwrap_err();
    assert!(matches!(refused, SlotsError::NoCluster { .. }), "{refused}");

    let gone = plain.endpoint.clone();
    drop(plain);
    assert!(matches!(look(&access(None), &gone).await, Err(SlotsError::NoEntry(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_have_something_are_no_new_nodes() {
    let lab = Lab::start(3, 0).await;
    let hosts: Vec<String> = lab.endpoints().iter().map(|endpoint| endpoint.host.clone()).collect();
    let layout = plan::layout(&hosts, 0).unwrap();
    let refused = create(&lab.access, &lab.endpoints(), &layout).await.unwrap_err();
    assert!(refused.to_string().contains("is not empty"), "{refused}");
    let other = Lab::loose(1, &[], None);
    other.at(0, &["CLUSTER", "ADDSLOTS", "866"]).await;
    other.at(0, &["CONFIG", "SET", "cluster-require-full-coverage", "no"]).await;
    let refused = add(&lab.access, &lab.look().await, other.entry(), None).await.unwrap_err();
    assert!(refused.to_string().contains("owns the slots 866"), "{refused}");
}

/// It owns none of them yet, and has keys of theirs already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_takes_slots_is_not_taken_out() {
    let lab = Lab::start(3, 0).await;
    let fresh = Server::start(&[]);
    add(&lab.access, &lab.look().await, &fresh.endpoint, None).await.unwrap();
    let id = lab.look().await.find(&fresh.endpoint.to_string()).unwrap().id.to_string();
    lab.setslot(0, 7, &["MIGRATING", &id]).await;
    let cluster = lab.look().await;
    let node = cluster.find(&fresh.endpoint.to_string()).unwrap();
    let refused = remove(&lab.access, &cluster, node).await.unwrap_err();
    assert!(refused.to_string().contains("on their way"), "{refused}");
    lab.setslot(0, 7, &["STABLE"]).await;
    remove(&lab.access, &lab.look().await, node).await.unwrap();
    assert_eq!(lab.look().await.nodes.len(), 3);
}
