//! Clusters broken by hand.

use std::sync::Mutex;

use redoubt_redis::cluster::key_slot;
use redoubt_slots::{Repair, check, is_unfinished, mark_strays};

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

/// As a replica that is promoted in the middle of a move: it holds the key, and knows of no slot on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_which_nobody_knows_that_they_were_on_their_way_are_marked_and_go_to_the_owner() {
    let lab = Lab::start(3, 0).await;
    let slot = 12;
    let tag = tag_of(slot);
    lab.setslot(1, slot, &["IMPORTING", &lab.id(0).await]).await;
    lab.connect(1).await.pipeline(&[vec!["ASKING"], vec!["SET", &tag, "sent"]]).await.unwrap();
    lab.setslot(1, slot, &["STABLE"]).await;
    assert_eq!(check(&lab.look().await), []);
    let mark = || mark_strays(&lab.access, &lab.servers[1].endpoint);
    assert_eq!(mark().await.unwrap().to_string(), "12");
    let findings = check(&lab.look().await);
    assert!(!findings.is_empty() && is_unfinished(&findings), "{findings:?}");
    assert!(mark().await.unwrap().is_empty(), "once is enough");
    mended(&lab).await;
    assert_eq!(lab.at(0, &["GET", &tag]).await.as_str(), Ok("sent"));
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

/// Values of every kind, small and big, under one tag.
async fn fill_kinds(lab: &Lab, index: usize, tag: &str) -> Vec<String> {
    let mut connection = lab.connect(index).await;
    let mut names = Vec::new();
    for (size, count) in [("small", 3), ("big", 2000)] {
        let words = |name: &str, command: &str, item: &dyn Fn(usize) -> Vec<String>| {
            let head = [command.to_owned(), format!("{{{tag}}}:{size}:{name}")];
            head.into_iter().chain((0..count).flat_map(item)).collect::<Vec<String>>()
        };
        let number = |n: usize| vec![(n * 37 % 10_007).to_string()];
        let text = |n: usize| vec![format!("element-{}", n * 37 % 10_007)];
        let field = |n: usize| vec![format!("field-{n}"), "x".repeat(n % 90)];
        let score = |n: usize| vec![n.to_string(), format!("member-{n}")];
        for command in [
            words("numbers", "SADD", &number),
            words("set", "SADD", &text),
            words("hash", "HSET", &field),
            words("list", "RPUSH", &text),
            words("sorted", "ZADD", &score),
        ] {
            names.push(command[1].clone());
            connection.call(&command).await.unwrap();
        }
        let stream = format!("{{{tag}}}:{size}:stream");
        let added: Vec<Vec<String>> = (0..count)
            .map(|n| ["XADD", &stream, "*", "n", &n.to_string()].map(str::to_owned).to_vec())
            .collect();
        assert!(connection.pipeline(&added).await.unwrap().iter().all(Result::is_ok));
        names.push(stream);
    }
    let (text, number) = (format!("{{{tag}}}:text"), format!("{{{tag}}}:number"));
    connection.call(&["SET", &text, &"abc".repeat(500), "EX", "1000"]).await.unwrap();
    connection.call(&["SET", &number, "12345"]).await.unwrap();
    names.extend([text, number]);
    names
}

/// Copies these keys of the first server to the second one, as an unanswered MIGRATE does, and ends the move there.
async fn copied(lab: &Lab, slot: u16, names: &[String]) {
    lab.setslot(1, slot, &["IMPORTING", &lab.id(0).await]).await;
    lab.setslot(0, slot, &["MIGRATING", &lab.id(1).await]).await;
    let mut words = vec!["MIGRATE", &lab.servers[1].endpoint.host, "6379", "", "0", "5000", "COPY", "KEYS"];
    words.extend(names.iter().map(String::as_str));
    lab.at(0, &words).await;
    for index in 0..2 {
        lab.setslot(index, slot, &["STABLE"]).await;
    }
}

/// A set and a hash of two thousand are in another order at each server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_copy_that_is_equal_goes_by_itself() {
    let lab = Lab::start(3, 0).await;
    let (slot, tag) = (12, tag_of(12));
    let names = fill_kinds(&lab, 0, &tag).await;
    copied(&lab, slot, &names).await;
    assert_eq!(lab.look().await.masters().map(|node| node.keys().unwrap()).sum::<u64>(), 28);
    lab.repair().await.unwrap();
    lab.whole().await;
    assert_eq!(count(&lab).await, 14);
    let exists: Vec<&str> = std::iter::once("EXISTS").chain(names.iter().map(String::as_str)).collect();
    assert_eq!(lab.at(0, &exists).await.as_u64(), Ok(14));
}

/// Clients change the owner's copies meanwhile: what they have set is what there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_copy_that_differs_stays_and_the_equal_ones_go_under_writes() {
    let lab = Lab::start(3, 0).await;
    let (slot, tag) = (12, tag_of(12));
    let names: Vec<String> = (0..1000).map(|number| format!("{{{tag}}}:{number}")).collect();
    let set: Vec<Vec<&str>> = names.iter().map(|name| vec!["SET", name.as_str(), "as it was"]).collect();
    assert!(lab.connect(0).await.pipeline(&set).await.unwrap().iter().all(Result::is_ok));
    copied(&lab, slot, &names).await;
    // One has another value, and one does not live as long.
    lab.at(0, &["SET", &names[999], "changed"]).await;
    lab.at(0, &["PEXPIRE", &names[998], "500000"]).await;
    let mut client = crate::client::Client::new(&lab.access, lab.endpoints());
    let changed = tokio::spawn({
        let names = names.clone();
        async move {
            for name in &names[..60] {
                client.call(&["SET", name, "changed"]).await;
            }
            client
        }
    });
    let refused = lab.repair().await.unwrap_err().to_string();
    let mut client = changed.await.unwrap();
    assert!(refused.contains("which differ") && refused.contains("--replace"), "{refused}");
    for (number, name) in names.iter().enumerate() {
        let wanted = if number < 60 || number == 999 { "changed" } else { "as it was" };
        assert_eq!(client.call(&["GET", name]).await.0.as_str(), Ok(wanted), "{name}");
    }
    // What differs is there twice still.
    let left = lab.at(1, &["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]).await.as_u64().unwrap();
    assert!((2..=62).contains(&left), "{left} second copies");
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
    // Valkey from 8.1 on meets it again by itself, once it has had no word from the others for some seconds.
    assert!(told.iter().all(|one| matches!(one, Repair::Meet { .. })), "{told:?}");
    filled(&lab, KEYS, 10).await;
    assert_eq!(count(&lab).await, KEYS as u64);
}
