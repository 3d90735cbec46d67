//! Everything is killed while a set starts for the first time: it starts again, whatever was on the disks by then.

use std::{fs, path::Path};

use redis::Commands as _;

use crate::{
    bad_input::redis,
    lab::{Lab, wait_for},
};

/// A moment of the start, told by what is there.
type Moment = (&'static str, fn(&Lab) -> bool);

const MOMENTS: &[Moment] = &[
    ("the first agents run", |lab| lab.processes() >= 3),
    ("the first server runs", |lab| lab.data("cart", "cart-0").join("redis.conf").exists()),
    ("the master has written its first record", |lab| has(lab, "cart-0", "redoubt-record.json")),
    ("a replica has noted that it copies", |lab| has(lab, "cart-1", "redoubt-record.json")),
    ("a replica makes files", |lab| has(lab, "cart-1", "appendonlydir") || has(lab, "cart-1", "dump.rdb")),
    ("a copy has arrived", |lab| has(lab, "cart-2", "dump.rdb")),
    ("a replica has a whole copy", |lab| record(&lab.data("cart", "cart-1"))["unfinished"] == false),
];

fn has(lab: &Lab, node: &str, file: &str) -> bool {
    lab.data("cart", node).join(file).exists()
}

fn record(data: &Path) -> serde_json::Value {
    let text = fs::read(data.join("redoubt-record.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn starts_again_after_a_power_cut_at_any_moment(persistence: &str) {
    for (moment, has_come) in MOMENTS {
        let lab = Lab::heavy();
        let spec = redis("cart", persistence);
        lab.file("redis.yaml", &spec);
        let mut up = lab.command(["up", "-f", "redis.yaml", "--detach"]).spawn().unwrap();
        wait_for(moment, 60, || has_come(&lab));
        lab.kill_everything();
        up.wait().unwrap();
        lab.up(&spec);
        lab.whole("cart");
        let mut connection = lab.connect("cart", &lab.master("cart"));
        let _: () = connection.set("key", moment).unwrap();
        let copies: i64 = redis::cmd("WAIT").arg(2).arg(10_000).query(&mut connection).unwrap();
        assert_eq!(copies, 2, "{moment}");
    }
}

#[test]
fn a_set_with_both_files_starts_again_after_a_power_cut_at_any_moment_of_its_first_start() {
    starts_again_after_a_power_cut_at_any_moment("");
}

#[test]
fn a_set_with_snapshots_starts_again_after_a_power_cut_at_any_moment_of_its_first_start() {
    starts_again_after_a_power_cut_at_any_moment("  persistence: {aof: {enabled: false}}\n");
}
