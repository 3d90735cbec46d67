//! Drills in mode Cluster: in one shard, and in all of them.

use serde_json::Value;

use super::shards::{master, shop, whole};
use crate::lab::Lab;

/// Holds a drill that ends well but for what a killed master's clients were told in its last microseconds: one write of
/// each writer at most.
#[track_caller]
fn drill(lab: &Lab, words: &[&str], may_lose: bool) -> Value {
    let said = lab.run([&["drill", "shop", "-o", "json"], words].concat());
    let result = said.json();
    let lost = result["lost"].as_u64().unwrap();
    assert!(lost == 0 || (may_lose && lost <= result["writers"].as_u64().unwrap()), "{result:#}");
    assert_eq!(said.code, if lost == 0 { 0 } else { 4 }, "{said:#?}");
    assert!(result["acknowledged"].as_u64().unwrap() > 100, "{result:#}");
    assert!(result["write_gap_ms"].is_u64() && result["healthy_after_ms"].is_u64(), "{result:#}");
    whole(lab);
    for shard in 0..3 {
        let keys: i64 = redis::cmd("DBSIZE").query(&mut lab.connect("shop", &master(lab, shard))).unwrap();
        assert_eq!(keys, 0, "a drill removes its keys");
    }
    result
}

#[test]
fn every_drill_of_one_shard_is_held_there_and_leaves_the_others_alone() {
    let lab = shop("");
    for (scenario, moves, may_lose) in [
        ("kill-master", true, true),
        ("switchover", true, false),
        ("kill-replica", false, false),
        ("stop-master", true, false),
        ("freeze-master", true, true),
        ("kill-agent", true, true),
    ] {
        let others = lab.servers("shop");
        let result = drill(&lab, &[scenario, "--shard", "1"], may_lose);
        assert_eq!((&result["shard"], &result["scenario"]), (&1.into(), &scenario.into()));
        assert!(result["master_before"].as_str().unwrap().contains("-shard-1-"), "{result:#}");
        // A killed agent's server comes back before the bus has missed it.
        if moves && scenario != "kill-agent" {
            assert_ne!(result["master_before"], result["master_after"], "{result:#}");
        }
        let now = lab.servers("shop");
        assert!(
            others.iter().all(|(name, pid)| name.contains("-shard-1-") || now[name] == *pid),
            "{scenario}"
        );
    }
    let first = drill(&lab, &["kill-replica"], false);
    assert_eq!(first["shard"], 0, "the first one, if none is named");
}

#[test]
fn a_drill_of_the_whole_writes_in_every_shard() {
    let lab = shop("");
    for (scenario, may_lose) in [("restart-all", true), ("roll", false)] {
        let before = lab.servers("shop");
        let result = drill(&lab, &[scenario], may_lose);
        assert_eq!(result["shard"], Value::Null);
        let log = result["log"].to_string();
        for shard in 0..3 {
            let node = master(&lab, shard);
            assert!(
                log.contains("back from shop-shard-") && log.contains(&format!("shard-{shard}-")),
                "{node}: {log}"
            );
        }
        let now = lab.servers("shop");
        assert!(
            before.iter().all(|(name, pid)| now[name] != *pid),
            "{scenario}: every node has a new server"
        );
    }
}
