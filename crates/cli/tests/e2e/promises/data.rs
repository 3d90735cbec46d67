//! A set keeps data: writes, replication, files, passwords.

use redis::{Commands as _, RedisError, cmd};

use crate::{
    bad_input::redis,
    lab::{Lab, wait_for},
};

fn cart() -> Lab {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    lab.whole("cart");
    lab
}

#[test]
fn the_master_takes_writes_and_replicas_answer_readonly() {
    let lab = cart();
    let master = lab.master("cart");
    let _: () = lab.connect("cart", &master).set("greeting", "hello").unwrap();
    for replica in lab.replicas("cart") {
        let mut replica = lab.connect("cart", &replica);
        wait_for("the write arrives", 10, || replica.get::<_, Option<String>>("greeting").unwrap().is_some());
        let refused: RedisError = replica.set::<_, _, ()>("greeting", "bye").unwrap_err();
        assert_eq!(refused.code(), Some("READONLY"), "{refused}");
    }
}

#[test]
fn a_time_to_live_counts_down_on_the_replicas() {
    let lab = cart();
    let _: () = lab.connect("cart", &lab.master("cart")).set_ex("session", "x", 100).unwrap();
    let mut replica = lab.connect("cart", &lab.replicas("cart")[0]);
    let mut left = || cmd("PTTL").arg("session").query::<i64>(&mut replica).unwrap();
    wait_for("the key arrives", 10, || left() > 0);
    let first = left();
    wait_for("its time runs", 10, || left() < first);
    assert!(left() > 50_000, "and runs as a clock does");
}

#[test]
fn snapshot_and_append_only_file_appear_in_the_data_folder() {
    let lab = cart();
    let master = lab.master("cart");
    let _: () = lab.connect("cart", &master).set("greeting", "hello").unwrap();
    let _: String = cmd("BGSAVE").query(&mut lab.connect("cart", &master)).unwrap();
    let data = lab.state().join("redis/cart/nodes").join(&master).join("data");
    let files = || walk(&data).iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join("\n");
    wait_for("a snapshot", 20, || files().contains(".rdb"));
    wait_for("an append-only file", 20, || files().contains(".aof"));
}

#[test]
fn without_the_password_nothing_is_answered() {
    let lab = cart();
    let master = lab.master("cart");
    let ping = |password| -> redis::RedisResult<String> {
        cmd("PING").query(&mut lab.connect_with("cart", &master, password)?)
    };
    assert_eq!(ping(None).unwrap_err().code(), Some("NOAUTH"));
    assert!(ping(Some("wrong")).is_err());
    let sentinel = &lab.sentinels("cart")[0];
    let mut stranger = lab.connect_with("cart", sentinel, None).unwrap();
    assert_eq!(cmd("PING").query::<String>(&mut stranger).unwrap_err().code(), Some("NOAUTH"));
    let connection = lab.connection("cart");
    assert_ne!(connection["password"], connection["sentinelPassword"]);
}

#[test]
fn the_cli_writes_and_reads_at_the_master_and_hides_the_password() {
    let lab = cart();
    assert_eq!(lab.run(["cli", "cart", "--", "SET", "greeting", "hello"]).ok().out.trim(), "OK");
    assert_eq!(lab.run(["cli", "cart", "--", "GET", "greeting"]).ok().out.trim(), "hello");
    let password = lab.connection("cart")["password"].as_str().unwrap().to_owned();
    let hidden = lab.run(["connection", "cart", "-o", "env"]).ok();
    assert!(!hidden.out.contains(&password) && hidden.out.contains("REDIS_PASSWORD"), "{hidden:?}");
    let shown = lab.run(["connection", "cart", "-o", "url", "--show-password"]).ok().out;
    assert!(shown.starts_with("redis://default:") && shown.contains(&password), "{shown}");
}

#[test]
fn data_outlives_down_and_up() {
    let lab = cart();
    let _: () = lab.connect("cart", &lab.master("cart")).set("greeting", "hello").unwrap();
    lab.run(["down"]).ok();
    assert_eq!(lab.processes(), 0, "nothing is left running");
    lab.run(["up", "--detach"]).ok();
    lab.whole("cart");
    assert_eq!(lab.connect("cart", &lab.master("cart")).get::<_, String>("greeting").unwrap(), "hello");
}

#[test]
fn data_outlives_deletion_unless_the_resource_says_otherwise() {
    let lab = cart();
    let _: () = lab.connect("cart", &lab.master("cart")).set("greeting", "hello").unwrap();
    lab.run(["delete", "cart"]).ok();
    lab.run(["status", "cart"]).failed(3, &["no Redis \"cart\""]);
    lab.up(&redis("cart", ""));
    lab.whole("cart");
    assert_eq!(lab.connect("cart", &lab.master("cart")).get::<_, String>("greeting").unwrap(), "hello");
    lab.apply(&redis("cart", "  persistence: {volume: {keepAfterDeletion: false}}\n"));
    lab.run(["delete", "cart"]).ok();
    wait_for("the data goes", 20, || !lab.state().join("redis/cart").exists());
}

#[test]
fn one_node_alone_is_served_too() {
    let lab = Lab::heavy();
    lab.up("apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {name: solo}\nspec: {mode: Standalone}\n");
    let said = lab.run(["cli", "solo", "--", "SET", "a", "b"]).ok();
    assert_eq!(said.out.trim(), "OK");
    lab.run(["switchover", "solo"]).failed(2, &["nobody can take over"]);
    lab.run(["drill", "solo", "kill-replica"]).failed(2, &["kill-replica needs a replica"]);
    lab.run(["drill", "solo", "kill-master", "--client", "sentinel"]).failed(2, &["needs Sentinels"]);
    let drill = lab.run(["drill", "solo", "kill-master", "-o", "json"]).ok().json();
    assert_eq!((&drill["client"], &drill["lost"]), (&"role".into(), &0.into()), "{drill:#}");
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
