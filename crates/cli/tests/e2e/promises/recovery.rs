//! Everything died at once, with different data on the nodes: the most advanced leads. And what was frozen wakes up.

use std::fs;

use redis::Commands as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    bad_input::redis,
    lab::{Lab, gone, kill, wait_for},
};

/// A set whose engine is dead, so that nothing brings anything back before the test says so.
struct Abandoned {
    lab: Lab,
    spec: String,
    master: String,
    /// The replica that stopped early.
    behind: String,
    /// The replica that has everything.
    ahead: String,
}

fn write(connection: &mut redis::Connection, keys: std::ops::Range<u32>, copies: i64) {
    for n in keys {
        let _: () = connection.set(format!("key-{n}"), n).unwrap();
    }
    let have: i64 = redis::cmd("WAIT").arg(copies).arg(10_000).query(connection).unwrap();
    assert!(have >= copies, "{have} of {copies} replicas have it");
}

fn freeze(lab: &Lab, member: &str) {
    for pid in [lab.agent("cart", member), lab.server("cart", member)] {
        kill_process(pid, Signal::STOP).unwrap();
    }
}

/// The copy has reached the append-only file, and the record says so.
fn holds_data(lab: &Lab, node: &str) -> bool {
    let record = fs::read(lab.data("cart", node).join("redoubt-record.json")).unwrap_or_default();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap_or_default();
    record["unfinished"] == false
}

fn engine(lab: &Lab) -> Pid {
    let pid = lab.status("cart")["engine"]["pid"].as_i64().expect("an engine that runs");
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

impl Abandoned {
    /// Writes 100 keys that all have, and 100 more that one replica lacks; then kills everything.
    fn with(persistence: &str) -> Self {
        let lab = Lab::heavy();
        let spec = redis("cart", persistence);
        lab.up(&spec);
        lab.whole("cart");
        for node in lab.nodes("cart") {
            wait_for(&format!("the files of {node} hold its data"), 60, || holds_data(&lab, &node));
        }
        let master = lab.master("cart");
        let [behind, ahead] = lab.replicas("cart").try_into().unwrap();
        let mut connection = lab.connect("cart", &master);
        write(&mut connection, 0..100, 2);
        let engine = engine(&lab);
        let agents: Vec<_> = lab.nodes("cart").iter().map(|node| lab.agent("cart", node)).collect();
        let servers: Vec<_> = lab.nodes("cart").iter().map(|node| lab.server("cart", node)).collect();
        kill(engine);
        gone(engine);
        freeze(&lab, &behind);
        write(&mut connection, 100..200, 1);
        for pid in &agents {
            kill(*pid);
        }
        for pid in agents.into_iter().chain(servers) {
            gone(pid);
        }
        Self { lab, spec, master, behind, ahead }
    }

    fn keys(&self) -> i64 {
        let mut connection = self.lab.connect("cart", &self.lab.master("cart"));
        redis::cmd("DBSIZE").query(&mut connection).unwrap()
    }
}

#[test]
fn after_an_outage_the_last_master_leads_again_with_everything() {
    for persistence in ["", "  persistence: {rdb: {save: \"\"}}\n"] {
        let set = Abandoned::with(persistence);
        set.lab.up(&set.spec);
        set.lab.whole("cart");
        assert_eq!(set.lab.master("cart"), set.master);
        assert_eq!(set.keys(), 200);
    }
}

#[test]
fn after_an_outage_without_the_last_masters_data_the_most_advanced_replica_leads() {
    let set = Abandoned::with("");
    fs::remove_dir_all(set.lab.data("cart", &set.master)).unwrap();
    set.lab.up(&set.spec);
    set.lab.whole("cart");
    assert_eq!(set.lab.master("cart"), set.ahead, "{} was behind", set.behind);
    assert_eq!(set.keys(), 200);
}

#[test]
fn records_that_cannot_be_compared_keep_everybody_from_leading() {
    let set = Abandoned::with("  durability: {recoveryDeadline: 1s}\n");
    fs::remove_dir_all(set.lab.data("cart", &set.master)).unwrap();
    let record = set.lab.data("cart", &set.behind).join("redoubt-record.json");
    let text = fs::read_to_string(&record).unwrap();
    let stranger = text.replacen("\"dataSet\":\"", "\"dataSet\":\"another", 1);
    assert_ne!(text, stranger);
    fs::write(&record, stranger).unwrap();
    let up = set.lab.command(["up", "-f", "redis.yaml", "--detach"]).spawn().unwrap();
    set.lab.until("cart", "both nodes are named", |status| {
        let text = status.to_string();
        text.contains("cannot be compared") && text.contains(&set.behind) && text.contains(&set.ahead)
    });
    assert!(
        set.lab.servers("cart").keys().all(|member| member.contains("-sentinel-")),
        "no data server runs"
    );
    let mut up = up;
    up.kill().unwrap();
    up.wait().unwrap();
}

#[test]
fn a_master_that_was_frozen_with_its_agent_takes_no_more_than_what_lay_in_its_sockets() {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    lab.whole("cart");
    let old = lab.master("cart");
    let mut connection = lab.connect("cart", &old);
    write(&mut connection, 0..10, 2);
    let frozen = [lab.agent("cart", &old), lab.server("cart", &old)];
    for pid in frozen {
        kill_process(pid, Signal::STOP).unwrap();
    }
    lab.until("cart", "another leads, and the third follows it", |status| {
        let nodes = status["live"]["nodes"].as_object().unwrap();
        let others = || nodes.iter().filter(|(name, _)| **name != old);
        status["master"].as_str().is_some_and(|master| master != old)
            && others().any(|(_, node)| node["role"] == "master" && node["attachedReplicas"] == 1)
            && others().any(|(_, node)| node["role"] == "replica" && node["link"] == "up")
    });
    for pid in frozen {
        kill_process(pid, Signal::CONT).unwrap();
    }
    // What it reads in its first turn lay in its sockets; it learns in the same turn that its replicas have left.
    let _: redis::RedisResult<()> = connection.set("lay-in-the-socket", 1);
    // Not even on a connection that never let go.
    let late: redis::RedisResult<()> = connection.set("late", 1);
    assert!(late.is_err(), "acknowledged after the return");
    lab.whole("cart");
    let mut now = lab.connect("cart", &lab.master("cart"));
    assert_eq!(now.get::<_, Option<i32>>("late").unwrap(), None);
    assert_eq!(now.get::<_, Option<i32>>("key-9").unwrap(), Some(9));
    wait_for("the old master follows", 20, || lab.replicas("cart").contains(&old));
}

#[test]
fn up_does_not_say_ready_before_the_roll_of_an_engine_that_was_killed_is_finished() {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    let status = lab.whole("cart");
    let members: Vec<_> = ["nodes", "sentinels"]
        .into_iter()
        .flat_map(|kind| status["live"][kind].as_object().unwrap().keys().cloned())
        .collect();
    let before: Vec<_> = members.iter().map(|member| lab.agent("cart", member)).collect();
    let rolled = redis("cart", "  terminationGracePeriod: 31s\n");
    lab.apply(&rolled);
    lab.until("cart", "the roll has begun", |status| {
        status["generation"] == 2
            && status["observedGeneration"] == 2
            && status["conditions"].to_string().contains("\"Replacing\"")
    });
    let engine = engine(&lab);
    kill(engine);
    gone(engine);
    lab.run(["status", "cart", "--ready"]).failed(4, &["not Ready: cart"]);
    lab.up(&rolled);
    for (member, old) in members.iter().zip(before) {
        assert_ne!(lab.agent("cart", member), old, "{member} runs as before the roll");
    }
    // The engine is killed before it sees a change: what it said before is not said of the change.
    let engine = self::engine(&lab);
    kill(engine);
    gone(engine);
    lab.up(&redis("cart", "  replicas: 4\n  terminationGracePeriod: 31s\n"));
    let status = lab.status("cart");
    assert_eq!(status["observedGeneration"], 3, "{status:#}");
    assert_eq!(status["nodes"].as_array().unwrap().len(), 4, "{status:#}");
}

#[test]
fn an_agent_that_a_killed_engine_did_not_note_is_left_as_it_is_and_known_again() {
    let lab = Lab::heavy();
    let spec = redis("cart", "");
    lab.up(&spec);
    lab.whole("cart");
    let (node, agent, engine) = ("cart-1", lab.agent("cart", "cart-1"), engine(&lab));
    kill(engine);
    gone(engine);
    lab.unnote("cart", node);
    lab.up(&spec);
    assert_eq!(lab.agent("cart", node), agent);
}
