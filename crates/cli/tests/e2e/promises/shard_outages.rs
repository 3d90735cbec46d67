//! Shards of which every node stands still, hangs or dies at once, and a cluster that comes back elsewhere.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use redis::Commands as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::shards::{
    KEYS, WRITTEN_AT_ONCE, fill, hand_over, has_all, master, processes, replica, shop, signal, text, whole,
};
use crate::lab::{Lab, Sight, Writer, gone, is, kill, wait_for};

/// Each shard has one node that leads, and all others follow.
#[track_caller]
fn has_one_master_each(sight: &Sight, shards: usize) {
    for shard in 0..shards {
        let inside = format!("shop-shard-{shard}-");
        let nodes: Vec<&String> = sight.nodes.keys().filter(|node| node.starts_with(&inside)).collect();
        let roles: Vec<_> = nodes.iter().map(|node| sight.leads(node)).collect();
        let count = |role: bool| roles.iter().filter(|one| **one == Some(role)).count();
        assert_eq!((count(true), count(false)), (1, nodes.len() - 1), "{nodes:?}: {roles:?}");
    }
}

#[track_caller]
fn both(lab: &Lab, shard: usize) -> [String; 2] {
    [master(lab, shard), replica(lab, shard)]
}

/// What this writer was told before that moment is there.
#[track_caller]
fn lost_nothing_before(moment: Instant, writer: Writer, lab: &Lab, shard: usize) {
    let account = writer.finish();
    let mut leader = lab.connect("shop", &master(lab, shard));
    assert_eq!(account.lost(moment, &mut leader), 0, "of {}", account.acknowledged.len());
}

/// Long after the others hold it for dead.
const STANDS_STILL: Duration = Duration::from_mins(1);

#[test]
fn a_shard_that_stands_still_stops_no_other_and_comes_back_with_everything() {
    let lab = shop("");
    let tags = fill(&lab);
    let sight = lab.sight("shop");
    let nodes = both(&lab, 1);
    let writer = Writer::in_shard(&sight, &[&nodes[0], &nodes[1]], &tags[1]);
    writer.more(100);
    let frozen: Vec<Pid> = nodes.iter().flat_map(|node| processes(&lab, node)).collect();
    signal(&frozen, Signal::STOP);
    let stood_still = Instant::now();
    lab.until("shop", "it is told", |status| !is(status, "Available"));
    let mut others = [0, 2].map(|shard| (shard, lab.connect("shop", &master(&lab, shard))));
    wait_for("writes go on all the while", 2 * STANDS_STILL.as_secs(), || {
        for (shard, connection) in &mut others {
            let _: () = connection.set(format!("{}while", tags[*shard]), *shard).unwrap();
        }
        stood_still.elapsed() >= STANDS_STILL
    });
    for (_, connection) in &mut others {
        let known: String = redis::cmd("CLUSTER").arg("NODES").query(connection).unwrap();
        assert_eq!(known.matches("fail ").count(), nodes.len(), "the masters hold it for dead: {known}");
    }
    signal(&frozen, Signal::CONT);
    writer.more(100);
    whole(&lab);
    has_one_master_each(&sight, 3);
    has_all(&lab, &tags);
    lost_nothing_before(stood_still, writer, &lab, 1);
}

#[test]
fn a_shard_whose_servers_hang_is_ended_by_its_agents_and_comes_back_with_everything() {
    let lab = shop(WRITTEN_AT_ONCE);
    let tags = fill(&lab);
    let sight = lab.sight("shop");
    let nodes = both(&lab, 1);
    let before = lab.servers("shop");
    let writer = Writer::in_shard(&sight, &[&nodes[0], &nodes[1]], &tags[1]);
    let other = Writer::in_shard(&sight, &both(&lab, 0).each_ref().map(String::as_str), &tags[0]);
    writer.more(100);
    for node in &nodes {
        signal(&[before[node]], Signal::STOP);
    }
    let stood_still = Instant::now();
    other.more(100);
    for node in &nodes {
        gone(before[node]);
    }
    writer.more(100);
    whole(&lab);
    has_one_master_each(&sight, 3);
    has_all(&lab, &tags);
    let now = lab.servers("shop");
    assert!(
        before.iter().all(|(node, pid)| (now[node] == *pid) != nodes.contains(node)),
        "{before:?} {now:?}"
    );
    lost_nothing_before(stood_still, writer, &lab, 1);
}

#[test]
fn of_nodes_that_are_killed_at_once_the_one_with_the_newest_data_leads_each_shard() {
    let lab = shop(WRITTEN_AT_ONCE);
    let tags = fill(&lab);
    hand_over(&lab, 1);
    let sight = lab.sight("shop");
    let leaders = [0, 1, 2].map(|shard| master(&lab, shard));
    let followers = [0, 1, 2].map(|shard| replica(&lab, shard));
    let servers = lab.servers("shop");
    // What is written now never reaches them.
    let frozen: Vec<Pid> = followers.iter().flat_map(|node| processes(&lab, node)).collect();
    signal(&frozen, Signal::STOP);
    for (leader, tag) in leaders.iter().zip(&tags) {
        let mut connection = sight.connect(leader).unwrap();
        let _: () = connection.set(format!("{tag}late"), 1).unwrap();
    }
    servers.values().copied().for_each(kill);
    servers.values().copied().for_each(gone);
    // Their servers are dead, their agents go on.
    let agents: Vec<Pid> = followers.iter().map(|node| lab.agent("shop", node)).collect();
    signal(&agents, Signal::CONT);
    lab.restarted("shop", &servers);
    whole(&lab);
    has_all(&lab, &tags);
    for (shard, tag) in tags.iter().enumerate() {
        assert_eq!(master(&lab, shard), leaders[shard]);
        let late: Option<u8> = lab.connect("shop", &leaders[shard]).get(format!("{tag}late")).unwrap();
        assert_eq!(late, Some(1), "{tag}late in shard {shard}");
    }
}

/// Without the agent of its master a replica cannot know which data set it copies; the masters elect it all the same.
#[test]
fn a_replica_elected_before_it_knew_its_data_set_comes_back_with_its_data() {
    let lab = shop("  replicasPerShard: 0\n");
    let tags = fill(&lab);
    let (old, new) = ("shop-shard-1-0", "shop-shard-1-1");
    let silent = lab.agent("shop", old);
    kill_process(silent, Signal::STOP).unwrap();
    lab.apply(&text("", "Cluster", "  replicasPerShard: 1\n"));
    lab.until("shop", "it was added", |status| status["nodes"].as_array().unwrap().len() == 6);
    let sight = lab.sight("shop");
    let id: String = redis::cmd("CLUSTER").arg("MYID").query(&mut sight.connect(old).unwrap()).unwrap();
    let mut replica = lab.connect_as_agent("shop", new).connection;
    wait_for("it knows its master", 120, || {
        redis::cmd("CLUSTER").arg("REPLICATE").arg(&id).exec(&mut replica).is_ok()
    });
    wait_for("it is in sync, and may be elected", 120, || {
        let setting = "cluster-replica-no-failover";
        let kept: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(setting).query(&mut replica).unwrap();
        kept == [setting, "no"]
    });
    kill(sight.server(old).unwrap());
    wait_for("it was elected", 120, || sight.leads(new) == Some(true));
    let recorded = || {
        let record = fs::read(lab.data("shop", new).join("redoubt-record.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        record["record"]["dataSet"].as_str().is_some_and(|name| !name.is_empty())
    };
    wait_for("its record counts", 120, recorded);
    let server = sight.server(new).unwrap();
    kill(server);
    gone(server);
    wait_for("it leads again", 120, || sight.leads(new) == Some(true));
    kill_process(silent, Signal::CONT).unwrap();
    whole(&lab);
    has_all(&lab, &tags);
}

#[test]
fn of_nodes_that_are_killed_at_once_the_one_that_still_has_its_data_leads() {
    let lab = shop(WRITTEN_AT_ONCE);
    let tags = fill(&lab);
    let [leader, follower] = both(&lab, 1);
    let servers = lab.servers("shop");
    let agent = lab.agent("shop", &leader);
    kill_process(agent, Signal::STOP).unwrap();
    for node in [&leader, &follower] {
        kill(servers[node]);
    }
    gone(servers[&follower]);
    let data = lab.data("shop", &leader);
    fs::remove_dir_all(data.join("appendonlydir")).unwrap();
    for name in ["redoubt-record.json", "dump.rdb"] {
        fs::remove_file(data.join(name)).unwrap();
    }
    kill_process(agent, Signal::CONT).unwrap();
    let sight = lab.sight("shop");
    wait_for("the other one leads", 120, || sight.leads(&follower) == Some(true));
    whole(&lab);
    has_all(&lab, &tags);
}

#[test]
fn a_cluster_that_comes_back_at_other_addresses_finds_itself_by_its_ids() {
    let lab = shop("");
    let tags = fill(&lab);
    hand_over(&lab, 1);
    let before = lab.sight("shop");
    let ids = ids(&before);
    let leaders = [0, 1, 2].map(|shard| master(&lab, shard));
    lab.kill_everything();
    let old = elsewhere(&lab);
    lab.run(["up", "--detach"]).ok();
    whole(&lab);
    let after = lab.sight("shop");
    assert!(after.nodes.iter().all(|(node, at)| before.nodes[node] != *at), "{:?}", after.nodes);
    assert_eq!(self::ids(&after), ids);
    for node in after.nodes.keys() {
        let known = known_by(&after, node);
        assert!(known.lines().count() == 6 && !known.contains(&format!(" {old}")), "{node} knows {known}");
    }
    assert_eq!([0, 1, 2].map(|shard| master(&lab, shard)), leaders);
    has_one_master_each(&after, 3);
    has_all(&lab, &tags);
    let sizes: usize = leaders
        .iter()
        .map(|node| redis::cmd("DBSIZE").query::<usize>(&mut after.connect(node).unwrap()).unwrap())
        .sum();
    assert_eq!(sizes, 3 * KEYS);
}

/// Has the set find itself at other addresses when it starts, as one whose Services were made anew: by itself it never
/// changes them on one machine. Gives how the old ones began.
fn elsewhere(lab: &Lab) -> String {
    let dir = lab.state().join("redis/shop");
    let (identity, config) = (dir.join("identity.json"), dir.join("config/config.json"));
    let mut kept: Value = serde_json::from_slice(&fs::read(&identity).unwrap()).unwrap();
    let [first, second] = [0, 1].map(|at| kept["block"]["addresses"][at].as_u64().unwrap());
    kept["block"]["addresses"][1] = (second ^ 1).into();
    fs::write(identity, kept.to_string()).unwrap();
    let (old, new) = (format!("127.{first}.{second}."), format!("127.{first}.{}.", second ^ 1));
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains(&old), "{text}");
    fs::write(config, text.replace(&old, &new)).unwrap();
    old
}

#[track_caller]
fn known_by(sight: &Sight, node: &str) -> String {
    redis::cmd("CLUSTER").arg("NODES").query(&mut sight.connect(node).unwrap()).unwrap()
}

/// Who each node is to the others.
#[track_caller]
fn ids(sight: &Sight) -> BTreeMap<String, String> {
    let id = |node: &String| {
        let known = known_by(sight, node);
        let own = known.lines().find(|line| line.contains("myself")).expect("itself");
        own.split(' ').next().expect("an id").to_owned()
    };
    sight.nodes.keys().map(|node| (node.clone(), id(node))).collect()
}
