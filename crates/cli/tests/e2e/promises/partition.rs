//! A master behind a wall: it stops taking writes before another leads, takes none when it is back, and follows.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{
    bad_input::redis,
    lab::{Lab, Sight, Wall, Writer, gone, kill, wait_for, why_no_wall},
    promises::{
        engine_of,
        shards::{fill, master, text, whole},
    },
};

/// Beyond `min-replicas-max-lag`: the master counts its replicas once a second. As much again for a busy machine, where
/// neither the master nor its agent are on time; what must hold in any case is that nobody else leads by then.
const COUNTS_REPLICAS: Duration = Duration::from_secs(2);

/// Who is on the master's side of the wall.
struct Side {
    replicas: usize,
    sentinels: usize,
}

/// `None`, and said why, where packets cannot be dropped.
fn started(name: &str, resource: &str, whole: impl Fn(&Lab) -> Value) -> Option<Lab> {
    if let Some(why) = why_no_wall() {
        eprintln!("SKIPPED: no network partition on this system: {why}");
        return None;
    }
    let lab = Lab::apart();
    lab.up(resource);
    whole(&lab);
    // It could reach both sides; nothing here may need it.
    let engine = engine_of(&lab, name);
    kill(engine);
    gone(engine);
    Some(lab)
}

/// Until when the fence must have closed after a cut.
fn fence_closes(sight: &Sight, master: &str) -> Duration {
    let command = redis::cmd("CONFIG").arg("GET").arg("min-replicas-max-lag").to_owned();
    let (_, lag): (String, u64) = command.query(&mut sight.connect(master).unwrap()).unwrap();
    Duration::from_secs(lag) + COUNTS_REPLICAS
}

fn a_master_cut_off_with(side: &Side) {
    let Some(lab) = started("cart", &redis("cart", ""), |lab| lab.whole("cart")) else { return };
    let (sight, old) = (lab.sight("cart"), lab.master("cart"));
    let (replicas, sentinels) = (lab.replicas("cart"), lab.sentinels("cart"));
    let hosts = |members: &[String]| members.iter().map(|member| sight.host(member)).collect::<Vec<_>>();
    let here =
        [std::slice::from_ref(&old), &replicas[..side.replicas], &sentinels[..side.sentinels]].concat();
    let there = [&replicas[side.replicas..], &sentinels[side.sentinels..]].concat();
    let limit = fence_closes(&sight, &old);

    let stays = Writer::at(&sight, &old);
    stays.more(50);
    let cut = Instant::now();
    let wall = Wall::between(&hosts(&here), &hosts(&there));
    let others = &replicas[side.replicas..];
    wait_for("another node leads", 60, || others.iter().any(|node| sight.leads(node) == Some(true)));
    let another_leads = Instant::now();
    let goes = Writer::asking(&sight, &sentinels[side.sentinels..]);
    goes.more(50);
    let majority_writes = Instant::now();
    // The old master had time to think it over, and nobody to ask.
    wait_for("the other side knows", 60, || {
        sentinels[side.sentinels..]
            .iter()
            .all(|sentinel| sight.named_by(sentinel).is_some_and(|named| named != old))
    });
    drop(wall);
    let back = Instant::now();
    lab.whole("cart");
    let whole = Instant::now();
    goes.more(50);

    let master = lab.master("cart");
    assert!(others.contains(&master), "{master} leads:\n{}", lab.history("cart"));
    let (stayed, went) = (stays.finish(), goes.finish());
    let last = stayed.last();
    eprintln!(
        "with {} replicas and {} Sentinels: last write {:?} after the cut ({} since it), another led after {:?}, took \
         writes after {:?}; {} written after the return; whole {:?} after it",
        side.replicas,
        side.sentinels,
        last - cut,
        stayed.between(cut, Instant::now()),
        another_leads - cut,
        majority_writes - cut,
        stayed.between(back, Instant::now()),
        whole - back,
    );
    assert!(
        last - cut < limit,
        "the old master took writes for {:?}, not {limit:?}:\n{}",
        last - cut,
        lab.history("cart")
    );
    assert!(last < another_leads, "two masters took writes:\n{}", lab.history("cart"));
    assert!(
        lab.history("cart").contains("FenceClosed"),
        "what the replicas had said before the cut could have opened it again:\n{}",
        lab.history("cart")
    );
    let mut now = sight.connect(&master).unwrap();
    assert_eq!(went.lost(Instant::now(), &mut now), 0, "written at the new master");
    assert_eq!(stayed.lost(cut, &mut now), 0, "written before the cut");
}

#[test]
fn a_master_cut_off_alone_stops_before_another_leads() {
    a_master_cut_off_with(&Side { replicas: 0, sentinels: 0 });
}

#[test]
fn a_master_cut_off_with_a_sentinel_stops_before_another_leads() {
    a_master_cut_off_with(&Side { replicas: 0, sentinels: 1 });
}

#[test]
fn a_master_cut_off_with_a_replica_stops_before_another_leads() {
    a_master_cut_off_with(&Side { replicas: 1, sentinels: 0 });
}

#[test]
fn a_master_cut_off_with_a_replica_and_a_sentinel_stops_before_another_leads() {
    a_master_cut_off_with(&Side { replicas: 1, sentinels: 1 });
}

/// Both count how long they have not heard of each other, each with its own pings: without the fence the old master stops
/// up to half the node timeout after the others have begun to elect.
fn a_master_of_a_shard_cut_off_with(replicas: usize) {
    let resource = text("", "Cluster", "  replicasPerShard: 2\n");
    let Some(lab) = started("shop", &resource, whole) else { return };
    let tags = fill(&lab);
    let (sight, old) = (lab.sight("shop"), master(&lab, 1));
    let followers: Vec<String> = sight
        .nodes
        .keys()
        .filter(|node| node.starts_with("shop-shard-1-") && **node != old)
        .cloned()
        .collect();
    let here: Vec<&String> = std::iter::once(&old).chain(&followers[..replicas]).collect();
    let hosts = |side: bool| -> Vec<String> {
        let nodes = sight.nodes.keys().filter(|node| here.contains(node) == side);
        nodes.map(|node| sight.host(node)).collect()
    };
    let heirs: Vec<&str> = followers[replicas..].iter().map(String::as_str).collect();

    let stays = Writer::in_shard(&sight, &[&old], &tags[1]);
    stays.more(50);
    let cut = Instant::now();
    let wall = Wall::between(&hosts(true), &hosts(false));
    let goes = Writer::in_shard(&sight, &heirs, &tags[1]);
    goes.more(50);
    drop(wall);
    let back = Instant::now();
    wait_for("the old master follows", 60, || sight.leads(&old) == Some(false));
    goes.more(50);
    let (stayed, went) = (stays.finish(), goes.finish());
    let (last, first) = (stayed.last(), went.acknowledged[0].1);
    eprintln!(
        "with {replicas} replicas: last write {:?} after the cut ({} since it), another took writes after {:?}; {} written \
         after the return",
        last - cut,
        stayed.between(cut, Instant::now()),
        first - cut,
        stayed.between(back, Instant::now()),
    );
    assert!(last < first, "two masters took writes:\n{}", lab.log("shop", &old));
    assert!(lab.log("shop", &old).contains("FenceClosed"), "only the bus has stopped it");
    let mut now = sight.connect(heirs.iter().find(|node| sight.leads(node) == Some(true)).unwrap()).unwrap();
    assert_eq!(went.lost(Instant::now(), &mut now), 0, "written at the new master");
    assert_eq!(stayed.lost(cut, &mut now), 0, "written before the cut");
}

#[test]
fn a_master_of_a_shard_cut_off_alone_stops_before_another_leads() {
    a_master_of_a_shard_cut_off_with(0);
}

#[test]
fn a_master_of_a_shard_cut_off_with_a_replica_stops_before_another_leads() {
    a_master_of_a_shard_cut_off_with(1);
}
