//! After an outage the nodes come back one by one, with different amounts of data.

use std::{net::TcpListener, process::Child};

use redis::Connection;
use rustix::process::{Signal, kill_process};

use crate::{
    bad_input::redis,
    lab::{Lab, Sight, gone, kill, wait_for},
    promises::engine,
};

const RDB_ONLY: &str = "  persistence: {aof: {enabled: false}}\n";
const AOF_ONLY: &str = "  persistence: {rdb: {save: \"\"}}\n";
const NEITHER: &str = "  persistence: {rdb: {save: \"\"}, aof: {enabled: false}}\n";

/// Everything is dead. The master had 300 keys, one replica 200 of them, the other 100.
struct Outage {
    lab: Lab,
    sight: Sight,
    master: String,
    ahead: String,
}

fn write(connection: &mut Connection, keys: std::ops::Range<u32>, copies: i64) {
    for n in keys {
        redis::cmd("SET").arg(format!("key-{n}")).arg(n).exec(connection).unwrap();
    }
    let have: i64 = redis::cmd("WAIT").arg(copies).arg(10_000).query(connection).unwrap();
    assert!(have >= copies, "{have} of {copies} replicas have it");
}

/// As far as it is now, a node without an append-only file will come back.
fn save(sight: &Sight, node: &str) {
    redis::cmd("SAVE").exec(&mut sight.connect(node).unwrap()).unwrap();
}

impl Outage {
    fn of(spec: &str) -> Self {
        let lab = Lab::heavy();
        lab.up(&redis("cart", spec));
        lab.whole("cart");
        let (sight, master) = (lab.sight("cart"), lab.master("cart"));
        let [behind, ahead] = lab.replicas("cart").try_into().unwrap();
        let engine = engine(&lab);
        let agents: Vec<_> = sight.nodes.keys().map(|node| lab.agent("cart", node)).collect();
        let servers: Vec<_> = sight.nodes.keys().map(|node| lab.server("cart", node)).collect();
        let asleep = [&behind, &ahead].map(|node| [lab.agent("cart", node), lab.server("cart", node)]);
        kill(engine);
        gone(engine);
        let mut connection = sight.connect(&master).unwrap();
        for (round, (node, asleep)) in [&behind, &ahead].into_iter().zip(asleep).enumerate() {
            let (from, copies) = (100 * u32::try_from(round).unwrap(), 2 - i64::try_from(round).unwrap());
            write(&mut connection, from..from + 100, copies);
            if spec == RDB_ONLY {
                save(&sight, node);
            }
            for pid in asleep {
                kill_process(pid, Signal::STOP).unwrap();
            }
        }
        // The fence still counts who was heard of a moment ago.
        write(&mut connection, 200..300, 0);
        if spec == RDB_ONLY {
            save(&sight, &master);
        }
        for pid in &agents {
            kill(*pid);
        }
        for pid in agents.into_iter().chain(servers) {
            gone(pid);
        }
        Self { lab, sight, master, ahead }
    }

    /// Starts everybody but the old master, whose address is taken.
    fn without_the_master(&self) -> (TcpListener, Child) {
        let thief = TcpListener::bind(self.sight.nodes[&self.master].clone()).unwrap();
        (thief, self.lab.command(["up", "--detach"]).spawn().unwrap())
    }

    fn keys(&self) -> u32 {
        redis::cmd("DBSIZE").query(&mut self.sight.connect(&self.lab.master("cart")).unwrap()).unwrap()
    }
}

#[test]
fn the_most_advanced_node_leads_though_it_is_the_last_to_come_back() {
    for spec in [AOF_ONLY, RDB_ONLY] {
        let outage = Outage::of(spec);
        let (thief, mut up) = outage.without_the_master();
        let waits = format!("{} may hold newer data", outage.master);
        let others = || outage.sight.nodes.keys().filter(|node| **node != outage.master);
        wait_for("both others wait for it", 50, || {
            others().all(|node| outage.lab.log("cart", node).contains(&waits))
        });
        drop(thief);
        outage.lab.whole("cart");
        assert!(up.wait().unwrap().success());
        assert_eq!(outage.lab.master("cart"), outage.master, "{spec}");
        assert_eq!(outage.keys(), 300, "{spec}");
    }
}

#[test]
fn the_next_best_leads_when_the_most_advanced_never_comes() {
    let outage = Outage::of("  durability: {recoveryDeadline: 5s}\n");
    let (thief, mut up) = outage.without_the_master();
    outage.lab.until("cart", "another leads", |status| {
        status["master"] == outage.ahead.as_str()
            && status["live"]["nodes"][&outage.ahead]["attachedReplicas"] == 1
    });
    assert_eq!(outage.keys(), 200);
    // Too late, it follows.
    drop(thief);
    outage.lab.whole("cart");
    up.wait().unwrap();
    assert_eq!((outage.lab.master("cart"), outage.keys()), (outage.ahead.clone(), 200));
}

#[test]
fn a_pure_cache_begins_anew_after_an_outage() {
    let outage = Outage::of(NEITHER);
    outage.lab.run(["up", "--detach"]).ok();
    outage.lab.whole("cart");
    assert_eq!(outage.keys(), 0);
    write(&mut outage.sight.connect(&outage.lab.master("cart")).unwrap(), 0..10, 2);
}
