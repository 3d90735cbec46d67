//! Clusters that grow, shrink and change their shape.

use redoubt_slots::{Options, add, plan, remove, spread};

use crate::{
    harness::{Lab, Server},
    writers::{Writers, count, fill, filled},
};

async fn rebalance(lab: &Lab, weight: impl Fn(usize) -> f64) -> usize {
    let cluster = lab.look().await;
    let shares: Vec<plan::Share> = cluster
        .masters()
        .map(|node| plan::Share {
            node: node.id.clone(),
            slots: node.slots.clone(),
            weight: weight(lab.index(&node.endpoint)),
        })
        .collect();
    lab.run(plan::rebalance(&shares, 2.0), &Options::default()).await.unwrap().slots
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_masters_become_five_and_three_again_under_writers() {
    let mut lab = Lab::start(3, 0).await;
    let writers = Writers::start(&lab, 3);
    writers.more(200).await;
    for _ in 0..2 {
        let cluster = lab.look().await;
        let server = Server::start(&[]);
        add(&lab.access, &cluster, &server.endpoint, None).await.unwrap();
        lab.servers.push(server);
    }
    assert_eq!(rebalance(&lab, |_| 1.0).await, 6553);
    writers.more(200).await;
    rebalance(&lab, |index| if index < 3 { 1.0 } else { 0.0 }).await;
    for index in [3, 4] {
        let cluster = lab.look().await;
        let leaving = cluster.find(&lab.servers[index].endpoint.to_string()).unwrap();
        remove(&lab.access, &cluster, leaving).await.unwrap();
    }
    let live = writers.end().await;
    assert_eq!(lab.whole().await.nodes.len(), 3);
    assert_eq!(count(&lab).await, live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_of_a_tenth_more_and_less_move_546_slots() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, 3000, 10).await;
    let moved = rebalance(&lab, |index| [1.0, 0.9, 1.1][index]).await;
    assert!(moved <= 547, "{moved}");
    lab.whole().await;
    filled(&lab, 3000, 10).await;
}

/// The cluster of the old guides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_master_with_five_replicas_becomes_three_masters_with_one_each() {
    let lab = Lab::loose(6, &[], None);
    let slots: Vec<String> = (0..16384).map(|slot| slot.to_string()).collect();
    let words: Vec<&str> =
        ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
    lab.at(0, &words).await;
    let master = lab.look().await.nodes[0].id.clone();
    for index in 1..6 {
        let cluster = lab.look().await;
        add(&lab.access, &cluster, &lab.servers[index].endpoint, Some(&master)).await.unwrap();
    }
    fill(&lab, 5000, 100).await;
    let cluster = lab.whole().await;
    let cluster = spread(&lab.access, &cluster, 3).await.unwrap();
    assert_eq!(cluster.masters().count(), 3);
    rebalance(&lab, |_| 1.0).await;
    let cluster = lab.whole().await;
    for master in cluster.masters() {
        let size = master.slots.len();
        assert!((5461..=5462).contains(&size), "{size}");
        assert_eq!(cluster.replicas_of(&master.id).count(), 1);
    }
    filled(&lab, 5000, 100).await;
}
