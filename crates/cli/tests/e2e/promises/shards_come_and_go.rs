//! Shards come and go, and own what they are to own: under writes, with nothing lost, whatever dies meanwhile.

use std::{fs, time::Duration};

use redis::{
    Client, Connection, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo,
    cluster::{ClusterConnection, cluster_pipe},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    engine_of,
    shards::{master, shop, text, whole},
};
use crate::lab::{Lab, Sight, Writer, gone, is, kill, wait_for};

/// So many that a move takes a few seconds.
const KEYS: usize = 30_000;

/// What `up` says when it has waited long enough; the engine goes on.
const NOT_READY_YET: i32 = 4;

/// A machine that is busy with other tests moves some tens of slots a second.
const MOVED_WITHIN: u64 = 360;

/// Keys all over the slots.
fn fill(sight: &Sight, keys: usize) {
    let mut connection = sight.cluster().unwrap();
    let numbers: Vec<usize> = (0..keys).collect();
    for part in numbers.chunks(1000) {
        let mut pipe = cluster_pipe();
        for number in part {
            pipe.set(format!("key:{number}"), format!("{number:0>100}")).ignore();
        }
        pipe.exec(&mut connection).unwrap();
    }
}

/// Every key has its value.
#[track_caller]
fn has_all(connection: &mut ClusterConnection, keys: usize) {
    let numbers: Vec<usize> = (0..keys).collect();
    for part in numbers.chunks(1000) {
        let mut pipe = cluster_pipe();
        for number in part {
            pipe.get(format!("key:{number}"));
        }
        let values: Vec<Option<String>> = pipe.query(connection).unwrap();
        for (number, value) in part.iter().zip(values) {
            assert_eq!(value, Some(format!("{number:0>100}")), "key:{number}");
        }
    }
}

fn counts(status: &Value) -> Vec<u64> {
    let shards = status["shards"].as_array().map_or(&[][..], Vec::as_slice);
    shards.iter().map(|shard| shard["count"].as_u64().unwrap()).collect()
}

/// Waits until it is whole with these counts of slots.
#[track_caller]
fn settled(lab: &Lab, wanted: &[u64]) -> Value {
    let fits = |status: &Value| {
        let counts = counts(status);
        counts.len() == wanted.len()
            && counts.iter().zip(wanted).all(|(has, wants)| has.abs_diff(*wants) <= 1)
    };
    lab.until_within("shop", MOVED_WITHIN, "every shard owns its share", |status| {
        is(status, "Ready") && fits(status)
    });
    whole(lab)
}

fn spec(shards: u32) -> String {
    text("", "Cluster", &format!("  shards: {shards}\n"))
}

const THIRDS: [u64; 3] = [5461; 3];
const FIFTHS: [u64; 5] = [3277; 5];

/// Waits until slots move: some of the new shard have arrived, and some have yet to.
#[track_caller]
fn under_way(lab: &Lab, sight: &Sight) {
    // Only the masters at both ends say so.
    let is_open = |node: &String| {
        let nodes = |connection: &mut Connection| {
            redis::cmd("CLUSTER").arg("NODES").query::<String>(connection).unwrap_or_default()
        };
        let said = sight.connect(node).ok().map(|mut connection| nodes(&mut connection)).unwrap_or_default();
        said.contains("->-") || said.contains("-<-")
    };
    wait_for("slots are on their way", 120, || sight.nodes.keys().any(is_open));
    assert!(!is(&lab.status("shop"), "Ready"));
}

/// No slot is left half moved.
#[track_caller]
fn nothing_is_open(lab: &Lab, sight: &Sight) {
    wait_for("no slot is open", 60, || {
        lab.nodes("shop").iter().all(|node| {
            let Some(mut connection) = sight.nodes.get(node).and_then(|_| sight.connect(node).ok()) else {
                return true;
            };
            let nodes: String = redis::cmd("CLUSTER").arg("NODES").query(&mut connection).unwrap();
            !nodes.contains("->-") && !nodes.contains("-<-")
        })
    });
}

#[test]
fn shards_come_and_go_under_writes_and_nothing_is_lost() {
    let lab = shop("");
    let sight = lab.sight("shop");
    fill(&sight, KEYS);
    let before = lab.servers("shop");
    let writer = Writer::in_cluster(&sight);
    writer.more(200);
    lab.apply(&spec(5));
    let moving = lab.until("shop", "it says how far it is", |status| {
        status["moving"]["slotsLeft"].as_u64().is_some_and(|left| left > 0)
            && status["moving"]["secondsLeft"].is_u64()
    });
    assert!(!is(&moving, "Ready") && is(&moving, "Available") && is(&moving, "Progressing"), "{moving:#}");
    let status = settled(&lab, &FIFTHS);
    assert!(status["moving"].is_null(), "{status:#}");
    let live = status["live"]["nodes"].as_object().unwrap();
    assert!(before.iter().all(|(name, pid)| live[name]["serverPid"] == pid.as_raw_nonzero().get()));
    writer.more(200);
    has_all(&mut sight.cluster().unwrap(), KEYS);
    // And back.
    lab.apply(&spec(3));
    let status = settled(&lab, &THIRDS);
    assert_eq!(status["nodes"].as_array().unwrap().len(), 6, "{status:#}");
    writer.more(200);
    let account = writer.finish();
    let mut connection = sight.cluster().unwrap();
    has_all(&mut connection, KEYS);
    let after = account.last() + Duration::from_secs(1);
    assert_eq!(account.lost_in_cluster(after, &mut connection), 0, "of {}", account.acknowledged.len());
    for node in lab.nodes("shop") {
        let mut connection = lab.connect("shop", &node);
        let known: String = redis::cmd("CLUSTER").arg("NODES").query(&mut connection).unwrap();
        assert_eq!(known.lines().count(), 6, "{node} knows {known}");
    }
    // The folders of those that left remember a cluster that has forgotten them.
    lab.apply(&spec(4));
    settled(&lab, &[4096; 4]);
    has_all(&mut sight.cluster().unwrap(), KEYS);
}

/// Its files are from before its keys went elsewhere, and were deleted there.
#[test]
fn a_shard_that_comes_back_brings_nothing_of_its_earlier_life() {
    let with = |shards: u32| {
        let saved = "  persistence: {rdb: {save: \"3600 1\"}, aof: {enabled: false}}\n";
        text("", "Cluster", &format!("  shards: {shards}\n{saved}"))
    };
    let lab = Lab::heavy();
    lab.up(&with(4));
    whole(&lab);
    fill(&lab.sight("shop"), 2000);
    copied(&lab, 4);
    let leaves = ["shop-shard-3-0", "shop-shard-3-1"];
    for node in leaves {
        redis::cmd("SAVE").exec(&mut lab.connect("shop", node)).unwrap();
    }
    lab.apply(&with(3));
    settled(&lab, &THIRDS);
    for shard in 0..3 {
        redis::cmd("FLUSHALL").exec(&mut lab.connect("shop", &master(&lab, shard))).unwrap();
    }
    lab.apply(&with(4));
    settled(&lab, &[4096; 4]);
    for node in lab.nodes("shop") {
        let keys: usize = redis::cmd("DBSIZE").query(&mut lab.connect("shop", &node)).unwrap();
        assert_eq!(keys, 0, "{node}");
    }
    for node in leaves {
        let names = fs::read_dir(lab.data("shop", node)).unwrap().map(|entry| entry.unwrap().path());
        let aside = names.filter(|path| path.to_string_lossy().contains("set-aside-")).collect::<Vec<_>>();
        let [aside] = &aside[..] else { panic!("{node}: {aside:?}") };
        assert!(aside.join("dump.rdb").is_file() && aside.join("nodes.conf").is_file(), "{aside:?}");
    }
}

#[test]
fn weights_say_how_much_a_shard_owns_and_at_rest_no_slot_moves() {
    let lab = shop("  weights: {0: 2}\n");
    let sight = lab.sight("shop");
    settled(&lab, &[8192, 4096, 4096]);
    fill(&sight, 2000);
    lab.apply(&text("", "Cluster", "  weights: {2: 6}\n"));
    settled(&lab, &[2048, 2048, 12288]);
    has_all(&mut sight.cluster().unwrap(), 2000);
    lab.apply(&text("", "Cluster", ""));
    settled(&lab, &THIRDS);
    has_all(&mut sight.cluster().unwrap(), 2000);
    let (epochs, servers) = (epochs(&sight), lab.servers("shop"));
    // A restart of the engine moves nothing either.
    let engine = engine_of(&lab, "shop");
    kill(engine);
    gone(engine);
    lab.run(["up", "--detach"]).ok();
    settled(&lab, &THIRDS);
    assert_eq!((self::epochs(&sight), lab.servers("shop")), (epochs, servers));
}

/// What each node says of the epochs, which change with every slot that moves.
fn epochs(sight: &Sight) -> Vec<String> {
    let epoch = |node: &String| {
        let info: String =
            redis::cmd("CLUSTER").arg("INFO").query(&mut sight.connect(node).unwrap()).unwrap();
        info.lines().filter(|line| line.contains("epoch")).collect::<String>()
    };
    sight.nodes.keys().map(epoch).collect()
}

#[test]
fn an_engine_that_dies_while_slots_move_leaves_none_open_and_the_next_one_goes_on() {
    let lab = shop("");
    let sight = lab.sight("shop");
    fill(&sight, KEYS);
    let writer = Writer::in_cluster(&sight);
    for (shards, counts) in [(5, &FIFTHS[..]), (3, &THIRDS[..])] {
        lab.apply(&spec(shards));
        under_way(&lab, &sight);
        let engine = engine_of(&lab, "shop");
        kill(engine);
        gone(engine);
        nothing_is_open(&lab, &sight);
        has_all(&mut sight.cluster().unwrap(), KEYS);
        let said = lab.run(["up", "--detach"]);
        assert!([0, NOT_READY_YET].contains(&said.code), "{said:?}");
        settled(&lab, counts);
    }
    let account = writer.finish();
    let mut connection = sight.cluster().unwrap();
    has_all(&mut connection, KEYS);
    let after = account.last() + Duration::from_secs(1);
    assert_eq!(account.lost_in_cluster(after, &mut connection), 0, "of {}", account.acknowledged.len());
}

/// Waits until all replicas have what was written.
#[track_caller]
fn copied(lab: &Lab, shards: usize) {
    for shard in 0..shards {
        let mut connection = lab.connect("shop", &master(lab, shard));
        redis::cmd("WAIT").arg(1).arg(10_000).query::<usize>(&mut connection).unwrap();
    }
}

#[test]
fn nodes_that_die_while_slots_move_lose_nothing_and_the_move_goes_on() {
    let lab = shop("");
    let sight = lab.sight("shop");
    fill(&sight, KEYS);
    copied(&lab, 3);
    let victims = |lab: &Lab, names: &[&str]| -> Vec<Pid> {
        names.iter().map(|name| lab.server("shop", name)).collect()
    };
    lab.apply(&spec(5));
    // Who gives, and whose agent moves them.
    under_way(&lab, &sight);
    victims(&lab, &["shop-shard-0-0"]).into_iter().for_each(kill);
    // Who takes.
    let status = lab.until("shop", "slots go on to the new shard", |status| {
        let new = counts(status).get(3).copied().unwrap_or_default();
        is(status, "Ready")
            || (new > 0 && status["moving"]["slotsLeft"].as_u64().is_some_and(|left| left > 0))
    });
    assert!(!is(&status, "Ready"), "it was too fast for this test: {status:#}");
    victims(&lab, &["shop-shard-3-0"]).into_iter().for_each(kill);
    settled(&lab, &FIFTHS);
    has_all(&mut sight.cluster().unwrap(), KEYS);
    // All at once, on the way back.
    copied(&lab, 5);
    lab.apply(&spec(3));
    under_way(&lab, &sight);
    let all = lab.servers("shop");
    all.values().copied().for_each(kill);
    all.values().copied().for_each(gone);
    settled(&lab, &THIRDS);
    has_all(&mut sight.cluster().unwrap(), KEYS);
}

/// Its server may have been started by an agent of another version, whose users may less.
#[test]
fn an_agent_that_takes_a_server_over_gives_its_users_the_rights_of_today() {
    let lab = shop("");
    let node = "shop-shard-0-0";
    let password = fs::read_to_string(lab.state().join("redis/shop/secrets/agent-password")).unwrap();
    let settings = RedisConnectionInfo::default().set_username("redoubt-agent").set_password(password.trim());
    let (host, port) = lab.address("shop", node);
    let info = ConnectionAddr::Tcp(host, port).into_connection_info().unwrap().set_redis_settings(settings);
    let client = Client::open(info).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut may_move = || {
        let moved = redis::cmd("MIGRATE").arg(&["127.0.0.1", "1", "key", "0", "10"]).exec(&mut connection);
        !moved.is_err_and(|error| error.code() == Some("NOPERM"))
    };
    assert!(may_move());
    let mut agent = client.get_connection().unwrap();
    redis::cmd("ACL").arg(&["SETUSER", "redoubt-agent", "-migrate"]).exec(&mut agent).unwrap();
    assert!(!may_move());
    let (server, agent) = (lab.server("shop", node), lab.agent("shop", node));
    kill_process(agent, Signal::USR2).unwrap();
    wait_for("it may move keys", 60, may_move);
    whole(&lab);
    assert_eq!((lab.server("shop", node), lab.agent("shop", node)), (server, agent));
}

#[test]
fn whoever_changes_his_mind_while_slots_move_gets_them_back() {
    let lab = shop("");
    let sight = lab.sight("shop");
    fill(&sight, KEYS);
    lab.apply(&spec(5));
    under_way(&lab, &sight);
    lab.apply(&spec(3));
    let status = settled(&lab, &THIRDS);
    assert_eq!(status["nodes"].as_array().unwrap().len(), 6, "{status:#}");
    has_all(&mut sight.cluster().unwrap(), KEYS);
}

#[test]
fn fewer_shards_than_the_data_has_room_in_are_refused_by_name_and_no_slot_moves() {
    let with = |shards: u32, limit: &str| {
        text(
            "",
            "Cluster",
            &format!("  shards: {shards}\n  replicasPerShard: 0\n  config: {{maxmemory: {limit}}}\n"),
        )
    };
    let lab = Lab::heavy();
    lab.up(&with(5, "0"));
    whole(&lab);
    let sight = lab.sight("shop");
    fill(&sight, KEYS);
    let used = |node: &str| sight.info(node, "used_memory").unwrap().parse::<u64>().unwrap();
    // Room for a quarter more in each shard, where two thirds more would come.
    let limit = sight.nodes.keys().map(|node| used(node)).max().unwrap() * 5 / 4;
    lab.apply(&with(5, &limit.to_string()));
    lab.until("shop", "the limit is in force", |status| is(status, "Ready"));
    wait_for("every server has it", 60, || {
        sight.nodes.keys().all(|node| sight.info(node, "maxmemory") == Some(limit.to_string()))
    });
    let before = counts(&lab.status("shop"));
    lab.apply(&with(3, &limit.to_string()));
    let status = lab.until("shop", "it is refused", |status| {
        status["conditions"].to_string().contains("spec.shards and spec.weights ask for more than fits")
    });
    let said = status["conditions"].to_string();
    assert!(said.contains("has no room") && said.contains("spec.config.maxmemory"), "{said}");
    assert_eq!(counts(&status), before);
    assert_eq!(status["nodes"].as_array().unwrap().len(), 5);
    has_all(&mut sight.cluster().unwrap(), KEYS);
    // With room it goes on by itself.
    lab.apply(&with(3, "0"));
    settled(&lab, &THIRDS);
    has_all(&mut sight.cluster().unwrap(), KEYS);
}

/// What was deleted is kept, and is not all reached by fewer shards.
#[test]
fn a_cluster_made_again_with_fewer_shards_than_hold_its_data_is_refused() {
    let lab = shop("  replicasPerShard: 0\n");
    let sight = lab.sight("shop");
    fill(&sight, 100);
    lab.apply(&text("", "Cluster", "  shards: 4\n  replicasPerShard: 0\n"));
    settled(&lab, &[4096; 4]);
    lab.run(["delete", "shop"]).ok();
    lab.apply(&text("", "Cluster", "  replicasPerShard: 0\n"));
    lab.until("shop", "it is refused", |status| {
        let said = status["conditions"].to_string();
        said.contains("spec.shards") && said.contains("its data is in 4 shards")
    });
    lab.apply(&text("", "Cluster", "  shards: 4\n  replicasPerShard: 0\n"));
    settled(&lab, &[4096; 4]);
    has_all(&mut lab.sight("shop").cluster().unwrap(), 100);
    lab.apply(&text("", "Cluster", "  replicasPerShard: 0\n"));
    settled(&lab, &THIRDS);
    has_all(&mut lab.sight("shop").cluster().unwrap(), 100);
}
