//! Taking over what the old operator made.

use crate::{
    cluster::Namespace,
    failover,
    fault::alone,
    old::{self, ask},
};

/// All that could be changed, as the API server has it.
fn everything(shop: &Namespace) -> String {
    let kinds = "redisfailovers,statefulsets,deployments,configmaps,services,poddisruptionbudgets,persistentvolumeclaims,secrets";
    let path = "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.metadata.generation} {.metadata.ownerReferences}{\"\\n\"}{end}";
    shop.kubectl(&["get", kinds, "--output", path])
}

fn pods(shop: &Namespace) -> String {
    shop.kubectl(&["get", "pods", "--output", "jsonpath={.items[*].metadata.uid}"])
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    // The old operator's Lease, which one part of it makes, is seen by every operator.
    alone();
    let test = "a_dry_run_says_what_would_change_and_changes_nothing";
    let Some(shop) = failover::shop(test) else { return };
    old::cart(&shop, "timeout 0", &["CONFIG SET maxmemory 104857600", "SET greeting hello"]);
    let (before, running) = (everything(&shop), pods(&shop));
    let adopt = || shop.redoubt(&["adopt", "redisfailover/cart", "--dry-run"]);
    let refused = adopt();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.err.contains("old-0 holds the Lease redis-failover-lease"), "{refused:#?}");
    shop.kubectl(&["delete", "lease", "redis-failover-lease"]);

    let said = adopt().well();
    for words in [
        "spec.redis.customConfig gets \"maxmemory 104857600\"",
        "data-rfr-cart-1",
        "Deployment",
        "the password it has in clear",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains(old::PASSWORD), "{said}");
    let plan = shop.redoubt(&["adopt", "cart", "--dry-run", "-o", "json"]).json();
    let restarts: Vec<&str> =
        plan["restarts"].as_array().unwrap().iter().filter_map(|it| it["pod"].as_str()).collect();
    assert_eq!(restarts, ["rfr-cart-2", "rfr-cart-0", "rfr-cart-1"], "the master last: {plan:#}");

    // Something stands in the way: it is named, with what to do.
    ask(&shop, "rfr-cart-2", "redis-cli REPLICAOF 127.0.0.1 1\n");
    let refused = adopt();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.err.contains("rfr-cart-2 does not follow rfr-cart-1, which leads"), "{refused:#?}");
    assert_eq!(everything(&shop), before);
    assert_eq!(pods(&shop), running);
    assert_eq!(ask(&shop, "rfr-cart-1", "redis-cli GET greeting\n"), "hello");
}
