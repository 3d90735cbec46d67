//! A set in the shape in which the old operator leaves it, made by plain manifests: there is no old operator to be had.

use crate::cluster::{Namespace, run, wait};

/// Its password, also in the clear in its `ConfigMap`.
pub(crate) const PASSWORD: &str = "pass1234";
/// What the old operator's definition of a `RedisFailover` has of a restricted pod.
const POD: &str = "securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}";
const CONTAINER: &str = "securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}";

/// Everything else.
const OBJECTS: &str = include_str!("old.yaml");

/// As if the old operator worked.
pub(crate) const LEASE: &str = "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: redis-failover-lease}\n\
     spec: {holderIdentity: old-0, leaseDurationSeconds: 15, renewTime: '2099-01-01T00:00:00.000000Z'}\n";

/// `cart` with three nodes on volumes, three Sentinels, and a password. `custom` is in its resource; what `told` says
/// was told its master alone. The old operator seems to be at work as long as its [`LEASE`] is there.
pub(crate) fn cart(shop: &Namespace, custom: &str, told: &[&str]) {
    shop.kubectl(&[
        "create",
        "secret",
        "generic",
        "redis-auth",
        &format!("--from-literal=password={PASSWORD}"),
    ]);
    // The resource before its objects: they belong to it. Nobody else is to make any.
    shop.apply(LEASE).unwrap();
    shop.apply(&resource(custom)).unwrap();
    let uid = shop.kubectl(&["get", "redisfailover", "cart", "--output", "jsonpath={.metadata.uid}"]);
    let made = run(&["--namespace", &shop.name, "apply", "--filename", "-"], &objects(&uid));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for set in ["statefulset/rfr-cart", "deployment/rfs-cart"] {
        let replicas = if set.starts_with("stateful") {
            "{.status.availableReplicas}"
        } else {
            "{.status.readyReplicas}"
        };
        wait(&format!("{set} runs"), || {
            let ready = shop.kubectl(&["get", set, "--output", &format!("jsonpath={replicas}")]);
            if ready == "3" { Ok(()) } else { Err(ready) }
        });
    }
    lead(shop, "rfr-cart-1", told);
}

/// A `RedisFailover` with a volume for each node.
pub(crate) fn resource(custom: &str) -> String {
    format!(
        "apiVersion: databases.spotahome.com/v1
kind: RedisFailover
metadata: {{name: cart}}
spec:
  auth: {{secretPath: redis-auth}}
  sentinel: {{replicas: 3, image: 'redis:7.0', resources: {{requests: {{cpu: 10m}}, limits: {{memory: 100Mi}}}}, customConfig: [down-after-milliseconds 10000]}}
  redis:
    replicas: 3
    image: 'redis:7.0'
    resources: {{requests: {{cpu: 10m, memory: 50Mi}}, limits: {{memory: 500Mi}}}}
    customConfig: [{custom}]
    storage: {{keepAfterDeletion: true, persistentVolumeClaim: {{metadata: {{name: data}}, spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 256Mi}}}}}}}}}}
"
    )
}

/// What the old operator says to its servers and Sentinels, each pass.
fn lead(shop: &Namespace, master: &str, told: &[&str]) {
    let address = shop.kubectl(&["get", "pod", master, "--output", "jsonpath={.status.podIP}"]);
    for line in ["REPLICAOF NO ONE"].iter().chain(told) {
        ask(shop, master, &format!("redis-cli {line}\n"));
    }
    for replica in ["rfr-cart-0", "rfr-cart-1", "rfr-cart-2"].into_iter().filter(|pod| *pod != master) {
        ask(shop, replica, &format!("redis-cli REPLICAOF {address} 6379\n"));
    }
    for sentinel in sentinels(shop) {
        let script = format!(
            "redis-cli -p 26379 SENTINEL REMOVE mymaster
redis-cli -p 26379 SENTINEL MONITOR mymaster {address} 6379 2
redis-cli -p 26379 SENTINEL SET mymaster auth-pass {PASSWORD} down-after-milliseconds 10000\n"
        );
        shop.shell_in(&sentinel, "sentinel", &script).unwrap();
    }
    shop.kubectl(&["label", "pod", master, "redisfailovers-role=master", "--overwrite"]);
    wait("both replicas are in sync", || {
        let said = ask(shop, master, "redis-cli INFO replication\n");
        if said.matches("state=online").count() == 2 { Ok(()) } else { Err(said) }
    });
    wait("the Sentinels know each other", || {
        let know = |pod: &String| {
            shop.shell_in(pod, "sentinel", "redis-cli -p 26379 SENTINEL CKQUORUM mymaster\n")
                .unwrap_or_default()
        };
        let said: Vec<String> = sentinels(shop).iter().map(know).collect();
        if said.iter().all(|said| said.contains("OK 3 usable")) { Ok(()) } else { Err(said.join("; ")) }
    });
}

/// What a shell beside a server says, which has logged in.
pub(crate) fn ask(shop: &Namespace, pod: &str, script: &str) -> String {
    shop.shell(pod, &format!("export REDISCLI_AUTH={PASSWORD}\n{script}")).unwrap()
}

pub(crate) fn sentinels(shop: &Namespace) -> Vec<String> {
    let selector = "app.kubernetes.io/component=sentinel,app.kubernetes.io/name=cart";
    let path = "jsonpath={.items[*].metadata.name}";
    let listed = shop.kubectl(&["get", "pods", "--selector", selector, "--output", path]);
    listed.split_whitespace().map(str::to_owned).collect()
}

/// Filled in.
fn objects(uid: &str) -> String {
    let labels = |component: &str| {
        format!(
            "app.kubernetes.io/name: cart, app.kubernetes.io/component: {component}, app.kubernetes.io/part-of: redis-failover"
        )
    };
    let all = |component: &str| {
        format!(
            "{}, app.kubernetes.io/managed-by: redis-operator, redisfailovers.databases.spotahome.com/name: cart",
            labels(component)
        )
    };
    let owner = format!(
        "ownerReferences: [{{apiVersion: databases.spotahome.com/v1, kind: RedisFailover, name: cart, uid: {uid}, controller: true, blockOwnerDeletion: true}}]"
    );
    let values = [
        ("$OWNER", owner.as_str()),
        ("$REDIS", &all("redis")),
        ("$SENTINEL", &all("sentinel")),
        ("$NODE", &labels("redis")),
        ("$WATCHER", &labels("sentinel")),
        ("$POD", POD),
        ("$CONTAINER", CONTAINER),
        ("$PASSWORD", PASSWORD),
    ];
    values.into_iter().fold(OBJECTS.to_owned(), |text, (name, value)| text.replace(name, value))
}
