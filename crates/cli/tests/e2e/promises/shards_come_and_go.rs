//! Shards come and go, and own what they are to own: under writes, with nothing lost, whatever dies meanwhile.

use std::{fs, time::Duration};

use redis::{
    Connection, FromRedisValue,
    cluster::{ClusterConnection, ClusterPipeline, cluster_pipe},
};
use redoubt_redis::cluster::{SlotSet, key_slot};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    engine_of,
    shards::{WRITTEN_AT_ONCE, master, replica, shop, text, whole},
};
use crate::lab::{AGENT, AgentConnection, Lab, Sight, Writer, gone, is, kill, wait_for};

/// So many that a move takes a few seconds.
const KEYS: usize = 30_000;
const MANY_KEYS: usize = 200_000;

/// What `up` says when it has waited long enough; the engine goes on.
const NOT_READY_YET: i32 = 4;

/// A machine that is busy with other tests moves some tens of slots a second, and fewer while nodes die.
const MOVED_WITHIN: u64 = 600;

/// A cluster in which nobody is missing answers within this, also on a busy machine.
const ANSWERS_WITHIN: u64 = 120;

/// Keys all over the slots.
#[track_caller]
fn fill(sight: &Sight, keys: usize) {
    let (numbers, mut client) = ((0..keys).collect::<Vec<_>>(), None);
    for part in numbers.chunks(1000) {
        let mut pipe = cluster_pipe();
        for number in part {
            pipe.set(format!("key:{number}"), format!("{number:0>100}")).ignore();
        }
        answered::<()>(sight, &mut client, &pipe);
    }
}

/// Every key has its value.
#[track_caller]
fn has_all(sight: &Sight, keys: usize) {
    let (numbers, mut client) = ((0..keys).collect::<Vec<_>>(), None);
    for part in numbers.chunks(1000) {
        let mut pipe = cluster_pipe();
        for number in part {
            pipe.get(format!("key:{number}"));
        }
        let values: Vec<Option<String>> = answered(sight, &mut client, &pipe);
        for (number, value) in part.iter().zip(values) {
            assert_eq!(value, Some(format!("{number:0>100}")), "key:{number}");
        }
    }
}

/// What a client is told that asks again where nobody answers: connections to nodes that have died, or a busy machine.
#[track_caller]
fn answered<T: FromRedisValue>(
    sight: &Sight,
    client: &mut Option<ClusterConnection>,
    pipe: &ClusterPipeline,
) -> T {
    let mut answer = None;
    wait_for("the cluster answers", ANSWERS_WITHIN, || {
        *client = client.take().or_else(|| sight.cluster().ok());
        answer = client.as_mut().and_then(|client| pipe.query(client).ok());
        if answer.is_none() {
            *client = None;
        }
        answer.is_some()
    });
    answer.unwrap()
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

/// What a node says of the slots that are on their way from it, and to it.
fn opens(sight: &Sight, node: &str) -> (bool, bool) {
    let ask = |mut connection: Connection| redis::cmd("CLUSTER").arg("NODES").query(&mut connection);
    let said: String = sight.connect(node).and_then(ask).unwrap_or_default();
    (said.contains("->-"), said.contains("-<-"))
}

fn is_open(sight: &Sight, node: &str) -> bool {
    opens(sight, node) != (false, false)
}

/// Waits until slots are on their way.
#[track_caller]
fn under_way(sight: &Sight) {
    wait_for("slots are on their way", MOVED_WITHIN, || {
        // Only the masters at both ends say so.
        sight.nodes.keys().any(|node| is_open(sight, node))
    });
}

/// No slot is left half moved.
#[track_caller]
fn nothing_is_open(lab: &Lab, sight: &Sight) {
    wait_for("no slot is open", ANSWERS_WITHIN, || {
        let nodes = lab.nodes("shop").into_iter().filter(|node| sight.nodes.contains_key(node));
        nodes.into_iter().all(|node| sight.connect(&node).is_err() || !is_open(sight, &node))
    });
}

#[test]
fn shards_come_and_go_under_writes_and_nothing_is_lost() {
    let lab = shop("");
    let sight = lab.sight("shop");
    fill(&sight, MANY_KEYS);
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
    has_all(&sight, MANY_KEYS);
    // And back.
    lab.apply(&spec(3));
    let status = settled(&lab, &THIRDS);
    assert_eq!(status["nodes"].as_array().unwrap().len(), 6, "{status:#}");
    writer.more(200);
    let account = writer.finish();
    let mut connection = sight.cluster().unwrap();
    has_all(&sight, MANY_KEYS);
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
    has_all(&sight, MANY_KEYS);
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
    has_all(&sight, 2000);
    lab.apply(&text("", "Cluster", ""));
    settled(&lab, &THIRDS);
    has_all(&sight, 2000);
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
        let engine = engine_of(&lab, "shop");
        under_way(&sight);
        kill(engine);
        gone(engine);
        nothing_is_open(&lab, &sight);
        has_all(&sight, KEYS);
        let said = lab.run(["up", "--detach"]);
        assert!([0, NOT_READY_YET].contains(&said.code), "{said:?}");
        settled(&lab, counts);
    }
    let account = writer.finish();
    let mut connection = sight.cluster().unwrap();
    has_all(&sight, KEYS);
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
    let with = |shards: u32| text("", "Cluster", &format!("  shards: {shards}\n{WRITTEN_AT_ONCE}"));
    let lab = shop(WRITTEN_AT_ONCE);
    fill(&lab.sight("shop"), KEYS);
    copied(&lab, 3);
    lab.apply(&with(5));
    lab.until("shop", "the new shards are there", |status| status["nodes"].as_array().unwrap().len() == 10);
    let sight = lab.sight("shop");
    // Who gives, and whose agent moves them; and who takes, before anybody has gone on with what the first one left.
    let (giver, taker) = ("shop-shard-0-0", "shop-shard-3-0");
    let ends = [giver, taker].map(|node| running(&sight, node));
    wait_for("slots are on their way from the one to the other", MOVED_WITHIN, || {
        opens(&sight, giver).0 && opens(&sight, taker).1
    });
    ends.into_iter().for_each(kill);
    settled(&lab, &FIFTHS);
    has_all(&sight, KEYS);
    // All at once, on the way back.
    copied(&lab, 5);
    let servers: Vec<Pid> = sight.nodes.keys().map(|node| running(&sight, node)).collect();
    lab.apply(&with(3));
    under_way(&sight);
    servers.iter().copied().for_each(kill);
    servers.into_iter().for_each(gone);
    settled(&lab, &THIRDS);
    has_all(&sight, KEYS);
}

/// The process of a server that runs, or will in a moment.
#[track_caller]
fn running(sight: &Sight, node: &str) -> Pid {
    let mut server = None;
    wait_for(&format!("the server of {node} runs"), ANSWERS_WITHIN, || {
        server = sight.server(node);
        server.is_some()
    });
    server.unwrap()
}

/// Neither heir is told that the slot was on its way: to look at them, all is well.
#[test]
fn a_key_on_its_way_between_two_masters_that_die_is_found_again() {
    let lab = shop("");
    let sight = lab.sight("shop");
    fill(&sight, 300);
    copied(&lab, 3);
    let [giver, taker] = [0, 1].map(|shard| master(&lab, shard));
    let heirs = [0, 1].map(|shard| replica(&lab, shard));
    let owned: SlotSet = lab.status("shop")["shards"][0]["slots"].as_str().unwrap().parse().unwrap();
    let is_given = |number: &usize| owned.contains(key_slot(format!("key:{number}").as_bytes()));
    let key = format!("key:{}", (0..300).find(is_given).expect("a key of the first shard"));
    let servers = [&giver, &taker].map(|node| lab.server("shop", node));
    let ends = [&giver, &taker].map(|node| lab.connect_as_agent("shop", node));
    // Nobody finishes it meanwhile.
    let engine = engine_of(&lab, "shop");
    kill_process(engine, Signal::STOP).unwrap();
    half_moved(&sight, ends, &taker, &key);
    let keys = |node: &str| redis::cmd("DBSIZE").query::<u64>(&mut sight.connect(node).unwrap()).unwrap();
    wait_for("their replicas have it as they do", ANSWERS_WITHIN, || {
        keys(&giver) == keys(&heirs[0]) && keys(&taker) == keys(&heirs[1])
    });
    for (server, heir) in servers.into_iter().zip(&heirs) {
        kill(server);
        wait_for(&format!("{heir} leads"), ANSWERS_WITHIN, || sight.leads(heir) == Some(true));
    }
    kill_process(engine, Signal::CONT).unwrap();
    wait_for("the key is found", ANSWERS_WITHIN, || {
        let ask = |mut cluster: ClusterConnection| redis::cmd("EXISTS").arg(&key).query(&mut cluster);
        sight.cluster().and_then(ask).unwrap_or(false)
    });
    whole(&lab);
    has_all(&sight, 300);
}

/// Sends this key to another master, and leaves its slot open.
fn half_moved(sight: &Sight, [mut giver, mut taker]: [AgentConnection; 2], to: &str, key: &str) {
    let slot = key_slot(key.as_bytes());
    let id = |end: &mut AgentConnection| {
        redis::cmd("CLUSTER").arg("MYID").query::<String>(&mut end.connection).unwrap()
    };
    let (from, target) = (id(&mut giver), id(&mut taker));
    for (end, way, other) in [(&mut taker, "IMPORTING", from), (&mut giver, "MIGRATING", target)] {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SETSLOT").arg(slot).arg(way).arg(other).exec(&mut end.connection).unwrap();
    }
    let (host, port) = &sight.nodes[to];
    let mut command = redis::cmd("MIGRATE");
    command.arg(host).arg(*port).arg("").arg(0).arg(5000).arg("AUTH2").arg(AGENT).arg(&giver.password);
    command.arg("KEYS").arg(key).exec(&mut giver.connection).unwrap();
}

/// Its server may have been started by an agent of another version, whose users may less.
#[test]
fn an_agent_that_takes_a_server_over_gives_its_users_the_rights_of_today() {
    let lab = shop("");
    let node = "shop-shard-0-0";
    let mut connection = lab.connect_as_agent("shop", node).connection;
    let mut may_move = || {
        let moved = redis::cmd("MIGRATE").arg(&["127.0.0.1", "1", "key", "0", "10"]).exec(&mut connection);
        !moved.is_err_and(|error| error.code() == Some("NOPERM"))
    };
    assert!(may_move());
    let mut other = lab.connect_as_agent("shop", node).connection;
    redis::cmd("ACL").arg(&["SETUSER", AGENT, "-migrate"]).exec(&mut other).unwrap();
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
    under_way(&sight);
    lab.apply(&spec(3));
    let status = settled(&lab, &THIRDS);
    assert_eq!(status["nodes"].as_array().unwrap().len(), 6, "{status:#}");
    has_all(&sight, KEYS);
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
    has_all(&sight, KEYS);
    // With room it goes on by itself.
    lab.apply(&with(3, "0"));
    settled(&lab, &THIRDS);
    has_all(&sight, KEYS);
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
    has_all(&lab.sight("shop"), 100);
    lab.apply(&text("", "Cluster", "  replicasPerShard: 0\n"));
    settled(&lab, &THIRDS);
    has_all(&lab.sight("shop"), 100);
}
