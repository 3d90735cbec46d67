//! Drills keep honest accounts.

use redis::Commands as _;
use serde_json::Value;

use crate::{
    bad_input::redis,
    lab::{Lab, kill, wait_for},
};

fn cart() -> Lab {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    lab.whole("cart");
    lab
}

/// Holds a drill; no acknowledged write may be lost, and no key may be left.
#[track_caller]
fn drill(lab: &Lab, scenario: &str, client: &str) -> Value {
    let result = account(lab, scenario, client);
    assert_eq!(result["lost"], 0, "{result:#}");
    result
}

/// Holds a drill that ends a master's process in the middle of its work. Between the reply to a client and the bytes to
/// the replicas there are some microseconds; what was acknowledged in them, one write of each writer at most, goes with
/// the process.
#[track_caller]
fn kill_drill(lab: &Lab, scenario: &str, client: &str) -> Value {
    let result = account(lab, scenario, client);
    assert!(result["lost"].as_u64().unwrap() <= result["writers"].as_u64().unwrap(), "{result:#}");
    result
}

/// The account of a drill whose set became whole again.
#[track_caller]
fn account(lab: &Lab, scenario: &str, client: &str) -> Value {
    let said = lab.run(["drill", "cart", scenario, "--client", client, "-o", "json"]);
    let result = said.json();
    // 4: something was lost, which the account says.
    assert_eq!(said.code, if result["lost"] == 0 { 0 } else { 4 }, "{said:#?}");
    assert!(result["acknowledged"].as_u64().unwrap() > 100, "{result:#}");
    for name in
        ["scenario", "client", "write_gap_ms", "failed", "master_before", "master_after", "healthy_after_ms"]
    {
        assert!(!result[name].is_null(), "{name} is missing in {result:#}");
    }
    let keys: i64 = redis::cmd("DBSIZE").query(&mut lab.connect("cart", &lab.master("cart"))).unwrap();
    assert_eq!(keys, 0, "a drill removes its keys");
    result
}

#[test]
fn every_kind_of_client_rides_through_the_death_of_the_master() {
    let lab = cart();
    for client in ["sentinel", "role", "error-only"] {
        let result = kill_drill(&lab, "kill-master", client);
        assert_ne!(result["master_before"], result["master_after"], "{result:#}");
        assert_eq!((&result["scenario"], &result["client"]), (&"kill-master".into(), &client.into()));
    }
}

#[test]
fn a_master_that_hangs_or_dies_with_its_agent_is_replaced() {
    let lab = cart();
    for (scenario, client) in [("freeze-master", "sentinel"), ("kill-agent", "error-only")] {
        let result = kill_drill(&lab, scenario, client);
        assert_ne!(result["master_before"], result["master_after"], "{result:#}");
    }
}

/// As before the machine is switched off: the agent hands over, ends, and is started again.
#[test]
fn a_master_whose_agent_is_asked_to_stop_hands_over_first() {
    let lab = cart();
    let result = drill(&lab, "stop-master", "sentinel");
    assert_ne!(result["master_before"], result["master_after"], "{result:#}");
    let last = &lab.status("cart")["lastFailover"];
    assert_eq!((&last["id"], &last["cause"]), (&result["failover_id"], &"stop".into()), "{last:#}");
}

#[test]
fn deaths_of_others_do_not_stop_writes() {
    let lab = cart();
    for scenario in ["kill-replica", "kill-sentinel"] {
        let result = drill(&lab, scenario, "sentinel");
        assert_eq!(result["master_before"], result["master_after"], "{result:#}");
        assert_eq!(result["failed"], 0, "{result:#}");
    }
}

#[test]
fn a_restart_of_everything_loses_nothing() {
    // With `everysec` Redis itself may hold a write back for up to 2 s while an fsync runs.
    let lab = Lab::heavy();
    lab.up(&redis("cart", "  persistence: {aof: {fsync: always}}\n"));
    lab.whole("cart");
    drill(&lab, "restart-all", "sentinel");
}

#[test]
fn a_roll_restarts_every_node_and_copies_nothing() {
    let lab = cart();
    let before = lab.servers("cart");
    let copies = lab.full_copies("cart");
    assert_eq!(copies, 2, "each replica began with one:\n{}", lab.copies("cart"));
    drill(&lab, "roll", "sentinel");
    let after = lab.servers("cart");
    for node in lab.nodes("cart") {
        assert_ne!(before[&node], after[&node], "{node} was not restarted");
    }
    assert_eq!(lab.full_copies("cart"), copies, "a replica copied everything:\n{}", lab.copies("cart"));
    let mut connection = lab.connect("cart", &lab.master("cart"));
    for n in 0..200 {
        let _: () = connection.set(format!("key-{n}"), n).unwrap();
    }
    let _: i64 = redis::cmd("WAIT").arg(2).arg(10_000).query(&mut connection).unwrap();
    // Who came back from a snapshot writes its append-only file anew, and then that holds everything again.
    for node in lab.nodes("cart") {
        wait_for(&format!("the append-only file of {node}"), 30, || lab.holds("cart", &node) == "aof");
    }
    let servers = lab.servers("cart");
    servers.values().copied().for_each(kill);
    lab.restarted("cart", &servers);
    lab.whole("cart");
    let keys: i64 = redis::cmd("DBSIZE").query(&mut lab.connect("cart", &lab.master("cart"))).unwrap();
    assert_eq!(keys, 200);
}

#[test]
fn a_drill_on_a_set_that_is_not_healthy_breaks_nothing() {
    let lab = cart();
    // Without an engine nobody starts a killed agent again.
    let engine = lab.status("cart")["engine"]["pid"].as_i64().unwrap();
    kill(rustix::process::Pid::from_raw(i32::try_from(engine).unwrap()).unwrap());
    let replica = lab.replicas("cart")[0].clone();
    kill(lab.agent("cart", &replica));
    lab.until("cart", "it is seen", |status| status["live"]["nodes"][&replica]["reachable"] == false);
    let before = lab.servers("cart");
    let refused = lab.run(["drill", "cart", "kill-master"]).failed(4, &["not healthy", &replica, "--yes"]);
    assert!(refused.out.is_empty(), "{refused:?}");
    assert_eq!(lab.servers("cart"), before);
    let keys: i64 = redis::cmd("DBSIZE").query(&mut lab.connect("cart", &lab.master("cart"))).unwrap();
    assert_eq!(keys, 0);
}

#[test]
fn an_interrupted_drill_cleans_up() {
    let lab = cart();
    let mut drill = lab
        .command(["drill", "cart", "kill-replica", "--duration", "600"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut connection = lab.connect("cart", &lab.master("cart"));
    let mut keys = || redis::cmd("DBSIZE").query::<i64>(&mut connection).unwrap();
    wait_for("it writes", 20, || keys() > 100);
    rustix::process::kill_process(rustix::process::Pid::from_child(&drill), rustix::process::Signal::INT)
        .unwrap();
    assert_eq!(drill.wait().unwrap().code(), Some(130));
    assert_eq!(keys(), 0);
}
