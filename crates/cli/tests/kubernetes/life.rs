//! One Redis, start to finish.

use crate::cluster::{Namespace, UNHURRIED, wait};

const CART: &str = include_str!("../../../../examples/cart.yaml");

/// Started, and with a key in it.
fn cart(test: &str) -> Option<Namespace> {
    let namespace = Namespace::new(test)?;
    fill(&namespace);
    Some(namespace)
}

fn fill(namespace: &Namespace) {
    namespace.apply(&format!("{CART}{UNHURRIED}")).unwrap();
    namespace.ready("cart");
    namespace.greet();
}

/// Another leads, all is well, and the key is there.
fn another_leads(namespace: &Namespace, before: &str) -> String {
    let master = namespace.another_leads("cart", before);
    namespace.ready("cart");
    assert_eq!(namespace.redis_cli("cart", &master, "GET greeting").unwrap(), "hello");
    wait("the roles follow", || {
        let selector = "app.kubernetes.io/instance=cart,redoubt.dev/role=master";
        let pods = namespace.kubectl(&["get", "pods", "--selector", selector, "--output", "name"]);
        if pods.trim() == format!("pod/{master}") { Ok(()) } else { Err(pods) }
    });
    master
}

#[test]
fn a_redis_survives_its_server_its_pod_and_its_deletion() {
    let Some(namespace) = cart("a_redis_survives_its_server_its_pod_and_its_deletion") else { return };
    let shown = namespace.kubectl(&["get", "redis", "cart"]);
    assert!(shown.contains("3/3") && shown.contains("Sentinel"), "{shown}");

    let first = namespace.master("cart").unwrap();
    let kill = "kill -9 $(pidof redis-server)";
    namespace.kubectl(&["exec", &first, "--container", "redis", "--", "sh", "-c", kill]);
    let second = another_leads(&namespace, &first);

    namespace.kubectl(&["delete", "pod", &second]);
    another_leads(&namespace, &second);

    namespace.kubectl(&["delete", "redis", "cart"]);
    wait("the pods are gone", || {
        let pods = namespace.kubectl(&["get", "pods", "--output", "name"]);
        if pods.is_empty() { Ok(()) } else { Err(pods) }
    });
    let claims = namespace.kubectl(&["get", "pvc", "--output", "name"]);
    assert_eq!(claims.lines().count(), 3, "{claims}");

    namespace.apply(&format!("{CART}{UNHURRIED}")).unwrap();
    namespace.ready("cart");
    let master = namespace.master("cart").unwrap();
    assert_eq!(namespace.redis_cli("cart", &master, "GET greeting").unwrap(), "hello");
}

#[test]
fn more_nodes_by_kubectl_scale_and_a_changed_directive_do_what_they_say() {
    let Some(namespace) = cart("more_nodes_by_kubectl_scale_and_a_changed_directive_do_what_they_say") else {
        return;
    };
    namespace.kubectl(&["scale", "redis", "cart", "--replicas=4"]);
    wait("there are four", || {
        let redis = namespace.get("redis", "cart").unwrap_or_default();
        let ready = redis["status"]["ready"].clone();
        if ready == "4/4" { Ok(()) } else { Err(ready.to_string()) }
    });
    let restarts = || namespace.kubectl(&["get", "pods", "--output", "jsonpath={.items[*].metadata.uid}"]);
    let before = restarts();
    let patch = r#"{"spec":{"config":{"maxmemory-policy":"allkeys-lru"}}}"#;
    namespace.kubectl(&["patch", "redis", "cart", "--type=merge", "--patch", patch]);
    for pod in ["cart-0", "cart-3"] {
        wait("the directive is in force", || {
            let seen = namespace.redis_cli("cart", pod, "CONFIG GET maxmemory-policy");
            if seen.as_ref().is_ok_and(|seen| seen.contains("allkeys-lru")) {
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        });
    }
    assert_eq!(restarts(), before, "no pod was restarted");
}

#[test]
fn a_converged_redis_is_written_no_more() {
    let Some(namespace) = cart("a_converged_redis_is_written_no_more") else { return };
    let versions = || {
        let kinds = "redis,statefulsets,services,configmaps,secrets,poddisruptionbudgets,networkpolicies";
        namespace.kubectl(&[
            "get",
            kinds,
            "--output",
            "jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion} {end}",
        ])
    };
    // A pod that is deleted keeps the operator busy; when all is well again only what tells of it has changed.
    let before = versions();
    namespace.kubectl(&["delete", "pod", "cart-sentinel-1"]);
    wait("it is missed", || {
        let state = namespace.condition("cart", "Ready");
        if state.as_ref().is_some_and(|(status, _, _)| status == "False") {
            Ok(())
        } else {
            Err(format!("{state:?}"))
        }
    });
    namespace.ready("cart");
    let of = |versions: &str, kind: &str| {
        let lines = versions.split_whitespace().filter(|line| line.starts_with(&format!("{kind}/")));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let after = versions();
    for kind in ["Service", "ConfigMap", "Secret", "NetworkPolicy"] {
        assert_eq!(of(&after, kind), of(&before, kind), "{kind}");
        assert!(!of(&after, kind).is_empty(), "{kind}");
    }
}

#[test]
fn more_sentinels_and_fewer_nodes_do_what_they_say() {
    let Some(namespace) = cart("more_sentinels_and_fewer_nodes_do_what_they_say") else { return };
    let patch = r#"{"spec":{"replicas":2,"sentinel":{"replicas":5}}}"#;
    namespace.kubectl(&["patch", "redis", "cart", "--type=merge", "--patch", patch]);
    wait("there are two nodes and five Sentinels", || {
        let redis = namespace.get("redis", "cart").unwrap_or_default();
        let count = |field: &str| redis["status"][field].as_array().map_or(0, Vec::len);
        let seen = (redis["status"]["ready"].as_str() == Some("2/2"), count("sentinels"));
        if seen == (true, 5) { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    namespace.ready("cart");
    let names = |kind: &str| namespace.kubectl(&["get", kind, "--output", "name"]);
    assert!(!names("pods").contains("pod/cart-2\n"), "{}", names("pods"));
    assert!(names("pvc").contains("data-cart-2"), "its volume stays: {}", names("pvc"));
    // Nobody remembers who left.
    for sentinel in ["cart-sentinel-0", "cart-sentinel-4"] {
        wait("they know each other and one replica", || {
            let seen = namespace.redoubt(&["status", "cart", "-o", "json"]).json();
            let live = &seen["live"]["sentinels"][sentinel];
            if live["knownSentinels"] == 4 && live["knownReplicas"] == 1 {
                Ok(())
            } else {
                Err(live.to_string())
            }
        });
    }
    let master = namespace.master("cart").unwrap();
    assert_eq!(namespace.redis_cli("cart", &master, "GET greeting").unwrap(), "hello");
}
