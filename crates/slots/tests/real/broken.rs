//! Clusters broken by hand.

use std::sync::Mutex;

use redoubt_redis::cluster::key_slot;
use redoubt_slots::Repair;

use crate::{
    harness::Lab,
    writers::{count, fill, filled, tag_of},
};

const KEYS: usize = 3000;

async fn mended(lab: &Lab) -> Vec<Repair> {
    let told = Mutex::new(Vec::new());
    lab.repair_telling(&|one| told.lock().unwrap().push(one.clone()), false).await.unwrap();
    lab.whole().await;
    told.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_of_nobody_goes_to_who_has_its_keys() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, KEYS, 10).await;
    for index in 0..3 {
        lab.at(index, &["CLUSTER", "DELSLOTS", "7", "8", "9"]).await;
    }
    let told = mended(&lab).await;
    assert!(told.iter().all(|one| matches!(one, Repair::Own { .. })), "{told:?}");
    filled(&lab, KEYS, 10).await;
    assert_eq!(count(&lab).await, KEYS as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_at_the_wrong_node_go_to_the_owner() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, KEYS, 10).await;
    // A slot that is declared another's while its keys stay where they are.
    let slot = key_slot(b"fill:1");
    let owner = lab.index(&lab.look().await.owner(slot).unwrap().endpoint);
    let other = (owner + 1) % 3;
    let number = slot.to_string();
    for index in 0..3 {
        lab.at(index, &["CLUSTER", "DELSLOTS", &number]).await;
    }
    lab.at(other, &["CLUSTER", "ADDSLOTS", &number]).await;
    lab.at(other, &["CLUSTER", "BUMPEPOCH"]).await;
    let told = mended(&lab).await;
    assert!(told.iter().any(|one| matches!(one, Repair::Fetch { .. })), "{told:?}");
    assert_eq!(lab.look().await.owner(slot).unwrap().endpoint, lab.servers[other].endpoint);
    filled(&lab, KEYS, 10).await;
}

/// The bus may settle it before we do, for whoever has the later epoch: that one's keys have to be there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_of_two_ends_with_one_that_has_its_keys() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, KEYS, 10).await;
    let slot = (0..KEYS).map(|number| key_slot(format!("fill:{number}").as_bytes())).max().unwrap();
    let number = slot.to_string();
    assert_eq!(lab.look().await.owner(slot).unwrap().endpoint, lab.servers[2].endpoint);
    lab.connect(0)
        .await
        .pipeline(&[vec!["CLUSTER", "DELSLOTS", &number], vec!["CLUSTER", "ADDSLOTS", &number]])
        .await
        .unwrap();
    mended(&lab).await;
    assert_eq!(lab.look().await.owner(slot).unwrap().endpoint, lab.servers[2].endpoint);
    filled(&lab, KEYS, 10).await;
    assert_eq!(count(&lab).await, KEYS as u64);
}

/// The owner's copy is in use: the other one neither replaces it nor is thrown away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_copies_of_a_key_are_told_and_both_stay() {
    let lab = Lab::start(3, 0).await;
    let slot = 12;
    let tag = tag_of(slot);
    lab.at(0, &["SET", &tag, "in use"]).await;
    lab.setslot(1, slot, &["IMPORTING", &lab.id(0).await]).await;
    let commands = [vec!["ASKING"], vec!["SET", &tag, "stray"]];
    lab.connect(1).await.pipeline(&commands).await.unwrap();
    let refused = lab.repair().await.unwrap_err().to_string();
    assert!(refused.contains("--replace"), "{refused}");
    assert_eq!(lab.at(0, &["GET", &tag]).await.as_str(), Ok("in use"));
    assert_eq!(lab.look().await.masters().map(|node| node.keys().unwrap()).sum::<u64>(), 2);
    lab.repair_telling(&|_| {}, true).await.unwrap();
    lab.whole().await;
    assert_eq!(lab.at(0, &["GET", &tag]).await.as_str(), Ok("stray"));
}

/// Those who forget it tell each other to, so that it stays out for a minute, whomever it meets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_the_others_forgot_comes_back() {
    let lab = Lab::start(3, 0).await;
    fill(&lab, KEYS, 10).await;
    let id = lab.id(0).await;
    for index in [1, 2] {
        // The other one may have heard of it by now.
        lab.connect(index).await.call(&["CLUSTER", "FORGET", &id]).await.ok();
    }
    assert_eq!(lab.look().await.nodes.len(), 3, "the node itself knows all of them");
    let told = mended(&lab).await;
    assert!(told.iter().any(|one| matches!(one, Repair::Meet { .. })), "{told:?}");
    filled(&lab, KEYS, 10).await;
    assert_eq!(count(&lab).await, KEYS as u64);
}
