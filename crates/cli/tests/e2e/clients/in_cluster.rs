//! The same libraries' cluster clients, in a cluster that is looked after: a master dies, every node gets a new process,
//! shards come and go.

use serde_json::Value;

use super::{Rider, STRETCH, Start, deadly_ride};
use crate::lab::{Lab, gone, is, kill};

/// A write that was acknowledged in the last moment of a master.
const LAST_MOMENT: usize = 1;
/// A machine that is busy with other tests moves some tens of slots a second.
const SETTLED_WITHIN: u64 = 360;

#[test]
fn redis_py_rides_through_in_a_cluster() {
    ride_through(Rider::redis_py);
}

#[test]
fn ioredis_rides_through_in_a_cluster() {
    ride_through(Rider::ioredis);
}

#[test]
fn redis_rs_rides_through_in_a_cluster() {
    ride_through(Rider::redis_rs);
}

fn text(restarted_at: &str, shards: usize) -> String {
    format!(
        "apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata:\n  name: shop\n  annotations: {{redoubt.dev/restartedAt: {restarted_at}}}\nspec: {{mode: Cluster, shards: {shards}}}\n"
    )
}

#[track_caller]
fn ready(lab: &Lab, what: &str, also: impl Fn(&Value) -> bool) {
    lab.until_within("shop", SETTLED_WITHIN, what, |status| is(status, "Ready") && also(status));
}

#[track_caller]
fn ride_through(start: Start) {
    let lab = Lab::heavy();
    lab.up(&text("never", 3));
    ready(&lab, "it is whole", |_| true);
    let connection = lab.connection("shop");
    let status = lab.status("shop");
    let nodes: Vec<&str> =
        status["nodes"].as_array().unwrap().iter().map(|node| node["address"].as_str().unwrap()).collect();
    let ride = deadly_ride(&nodes, connection["password"].as_str().unwrap());
    let Some(mut rider) = start(&lab, &ride) else { return };
    rider.writes(STRETCH);

    let old = status["shards"][1]["master"].as_str().unwrap().to_owned();
    let server = lab.server("shop", &old);
    kill(server);
    gone(server);
    ready(&lab, "another leads", |status| status["shards"][1]["master"] != *old);
    rider.writes(STRETCH);

    let before = lab.servers("shop");
    lab.apply(&text("now", 3));
    ready(&lab, "every node has a new server", |status| {
        let live = status["live"]["nodes"].as_object().unwrap();
        let is_new = |(name, node): (&String, &Value)| {
            node["serverPid"]
                .as_i64()
                .is_some_and(|pid| i64::from(before[name].as_raw_nonzero().get()) != pid)
        };
        live.iter().all(is_new)
    });
    rider.writes(STRETCH);

    for shards in [4, 3] {
        lab.apply(&text("now", shards));
        let owns = |status: &Value| {
            let all = status["shards"].as_array().unwrap();
            all.len() == shards && all.iter().all(|shard| shard["count"].as_u64() > Some(4000))
        };
        ready(&lab, "shards have come and gone", owns);
        rider.writes(STRETCH);
    }

    let told = rider.end();
    eprintln!("{told:?}");
    let mut connection = lab.sight("shop").cluster().unwrap();
    let lost: Vec<u64> =
        told.acknowledged().filter(|number| !crate::cluster::riders::has(&mut connection, *number)).collect();
    assert!(lost.len() <= LAST_MOMENT, "acknowledged and gone: {lost:?}, {told:#?}");
}
