//! What only a lab can do to a cluster. These tests take turns: each leaves the cluster as it was.

use crate::{
    cluster::{alone, becomes_ready, eventually, is_lab, kubectl, lab, ready, run, try_run},
    shop::Shop,
};

/// Undoes a fault when the test ends, also when it fails.
struct Undo {
    command: &'static str,
    target: Vec<String>,
    done: bool,
}

impl Undo {
    /// Runs `fault`, whose second word is the node or volume it hits, and keeps the way back.
    fn later(fault: &[&str], command: &'static str) -> Self {
        run(&mut lab(fault));
        Self {
            command,
            target: fault.get(1).map(|&target| target.to_owned()).into_iter().collect(),
            done: false,
        }
    }

    fn now(&mut self) {
        run(lab(&[self.command]).args(&self.target));
        self.done = true;
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if !self.done {
            drop(try_run(lab(&[self.command]).args(&self.target)));
        }
    }
}

#[test]
fn a_node_that_is_cut_off_is_not_ready_and_comes_back() {
    if is_lab("a_node_that_is_cut_off_is_not_ready_and_comes_back") {
        let _alone = alone();
        let mut cut = Undo::later(&["cut", "node-3"], "uncut");
        becomes_ready("node-3", "Unknown");
        cut.now();
        becomes_ready("node-3", "True");
    }
}

#[test]
fn a_zone_that_is_cut_off_is_not_ready_and_the_others_are() {
    if is_lab("a_zone_that_is_cut_off_is_not_ready_and_the_others_are") {
        let _alone = alone();
        let mut cut = Undo::later(&["cut-zone", "zone-b"], "uncut-zone");
        becomes_ready("node-2", "Unknown");
        assert_eq!((ready("node-1"), ready("node-3")), ("True".to_owned(), "True".to_owned()));
        cut.now();
        becomes_ready("node-2", "True");
    }
}

#[test]
fn a_zonal_volume_keeps_its_pod_in_its_zone() {
    if !is_lab("a_zonal_volume_keeps_its_pod_in_its_zone") {
        return;
    }
    let _alone = alone();
    let shop = Shop::open("zonal", "zonal");
    let node = shop.node_of("cart-0");
    run(&mut kubectl(&["cordon", &node]));
    let deleted = shop.run(&["delete", "pod", "cart-0"]);
    let why = "jsonpath={.status.conditions[?(@.type=='PodScheduled')].message}";
    let refused = eventually("a pod that no other zone takes", || {
        let said = shop.run(&["get", "pod", "cart-0", "-o", why])?;
        if said.is_empty() { Err("it says nothing".to_owned()) } else { Ok(said) }
    });
    run(&mut kubectl(&["uncordon", &node]));
    deleted.unwrap();
    assert!(refused.contains("PersistentVolume's node affinity"), "{refused}");
    shop.is_whole();
    assert_eq!(shop.node_of("cart-0"), node);
}

#[test]
fn a_killed_node_starts_again_with_its_pods_and_their_data() {
    if !is_lab("a_killed_node_starts_again_with_its_pods_and_their_data") {
        return;
    }
    let _alone = alone();
    let shop = Shop::open("killed", "local");
    shop.redis("cart-0", &["set", "key", "kept"]).unwrap();
    shop.redis("cart-0", &["save"]).unwrap();
    let node = shop.node_of("cart-0");
    let mut killed = Undo::later(&["kill-node", &node], "start-node");
    assert!(shop.redis("cart-0", &["ping"]).is_err(), "a pod of a dead node answers");
    becomes_ready(&node, "Unknown");
    killed.now();
    becomes_ready(&node, "True");
    eventually("the data from before", || match shop.redis("cart-0", &["get", "key"])?.as_str() {
        "kept" => Ok(()),
        other => Err(format!("got {other:?}")),
    });
    shop.is_whole();
}

#[test]
fn a_drained_node_is_left_by_its_pods_and_taken_again() {
    if !is_lab("a_drained_node_is_left_by_its_pods_and_taken_again") {
        return;
    }
    let _alone = alone();
    let shop = Shop::open("drained", "");
    let node = shop.node_of("cart-2");
    let drained = shop.run(&[
        "drain",
        &node,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--pod-selector=app=cart",
        "--timeout=90s",
    ]);
    let gone = shop.run(&["get", "pod", "cart-2", "-o", "jsonpath={.spec.nodeName}"]).unwrap_or_default();
    run(&mut kubectl(&["uncordon", &node]));
    drained.unwrap();
    assert_ne!(gone, node);
    shop.is_whole();
}

#[test]
fn a_full_volume_takes_no_more_until_it_is_emptied() {
    if !is_lab("a_full_volume_takes_no_more_until_it_is_emptied") {
        return;
    }
    let _alone = alone();
    let shop = Shop::open("full", "");
    let write = || shop.run(&["exec", "cart-0", "--", "sh", "-c", "head -c 65536 /dev/zero >/data/more"]);
    let mut full = Undo::later(&["fill", &format!("{}/data-cart-0", shop.namespace)], "unfill");
    let refused = write().unwrap_err();
    assert!(refused.contains("No space left on device"), "{refused}");
    full.now();
    write().unwrap();
}

#[test]
fn pods_go_on_without_a_kubelet_and_without_an_api_server() {
    if !is_lab("pods_go_on_without_a_kubelet_and_without_an_api_server") {
        return;
    }
    let _alone = alone();
    let shop = Shop::open("alone", "");
    let node = shop.node_of("cart-1");
    let address = shop.run(&["get", "pod", "cart-1", "-o", "jsonpath={.status.podIP}"]).unwrap();
    let answers = || std::net::TcpStream::connect((address.as_str(), 6379)).map(drop);
    let mut kubelet = Undo::later(&["stop-kubelet", &node], "start-kubelet");
    becomes_ready(&node, "Unknown");
    answers().unwrap();
    kubelet.now();
    becomes_ready(&node, "True");
    let mut api = Undo::later(&["stop-api"], "start-api");
    assert!(try_run(&mut kubectl(&["get", "--raw", "/readyz"])).is_err(), "a dead API server answers");
    answers().unwrap();
    api.now();
    shop.is_whole();
}

#[test]
fn a_slow_node_answers_later_and_at_once_again() {
    if !is_lab("a_slow_node_answers_later_and_at_once_again") {
        return;
    }
    let _alone = alone();
    let shop = Shop::open("slow", "");
    let address = shop.run(&["get", "pod", "cart-0", "-o", "jsonpath={.status.podIP}"]).unwrap();
    let connect = || {
        let begun = std::time::Instant::now();
        std::net::TcpStream::connect((address.as_str(), 6379)).map(|_| begun.elapsed().as_millis())
    };
    let node = shop.node_of("cart-0");
    let mut slow = Undo::later(&["slow", &node, "150"], "unslow");
    let taken = connect().unwrap();
    assert!(taken >= 300, "a connection took {taken} ms, there and back are 300");
    slow.now();
    eventually("a fast answer", || match connect() {
        Ok(taken) if taken < 150 => Ok(()),
        taken => Err(format!("{taken:?} ms")),
    });
}
