//! The tour of the guides to Redis with Sentinel, as a person would type it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use crate::cluster::{Namespace, PATIENT, wait};

/// Another pod of the namespace, with a shell and a client.
const CLIENT: &str = "
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: redis
    image: redis:7.0
    command: [sleep, '3600']
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
";

#[test]
fn the_tour_of_the_guides_goes_as_they_say() {
    let Some(shop) = Namespace::new("the_tour_of_the_guides_goes_as_they_say") else { return };
    shop.apply(PATIENT).unwrap();
    shop.apply(CLIENT).unwrap();
    shop.ready("cart");
    what_was_made_is_listed(&shop);
    let master = shop.master("cart").unwrap();
    let replica = ["cart-0", "cart-1"].into_iter().find(|pod| *pod != master).unwrap();
    replication_is_told(&shop, &master);
    a_replica_takes_no_writes(&shop, replica);
    time_runs_down_on_a_replica(&shop, &master, replica);
    files_are_in_the_data_folder(&shop, &master);
    shop.kubectl(&["wait", "--for=condition=Ready", "pod/client", "--timeout=120s"]);
    the_sentinels_name_the_master(&shop, &master);
    the_exporter_counts_up(&shop);
    a_deleted_master_comes_back_as_replica(&shop, &master);
    a_deleted_sentinel_comes_back(&shop);
}

fn what_was_made_is_listed(shop: &Namespace) {
    // The kubelets' probes come round a little after the operator has seen it.
    let all = ["--selector", "app.kubernetes.io/instance=cart", "--timeout=120s"];
    shop.kubectl(&[&["wait", "--for=condition=Ready", "pod"][..], &all].concat());
    let pods = shop.kubectl(&["get", "pods"]);
    for pod in ["cart-0", "cart-1", "cart-2", "cart-sentinel-0", "cart-sentinel-1", "cart-sentinel-2"] {
        let line = pods.lines().find(|line| line.split_whitespace().next() == Some(pod)).unwrap_or_default();
        assert!(line.contains("1/1") && line.contains("Running"), "{pods}");
    }
    let services = shop.kubectl(&["get", "svc"]);
    for service in ["cart", "cart-master", "cart-replicas", "cart-sentinel"] {
        let is_there = services.lines().any(|line| line.split_whitespace().next() == Some(service));
        assert!(is_there, "{service}: {services}");
    }
    let claims = shop.kubectl(&["get", "pvc"]);
    let bound = claims.lines().filter(|line| line.starts_with("data-cart-") && line.contains("Bound"));
    assert_eq!(bound.count(), 3, "{claims}");
    let volumes = shop.kubectl(&["get", "pv"]);
    let claimed = volumes.lines().filter(|line| line.contains(&format!("{}/data-cart-", shop.name)));
    assert_eq!(claimed.count(), 3, "{volumes}");
    let log = shop.kubectl(&["logs", "cart-0"]);
    assert!(log.contains("Ready to accept connections"), "{log}");
}

fn replication_is_told(shop: &Namespace, master: &str) {
    let refused = shop.shell(master, "redis-cli info replication").unwrap();
    assert!(refused.contains("NOAUTH"), "{refused}");
    let told = shop.redis_cli("cart", master, "info replication").unwrap();
    assert!(told.contains("role:master") && told.contains("connected_slaves:2"), "{told}");
}

fn a_replica_takes_no_writes(shop: &Namespace, replica: &str) {
    let refused = shop.redis_cli("cart", replica, "set greeting bye").unwrap();
    assert!(refused.starts_with("READONLY"), "{refused}");
}

fn time_runs_down_on_a_replica(shop: &Namespace, master: &str, replica: &str) {
    assert_eq!(shop.redis_cli("cart", master, "set session x ex 1000").unwrap(), "OK");
    let left = || -> i64 { shop.redis_cli("cart", replica, "pttl session").unwrap().parse().unwrap() };
    let first = wait("the key arrives", || Some(left()).filter(|left| *left > 0).ok_or("no key".to_owned()));
    wait("its time runs", || if left() < first { Ok(()) } else { Err(first.to_string()) });
}

fn files_are_in_the_data_folder(shop: &Namespace, master: &str) {
    shop.redis_cli("cart", master, "bgsave").unwrap();
    wait("a snapshot and an append-only file", || {
        let files = shop.shell(master, "find /data -type f").unwrap();
        if files.contains(".rdb") && files.contains(".aof") { Ok(()) } else { Err(files) }
    });
}

fn the_sentinels_name_the_master(shop: &Namespace, master: &str) {
    let address = shop.kubectl(&["get", "svc", master, "--output", "jsonpath={.spec.clusterIP}"]);
    let password = shop.secret("cart", "sentinel-password");
    let ask = "redis-cli -h cart-sentinel -p 26379 sentinel get-master-addr-by-name mymaster";
    let told = shop.shell("client", &format!("export REDISCLI_AUTH='{password}'; {ask}\n")).unwrap();
    assert_eq!(told.split_whitespace().collect::<Vec<_>>(), [address.as_str(), "6379"]);
}

fn the_exporter_counts_up(shop: &Namespace) {
    let mut forward = Command::new("kubectl")
        .args(["--namespace", &shop.name, "port-forward", "pod/cart-0", ":9121"])
        .stdout(Stdio::piped())
        .spawn()
        .map(Forward)
        .unwrap();
    // Kept to the end: kubectl writes a second line, and ends where nobody reads.
    let mut said = BufReader::new(forward.0.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    // `Forwarding from 127.0.0.1:40001 -> 9121`
    let address = line.split_whitespace().nth(2).unwrap_or_default();
    let uptime = || {
        let mut agent = TcpStream::connect(address).unwrap_or_else(|error| panic!("{line}: {error}"));
        agent.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut metrics = String::new();
        agent.read_to_string(&mut metrics).unwrap();
        let found = metrics.lines().find(|line| line.starts_with("redis_uptime_in_seconds"));
        let value = found.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("{metrics}"))
    };
    let first = uptime();
    wait("the uptime grows", || if uptime() > first { Ok(()) } else { Err(first.to_string()) });
}

/// `kubectl port-forward`, as long as this lives.
struct Forward(Child);

impl Drop for Forward {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn a_deleted_master_comes_back_as_replica(shop: &Namespace, master: &str) {
    assert_eq!(shop.redis_cli("cart", master, "set greeting hello").unwrap(), "OK");
    shop.kubectl(&["delete", "pod", master]);
    let next = shop.another_leads("cart", master);
    shop.ready("cart");
    wait("the old master is a replica", || {
        let told = shop.redis_cli("cart", master, "info replication")?;
        if told.contains("role:slave") { Ok(()) } else { Err(told) }
    });
    assert_eq!(shop.redis_cli("cart", &next, "get greeting").unwrap(), "hello");
}

fn a_deleted_sentinel_comes_back(shop: &Namespace) {
    let before = shop.uids("cart");
    shop.kubectl(&["delete", "pod", "cart-sentinel-0"]);
    wait("another pod of that name", || {
        let now = shop.uids("cart");
        let is_new = now.get("cart-sentinel-0").is_some_and(|uid| *uid != before["cart-sentinel-0"]);
        if is_new { Ok(()) } else { Err(format!("{now:?}")) }
    });
    shop.ready("cart");
    for sentinel in ["cart-sentinel-0", "cart-sentinel-1", "cart-sentinel-2"] {
        let password = shop.secret("cart", "sentinel-password");
        let ask = "redis-cli -p 26379 sentinel sentinels mymaster | grep -c '^runid$'";
        let known = || shop.shell(sentinel, &format!("export REDISCLI_AUTH='{password}'; {ask}\n"));
        wait(&format!("{sentinel} knows the two others, and nobody else"), || match known()?.as_str() {
            "2" => Ok(()),
            other => Err(other.to_owned()),
        });
    }
}
