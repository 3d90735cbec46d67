//! Game days in a cluster: what is broken there loses nothing that was acknowledged.
//!
//! How long a gap may be is measured by `make bench-kubernetes`, on a machine that does nothing else.

use redoubt_drill::ClientKind;
use serde_json::Value;

use crate::{
    cluster::{Namespace, UNHURRIED, wait},
    game::{self, Blow},
};

const CART: &str = include_str!("../../../../examples/cart.yaml");

fn cart(test: &str) -> Option<Namespace> {
    let namespace = Namespace::new(test)?;
    namespace.apply(&format!("{CART}{UNHURRIED}")).unwrap();
    namespace.ready("cart");
    Some(namespace)
}

/// Holds a drill; the set is whole afterwards, and the account says what happened.
#[track_caller]
fn drill(namespace: &Namespace, scenario: &str, client: &str) -> Value {
    namespace.ready("cart");
    let said = namespace.redoubt(&["drill", "cart", scenario, "--client", client, "-o", "json"]);
    let result = said.json();
    assert_eq!(said.code, Some(if result["lost"] == 0 { 0 } else { 4 }), "{said:#?}");
    assert!(result["acknowledged"].as_u64().unwrap() > 100, "{result:#}");
    assert!(!result["write_gap_ms"].is_null() && !result["healthy_after_ms"].is_null(), "{result:#}");
    result
}

/// The status tells of the very change of master that the drill was about.
#[track_caller]
fn told(namespace: &Namespace, result: &Value, cause: &str) {
    wait("the status tells of it", || {
        let redis = namespace.get("redis", "cart").unwrap_or_default();
        let last = &redis["status"]["lastFailover"];
        if last["id"] == result["failover_id"] && last["cause"] == cause {
            Ok(())
        } else {
            Err(last.to_string())
        }
    });
}

/// Planned: nothing is lost at all.
#[test]
fn a_deleted_master_a_hand_over_and_a_roll_lose_nothing() {
    let Some(namespace) = cart("a_deleted_master_a_hand_over_and_a_roll_lose_nothing") else { return };
    for (scenario, client) in [("stop-master", "service"), ("switchover", "service"), ("roll", "sentinel")] {
        let result = drill(&namespace, scenario, client);
        assert_eq!(result["lost"], 0, "{result:#}");
        if scenario == "stop-master" {
            assert_ne!(result["master_before"], result["master_after"], "{result:#}");
            told(&namespace, &result, "stop");
        }
    }
}

/// Between the reply to a client and the bytes to the replicas there are some microseconds; what was acknowledged in
/// them, one write of each writer at most, goes with the process.
#[test]
fn a_killed_server_loses_no_more_than_what_was_on_its_way() {
    let Some(namespace) = cart("a_killed_server_loses_no_more_than_what_was_on_its_way") else { return };
    for client in ["role", "service"] {
        let result = drill(&namespace, "kill-master", client);
        assert!(result["lost"].as_u64().unwrap() <= result["writers"].as_u64().unwrap(), "{result:#}");
        assert_ne!(result["master_before"], result["master_after"], "{result:#}");
        told(&namespace, &result, "crash");
    }
}

/// What Kubernetes does to pods, and a machine to processes, under clients that ask the Sentinels.
#[test]
fn no_blow_to_a_pod_loses_more_than_it_may() {
    let Some(namespace) = Namespace::new("no_blow_to_a_pod_loses_more_than_it_may") else { return };
    // A drain takes the pods of this name from all namespaces.
    namespace.apply(&format!("{}{UNHURRIED}", CART.replace("name: cart", "name: battered"))).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for blow in Blow::ALL {
        namespace.ready("battered");
        let played = game::play(&namespace.name, "battered", blow, ClientKind::Sentinel, None);
        let result = runtime.block_on(played).unwrap_or_else(|why| panic!("{}: {why}", blow.name()));
        let may = match blow {
            Blow::Delete | Blow::Drain | Blow::Resources => 0,
            Blow::Kill | Blow::DeleteByForce | Blow::KillContainer => u64::from(result.writers),
        };
        assert!(result.lost.is_some_and(|lost| lost <= may), "{}: {result:#?}", blow.name());
        assert!(result.healthy_after_ms.is_some(), "{}: {result:#?}", blow.name());
    }
}
