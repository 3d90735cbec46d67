//! What works once works a hundred times.

use std::time::Instant;

use crate::{
    bad_input::redis,
    lab::{Lab, Sight, Writer, kill, wait_for},
};

fn cart(spec: &str) -> (Lab, Sight) {
    let lab = Lab::heavy();
    lab.up(&redis("cart", spec));
    lab.whole("cart");
    let sight = lab.sight("cart");
    (lab, sight)
}

/// Writes a key that at least one replica confirms.
#[track_caller]
fn write_safely(sight: &Sight, master: &str, key: &str) {
    let mut master = sight.connect(master).unwrap();
    redis::cmd("SET").arg(key).arg(key).exec(&mut master).unwrap();
    let copies: i64 = redis::cmd("WAIT").arg(1).arg(10_000).query(&mut master).unwrap();
    assert!(copies >= 1, "{key} has {copies} copies");
}

#[test]
fn a_hundred_failovers_in_a_row_lose_nothing_that_a_replica_confirmed() {
    const ROUNDS: usize = 100;
    let (lab, sight) = cart("");
    let sentinels: Vec<String> = sight.sentinels.keys().cloned().collect();
    let writer = Writer::asking(&sight, &sentinels);
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let old = sight.master_of_all().expect("it is whole");
        write_safely(&sight, &old, &format!("round-{round}"));
        let before = sight.server(&old).unwrap();
        let killed = Instant::now();
        kill(before);
        wait_for("another node leads", 60, || {
            sight.nodes.keys().any(|node| *node != old && sight.leads(node) == Some(true))
        });
        times.push(killed.elapsed());
        wait_for("all follow it", 60, || sight.master_of_all().is_some());
        writer.more(5);
    }
    lab.whole("cart");
    let account = writer.finish();
    let mut now = sight.connect(&lab.master("cart")).unwrap();
    let confirmed: Vec<String> = (0..ROUNDS).map(|round| format!("round-{round}")).collect();
    let have: usize = redis::cmd("EXISTS").arg(&confirmed).query(&mut now).unwrap();
    assert_eq!(have, ROUNDS);
    times.sort_unstable();
    let lost = account.lost(Instant::now(), &mut now);
    println!(
        "another led after {:?} [{:?}..{:?}]; longest gap {:?}; {lost} of {} lost",
        times[ROUNDS / 2],
        times[0],
        times[ROUNDS - 1],
        account.gap(),
        account.acknowledged.len(),
    );
    // One client: at most what lay between its reply and the replicas when the process ended, one write a kill.
    assert!(lost <= ROUNDS, "{lost} lost");
    let epochs: Vec<_> = lab.status("cart")["live"]["sentinels"]
        .as_object()
        .unwrap()
        .values()
        .map(|one| one["epoch"].as_u64().unwrap())
        .collect();
    assert!(epochs.iter().all(|epoch| (100..150).contains(epoch)), "{epochs:?}");
}

#[test]
fn twenty_hand_overs_in_a_row_lose_nothing_and_copy_nothing() {
    let (lab, sight) = cart("");
    let before: u64 = sight.full_syncs().values().sum();
    let sentinels: Vec<String> = sight.sentinels.keys().cloned().collect();
    let writer = Writer::asking(&sight, &sentinels);
    writer.more(20);
    for _ in 0..20 {
        let old = sight.master_of_all().expect("it is whole");
        lab.run(["switchover", "cart"]).ok();
        wait_for("all follow another", 60, || sight.master_of_all().is_some_and(|master| master != old));
        writer.more(5);
    }
    lab.whole("cart");
    let account = writer.finish();
    println!("longest gap {:?} of {}", account.gap(), account.acknowledged.len());
    assert_eq!(account.lost(Instant::now(), &mut sight.connect(&lab.master("cart")).unwrap()), 0);
    assert_eq!(sight.full_syncs().values().sum::<u64>(), before, "a replica copied everything");
}

/// Whom to kill, each round, of the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Agent,
    Both,
}

/// The empty-master case: nothing is on disk, and who was killed is back at once.
fn a_pure_cache_survives(victim: Victim) {
    const KEYS: u64 = 500;
    let (lab, sight) = cart("  persistence: {rdb: {save: \"\"}, aof: {enabled: false}}\n");
    let mut master = sight.connect(&lab.master("cart")).unwrap();
    for n in 0..KEYS {
        redis::cmd("SET").arg(format!("key-{n}")).arg(n).exec(&mut master).unwrap();
    }
    let copies: i64 = redis::cmd("WAIT").arg(2).arg(10_000).query(&mut master).unwrap();
    assert_eq!(copies, 2);
    for round in 0..20 {
        let old = sight.master_of_all().expect("it is whole");
        let before = sight.server(&old).unwrap();
        let agent = lab.agent("cart", &old);
        if victim != Victim::Server {
            kill(agent);
        }
        if victim != Victim::Agent {
            kill(before);
        }
        wait_for("it is started again", 60, || sight.server(&old).is_some_and(|server| server != before));
        wait_for("one leads and all follow it", 60, || sight.master_of_all().is_some());
        for node in sight.nodes.keys() {
            let keys: u64 = redis::cmd("DBSIZE").query(&mut sight.connect(node).unwrap()).unwrap();
            assert_eq!(keys, KEYS, "{node} in round {round}, {victim:?}");
        }
    }
    lab.whole("cart");
}

#[test]
fn a_pure_cache_whose_server_restarts_at_once_is_never_emptied() {
    a_pure_cache_survives(Victim::Server);
}

#[test]
fn a_pure_cache_whose_agent_restarts_at_once_is_never_emptied() {
    a_pure_cache_survives(Victim::Agent);
}

#[test]
fn a_pure_cache_whose_agent_and_server_restart_at_once_is_never_emptied() {
    a_pure_cache_survives(Victim::Both);
}
