//! Mode Cluster: formed by itself, and whole again whatever dies, with every acknowledged key.

use std::{collections::BTreeMap, fs, process::Stdio, time::Duration};

use redis::Commands as _;
use redoubt_redis::cluster::{SlotSet, key_slot};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::lab::{Lab, Writer, gone, is, kill, wait_for};

/// Keys of each shard.
pub(super) const KEYS: usize = 200;

/// Under `everysec` a server keeps up to two seconds of its file to itself while its disk is slow. Killed, it loses them,
/// whoever has acknowledged them.
pub(super) const WRITTEN_AT_ONCE: &str = "  persistence: {aof: {fsync: \"no\"}}\n";

pub(super) fn text(metadata: &str, mode: &str, spec: &str) -> String {
    format!(
        "apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata:\n  name: shop\n{metadata}spec:\n  mode: {mode}\n{spec}"
    )
}

pub(super) fn shop(spec: &str) -> Lab {
    let lab = Lab::heavy();
    lab.up(&text("", "Cluster", spec));
    whole(&lab);
    lab
}

/// Ready, and the same map as `redoubt cluster check` finds.
#[track_caller]
pub(super) fn whole(lab: &Lab) -> Value {
    // What the engine published may be older than a death.
    let runs = |node: &Value| match node["role"].as_str() {
        Some("master") => true,
        Some("replica") => node["link"] == "up",
        _ => false,
    };
    let status = lab.until("shop", "it is whole", |status| {
        is(status, "Ready") && status["live"]["nodes"].as_object().unwrap().values().all(runs)
    });
    lab.run(["cluster", "check", "shop"]).ok();
    status
}

#[track_caller]
pub(super) fn shards(lab: &Lab) -> Vec<Value> {
    lab.status("shop")["shards"].as_array().unwrap().clone()
}

#[track_caller]
pub(super) fn master(lab: &Lab, shard: usize) -> String {
    shards(lab)[shard]["master"].as_str().expect("a master").to_owned()
}

#[track_caller]
pub(super) fn replica(lab: &Lab, shard: usize) -> String {
    let master = master(lab, shard);
    let inside = format!("shop-shard-{shard}-");
    lab.nodes("shop")
        .into_iter()
        .find(|node| node.starts_with(&inside) && *node != master)
        .expect("a replica")
}

/// Text in braces whose slot this shard owns.
#[track_caller]
fn tag(lab: &Lab, shard: usize) -> String {
    let owned: SlotSet = shards(lab)[shard]["slots"].as_str().unwrap().parse().unwrap();
    let tags = (0..10_000).map(|number| format!("{{{number}}}"));
    tags.into_iter().find(|tag| owned.contains(key_slot(tag.as_bytes()))).expect("a tag of this shard")
}

/// Writes keys into every shard, which its replicas have, too. Gives the tags.
#[track_caller]
pub(super) fn fill(lab: &Lab) -> Vec<String> {
    (0..shards(lab).len())
        .map(|shard| {
            let (tag, mut connection) = (tag(lab, shard), lab.connect("shop", &master(lab, shard)));
            for n in 0..KEYS {
                let _: () = connection.set(format!("{tag}{n}"), n).unwrap();
            }
            let replicas = lab.nodes("shop").len() / shards(lab).len() - 1;
            let copies: usize = redis::cmd("WAIT").arg(replicas).arg(10_000).query(&mut connection).unwrap();
            assert_eq!(copies, replicas);
            tag
        })
        .collect()
}

#[track_caller]
pub(super) fn has_all(lab: &Lab, tags: &[String]) {
    for (shard, tag) in tags.iter().enumerate() {
        let mut connection = lab.connect("shop", &master(lab, shard));
        for n in 0..KEYS {
            let value: Option<usize> = connection.get(format!("{tag}{n}")).unwrap();
            assert_eq!(value, Some(n), "{tag}{n} in shard {shard}");
        }
    }
}

#[test]
fn a_cluster_forms_itself_and_spreads_the_slots_evenly() {
    let lab = shop("  shards: 3\n  replicasPerShard: 2\n");
    let status = whole(&lab);
    let counts: Vec<u64> =
        status["shards"].as_array().unwrap().iter().map(|shard| shard["count"].as_u64().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u64>(), 16384);
    assert!(counts.iter().all(|count| (5461..=5462).contains(count)), "{counts:?}");
    let nodes = status["live"]["nodes"].as_object().unwrap();
    for shard in 0..3 {
        let master = lab.address("shop", &master(&lab, shard)).0;
        let inside = format!("shop-shard-{shard}-");
        let followers = nodes.iter().filter(|(name, node)| {
            name.starts_with(&inside)
                && node["link"] == "up"
                && node["follows"].as_str().unwrap().starts_with(&master)
        });
        assert_eq!(followers.count(), 2, "{status:#}");
    }
    has_all(&lab, &fill(&lab));
    // An application can look and cannot change who is where.
    let mut connection = lab.connect("shop", "shop-shard-0-0");
    redis::cmd("CLUSTER").arg("SLOTS").exec(&mut connection).unwrap();
    redis::cmd("CLUSTER").arg("RESET").exec(&mut connection).unwrap_err();
    let floored = "  shards: 3\n  replicasPerShard: 2\n  durability: {minReplicasToWrite: 1}\n";
    lab.apply(&text("", "Cluster", floored));
    wait_for("the floor of the fence is in force", 30, || {
        let asked = redis::cmd("CONFIG").arg("GET").arg("min-replicas-to-write").query(&mut connection);
        asked.is_ok_and(|(_, wanted): (String, u32)| wanted == 1)
    });
}

#[test]
fn twelve_nodes_are_six_shards() {
    let lab = shop("  shards: 6\n");
    let counts: Vec<u64> = shards(&lab).iter().map(|shard| shard["count"].as_u64().unwrap()).collect();
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (6, 16384));
    assert!(counts.iter().all(|count| (2730..=2731).contains(count)), "{counts:?}");
    has_all(&lab, &fill(&lab));
}

#[test]
fn a_cluster_whose_forming_is_cut_off_is_formed_all_the_same() {
    let lab = Lab::heavy();
    lab.file("redis.yaml", &text("", "Cluster", ""));
    let mut up = lab.command(["up", "-f", "redis.yaml", "--detach"]).stdout(Stdio::null()).spawn().unwrap();
    let first = "shop-shard-0-0";
    let note = lab.data("shop", first).join("redoubt-forming");
    // More than once: each time something else is half done.
    for round in 1..=3 {
        wait_for("the first node forms the cluster, again", 60, || {
            note.exists() && lab.log("shop", first).matches("forms the cluster").count() >= round
        });
        // Its server dies with it.
        let agent = lab.agent("shop", first);
        kill(agent);
        gone(agent);
    }
    let formed = up.wait().unwrap().success();
    assert!(formed, "{}\n{:#}", lab.log("shop", first), lab.status("shop"));
    whole(&lab);
    assert!(!note.exists());
    has_all(&lab, &fill(&lab));
}

#[test]
fn a_killed_master_is_replaced_by_its_replica_at_once_and_comes_back_as_one() {
    let lab = shop("");
    let tags = fill(&lab);
    let (old, heir) = (master(&lab, 1), replica(&lab, 1));
    let sight = lab.sight("shop");
    let writer = Writer::in_shard(&sight, &[&old, &heir], &tags[1]);
    writer.more(100);
    kill(lab.server("shop", &old));
    writer.more(100);
    lab.until("shop", "the replica leads", |status| {
        status["shards"][1]["master"] == *heir && status["live"]["nodes"][&old]["role"] == "replica"
    });
    let status = whole(&lab);
    assert_eq!(status["lastFailover"]["cause"], "crash", "{status:#}");
    assert_eq!(status["lastFailover"]["newMaster"], *heir);
    let account = writer.finish();
    // The mark is 250 ms; beside other tests the machine may not have the time. The bus alone takes 5 s and more.
    assert!(account.gap() < Duration::from_secs(4), "{:?}", account.gap());
    let written = account.acknowledged.len();
    assert!(written >= 200, "{written}");
    has_all(&lab, &tags);
}

#[test]
fn a_hand_over_loses_no_acknowledged_write_and_copies_nothing() {
    let lab = shop("");
    let tags = fill(&lab);
    let (old, heir) = (master(&lab, 0), replica(&lab, 0));
    let copies = lab.full_copies("shop");
    let sight = lab.sight("shop");
    let writer = Writer::in_shard(&sight, &[&old, &heir], &tags[0]);
    writer.more(200);
    lab.run(["switchover", "shop"]).failed(2, &["a master in each shard", "--to"]);
    lab.run(["switchover", "shop", "--to", &old]).failed(2, &["is the master already"]);
    lab.run(["switchover", "shop", "--to", &heir]).ok();
    writer.more(200);
    let account = writer.finish();
    whole(&lab);
    assert_eq!(master(&lab, 0), heir);
    let mut connection = lab.connect("shop", &heir);
    let after = account.last() + Duration::from_secs(1);
    assert_eq!(account.lost(after, &mut connection), 0, "of {}", account.acknowledged.len());
    assert_eq!(lab.full_copies("shop"), copies, "{}", lab.copies("shop"));
    has_all(&lab, &tags);
}

#[test]
fn a_roll_replaces_every_node_and_loses_no_acknowledged_write() {
    let lab = shop("");
    let tags = fill(&lab);
    let before = lab.servers("shop");
    let sight = lab.sight("shop");
    let nodes: Vec<String> =
        lab.nodes("shop").into_iter().filter(|node| node.contains("-shard-2-")).collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let writer = Writer::in_shard(&sight, &nodes, &tags[2]);
    writer.more(100);
    lab.apply(&text("  annotations: {redoubt.dev/restartedAt: now}\n", "Cluster", ""));
    lab.until("shop", "every node has a new server", |status| {
        let live = status["live"]["nodes"].as_object().unwrap();
        is(status, "Ready")
            && live.iter().all(|(name, node)| {
                node["serverPid"]
                    .as_i64()
                    .is_some_and(|pid| i64::from(before[name].as_raw_nonzero().get()) != pid)
            })
    });
    writer.more(50);
    let account = writer.finish();
    let mut connection = lab.connect("shop", &master(&lab, 2));
    let after = account.last() + Duration::from_secs(1);
    assert_eq!(account.lost(after, &mut connection), 0, "of {}", account.acknowledged.len());
    has_all(&lab, &tags);
}

/// Has the replica of a shard lead, so that not everybody is what it was at the beginning.
#[track_caller]
pub(super) fn hand_over(lab: &Lab, shard: usize) {
    let heir = replica(lab, shard);
    lab.run(["switchover", "shop", "--to", &heir]).ok();
    lab.until("shop", "it leads", |status| is(status, "Ready") && status["shards"][shard]["master"] == *heir);
}

#[test]
fn all_nodes_killed_at_once_come_back_with_everything() {
    let lab = shop("");
    let tags = fill(&lab);
    hand_over(&lab, 1);
    let leaders: Vec<String> = (0..3).map(|shard| master(&lab, shard)).collect();
    let servers = lab.servers("shop");
    servers.values().copied().for_each(kill);
    lab.restarted("shop", &servers);
    whole(&lab);
    for (shard, leader) in leaders.iter().enumerate() {
        assert_eq!(master(&lab, shard), *leader);
    }
    has_all(&lab, &tags);
    // As after a power cut, the agents and the engine as well.
    lab.kill_everything();
    lab.run(["up", "--detach"]).ok();
    whole(&lab);
    has_all(&lab, &tags);
}

#[test]
fn a_master_whose_data_folder_is_deleted_never_empties_its_replica() {
    let lab = shop("");
    let tags = fill(&lab);
    let (old, heir) = (master(&lab, 0), replica(&lab, 0));
    let server = lab.server("shop", &old);
    fs::remove_dir_all(lab.data("shop", &old)).unwrap();
    kill(server);
    lab.until("shop", "the replica leads and the other one is back", |status| {
        status["shards"][0]["master"] == *heir && status["live"]["nodes"][&old]["link"] == "up"
    });
    whole(&lab);
    has_all(&lab, &tags);
    // Nobody remembers the node that it was.
    for node in lab.nodes("shop") {
        let mut connection = lab.connect("shop", &node);
        wait_for(&format!("{node} knows six nodes"), 60, || {
            let known: String = redis::cmd("CLUSTER").arg("NODES").query(&mut connection).unwrap();
            known.lines().count() == 6
        });
    }
}

#[test]
fn without_persistence_a_crashed_master_never_empties_its_replica() {
    let lab = shop("  persistence: {aof: {enabled: false}, rdb: {save: ''}}\n");
    let tags = fill(&lab);
    for round in 0..20 {
        let shard = round % 3;
        let old = master(&lab, shard);
        let heir = replica(&lab, shard);
        kill(lab.server("shop", &old));
        lab.until("shop", "the replica leads", |status| {
            status["shards"][shard]["master"] == *heir && status["live"]["nodes"][&old]["link"] == "up"
        });
        whole(&lab);
        has_all(&lab, &tags);
    }
}

/// Agent and server of a node.
#[track_caller]
pub(super) fn processes(lab: &Lab, node: &str) -> [Pid; 2] {
    [lab.agent("shop", node), lab.server("shop", node)]
}

pub(super) fn signal(processes: &[Pid], signal: Signal) {
    for process in processes {
        kill_process(*process, signal).unwrap();
    }
}

#[test]
fn a_master_that_vanishes_is_replaced_by_the_bus_and_is_a_replica_when_it_is_back() {
    let lab = shop("");
    let tags = fill(&lab);
    let (old, heir) = (master(&lab, 0), replica(&lab, 0));
    let frozen = processes(&lab, &old);
    signal(&frozen, Signal::STOP);
    lab.until("shop", "the replica leads", |status| status["shards"][0]["master"] == *heir);
    has_all(&lab, &tags);
    signal(&frozen, Signal::CONT);
    lab.until("shop", "it follows", |status| status["live"]["nodes"][&old]["link"] == "up");
    whole(&lab);
    assert_eq!(master(&lab, 0), heir);
    has_all(&lab, &tags);
}

#[test]
fn a_master_killed_with_its_replica_leads_again_with_everything() {
    let lab = shop("");
    let tags = fill(&lab);
    let (leader, other) = (master(&lab, 2), replica(&lab, 2));
    let servers = [lab.server("shop", &leader), lab.server("shop", &other)];
    servers.into_iter().for_each(kill);
    servers.into_iter().for_each(gone);
    whole(&lab);
    assert_eq!(master(&lab, 2), leader);
    has_all(&lab, &tags);
    // Its agents, too: they come back without an engine.
    let agents = [lab.agent("shop", &leader), lab.agent("shop", &other)];
    agents.into_iter().for_each(kill);
    agents.into_iter().for_each(gone);
    lab.until("shop", "both answer", |status| {
        let live = &status["live"]["nodes"];
        [&leader, &other].iter().all(|node| live[node.as_str()]["role"].is_string())
    });
    whole(&lab);
    has_all(&lab, &tags);
}

#[test]
fn a_lost_memory_of_the_cluster_throws_no_data_away() {
    let lab = shop("");
    let tags = fill(&lab);
    let old = master(&lab, 2);
    let server = lab.server("shop", &old);
    fs::remove_file(lab.data("shop", &old).join("nodes.conf")).unwrap();
    kill(server);
    lab.until("shop", "it follows", |status| status["live"]["nodes"][&old]["link"] == "up");
    whole(&lab);
    has_all(&lab, &tags);
    let aside: Vec<_> = fs::read_dir(lab.data("shop", &old))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.starts_with("set-aside-"))
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
}

#[test]
fn a_shard_whose_every_copy_is_gone_is_reported_and_begins_anew_only_when_somebody_says_so() {
    let lab = shop("");
    let tags = fill(&lab);
    let (old, other) = (master(&lab, 1), replica(&lab, 1));
    let servers = [lab.server("shop", &old), lab.server("shop", &other)];
    for node in [&old, &other] {
        for name in ["appendonlydir", "dump.rdb", "redoubt-record.json"] {
            let path = lab.data("shop", node).join(name);
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }
    servers.into_iter().for_each(kill);
    lab.until("shop", "it is reported", |status| {
        let said = status["conditions"].to_string();
        said.contains("every copy of this shard's data is gone") && said.contains("accept-loss")
    });
    // The other shards serve.
    for shard in [0, 2] {
        let value: Option<usize> =
            lab.connect("shop", &master(&lab, shard)).get(format!("{}7", tags[shard])).unwrap();
        assert_eq!(value, Some(7));
    }
    fs::write(lab.data("shop", &old).join("accept-loss"), "").unwrap();
    whole(&lab);
    let sizes: BTreeMap<usize, usize> = (0..3)
        .map(|shard| {
            let size = redis::cmd("DBSIZE").query(&mut lab.connect("shop", &master(&lab, shard))).unwrap();
            (shard, size)
        })
        .collect();
    assert_eq!(sizes, BTreeMap::from([(0, KEYS), (1, 0), (2, KEYS)]));
}

#[test]
fn replicas_come_and_go_under_writes_and_nobody_remembers_those_that_left() {
    let lab = shop("");
    let tags = fill(&lab);
    let sight = lab.sight("shop");
    let writer = Writer::in_shard(&sight, &["shop-shard-1-0", "shop-shard-1-1"], &tags[1]);
    writer.more(50);
    let nodes = |count: usize| {
        move |status: &Value| is(status, "Ready") && status["nodes"].as_array().unwrap().len() == count
    };
    lab.apply(&text("", "Cluster", "  replicasPerShard: 2\n"));
    lab.until("shop", "there are nine nodes", nodes(9));
    whole(&lab);
    // One that will leave leads.
    lab.run(["switchover", "shop", "--to", "shop-shard-0-2"]).ok();
    lab.until("shop", "it leads", |status| {
        is(status, "Ready") && status["shards"][0]["master"] == "shop-shard-0-2"
    });
    has_all(&lab, &tags);
    lab.apply(&text("", "Cluster", ""));
    lab.until("shop", "there are six nodes", nodes(6));
    whole(&lab);
    for node in lab.nodes("shop") {
        let mut connection = lab.connect("shop", &node);
        let known: String = redis::cmd("CLUSTER").arg("NODES").query(&mut connection).unwrap();
        assert_eq!(known.lines().count(), 6, "{node} knows {known}");
    }
    writer.more(50);
    let account = writer.finish();
    whole(&lab);
    let after = account.last() + Duration::from_secs(1);
    assert_eq!(account.lost(after, &mut lab.connect("shop", &master(&lab, 1))), 0);
    has_all(&lab, &tags);
    // And once more: their folders remember a cluster that has forgotten them.
    lab.apply(&text("", "Cluster", "  replicasPerShard: 2\n"));
    lab.until("shop", "there are nine nodes again", nodes(9));
    whole(&lab);
    has_all(&lab, &tags);
}

#[test]
fn what_a_cluster_cannot_become_is_refused_and_leaves_it_as_it_is() {
    let lab = shop("");
    let before = lab.servers("shop");
    for (mode, spec, words) in [
        ("Cluster", "  shards: 2\n", ["spec.shards", "at least 3"]),
        ("Cluster", "  weights: {3: 2}\n", ["spec.weights.3", "the shards are 0 to 2"]),
        ("Cluster", "  weights: {0: 0}\n", ["spec.weights.0", "from 1 to 100"]),
        ("Sentinel", "", ["spec.mode", "cannot be changed"]),
    ] {
        lab.file("other.yaml", &text("", mode, spec));
        let said = lab.run(["apply", "-f", "other.yaml"]);
        assert_ne!(said.code, 0, "{spec}: {said:?}");
        assert!(words.iter().all(|word| said.err.contains(word)), "{}", said.err);
    }
    for words in [
        &["drill", "shop", "kill-master", "--shard", "3"][..],
        &["drill", "shop", "roll", "--shard", "0"],
        &["drill", "shop", "kill-sentinel"],
        &["drill", "shop", "kill-master", "--client", "sentinel"],
    ] {
        lab.run(words).failed(2, &["needs", "shop"]);
    }
    for words in [
        &["cluster", "rebalance", "shop", "--yes"][..],
        &["cluster", "reshard", "shop", "--from", "all", "--to", "shop-shard-0-0", "--slots", "5", "--yes"],
    ] {
        lab.run(words).failed(2, &["spec.weights", "nothing was moved"]);
    }
    whole(&lab);
    assert_eq!(lab.servers("shop"), before);
}
