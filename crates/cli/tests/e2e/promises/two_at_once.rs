//! Two deaths at the same moment: the set is whole again, and has all that its replicas had confirmed.

use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::{
    bad_input::redis,
    lab::{Lab, Sight, Writer, gone, kill, wait_for},
    promises::engine,
};

/// Keys that every node has before it happens.
const KEYS: u64 = 200;

fn cart() -> (Lab, Sight) {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    lab.whole("cart");
    let sight = lab.sight("cart");
    let mut master = sight.connect(&lab.master("cart")).unwrap();
    for n in 0..KEYS {
        redis::cmd("SET").arg(format!("key-{n}")).arg(n).exec(&mut master).unwrap();
    }
    let copies: i64 = redis::cmd("WAIT").arg(2).arg(10_000).query(&mut master).unwrap();
    assert_eq!(copies, 2);
    (lab, sight)
}

/// Kills all of these at once, waits until it is over, and looks for every key.
#[track_caller]
fn survives(lab: &Lab, sight: &Sight, victims: &[Pid]) {
    for pid in victims {
        kill(*pid);
    }
    for pid in victims {
        gone(*pid);
    }
    lab.until("cart", "all are started again", |status| {
        let live = ["nodes", "sentinels"].map(|kind| status["live"][kind].as_object().unwrap());
        live.into_iter().flatten().all(|(_, one)| one["serverPid"].is_number())
    });
    lab.whole("cart");
    for node in sight.nodes.keys() {
        let keys: u64 = redis::cmd("DBSIZE").query(&mut sight.connect(node).unwrap()).unwrap();
        assert_eq!(keys, KEYS, "{node}");
    }
}

#[test]
fn a_master_and_a_sentinel_may_die_at_once() {
    let (lab, sight) = cart();
    for sentinel in [0, 1] {
        let victims =
            [lab.server("cart", &lab.master("cart")), lab.server("cart", &lab.sentinels("cart")[sentinel])];
        survives(&lab, &sight, &victims);
    }
    // With their agents, as containers that are killed for their memory.
    let sentinel = lab.sentinels("cart")[2].clone();
    survives(&lab, &sight, &[lab.agent("cart", &lab.master("cart")), lab.agent("cart", &sentinel)]);
}

#[test]
fn a_master_and_the_best_replica_may_die_at_once() {
    let (lab, sight) = cart();
    let best = |lab: &Lab| {
        let offset = |node: &String| sight.info(node, "slave_repl_offset").unwrap().parse::<u64>().unwrap();
        lab.replicas("cart").into_iter().max_by_key(offset).unwrap()
    };
    let victims = [lab.server("cart", &lab.master("cart")), lab.server("cart", &best(&lab))];
    survives(&lab, &sight, &victims);
    let victims = [lab.agent("cart", &lab.master("cart")), lab.agent("cart", &best(&lab))];
    survives(&lab, &sight, &victims);
}

#[test]
fn writes_go_on_without_any_sentinel() {
    let (lab, sight) = cart();
    let master = lab.master("cart");
    // Nobody starts a killed agent again.
    let engine = engine(&lab);
    kill(engine);
    gone(engine);
    let writer = Writer::at(&sight, &master);
    writer.more(20);
    for sentinel in sight.sentinels.keys() {
        kill(lab.agent("cart", sentinel));
    }
    // Its agent knows, and has every replica count: all of them are there.
    let fence = || {
        let (_, replicas): (String, u64) = redis::cmd("CONFIG")
            .arg("GET")
            .arg("min-replicas-to-write")
            .query(&mut sight.connect(&master).unwrap())
            .unwrap();
        replicas
    };
    wait_for("the fence is raised", 60, || fence() == 2);
    writer.more(500);
    let account = writer.finish();
    assert!(account.gap() < Duration::from_secs(2), "writes stood still for {:?}", account.gap());
    lab.run(["up", "--detach"]).ok();
    lab.whole("cart");
    assert_eq!(lab.master("cart"), master);
    wait_for("the fence is lowered", 60, || fence() == 1);
    assert_eq!(account.lost(Instant::now(), &mut sight.connect(&master).unwrap()), 0);
}
