//! A changed configuration reaches the running servers and their files, or changes nothing.

use std::{fs, time::Duration};

use redis::Commands as _;

use crate::{
    bad_input::redis,
    lab::{Lab, is, kill, wait_for},
};

/// How long a change may take to be live, seconds.
const LIVE: u64 = 30;

/// The live value of a directive at a node; applications may read it.
fn value(lab: &Lab, node: &str, directive: &str) -> String {
    let mut connection = lab.connect("cart", node);
    let pair: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(directive).query(&mut connection).unwrap();
    pair[1].clone()
}

fn file(lab: &Lab, node: &str) -> String {
    fs::read_to_string(lab.state().join("redis/cart/nodes").join(node).join("data/redis.conf")).unwrap()
}

#[track_caller]
fn everywhere(lab: &Lab, directive: &str, expected: &str) {
    for node in lab.nodes("cart") {
        wait_for(&format!("{directive} is {expected:?} at {node}"), LIVE, || {
            value(lab, &node, directive) == expected
        });
    }
}

#[test]
fn a_removed_directive_goes_back_to_the_servers_default_live_and_in_the_file() {
    let lab = Lab::heavy();
    lab.up(&redis("cart", "  config: {maxmemory: 64mb, hz: \"20\"}\n"));
    everywhere(&lab, "maxmemory", "67108864");
    everywhere(&lab, "hz", "20");
    let before = lab.servers("cart");
    lab.apply(&redis("cart", "  config: {hz: \"20\"}\n"));
    everywhere(&lab, "maxmemory", "0");
    everywhere(&lab, "hz", "20");
    for node in lab.nodes("cart") {
        wait_for("the file follows", LIVE, || {
            !file(&lab, &node).lines().any(|line| line.starts_with("maxmemory ") && !line.ends_with(" 0"))
        });
        assert!(file(&lab, &node).contains("hz 20"), "{}", file(&lab, &node));
    }
    lab.whole("cart");
    assert_eq!(lab.servers("cart"), before, "no server was restarted for it");
}

#[test]
fn an_invalid_value_is_refused_by_name_and_changes_nothing() {
    let lab = Lab::heavy();
    lab.up(&redis("cart", "  config: {maxmemory: 64mb}\n"));
    everywhere(&lab, "maxmemory", "67108864");
    let before = lab.servers("cart");
    lab.apply(&redis("cart", "  config: {maxmemory: 32mb, maxmemory-policy: sometimes}\n"));
    let status = lab.until("cart", "the directive is named", |status| {
        status["conditions"].to_string().contains("maxmemory-policy")
    });
    assert!(is(&status, "Available"), "{status:#}");
    everywhere(&lab, "maxmemory", "67108864");
    assert_eq!(lab.servers("cart"), before);
    lab.apply(&redis("cart", "  config: {maxmemory: 32mb}\n"));
    everywhere(&lab, "maxmemory", "33554432");
    lab.whole("cart");
}

/// Has a node save a snapshot, and waits for it.
#[track_caller]
fn saved(lab: &Lab, node: &str) {
    let mut connection = lab.connect("cart", node);
    wait_for("a snapshot of everything", LIVE, || {
        let info: String = redis::cmd("INFO").arg("persistence").query(&mut connection).unwrap();
        let busy = info.contains("rdb_bgsave_in_progress:1");
        let unsaved = !info.contains("rdb_changes_since_last_save:0");
        if unsaved && !busy {
            let _: redis::RedisResult<String> = redis::cmd("BGSAVE").query(&mut connection);
        }
        !unsaved && !busy
    });
}

#[test]
fn the_append_only_file_goes_on_and_off_under_kills_without_a_loss() {
    let lab = Lab::heavy();
    let spec = |aof: bool| redis("cart", &format!("  persistence: {{aof: {{enabled: {aof}}}}}\n"));
    lab.up(&spec(false));
    lab.whole("cart");
    let mut connection = lab.connect("cart", &lab.master("cart"));
    for n in 0..1000 {
        let _: () = connection.set(format!("key-{n}"), n).unwrap();
    }
    let _: i64 = redis::cmd("WAIT").arg(2).arg(10_000).query(&mut connection).unwrap();
    // Without the append-only file, what was not saved is gone with the process: that is no fault of the change.
    for node in lab.nodes("cart") {
        saved(&lab, &node);
    }
    // A kill falls into another moment of the change each time.
    for (round, pause) in [0, 5, 20, 50, 100, 200].into_iter().enumerate() {
        lab.apply(&spec(round % 2 == 0));
        #[expect(clippy::disallowed_methods, reason = "the moment of the kill is what is varied")]
        std::thread::sleep(Duration::from_millis(pause));
        let mut killed = lab.servers("cart");
        killed.retain(|member, _| !member.contains("-sentinel-"));
        for server in killed.values() {
            kill(*server);
        }
        lab.restarted("cart", &killed);
        lab.whole("cart");
        everywhere(&lab, "appendonly", if round % 2 == 0 { "yes" } else { "no" });
        let mut connection = lab.connect("cart", &lab.master("cart"));
        let keys: i64 = redis::cmd("DBSIZE").query(&mut connection).unwrap();
        assert_eq!(keys, 1000, "round {round}, killed after {pause} ms");
    }
}
