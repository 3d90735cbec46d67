//! Unmodified cluster clients ride through a reshard, with no setting beyond their documentation.
//!
//! Each sets a key, reads it, and sets two keys of one slot at once, which servers answer with TRYAGAIN while that slot is
//! open: where a library's tries for that are over it tells so, and is asked again. Any other error ends it, and the test
//! with it.

use redis::{
    Commands as _,
    cluster::{ClusterClient, ClusterConnection, cluster_pipe},
};

use super::{at, cluster, slots};
use crate::{
    clients::{Rider, Start, cluster_ride},
    lab::Lab,
};

/// So many that a move takes a second or two.
const KEYS: usize = 30_000;
/// Writes between two events, at least.
const STRETCH: usize = 100;

#[test]
fn redis_py_rides_through_a_reshard() {
    ride_through(Rider::redis_py);
}

#[test]
fn ioredis_rides_through_a_reshard() {
    ride_through(Rider::ioredis);
}

#[test]
fn redis_rs_rides_through_a_reshard() {
    ride_through(Rider::redis_rs);
}

#[track_caller]
fn ride_through(start: Start) {
    let lab = Lab::heavy();
    let servers = cluster(&lab, 3);
    let nodes: Vec<&str> = servers.iter().map(|server| server.address.as_str()).collect();
    let urls = nodes.iter().map(|node| format!("redis://{node}/"));
    let mut connection = ClusterClient::new(urls).unwrap().get_connection().unwrap();
    fill(&mut connection);
    let Some(mut rider) = start(&lab, &cluster_ride(&nodes)) else { return };
    rider.writes(STRETCH);
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let before = rider.acknowledged();
        let words = ["reshard", "--from", nodes[from], "--to", nodes[to], "--slots", "5000", "--yes"];
        at(&lab, &servers[0], &words).ok();
        assert!(rider.acknowledged() > before, "it wrote nothing meanwhile");
        rider.writes(STRETCH);
    }
    assert_eq!(slots(&lab, &servers).iter().sum::<u64>(), 16384);
    at(&lab, &servers[0], &["check"]).ok();
    let told = rider.end();
    eprintln!("{told:?}");
    let lost: Vec<u64> = told.acknowledged().filter(|number| !has(&mut connection, *number)).collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}, {told:#?}");
}

fn fill(connection: &mut ClusterConnection) {
    let numbers: Vec<usize> = (0..KEYS).collect();
    for part in numbers.chunks(1000) {
        let mut pipe = cluster_pipe();
        for number in part {
            pipe.set(format!("key:{number}"), "x".repeat(100)).ignore();
        }
        pipe.exec(connection).unwrap();
    }
}

/// All three keys of this write.
pub(crate) fn has(connection: &mut ClusterConnection, number: u64) -> bool {
    let key = format!("ride:{number}");
    let keys = [key.clone(), format!("{{{key}}}:a"), format!("{{{key}}}:b")];
    keys.iter().all(|key| connection.get::<_, Option<u64>>(key).unwrap() == Some(number))
}
