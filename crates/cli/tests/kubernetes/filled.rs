//! `bootstrapNode`: a `RedisFailover` that is filled from a Redis which nobody here looks after.

use crate::{
    cluster::{Namespace, wait},
    failover::{CART, UNHURRIED, drill, failover, shop},
};

const KEYS: u32 = 20_000;
const NODES: [&str; 3] = ["rfr-cart-0", "rfr-cart-1", "rfr-cart-2"];
const FROM_OUTSIDE: &str = "  bootstrapNode: {host: outside, port: '6379', allowSentinels: true}\n";

/// A Redis without any of Redoubt, with [`KEYS`] keys, and what its clients log in with, if with anything.
struct Outside {
    shop: Namespace,
    password: &'static str,
}

impl Outside {
    fn new(shop: Namespace, password: &'static str) -> Self {
        let guarded =
            if password.is_empty() { String::new() } else { format!(", --requirepass, {password}") };
        let pod = format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: outside, labels: {{app: outside}}}}
spec:
  securityContext: {{runAsNonRoot: true, runAsUser: 999, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
  - name: redis
    image: redis:7.0
    command: [redis-server, --save, '', --dir, /tmp, --protected-mode, 'no', --repl-diskless-sync-delay, '0'{guarded}]
    securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: outside}}
spec: {{selector: {{app: outside}}, ports: [{{port: 6379}}]}}
"
        );
        shop.apply(&pod).unwrap();
        let outside = Self { shop, password };
        wait("the Redis outside has its keys", || {
            let fill = format!("EVAL \"for i = 1, {KEYS} do redis.call('SET', 'key:' .. i, i) end\" 0");
            outside.ask("outside", &fill)?;
            outside.holds("outside", KEYS)
        });
        outside
    }

    fn ask(&self, pod: &str, command: &str) -> Result<String, String> {
        self.shop.shell(pod, &format!("export REDISCLI_AUTH='{}'; redis-cli {command}\n", self.password))
    }

    fn holds(&self, pod: &str, keys: u32) -> Result<(), String> {
        let said = self.ask(pod, "DBSIZE")?;
        if said == keys.to_string() { Ok(()) } else { Err(format!("{pod}: {said}")) }
    }

    fn all_hold(&self, keys: u32) {
        wait(&format!("all nodes have {keys} keys"), || {
            NODES.into_iter().try_for_each(|node| self.holds(node, keys))
        });
    }

    /// Asks for the set; `rest` are more fields of it.
    fn apply(&self, rest: &str) {
        let auth = if self.password.is_empty() { "" } else { "  auth: {secretPath: redis-auth}\n" };
        self.shop.apply(&failover("cart", "", UNHURRIED, &format!("{auth}{rest}"))).unwrap();
    }

    fn is_full(&self) {
        self.shop.says(CART, "Ready", "all nodes hold what outside:6379 has");
    }

    /// The set is one of its own, and no node had to copy anything from another.
    fn is_promoted(&self) -> String {
        self.shop.ready(CART);
        for node in NODES {
            let stats = self.ask(node, "INFO stats").unwrap();
            assert!(stats.lines().any(|line| line.trim() == "sync_full:0"), "{node}: {stats}");
        }
        self.shop.master(CART).expect("a set that is ready has a master")
    }
}

#[test]
fn a_failover_is_filled_from_outside_then_leads_and_never_follows_it_again() {
    let Some(shop) = shop("a_failover_is_filled_from_outside_then_leads_and_never_follows_it_again") else {
        return;
    };
    shop.kubectl(&["create", "secret", "generic", "redis-auth", "--from-literal=password=pass1234"]);
    let outside = Outside::new(shop, "pass1234");
    let shop = &outside.shop;
    outside.apply(FROM_OUTSIDE);
    outside.is_full();
    outside.all_hold(KEYS);
    shop.says(CART, "Honoured", "spec.bootstrapNode.allowSentinels: is not honoured");
    assert_eq!(shop.master(CART), None);
    let refused = outside.ask("rfr-cart-0", "SET greeting hello").unwrap();
    assert!(refused.contains("READONLY"), "{refused}");

    // A node that is replaced is filled again; what is written outside arrives.
    shop.kubectl(&["delete", "pod", "rfr-cart-1"]);
    outside.ask("outside", "SET late yes").unwrap();
    outside.is_full();
    outside.all_hold(KEYS + 1);

    outside.apply("");
    let master = outside.is_promoted();
    outside.all_hold(KEYS + 1);
    assert_eq!(outside.ask(&master, "SET greeting hello").unwrap(), "OK");
    outside.ask("outside", "SET stranger yes").unwrap();
    outside.all_hold(KEYS + 2);
    assert_eq!(outside.ask(&master, "EXISTS stranger").unwrap(), "0");

    // Asked for again: the set has data of its own by now.
    outside.apply(FROM_OUTSIDE);
    shop.says(CART, "Honoured", "spec.bootstrapNode: is not honoured");
    shop.kubectl(&["delete", "pod", "rfr-cart-2"]);
    shop.ready(CART);
    outside.all_hold(KEYS + 2);
    outside.apply("");

    shop.kubectl(&["delete", "pod", "outside"]);
    let stopped = drill(shop, "stop-master");
    assert_eq!(stopped["lost"], 0, "{stopped:#}");
    shop.ready(CART);
    for (key, value) in [("greeting", "hello"), ("late", "yes"), ("key:20000", "20000")] {
        assert_eq!(outside.ask(&master, &format!("GET {key}")).unwrap(), value);
    }
}

#[test]
fn a_failover_that_was_filled_leads_though_the_redis_outside_is_gone() {
    let Some(shop) = shop("a_failover_that_was_filled_leads_though_the_redis_outside_is_gone") else {
        return;
    };
    let outside = Outside::new(shop, "");
    outside.apply(FROM_OUTSIDE);
    outside.is_full();
    outside.shop.kubectl(&["delete", "pod", "outside"]);
    outside.shop.says(CART, "Ready", "it has no link to its master outside:6379");
    assert_eq!(outside.shop.master(CART), None, "nobody leads before it is asked for");
    outside.apply("");
    let master = outside.is_promoted();
    outside.all_hold(KEYS);
    assert_eq!(outside.ask(&master, "SET greeting hello").unwrap(), "OK");
    outside.all_hold(KEYS + 1);
}
