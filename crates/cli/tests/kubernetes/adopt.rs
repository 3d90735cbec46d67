//! Taking over what the old operator made.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cluster::{Namespace, SYSTEM, kubectl, wait},
    failover,
    fault::alone,
    old::{self, Shape, ask},
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
    old::cart(&shop, GOES, "timeout 0", &["CONFIG SET maxmemory 104857600", "SET greeting hello"]);
    let (before, running) = (everything(&shop), pods(&shop));
    let adopt = || shop.redoubt(&["adopt", "redisfailover/cart", "--dry-run"]);
    let refused = adopt();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.err.contains("old-0 holds the Lease redis-failover-lease"), "{refused:#?}");
    shop.kubectl(&["delete", "lease", "redis-failover-lease"]);

    let plan = adopt();
    assert!(!plan.err.contains("nobody here knows the default"), "{plan:#?}");
    let said = plan.well();
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

/// A pod that writes by way of the Service, one key after the other, and says which were acknowledged.
const WRITER: &str = "apiVersion: v1
kind: Pod
metadata: {name: writer}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1000, runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: redis
    image: redis:7.0
    imagePullPolicy: IfNotPresent
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    env: [{name: REDISCLI_AUTH, value: pass1234}]
    command: [sh, -c, 'i=0; while [ ! -e /tmp/enough ]; do i=$((i+1)); if [ \"$(timeout 3 redis-cli -h rfrm-cart SET w:$i $i 2>/dev/null)\" = OK ]; then echo $i; fi; done; echo END; sleep 9999']
    volumeMounts: [{name: tmp, mountPath: /tmp}]
  volumes: [{name: tmp, emptyDir: {}}]
";
const KEYS: &str = "200000";
const KEPT: Shape = Shape { keep: Some(true), guarded: true, exporter: false };
const GOES: Shape = Shape { keep: Some(false), ..KEPT };
const BARE: Shape = Shape { keep: None, guarded: false, exporter: true };

#[test]
fn what_the_old_operator_left_is_taken_over_without_a_lost_write() {
    alone();
    let test = "what_the_old_operator_left_is_taken_over_without_a_lost_write";
    let Some(shop) = failover::shop(test) else { return };
    assert_eq!(take_over(&shop, GOES, |_| ()), 1, "one hand-over");

    // As its users expect of it.
    shop.kubectl(&["delete", "redisfailover", "cart"]);
    wait("its volumes go with it", || {
        let left = shop.kubectl(&["get", "pvc", "--output", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

/// Each restart loses what the node has: who goes on before it is filled again loses all.
#[test]
fn nodes_without_volumes_or_password_are_taken_over_without_a_lost_write() {
    alone();
    let test = "nodes_without_volumes_or_password_are_taken_over_without_a_lost_write";
    let Some(shop) = failover::shop(test) else { return };
    assert_eq!(take_over(&shop, BARE, |_| ()), 1, "one hand-over");
    let ports = shop.kubectl(&["get", "service", "rfr-cart", "--output", "jsonpath={.spec.ports[*].name}"]);
    assert!(["redis", "http-metrics"].iter().all(|port| ports.contains(port)), "{ports}");
    for pod in ["rfr-cart-0", "rfs-cart-0"] {
        let path = "jsonpath={.spec.containers[*].name}";
        let containers = shop.kubectl(&["get", "pod", pod, "--output", path]);
        assert!(containers.contains("-exporter"), "{pod}: {containers}");
    }
}

/// Cut off anywhere, it is gone on with.
#[test]
fn a_take_over_survives_the_end_of_its_operator() {
    alone();
    let Some(shop) = failover::shop("a_take_over_survives_the_end_of_its_operator") else { return };
    let mut ends =
        [("statefulset", "rfs-cart"), ("pod", "rfs-cart-0"), ("configmap", "rfc-cart")].into_iter();
    let mut next = ends.next();
    let hand_overs = take_over(&shop, KEPT, |shop| {
        if next.is_some_and(|(kind, name)| shop.get(kind, name).is_some()) {
            next = ends.next();
            let pods = ["--namespace", SYSTEM, "delete", "pods", "--all", "--force", "--grace-period=0"];
            kubectl(&pods);
        }
    });
    assert!(hand_overs <= 1, "{hand_overs}");
}

/// With keys and writers; `disturb` is called again and again until it is done. How often the master handed over.
fn take_over(shop: &Namespace, shape: Shape, mut disturb: impl FnMut(&Namespace)) -> usize {
    old::cart(shop, shape, "timeout 0", &["CONFIG SET maxmemory 104857600"]);
    let fill = format!("redis-cli EVAL \"for i=1,{KEYS} do redis.call('SET','k:'..i,i) end return 1\" 0\n");
    assert_eq!(ask(shop, "rfr-cart-1", &fill), "1");
    shop.apply(WRITER).unwrap();
    let claims = shop.kubectl(&["get", "pvc", "--output", "jsonpath={.items[*].metadata.uid}"]);
    shop.kubectl(&["delete", "lease", "redis-failover-lease"]);
    shop.redoubt(&["adopt", "redisfailover/cart", "--yes"]).well();

    let uid = |pod: &str| shop.get("pod", pod).map(|pod| pod["metadata"]["uid"].to_string());
    let mut lives: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    wait("it is taken over", || {
        disturb(shop);
        for pod in ["rfr-cart-0", "rfr-cart-1", "rfr-cart-2"] {
            lives.entry(pod).or_default().extend(uid(pod));
        }
        let ready = shop.condition("redisfailover/cart", "Ready");
        let left =
            shop.get("configmap", "rfr-cart").is_some() || shop.get("deployment", "rfs-cart").is_some();
        match ready {
            Some((status, _, _)) if status == "True" && !left => Ok(()),
            other => Err(format!("{other:?}, left: {left}")),
        }
    });
    assert!(lives.values().all(|lives| lives.len() == 2), "each restarted once: {lives:?}");
    let path = "jsonpath={range .items[*]}{.reason} {.message}{\"\\n\"}{end}";
    let events = shop.kubectl(&["get", "events", "--output", path]);
    assert!(!events.contains("failed liveness probe"), "{events}");
    let hand_overs = events.lines().filter(|event| event.starts_with("HandedOver ")).count();

    shop.shell("writer", "touch /tmp/enough\n").unwrap();
    let said = wait("the writer has ended", || {
        let log = shop.kubectl(&["logs", "writer"]);
        if log.trim_end().ends_with("END") { Ok(log) } else { Err(log.lines().count().to_string()) }
    });
    // The shell has its say as well ("Terminated") when a try takes too long.
    let acknowledged: Vec<&str> = said.lines().filter(|line| line.parse::<u32>().is_ok()).collect();
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    let master = shop.master("redisfailover/cart").unwrap();
    let count = |keys: &str| format!("redis-cli EVAL \"local n=0 {keys} return n\" 0\n");
    let all = count(&format!("for i=1,{KEYS} do n=n+redis.call('EXISTS','k:'..i) end"));
    assert_eq!(ask(shop, &master, &all), KEYS);
    for some in acknowledged.chunks(1000) {
        let list = some.join(",");
        let some_of =
            count(&format!("for _,i in ipairs({{{list}}}) do n=n+redis.call('EXISTS','w:'..i) end"));
        assert_eq!(ask(shop, &master, &some_of), some.len().to_string(), "of {list}");
    }
    for pod in lives.keys() {
        let kept = ask(shop, pod, "redis-cli CONFIG GET maxmemory\n");
        assert_eq!(kept.lines().nth(1), Some("104857600"), "{pod}");
    }
    let maps = shop.kubectl(&["get", "configmaps", "--output", "yaml"]);
    assert!(!maps.contains(old::PASSWORD), "{maps}");
    assert_eq!(shop.kubectl(&["get", "pvc", "--output", "jsonpath={.items[*].metadata.uid}"]), claims);
    let path = "jsonpath={range .items[*]}{.metadata.ownerReferences[*].kind}{\"\\n\"}{end}";
    let owners = shop.kubectl(&["get", "pvc", "--output", path]);
    let owner = if shape.keep == Some(false) { "StatefulSet" } else { "" };
    assert!(owners.lines().all(|owners| owners == owner), "{owners}");
    leads_to(shop, &master);
    let open = shop.shell(&master, "redis-cli PING\n").unwrap();
    assert_eq!(open == "PONG", !shape.guarded, "{open}");
    let users = ask(shop, &master, "redis-cli ACL USERS\n");
    assert!(users.contains("default") && !users.contains("pinger"), "{users}");
    hand_overs
}

/// At once when it changes, and not when a probe comes round: the old operator's Service finds it by its label.
fn leads_to(shop: &Namespace, master: &str) {
    let path = "jsonpath={.items[*].endpoints[*].targetRef.name}";
    let of_master = ["--selector", "kubernetes.io/service-name=rfrm-cart", "--output", path];
    wait("the Service of the master leads to it by its own slice alone", || {
        let led = shop.kubectl(&[&["get", "endpointslices"], &of_master[..]].concat());
        let by = shop.get("endpointslice", "rfrm-cart").is_some();
        if led == master && by { Ok(()) } else { Err(format!("{led}, {by}")) }
    });
}
