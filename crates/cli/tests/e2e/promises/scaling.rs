//! Members come and go while it runs: no stale entry, never a `SENTINEL RESET`, the quorum follows.

use std::collections::{BTreeMap, BTreeSet};

use redis::Commands as _;

use crate::{
    bad_input::redis,
    lab::{Lab, wait_for},
};

/// How long a Sentinel may take to know what changed, seconds: it hears of others every 2 s, of replicas every 10 s.
const KNOWN: u64 = 60;

fn spec(nodes: u32, sentinels: u32) -> String {
    redis("cart", &format!("  replicas: {nodes}\n  sentinel: {{replicas: {sentinels}}}\n"))
}

/// What a Sentinel says of the others, or of the replicas: their addresses and flags.
pub(crate) fn known(lab: &Lab, name: &str, sentinel: &str, what: &str) -> BTreeMap<String, String> {
    let mut connection = lab.connect(name, sentinel);
    let all: Vec<BTreeMap<String, String>> =
        redis::cmd("SENTINEL").arg(what).arg("mymaster").query(&mut connection).unwrap();
    all.into_iter().map(|one| (format!("{}:{}", one["ip"], one["port"]), one["flags"].clone())).collect()
}

/// Waits until every Sentinel knows exactly who there is, and nobody is down.
#[track_caller]
fn everybody_is_known(lab: &Lab) {
    let status = lab.whole("cart");
    let addresses = |kind: &str| -> BTreeSet<String> {
        let members = status[kind].as_array().unwrap();
        members.iter().map(|member| member["address"].as_str().unwrap().to_owned()).collect()
    };
    let (nodes, sentinels) = (addresses("nodes"), addresses("sentinels"));
    for sentinel in lab.sentinels("cart") {
        let (host, port) = lab.address("cart", &sentinel);
        let mut others = sentinels.clone();
        others.remove(&format!("{host}:{port}"));
        let mut seen = (BTreeMap::new(), BTreeMap::new());
        wait_for(&format!("{sentinel} knows exactly who there is: {seen:?}"), KNOWN, || {
            seen = (known(lab, "cart", &sentinel, "SENTINELS"), known(lab, "cart", &sentinel, "REPLICAS"));
            let replicas: BTreeSet<_> = seen.1.keys().cloned().collect();
            seen.0.keys().cloned().collect::<BTreeSet<_>>() == others
                && replicas.is_subset(&nodes)
                && replicas.len() + 1 == nodes.len()
                && seen.0.values().chain(seen.1.values()).all(|flags| !flags.contains("down"))
        });
        assert!(!lab.log("cart", &sentinel).contains("+reset-master"), "{sentinel} was reset");
    }
}

/// The quorum that every Sentinel has.
fn quorums(lab: &Lab) -> Vec<String> {
    let quorum = |sentinel: &String| {
        let master: BTreeMap<String, String> = redis::cmd("SENTINEL")
            .arg("MASTER")
            .arg("mymaster")
            .query(&mut lab.connect("cart", sentinel))
            .unwrap();
        master["quorum"].clone()
    };
    lab.sentinels("cart").iter().map(quorum).collect()
}

#[test]
fn sentinels_scale_out_and_in_without_a_trace_and_the_quorum_follows() {
    let lab = Lab::heavy();
    lab.up(&spec(3, 3));
    everybody_is_known(&lab);
    for (sentinels, quorum) in [(5, "3"), (3, "2")] {
        lab.apply(&spec(3, sentinels));
        lab.until("cart", "the number asked for", |status| {
            status["sentinels"].as_array().unwrap().len() == sentinels as usize
        });
        everybody_is_known(&lab);
        wait_for("the quorum follows", KNOWN, || quorums(&lab).iter().all(|seen| seen == quorum));
    }
}

#[test]
fn nodes_scale_out_and_in_without_a_trace_and_without_a_loss() {
    let lab = Lab::heavy();
    lab.up(&spec(3, 3));
    let _: () = lab.connect("cart", &lab.master("cart")).set("greeting", "hello").unwrap();
    for nodes in [5, 2, 3] {
        lab.apply(&spec(nodes, 3));
        lab.until("cart", "the number asked for", |status| {
            status["nodes"].as_array().unwrap().len() == nodes as usize
        });
        everybody_is_known(&lab);
        assert_eq!(lab.connect("cart", &lab.master("cart")).get::<_, String>("greeting").unwrap(), "hello");
    }
}

#[test]
fn a_master_that_has_to_leave_hands_over_first() {
    let lab = Lab::heavy();
    lab.up(&spec(3, 3));
    lab.run(["switchover", "cart", "--to", "cart-2"]).ok();
    lab.whole("cart");
    let _: () = lab.connect("cart", "cart-2").set("greeting", "hello").unwrap();
    lab.apply(&spec(2, 3));
    lab.until("cart", "the number asked for", |status| status["nodes"].as_array().unwrap().len() == 2);
    everybody_is_known(&lab);
    assert_eq!(lab.connect("cart", &lab.master("cart")).get::<_, String>("greeting").unwrap(), "hello");
}
