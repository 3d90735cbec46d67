//! `RedisFailover` as it is: the manifests of the old operator, unchanged but for an image that the lab has, and times for a
//! machine that is busy.

use std::{process::Command, sync::OnceLock};

use crate::{
    cluster::{Namespace, kubectl, run, said, wait},
    fault::alone,
};

pub(crate) const CART: &str = "redisfailover/cart";

/// With a definition that has a status; operators that run already notice it.
pub(crate) fn shop(test: &str) -> Option<Namespace> {
    static DONE: OnceLock<()> = OnceLock::new();
    let shop = Namespace::new(test)?;
    DONE.get_or_init(|| {
        let crd = said(Command::new(env!("CARGO_BIN_EXE_redoubt")).args(["crds", "--redisfailover"])).well();
        let args = ["apply", "--server-side", "--force-conflicts", "--filename", "-"];
        let applied = run(&args, &crd);
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
        let name = "crd/redisfailovers.databases.spotahome.com";
        kubectl(&["wait", "--for=condition=Established", name, "--timeout=60s"]);
    });
    Some(shop)
}

/// Three of both; `redis` and `sentinel` are more fields of them, in flow style, `rest` of the whole.
pub(crate) fn failover(name: &str, redis: &str, sentinel: &str, rest: &str) -> String {
    manifest(name, 3, redis, sentinel, rest)
}

/// One of both.
fn small(name: &str, redis: &str, rest: &str) -> String {
    manifest(name, 1, redis, UNHURRIED, rest)
}

fn manifest(name: &str, count: u32, redis: &str, sentinel: &str, rest: &str) -> String {
    format!(
        "apiVersion: databases.spotahome.com/v1
kind: RedisFailover
metadata:
  name: {name}
  labels: {{team: shop}}
spec:
  sentinel: {{replicas: {count}, image: 'redis:7.0', resources: {{requests: {{cpu: 10m}}, limits: {{memory: 100Mi}}}}{sentinel}}}
  redis: {{replicas: {count}, image: 'redis:7.0', resources: {{requests: {{cpu: 10m, memory: 50Mi}}, limits: {{memory: 500Mi}}}}{redis}}}
{rest}"
    )
}

/// For a machine that is busy with all the other tests.
pub(crate) const UNHURRIED: &str = ", customConfig: [down-after-milliseconds 10000]";

fn names(shop: &Namespace, kind: &str) -> Vec<String> {
    let path = "jsonpath={.items[*].metadata.name}";
    shop.kubectl(&["get", kind, "--output", path]).split_whitespace().map(str::to_owned).collect()
}

#[track_caller]
fn has(shop: &Namespace, kind: &str, expected: &[&str]) {
    let there = names(shop, kind);
    for name in expected {
        assert!(there.iter().any(|there| there == name), "{kind} {name}: {there:?}");
    }
}

fn ask(shop: &Namespace, pod: &str, command: &str) -> Result<String, String> {
    shop.shell(pod, &format!("redis-cli {command}\n"))
}

/// A key that all nodes have.
fn greet(shop: &Namespace) -> String {
    wait("the greeting is at all nodes", || {
        let master = shop.master(CART).ok_or("nobody leads")?;
        let set = ask(shop, &master, "SET greeting hello")?;
        let all = ask(shop, &master, "WAIT 2 10000")?;
        if (set.as_str(), all.as_str()) == ("OK", "2") { Ok(master) } else { Err(format!("{set} {all}")) }
    })
}

fn gone(shop: &Namespace, kind: &str) {
    wait(&format!("no {kind} is left"), || {
        let left = names(shop, kind);
        if left.is_empty() { Ok(()) } else { Err(left.join(" ")) }
    });
}

/// The account of a drill; the set is whole afterwards.
#[track_caller]
pub(crate) fn drill(shop: &Namespace, scenario: &str) -> serde_json::Value {
    shop.ready(CART);
    let result = shop.redoubt(&["drill", CART, scenario, "--client", "service", "-o", "json"]).json();
    assert!(result["acknowledged"].as_u64().unwrap() > 100, "{result:#}");
    assert!(!result["healthy_after_ms"].is_null(), "{result:#}");
    assert_ne!(result["master_before"], result["master_after"], "{result:#}");
    result
}

#[test]
fn the_basic_failover_has_its_names_and_survives_its_master_and_its_deletion() {
    let name = "the_basic_failover_has_its_names_and_survives_its_master_and_its_deletion";
    let Some(shop) = shop(name) else { return };
    shop.apply(&failover("cart", "", UNHURRIED, "")).unwrap();
    shop.ready(CART);
    has(&shop, "statefulsets", &["rfr-cart", "rfs-cart"]);
    has(&shop, "services", &["rfr-cart", "rfrm-cart", "rfrs-cart", "rfs-cart"]);
    has(&shop, "poddisruptionbudgets", &["rfr-cart", "rfs-cart"]);
    has(&shop, "pods", &["rfr-cart-0", "rfr-cart-1", "rfr-cart-2", "rfs-cart-0"]);
    let selected = |role: &str| {
        let selector = format!(
            "app.kubernetes.io/name=cart,app.kubernetes.io/component=redis,app.kubernetes.io/part-of=redis-failover,\
             redisfailovers.databases.spotahome.com/name=cart,team=shop,redisfailovers-role={role}"
        );
        shop.kubectl(&["get", "pods", "--selector", &selector, "--output", "name"])
    };
    let master = greet(&shop);
    assert_eq!(selected("master").trim(), format!("pod/{master}"));
    assert_eq!(selected("slave").lines().count(), 2);
    let said = shop.shell_in(
        "rfs-cart-0",
        "sentinel",
        "redis-cli -p 26379 sentinel get-master-addr-by-name mymaster\n",
    );
    let address = shop.kubectl(&[
        "get",
        "service",
        &master.replace("rfr-", "rfra-"),
        "--output",
        "jsonpath={.spec.clusterIP}",
    ]);
    assert_eq!(
        said.unwrap().lines().next(),
        Some(address.as_str()),
        "the Sentinels tell who leads, and ask for nothing"
    );
    let shown = shop.kubectl(&["get", "redisfailover", "cart"]);
    assert!(shown.contains("3/3") && shown.contains(&master), "{shown}");
    let status = shop.redoubt(&["status", CART]).well();
    assert!(status.contains("rfr-cart-0"), "{status}");

    let killed = drill(&shop, "kill-master");
    assert!(killed["lost"].as_u64().unwrap() <= killed["writers"].as_u64().unwrap(), "{killed:#}");
    let stopped = drill(&shop, "stop-master");
    assert_eq!(stopped["lost"], 0, "{stopped:#}");
    shop.ready(CART);
    let master = shop.master(CART).unwrap();
    assert_eq!(ask(&shop, &master, "GET greeting").unwrap(), "hello");

    shop.kubectl(&["delete", "redisfailover", "cart"]);
    gone(&shop, "pods");
    gone(&shop, "services");
}

fn persistent(keep: bool) -> String {
    let storage = format!(
        ", storage: {{keepAfterDeletion: {keep}, persistentVolumeClaim: {{metadata: {{name: redisfailover-data}}, \
         spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 64Mi}}}}}}}}}}"
    );
    failover("cart", &storage, UNHURRIED, "")
}

#[test]
fn volumes_of_a_failover_stay_if_it_says_so_and_go_if_not() {
    let Some(shop) = shop("volumes_of_a_failover_stay_if_it_says_so_and_go_if_not") else { return };
    let claims =
        ["redisfailover-data-rfr-cart-0", "redisfailover-data-rfr-cart-1", "redisfailover-data-rfr-cart-2"];
    shop.apply(&persistent(true)).unwrap();
    shop.ready(CART);
    greet(&shop);
    let delete = || {
        shop.kubectl(&["delete", "redisfailover", "cart"]);
        gone(&shop, "pods");
    };
    delete();
    assert_eq!(names(&shop, "pvc"), claims);

    shop.apply(&persistent(false)).unwrap();
    shop.ready(CART);
    let master = shop.master(CART).unwrap();
    assert_eq!(ask(&shop, &master, "GET greeting").unwrap(), "hello");
    shop.says(CART, "Questionable", "who deletes the resource, or its definition, deletes its data");
    delete();
    gone(&shop, "pvc");
}

#[test]
fn a_failover_keeps_its_nodes_in_different_zones() {
    let Some(shop) = shop("a_failover_keeps_its_nodes_in_different_zones") else { return };
    let affinity = |component: &str| {
        format!(
            ", affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: \
             topology.kubernetes.io/zone, labelSelector: {{matchLabels: {{app.kubernetes.io/name: cart, \
             app.kubernetes.io/component: {component}}}}}}}]}}}}"
        )
    };
    let (nodes, sentinels) = (affinity("redis"), format!("{}{UNHURRIED}", affinity("sentinel")));
    shop.apply(&failover("cart", &nodes, &sentinels, "")).unwrap();
    shop.ready(CART);
    for component in ["redis", "sentinel"] {
        let selector = format!("app.kubernetes.io/component={component}");
        let path = "jsonpath={.items[*].spec.nodeName}";
        let machines = shop.kubectl(&["get", "pods", "--selector", &selector, "--output", path]);
        let path = "jsonpath={.metadata.labels.topology\\.kubernetes\\.io/zone}";
        let zones =
            machines.split_whitespace().map(|machine| kubectl(&["get", "node", machine, "--output", path]));
        let zones: std::collections::BTreeSet<_> = zones.collect();
        assert_eq!(zones.len(), 3, "{component}: {machines}");
    }
}

#[test]
fn custom_config_of_both_is_in_force_and_what_is_removed_is_the_default_again() {
    let Some(shop) = shop("custom_config_of_both_is_in_force_and_what_is_removed_is_the_default_again")
    else {
        return;
    };
    let sentinel = ", customConfig: [down-after-milliseconds 2000, failover-timeout 3000]";
    let with = |redis: &str| failover("cart", redis, sentinel, "");
    let redis = ", customConfig: [maxclients 100, hz 50, timeout 60, tcp-keepalive 60, client-output-buffer-limit normal 0 0 0, \
                 client-output-buffer-limit slave 1000000000 1000000000 0, client-output-buffer-limit pubsub 33554432 8388608 60], \
                 customCommandRenames: [{from: flushall, to: ''}], command: [my-redis]";
    shop.apply(&with(redis)).unwrap();
    shop.ready(CART);
    shop.says(CART, "Questionable", "spec.sentinel.customConfig.0: 2s is below 3s");
    shop.says(CART, "Honoured", "spec.redis.command: is not honoured");
    let is = |pod: &str, name: &str, value: &str| {
        wait(&format!("{name} of {pod} is {value}"), || {
            let said = ask(&shop, pod, &format!("CONFIG GET {name}"))?;
            if said.lines().nth(1) == Some(value) { Ok(()) } else { Err(said) }
        });
    };
    for pod in ["rfr-cart-0", "rfr-cart-2"] {
        is(pod, "hz", "50");
        is(pod, "maxclients", "100");
        let refused = ask(&shop, pod, "FLUSHALL").unwrap();
        assert!(refused.contains("NOPERM"), "{refused}");
    }
    let said =
        shop.shell_in("rfs-cart-1", "sentinel", "redis-cli -p 26379 sentinel master mymaster\n").unwrap();
    let option = |name: &str| said.lines().skip_while(|line| *line != name).nth(1).map(str::to_owned);
    assert_eq!(option("down-after-milliseconds").as_deref(), Some("2000"), "{said}");
    assert_eq!(option("failover-timeout").as_deref(), Some("3000"), "{said}");

    let uids = shop.kubectl(&["get", "pods", "--output", "jsonpath={.items[*].metadata.uid}"]);
    shop.apply(&with(", customConfig: [maxclients 200]")).unwrap();
    for pod in ["rfr-cart-0", "rfr-cart-2"] {
        is(pod, "maxclients", "200");
        is(pod, "hz", "10");
    }
    let after = shop.kubectl(&["get", "pods", "--output", "jsonpath={.items[*].metadata.uid}"]);
    assert_eq!(after, uids, "no pod was restarted");
}

#[test]
fn a_failover_with_a_password_asks_for_it_at_its_nodes_and_hands_it_to_its_exporter() {
    let name = "a_failover_with_a_password_asks_for_it_at_its_nodes_and_hands_it_to_its_exporter";
    let Some(shop) = shop(name) else { return };
    shop.kubectl(&["create", "secret", "generic", "redis-auth", "--from-literal=password=pass1234"]);
    // Stands for the exporter, whose image the lab has not.
    let script =
        "until REDISCLI_AUTH=$REDIS_PASSWORD redis-cli -u $REDIS_ADDR ping; do sleep 1; done; sleep 9999";
    let exporter = format!(", exporter: {{enabled: true, image: 'redis:7.0', args: [sh, -c, '{script}']}}");
    shop.apply(&failover("cart", &exporter, UNHURRIED, "  auth: {secretPath: redis-auth}\n")).unwrap();
    shop.ready(CART);
    let refused = ask(&shop, "rfr-cart-0", "GET a").unwrap();
    assert!(refused.contains("NOAUTH"), "{refused}");
    let let_in = shop.shell("rfr-cart-0", "REDISCLI_AUTH=pass1234 redis-cli PING\n");
    assert_eq!(let_in.unwrap(), "PONG");
    let open = shop.shell_in("rfs-cart-0", "sentinel", "redis-cli -p 26379 PING\n");
    assert_eq!(open.unwrap(), "PONG");
    wait("the exporter is let in", || {
        let said = shop.kubectl(&["logs", "rfr-cart-0", "--container", "redis-exporter"]);
        if said.contains("PONG") { Ok(()) } else { Err(said) }
    });
    let ports = shop.kubectl(&["get", "service", "rfr-cart", "--output", "jsonpath={.spec.ports[*].name}"]);
    assert!(ports.contains("http-metrics"), "{ports}");
}

/// It must not start empty; and what is wrong with a later version leaves alone what runs.
#[test]
fn bad_input_is_named_in_the_status_and_what_runs_is_untouched() {
    let Some(shop) = shop("bad_input_is_named_in_the_status_and_what_runs_is_untouched") else { return };
    let nobody = "  bootstrapNode: {allowSentinels: true}\n";
    let refused = |words: &str| shop.says(CART, "Progressing", words);
    shop.apply(&small("cart", "", nobody)).unwrap();
    refused("spec.bootstrapNode.host: is missing");
    assert_eq!(names(&shop, "pods"), [""; 0]);
    shop.apply(&small("cart", "", "")).unwrap();
    shop.ready(CART);

    let uids = shop.kubectl(&["get", "pods", "--output", "jsonpath={.items[*].metadata.uid}"]);
    for (redis, words) in [
        (", customConfig: ['']", "spec.redis.customConfig.0: is empty"),
        (", customConfig: [appendonly]", "spec.redis.customConfig.0: "),
        (", customConfig: [no-such-directive yes]", "no-such-directive"),
    ] {
        shop.apply(&small("cart", redis, "")).unwrap();
        wait(&format!("the status says {words}"), || {
            let said = shop.resource(CART).unwrap_or_default()["status"]["conditions"].to_string();
            if said.contains(words) { Ok(()) } else { Err(said) }
        });
    }
    shop.apply(&small("cart", "", nobody)).unwrap();
    refused("spec.bootstrapNode.host: is missing");
    let long = "a".repeat(49);
    shop.apply(&small(&long, "", "")).unwrap();
    shop.says(&format!("redisfailover/{long}"), "Progressing", "at most 48");
    let after = shop.kubectl(&["get", "pods", "--output", "jsonpath={.items[*].metadata.uid}"]);
    assert_eq!(after, uids);
}

/// `s-foo` beside `foo`, and a Redis of the same name: none takes anything from another.
#[test]
fn resources_whose_names_are_alike_do_not_mix() {
    let Some(shop) = shop("resources_whose_names_are_alike_do_not_mix") else { return };
    let redis = "apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {name: NAME}\nspec: {mode: Standalone}\n";
    let all = ["redisfailover/foo", "redisfailover/s-foo", "redisfailover/foo-0", "foo"];
    shop.apply(&redis.replace("NAME", "foo")).unwrap();
    for name in ["foo", "s-foo", "foo-0"] {
        shop.apply(&small(name, "", "")).unwrap();
    }
    for name in all {
        shop.ready(name);
    }
    for (name, master) in all.iter().zip(["rfr-foo-0", "rfr-s-foo-0", "rfr-foo-0-0", "foo-0"]) {
        assert_eq!(shop.master(name).as_deref(), Some(master));
    }
    // This one would take the names of another.
    shop.apply(&redis.replace("NAME", "rfr-foo")).unwrap();
    shop.says("rfr-foo", "Progressing", "another object of this name is there");
    shop.kubectl(&["delete", "redis", "rfr-foo", "foo"]);
    for name in &all[..3] {
        shop.ready(name);
    }
}

#[test]
fn nothing_is_made_while_the_old_operator_works_or_what_it_made_is_there() {
    // Every operator of RedisFailover sees the Lease.
    alone();
    let Some(shop) = shop("nothing_is_made_while_the_old_operator_works_or_what_it_made_is_there") else {
        return;
    };
    let lease = |renewed: &str| {
        format!(
            "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {{name: redis-failover-lease}}\n\
             spec: {{holderIdentity: old-0, leaseDurationSeconds: 15, renewTime: '{renewed}'}}\n"
        )
    };
    shop.apply(&lease("2099-01-01T00:00:00.000000Z")).unwrap();
    shop.apply(&small("cart", "", "")).unwrap();
    shop.says(CART, "Progressing", "the old operator still works: old-0 holds the Lease");
    assert_eq!(names(&shop, "pods"), [""; 0]);

    shop.apply(
        "apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: rfr-cart
  labels: {app.kubernetes.io/managed-by: redis-operator, redisfailovers.databases.spotahome.com/name: cart}
spec:
  replicas: 0
  serviceName: rfr-cart
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: redis, image: 'redis:7.0'}]}}
",
    )
    .unwrap();
    shop.apply(&lease("2020-01-01T00:00:00.000000Z")).unwrap();
    shop.says(CART, "Progressing", "the StatefulSet rfr-cart of the old operator is there");
    shop.kubectl(&["delete", "statefulset", "rfr-cart"]);
    shop.ready(CART);
}
