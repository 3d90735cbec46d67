//! A set in the shape in which the old operator leaves it, made by plain manifests: there is no old operator to be had.

use crate::cluster::{Namespace, run, wait};

/// Its password, also in the clear in its `ConfigMap`.
pub(crate) const PASSWORD: &str = "pass1234";
/// What the old operator's definition of a `RedisFailover` has of a restricted pod.
const POD: &str = "securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}";
const CONTAINER: &str = "securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}";

const METRICS: &str = "9121";
const SENTINEL_METRICS: &str = "9355";
const CLAIM: &str = "{accessModes: [ReadWriteOnce], resources: {requests: {storage: 256Mi}}}";
/// Stands for the exporter, whose image the lab has not, on its port.
const EXPORTER: &str = "[redis-server, --save, '', --port, '$PORT']";

/// For what scrapes the exporters; without any there is none.
const METRICS_SERVICE: &str = "---
apiVersion: v1
kind: Service
metadata: {name: rfr-cart, labels: {$REDIS}, $OWNER, annotations: {prometheus.io/scrape: 'true', prometheus.io/port: http}}
spec: {clusterIP: None, selector: {$NODE}, ports: [{name: http-metrics, port: 9121, targetPort: metrics}]}
";

/// Everything else.
const OBJECTS: &str = include_str!("old.yaml");

/// As if the old operator worked.
pub(crate) const LEASE: &str = "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: redis-failover-lease}\n\
     spec: {holderIdentity: old-0, leaseDurationSeconds: 15, renewTime: '2099-01-01T00:00:00.000000Z'}\n";

/// What differs from one set to the next.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// `Some`: a volume for each node, and whether it outlives the resource. `None`: an `emptyDir`.
    pub(crate) keep: Option<bool>,
    /// It asks for [`PASSWORD`].
    pub(crate) guarded: bool,
    /// With an exporter beside each server and each Sentinel.
    pub(crate) exporter: bool,
}

/// `cart` with three nodes and three Sentinels. `custom` is in its resource; what `told` says was told its master alone.
/// The old operator seems to be at work as long as its [`LEASE`] is there.
pub(crate) fn cart(shop: &Namespace, shape: Shape, custom: &str, told: &[&str]) {
    if shape.guarded {
        let password = format!("--from-literal=password={PASSWORD}");
        shop.kubectl(&["create", "secret", "generic", "redis-auth", &password]);
    }
    // The resource before its objects: they belong to it. Nobody else is to make any.
    shop.apply(LEASE).unwrap();
    shop.apply(&resource(shape, custom)).unwrap();
    let uid = shop.kubectl(&["get", "redisfailover", "cart", "--output", "jsonpath={.metadata.uid}"]);
    let made = run(&["--namespace", &shop.name, "apply", "--filename", "-"], &objects(shape, &uid));
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
    lead(shop, shape, "rfr-cart-1", told);
}

fn resource(shape: Shape, custom: &str) -> String {
    let auth = if shape.guarded { "{secretPath: redis-auth}" } else { "{}" };
    let storage = shape.keep.map_or("{emptyDir: {}}".to_owned(), |keep| {
        format!("{{keepAfterDeletion: {keep}, persistentVolumeClaim: {{metadata: {{name: data}}, spec: {CLAIM}}}}}")
    });
    let exporter = |port: &str| {
        let args = EXPORTER.replace("$PORT", port);
        let asked = format!("{{enabled: true, image: 'redis:7.0', args: {args}}}");
        if shape.exporter { asked } else { "{}".to_owned() }
    };
    let (beside_nodes, beside_sentinels) = (exporter(METRICS), exporter(SENTINEL_METRICS));
    format!(
        "apiVersion: databases.spotahome.com/v1
kind: RedisFailover
metadata: {{name: cart}}
spec:
  auth: {auth}
  sentinel: {{replicas: 3, image: 'redis:7.0', exporter: {beside_sentinels}, resources: {{requests: {{cpu: 10m}}, limits: {{memory: 100Mi}}}}, customConfig: [down-after-milliseconds 10000]}}
  redis:
    replicas: 3
    image: 'redis:7.0'
    resources: {{requests: {{cpu: 10m, memory: 50Mi}}, limits: {{memory: 500Mi}}}}
    customConfig: [{custom}]
    exporter: {beside_nodes}
    storage: {storage}
"
    )
}

/// What the old operator says to its servers and Sentinels, each pass.
fn lead(shop: &Namespace, shape: Shape, master: &str, told: &[&str]) {
    let address = shop.kubectl(&["get", "pod", master, "--output", "jsonpath={.status.podIP}"]);
    for line in ["REPLICAOF NO ONE"].iter().chain(told) {
        ask(shop, master, &format!("redis-cli {line}\n"));
    }
    for replica in ["rfr-cart-0", "rfr-cart-1", "rfr-cart-2"].into_iter().filter(|pod| *pod != master) {
        ask(shop, replica, &format!("redis-cli REPLICAOF {address} 6379\n"));
    }
    let password = if shape.guarded { format!("auth-pass {PASSWORD}") } else { String::new() };
    for sentinel in sentinels(shop) {
        let script = format!(
            "redis-cli -p 26379 SENTINEL REMOVE mymaster
redis-cli -p 26379 SENTINEL MONITOR mymaster {address} 6379 2
redis-cli -p 26379 SENTINEL SET mymaster {password} down-after-milliseconds 10000\n"
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

/// What a shell beside a server says, which has logged in where there is a password.
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
fn objects(shape: Shape, uid: &str) -> String {
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
    let login = if shape.guarded {
        format!("masterauth {PASSWORD}\n    requirepass {PASSWORD}")
    } else {
        "protected-mode no".to_owned()
    };
    // Volumes that are to go with the resource are owned by it.
    let (volume, claims) = match shape.keep {
        None => ("- {name: data, emptyDir: {}}".to_owned(), String::new()),
        Some(keep) => {
            let owner = if keep { "" } else { ", $OWNER" };
            let claims =
                format!("volumeClaimTemplates: [{{metadata: {{name: data{owner}}}, spec: {CLAIM}}}]");
            (String::new(), claims)
        }
    };
    let exporter = |name: &str, port: &str| {
        let args = EXPORTER.replace("$PORT", port);
        let ports = format!("[{{name: metrics, containerPort: {port}}}]");
        let container = format!(
            "- {{name: {name}, image: 'redis:7.0', imagePullPolicy: IfNotPresent, $CONTAINER, args: {args}, ports: {ports}}}"
        );
        if shape.exporter { container } else { String::new() }
    };
    let values = [
        ("$EXPORTER", &*exporter("redis-exporter", METRICS)),
        ("$WATCHING", &exporter("sentinel-exporter", SENTINEL_METRICS)),
        ("$VOLUME", &volume),
        ("$CLAIMS", &claims),
        ("$LOGIN", &login),
        ("$OWNER", owner.as_str()),
        ("$REDIS", &all("redis")),
        ("$SENTINEL", &all("sentinel")),
        ("$NODE", &labels("redis")),
        ("$WATCHER", &labels("sentinel")),
        ("$POD", POD),
        ("$CONTAINER", CONTAINER),
    ];
    let objects = if shape.exporter { [OBJECTS, METRICS_SERVICE].concat() } else { OBJECTS.to_owned() };
    values.into_iter().fold(objects, |text, (name, value)| text.replace(name, value))
}
