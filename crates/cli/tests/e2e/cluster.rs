//! `redoubt cluster` on real servers: the life of a cluster, and what is refused with nothing moved.

pub(crate) mod riders;
mod tls;

use std::{
    ffi::OsString,
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use redis::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Lab, Said, wait_for};

const KEYS: usize = 500;

/// A server in a folder of the lab, gone when it is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(lab: &Lab, args: &[&str]) -> Self {
        let server = Self::start_at(lab, &free_host(), &["--port", "6379"], args);
        wait_for("a server", 60, || server.connection().is_some());
        server
    }

    /// With this way to reach it; it may not be ready yet.
    fn start_at(lab: &Lab, host: &str, port: &[&str], args: &[&str]) -> Self {
        let dir = lab.dir().join(host);
        fs::create_dir(&dir).unwrap();
        let child = Command::new(server_binary())
            .args(["--bind", host, "--save", "", "--cluster-enabled", "yes"])
            .args(port)
            // From one loopback address all others look alike.
            .args(["--cluster-announce-ip", host, "--cluster-node-timeout", "5000", "--dir"])
            .arg(&dir)
            .args(args)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address: format!("{host}:6379") }
    }

    fn connection(&self) -> Option<Connection> {
        redis::Client::open(format!("redis://{}/", self.address)).unwrap().get_connection().ok()
    }

    fn call(&self, words: &[&str]) -> redis::RedisResult<String> {
        let (name, args) = words.split_first().unwrap();
        redis::cmd(name).arg(args).query(&mut self.connection().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn server_binary() -> OsString {
    std::env::var_os("REDOUBT_REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

/// A loopback address at which nobody listens, on another one for each process and server.
fn free_host() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(251).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let (low, middle, high) = (1 + number % 254, number / 254 % 256, 128 + number / 254 / 256 % 127);
        let host = format!("127.{high}.{middle}.{low}");
        if [6379, 16379].iter().all(|port| TcpListener::bind((host.as_str(), *port)).is_ok()) {
            return host;
        }
    }
}

/// A cluster of so many masters.
fn cluster(lab: &Lab, masters: usize) -> Vec<Server> {
    let servers: Vec<Server> = (0..masters).map(|_| Server::start(lab, &[])).collect();
    let mut words = vec!["create", "--yes"];
    words.extend(servers.iter().map(|server| server.address.as_str()));
    run(lab, &words).ok();
    servers
}

/// `redoubt cluster …`.
fn run(lab: &Lab, words: &[&str]) -> Said {
    lab.run(["cluster"].iter().chain(words))
}

/// `redoubt cluster …` at this cluster.
fn at(lab: &Lab, server: &Server, words: &[&str]) -> Said {
    let (name, rest) = words.split_first().unwrap();
    let mut all = vec![*name, "--addr", &server.address];
    all.extend(rest);
    run(lab, &all)
}

/// Writes every key at the one server that takes it.
fn fill(servers: &[Server]) {
    let mut connections: Vec<Connection> =
        servers.iter().map(|server| server.connection().unwrap()).collect();
    for number in 0..KEYS {
        let set = redis::cmd("SET").arg(format!("key:{number}")).arg(number).clone();
        let taken = connections.iter_mut().filter_map(|connection| set.query::<()>(connection).ok()).count();
        assert_eq!(taken, 1, "key:{number}");
    }
}

/// Every key is at one server, with its value.
#[track_caller]
fn filled(servers: &[Server]) {
    let mut connections: Vec<Connection> =
        servers.iter().map(|server| server.connection().unwrap()).collect();
    for number in 0..KEYS {
        let get = redis::cmd("GET").arg(format!("key:{number}")).clone();
        let found: Vec<Option<usize>> =
            connections.iter_mut().filter_map(|connection| get.query(connection).ok()).collect();
        assert_eq!(found, [Some(number)], "key:{number}");
    }
}

/// How many slots each server owns, by the word of `info`.
#[track_caller]
fn slots(lab: &Lab, servers: &[Server]) -> Vec<u64> {
    let info = at(lab, &servers[0], &["info", "-o", "json"]).ok().json();
    let count = |server: &Server| {
        let masters = info["masters"].as_array().unwrap();
        let master = masters.iter().find(|master| master["address"] == server.address.as_str());
        let ranges = master.and_then(|master| master["slots"].as_array()).map_or(&[][..], Vec::as_slice);
        ranges.iter().map(|range| range[1].as_u64().unwrap() - range[0].as_u64().unwrap() + 1).sum()
    };
    servers.iter().map(count).collect()
}

#[test]
fn a_cluster_is_made_moved_about_grown_and_shrunk_with_every_key() {
    let lab = Lab::heavy();
    let mut servers = cluster(&lab, 3);
    let well = at(&lab, &servers[0], &["check"]).ok().out;
    assert_eq!(well, "all is well: 3 nodes agree, 16384 slots are covered\n");
    let before = slots(&lab, &servers);
    assert_eq!(before.iter().sum::<u64>(), 16384);
    fill(&servers);

    let (from, to) = (servers[0].address.clone(), servers[1].address.clone());
    let reshard = ["reshard", "--from", &from, "--to", &to, "--slots", "1000"];
    let plan = at(&lab, &servers[2], &[&reshard[..], &["--dry-run"]].concat()).ok().out;
    assert!(plan.contains(&from) && plan.contains(&to) && plan.contains("1000"), "{plan}");
    assert_eq!(slots(&lab, &servers), before);
    at(&lab, &servers[2], &reshard).failed(2, &["nobody was asked", "--yes"]);
    assert_eq!(slots(&lab, &servers), before);
    let moved = at(&lab, &servers[2], &[&reshard[..], &["--yes", "-o", "json"]].concat()).ok().json();
    assert_eq!((&moved["slots"], &moved["stopped"]), (&1000.into(), &false.into()));
    assert_eq!(slots(&lab, &servers), [before[0] - 1000, before[1] + 1000, before[2]]);
    filled(&servers);

    at(&lab, &servers[0], &["rebalance", "--yes"]).ok();
    assert!(slots(&lab, &servers).iter().all(|count| (5461..=5462).contains(count)));

    servers.push(Server::start(&lab, &[]));
    let fresh = servers[3].address.clone();
    at(&lab, &servers[0], &["add-node", &fresh]).ok();
    at(&lab, &servers[0], &["rebalance", "--use-empty-masters", "--yes"]).ok();
    assert_eq!(slots(&lab, &servers), [4096; 4]);
    filled(&servers);

    at(&lab, &servers[0], &["del-node", &fresh]).failed(2, &["owns 4096 slots", "rebalance"]);
    at(&lab, &servers[0], &["rebalance", "--weight", &format!("{fresh}=0"), "--yes"]).ok();
    at(&lab, &servers[0], &["del-node", &fresh]).ok();
    let gone = servers.pop().unwrap();
    assert!(gone.call(&["CLUSTER", "INFO"]).unwrap().contains("cluster_known_nodes:1"));
    let nodes = at(&lab, &servers[0], &["nodes", "-o", "json"]).ok().json();
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 3);
    at(&lab, &servers[0], &["check"]).ok();
    filled(&servers);

    let answers = at(&lab, &servers[0], &["call", "--", "PING"]).ok().out;
    for server in &servers {
        assert!(answers.contains(&format!("{}: PONG", server.address)), "{answers}");
    }
}

#[test]
fn an_open_slot_is_found_and_repaired() {
    let lab = Lab::heavy();
    let servers = cluster(&lab, 3);
    fill(&servers);
    at(&lab, &servers[0], &["fix", "--yes"]).ok();
    let id = |server: &Server| server.call(&["CLUSTER", "MYID"]).unwrap();
    servers[1].call(&["CLUSTER", "SETSLOT", "7", "IMPORTING", &id(&servers[0])]).unwrap();
    servers[0].call(&["CLUSTER", "SETSLOT", "7", "MIGRATING", &id(&servers[1])]).unwrap();
    let found = at(&lab, &servers[2], &["check"]).failed(4, &["redoubt cluster fix"]).out;
    assert!(found.contains("slot 7 is open"), "{found}");
    let plan = at(&lab, &servers[2], &["fix", "--dry-run"]).ok().out;
    assert!(plan.contains("slot 7"), "{plan}");
    at(&lab, &servers[2], &["check"]).failed(4, &[]);
    at(&lab, &servers[2], &["fix", "--yes"]).ok();
    at(&lab, &servers[2], &["check"]).ok();
    filled(&servers);
}

/// Seen from the others, its slots are nobody's.
#[test]
fn a_node_that_all_others_forgot_is_repaired_if_it_is_named() {
    let lab = Lab::heavy();
    let servers = cluster(&lab, 3);
    fill(&servers);
    let help = run(&lab, &["fix", "--help"]).ok().out;
    assert!(help.contains("--addr names it"), "{help}");
    let id = servers[0].call(&["CLUSTER", "MYID"]).unwrap();
    for other in &servers[1..] {
        // The first one may have told the second one already.
        other.call(&["CLUSTER", "FORGET", &id]).ok();
    }
    let forgotten = &servers[0].address;
    let found = at(&lab, &servers[0], &["check"]).failed(4, &["redoubt cluster fix"]).out;
    assert!(found.contains(&format!("{} does not know {forgotten}", servers[1].address)), "{found}");
    let found = at(&lab, &servers[1], &["check"]).failed(4, &[]).out;
    assert!(found.contains("nobody owns 546"), "{found}");
    let plan = at(&lab, &servers[1], &["fix", "--dry-run"]).ok();
    assert!(plan.err.contains("name it as --addr"), "{}", plan.err);
    at(&lab, &servers[0], &["fix", "--yes"]).ok();
    at(&lab, &servers[1], &["check"]).ok();
    filled(&servers);
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_moves() {
    let lab = Lab::heavy();
    let servers = cluster(&lab, 3);
    let before = slots(&lab, &servers);
    let [a, b, _] = &servers[..] else { unreachable!() };
    let (first, second) = (a.address.as_str(), b.address.as_str());
    for (words, code, said) in [
        (vec!["reshard", "--from", first, "--to", first, "--slots", "5"], 2, "source and target"),
        (vec!["reshard", "--from", first, "--to", second, "--slots", "9000"], 2, "own 546"),
        (vec!["reshard", "--from", "127.0.0.9:1", "--to", second, "--slots", "5"], 3, "127.0.0.9:1"),
        (vec!["rebalance", "--weight", "127.0.0.9:1=2"], 3, "127.0.0.9:1"),
        (vec!["rebalance", "--weight", "heavy"], 2, "NODE=WEIGHT"),
        (vec!["rebalance", "--weight", &format!("{first}=NaN")], 2, "weight from 0"),
        (vec!["add-node", second], 2, "is not empty"),
        (vec!["del-node", first], 2, "slots"),
        (vec!["check", "--user", "ann"], 2, "REDOUBT_CLUSTER_PASSWORD"),
    ] {
        let words = if words[0].starts_with("re") { [&words[..], &["--yes"]].concat() } else { words };
        at(&lab, a, &words).failed(code, &["error: ", said, "hint: "]);
    }
    assert_eq!(slots(&lab, &servers), before);
    for threshold in ["NaN", "-5"] {
        let words = ["rebalance", "--yes", &format!("--threshold={threshold}")];
        at(&lab, a, &words).failed(2, &["error: ", "no number from 0"]);
    }
    run(&lab, &["create", "--yes", first, second]).failed(2, &["error: ", "hint: "]);

    let plain = Server::start(&lab, &["--cluster-enabled", "no"]);
    at(&lab, &plain, &["check"]).failed(2, &["no node of a cluster", "cluster-enabled"]);
    let nobody = format!("{}:6379", free_host());
    run(&lab, &["check", "--addr", &nobody]).failed(1, &[&nobody, "hint: "]);
}

/// The second one comes while the first one works, and the first one is asked to end.
#[test]
fn of_two_reshards_the_second_moves_nothing_and_the_first_leaves_nothing_open() {
    let lab = Lab::heavy();
    let servers = cluster(&lab, 3);
    fill(&servers);
    let before = slots(&lab, &servers);
    let [a, b, c] = [0, 1, 2].map(|index| servers[index].address.as_str());
    // About six keys a second, of 150.
    let first =
        ["cluster", "reshard", "--addr", a, "--from", a, "--to", b, "--slots", "5000", "--rate", "500"];
    let first = lab
        .command(first)
        .args(["--migrate", "--yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("slots that are open", 60, || servers[0].call(&["CLUSTER", "NODES"]).unwrap().contains("->-"));
    for second in [
        vec!["reshard", "--from", c, "--to", b, "--slots", "100", "--yes"],
        vec!["rebalance", "--weight", &format!("{c}=2"), "--yes"],
        vec!["fix", "--yes"],
    ] {
        let refused = at(&lab, &servers[2], &second);
        let refused = refused.failed(1, &["somebody else moves slots", "nothing was changed"]);
        assert!(!refused.err.contains("goes"), "it tells of what it does not do: {}", refused.err);
    }
    kill_process(Pid::from_child(&first), Signal::INT).unwrap();
    let stopped = Said::from(first.wait_with_output().unwrap());
    stopped.failed(130, &["finishing what is open", "no slot is open"]);
    at(&lab, &servers[0], &["check"]).ok();
    filled(&servers);
    let after = slots(&lab, &servers);
    let moved = before[0] - after[0];
    assert!((1..5000).contains(&moved), "{moved}");
    assert_eq!(after[1..], [before[1] + moved, before[2]]);
}

/// It would evict what it has, or refuse half of a slot.
#[test]
fn a_target_without_room_is_refused_before_anything_moves() {
    let lab = Lab::heavy();
    let servers = cluster(&lab, 3);
    fill(&servers);
    let before = slots(&lab, &servers);
    let info = servers[1].call(&["INFO", "memory"]).unwrap();
    let used: u64 = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse().unwrap();
    servers[1].call(&["CONFIG", "SET", "maxmemory", &used.to_string()]).unwrap();
    let (from, to) = (&servers[0].address, &servers[1].address);
    let reshard = ["reshard", "--from", from, "--to", to, "--slots", "5000", "--yes"];
    at(&lab, &servers[0], &reshard)
        .failed(1, &[&format!("{to} has no room"), "maxmemory", "nothing was changed"]);
    assert_eq!(slots(&lab, &servers), before);
    at(&lab, &servers[0], &["check"]).ok();
    filled(&servers);
}

#[test]
fn a_password_comes_from_the_environment_and_is_never_shown() {
    let lab = Lab::heavy();
    let server = Server::start(&lab, &["--requirepass", "s3cret-word"]);
    at(&lab, &server, &["nodes"]).failed(2, &["wants a password", "REDOUBT_CLUSTER_PASSWORD"]);
    let with = |password: &str| {
        let mut command = lab.command(["cluster", "nodes", "--addr", &server.address]);
        Said::from(command.env("REDOUBT_CLUSTER_PASSWORD", password).output().unwrap())
    };
    let refused = with("wrong-word").failed(1, &["error: ", "hint: "]);
    assert!(!refused.err.contains("wrong-word"), "{}", refused.err);
    assert!(with("s3cret-word").ok().out.contains(&server.address));
}
