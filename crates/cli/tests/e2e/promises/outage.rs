//! After everything was down, the node with the most advanced data leads, and nobody starts empty over live data.

use redis::Commands as _;

use crate::{
    bad_input::redis,
    lab::{Lab, kill},
};

#[test]
fn a_pure_cache_whose_master_restarts_at_once_loses_nothing_that_a_replica_had() {
    let lab = Lab::heavy();
    lab.up(&redis("cart", "  persistence: {rdb: {save: \"\"}, aof: {enabled: false}}\n"));
    lab.whole("cart");
    let mut connection = lab.connect("cart", &lab.master("cart"));
    for n in 0..500 {
        let _: () = connection.set(format!("key-{n}"), n).unwrap();
    }
    let _: i64 = redis::cmd("WAIT").arg(2).arg(10_000).query(&mut connection).unwrap();
    for round in 0..5 {
        let old = lab.master("cart");
        let server = lab.server("cart", &old);
        kill(server);
        lab.until("cart", "it is started again", |status| {
            let pid = status["live"]["nodes"][&old]["serverPid"].as_i64();
            pid.is_some_and(|pid| pid != i64::from(server.as_raw_nonzero().get()))
        });
        lab.whole("cart");
        let keys: i64 = redis::cmd("DBSIZE").query(&mut lab.connect("cart", &lab.master("cart"))).unwrap();
        assert_eq!(keys, 500, "round {round}");
    }
}
