//! Unmodified client libraries ride through a death and a hand-over, with no setting beyond their documentation.
//!
//! Each writes one key after the other and tries again only on the errors its documentation tells it to expect; any
//! other error ends it, and the test with it.

mod in_cluster;
mod redis_rs;
mod rider;

use crate::{
    bad_input::redis,
    lab::{Lab, gone, kill},
};
use rider::deadly_ride;
use rider::ride;
pub(crate) use rider::{Rider, cluster_ride};

/// Gives no rider where the library is not installed.
pub(crate) type Start = fn(&Lab, &serde_json::Value) -> Option<Rider>;

/// Writes between two events, at least.
const STRETCH: usize = 100;
/// Writes that the fence may refuse: a new master takes none between its announcement and the moment in which its
/// elector has counted the Sentinels, well under a millisecond. A busy machine stretches that to a few tries.
const REFUSED: usize = 10;

#[test]
fn redis_py_rides_through() {
    ride_through(Rider::redis_py);
}

#[test]
fn ioredis_rides_through() {
    ride_through(Rider::ioredis);
}

#[test]
fn redis_rs_rides_through() {
    ride_through(Rider::redis_rs);
}

#[track_caller]
fn ride_through(start: Start) {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    let first = lab.whole("cart")["master"].clone();
    let Some(mut rider) = start(&lab, &ride(&lab)) else { return };
    rider.writes(STRETCH);
    fed(&lab);

    let server = lab.server("cart", &lab.master("cart"));
    kill(server);
    gone(server);
    lab.until("cart", "another leads", |status| status["master"].is_string() && status["master"] != first);
    lab.whole("cart");
    rider.writes(STRETCH);

    lab.run(["switchover", "cart"]).ok();
    lab.whole("cart");
    rider.writes(STRETCH);

    let told = rider.end();
    eprintln!("{told:?}");
    let master = lab.master("cart");
    let (host, port) = lab.address("cart", &master);
    assert_eq!(told.master(), format!("{host}:{port}"), "it ends at the master: {told:#?}");
    assert!(told.refused() <= REFUSED, "{told:#?}");
    let lost = told.lost(&mut lab.connect("cart", &master));
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}, {told:#?}");
}

/// Waits until both replicas have what was written. For up to a second after its first full copy a replica is sent
/// nothing, though its link is up: a server sends it the writes only once it has heard from it.
#[track_caller]
fn fed(lab: &Lab) {
    let mut master = lab.connect("cart", &lab.master("cart"));
    redis::cmd("SET").arg("fed").arg(1).exec(&mut master).unwrap();
    let fed: u32 = redis::cmd("WAIT").arg(2).arg(8_000).query(&mut master).unwrap();
    assert_eq!(fed, 2, "replicas that have it");
}
