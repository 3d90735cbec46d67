//! Operators that die, double up, or lose their API server: no Redis feels it.

use std::{collections::BTreeMap, fs, process::Command};

use crate::{
    cluster::{Namespace, PATIENT, SYSTEM, kubectl, wait},
    fault::{Fault, alone, is_lab},
};

fn cart(memory: &str) -> String {
    format!("{PATIENT}  resources: {{requests: {{memory: {memory}}}}}\n")
}

fn whole(test: &str) -> Option<Namespace> {
    let shop = Namespace::new(test)?;
    shop.apply(&cart("32Mi")).unwrap();
    shop.ready("cart");
    shop.greet();
    Some(shop)
}

/// What was seen of a roll while it went on.
struct Roll {
    before: BTreeMap<String, String>,
    /// All pods there ever were: names and uids.
    seen: Vec<(String, String)>,
}

impl Roll {
    fn begin(shop: &Namespace) -> Self {
        let before = shop.uids("cart");
        shop.apply(&cart("48Mi")).unwrap();
        Self { seen: before.clone().into_iter().collect(), before }
    }

    /// One look: at most one node is away at a time.
    fn look(&mut self, shop: &Namespace) -> usize {
        let now = shop.uids("cart");
        let away = self.before.keys().filter(|pod| is_node(pod) && !now.contains_key(*pod)).count();
        assert!(away <= 1, "{away} nodes are away at once: {now:?}");
        for pod in now {
            if !self.seen.contains(&pod) {
                self.seen.push(pod);
            }
        }
        self.seen.iter().filter(|(pod, uid)| is_node(pod) && self.before.get(pod) != Some(uid)).count()
    }

    fn replaces(&mut self, shop: &Namespace, count: usize) {
        wait(&format!("{count} nodes are replaced"), || {
            let replaced = self.look(shop);
            if replaced >= count { Ok(()) } else { Err(format!("{replaced}")) }
        });
    }

    /// To its end: each node was replaced once, and the data is there.
    fn end(mut self, shop: &Namespace) {
        self.replaces(shop, 3);
        shop.ready("cart");
        assert_eq!(self.look(shop), 3, "a node was replaced twice: {:?}", self.seen);
        let path = "jsonpath={.items[*].spec.containers[0].resources.requests.memory}";
        let selector = "app.kubernetes.io/instance=cart,app.kubernetes.io/component=node";
        let memory = shop.kubectl(&["get", "pods", "--selector", selector, "--output", path]);
        assert_eq!(memory, "48Mi 48Mi 48Mi");
        let master = shop.master("cart").unwrap();
        assert_eq!(shop.redis_cli("cart", &master, "GET greeting").unwrap(), "hello");
    }
}

fn is_node(pod: &str) -> bool {
    !pod.starts_with("cart-sentinel-")
}

/// Who leads; nobody for the moment in which the Lease is gone.
fn holder() -> String {
    kubectl(&[
        "--namespace",
        SYSTEM,
        "get",
        "lease",
        "redoubt-operator",
        "--ignore-not-found",
        "--output",
        "jsonpath={.spec.holderIdentity}",
    ])
}

#[test]
fn operators_that_are_killed_in_the_middle_of_a_roll_are_followed_by_others_that_finish_it() {
    alone();
    let name = "operators_that_are_killed_in_the_middle_of_a_roll_are_followed_by_others_that_finish_it";
    let Some(shop) = whole(name) else { return };
    let mut roll = Roll::begin(&shop);
    roll.replaces(&shop, 1);
    let all = ["delete", "pods", "--all", "--force", "--grace-period=0"];
    kubectl(&[&["--namespace", SYSTEM][..], &all].concat());
    roll.end(&shop);
}

#[test]
fn two_operators_that_lead_at_once_do_no_harm() {
    alone();
    let Some(shop) = whole("two_operators_that_lead_at_once_do_no_harm") else { return };
    let mut roll = Roll::begin(&shop);
    // Whoever led looks at its Lease every 10 s; until then there are two.
    let first = holder();
    kubectl(&["--namespace", SYSTEM, "delete", "lease", "redoubt-operator"]);
    wait("another leads as well", || match holder() {
        now if now.is_empty() || now == first => Err(now),
        _ => Ok(()),
    });
    roll.replaces(&shop, 1);
    roll.end(&shop);
}

/// A server's process, seen from this machine: by the pod's uid in the name of its cgroup.
fn server_of(uid: &str) -> Option<String> {
    let (dashed, plain) = (uid.to_owned(), uid.replace('-', "_"));
    let is_it = |pid: &String| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let cgroup = read("cgroup");
        read("comm").trim() == "redis-server" && (cgroup.contains(&dashed) || cgroup.contains(&plain))
    };
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find(is_it)
}

/// `redis-cli` of this machine, which reaches every pod of a lab.
fn ask(address: &str, password: &str, command: &[&str]) -> Result<String, String> {
    let output = Command::new("redis-cli")
        .env("REDISCLI_AUTH", password)
        .args(["-h", address])
        .args(command)
        .output()
        .map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn a_failover_needs_no_api_server_and_is_published_once_it_is_back() {
    let name = "a_failover_needs_no_api_server_and_is_published_once_it_is_back";
    if !is_lab(name) {
        return;
    }
    alone();
    let Some(shop) = whole(name) else { return };
    let (master, password) = (shop.master("cart").unwrap(), shop.secret("cart", "password"));
    let uid = shop.uids("cart")[&master].clone();
    let path = "jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{\"\\n\"}{end}";
    let selector = "app.kubernetes.io/instance=cart,app.kubernetes.io/component=node";
    let listed = shop.kubectl(&["get", "pods", "--selector", selector, "--output", path]);
    let others: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(pod, _)| *pod != master)
        .map(|(_, ip)| ip)
        .collect();

    let gone = Fault::new("stop-api", &[], "start-api");
    let server = server_of(&uid).expect("the master's process");
    assert!(Command::new("kill").args(["-9", &server]).status().unwrap().success());
    let leader = wait("another leads and takes writes", || {
        let takes = |ip: &&str| {
            ask(ip, &password, &["SET", "greeting", "hello again"]).is_ok_and(|said| said == "OK")
        };
        others.iter().copied().find(takes).ok_or("nobody".to_owned())
    });
    assert_eq!(ask(leader, &password, &["GET", "greeting"]).unwrap(), "hello again");
    gone.undo();

    let next = shop.another_leads("cart", &master);
    wait("the roles follow", || {
        let selector = "app.kubernetes.io/instance=cart,redoubt.dev/role=master";
        let pods = shop.kubectl(&["get", "pods", "--selector", selector, "--output", "name"]);
        if pods.trim() == format!("pod/{next}") { Ok(()) } else { Err(pods) }
    });
    shop.ready("cart");
    let status = shop.get("redis", "cart").unwrap()["status"].clone();
    assert_eq!(status["lastFailover"]["oldMaster"], master, "{status}");
    assert_eq!(shop.redis_cli("cart", &next, "GET greeting").unwrap(), "hello again");
}
