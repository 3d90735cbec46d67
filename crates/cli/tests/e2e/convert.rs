//! A `RedisFailover` is read as what it is, and becomes the `Redis` it amounts to.

use std::collections::HashMap;

use crate::lab::Lab;

/// With these lines under `spec:`.
fn failover(spec: &str) -> String {
    format!(
        "apiVersion: databases.spotahome.com/v1\nkind: RedisFailover\nmetadata:\n  name: cart\nspec:\n{spec}"
    )
}

const SPEC: &str = "  redis:
    replicas: 3
    customConfig:
      - maxmemory-policy allkeys-lru
      - replica-priority 50
    shutdownConfigMap: farewell
    storage:
      keepAfterDeletion: true
      persistentVolumeClaim:
        metadata:
          name: cart-data
        spec:
          accessModes: [ReadWriteOnce]
          resources:
            requests:
              storage: 2Gi
  sentinel:
    customConfig:
      - down-after-milliseconds 2000
";

#[test]
fn convert_prints_a_redis_that_validate_accepts() {
    let lab = Lab::light();
    lab.file("old.yaml", &failover(SPEC));
    let said = lab.run(["convert", "-f", "old.yaml"]).ok();
    insta::assert_snapshot!(said.out);
    lab.file("new.yaml", &said.out);
    assert_eq!(lab.run(["validate", "-f", "new.yaml"]).ok().out, "cart is valid\n");
}

/// The same answers as from the old set, on real servers.
#[test]
fn what_convert_prints_runs_as_the_old_one_did() {
    let lab = Lab::heavy();
    lab.file("old.yaml", &failover(SPEC));
    lab.up(&lab.run(["convert", "-f", "old.yaml"]).ok().out);
    lab.whole("cart");
    // Nobody asked for a password before, and everything was allowed.
    let mut master = lab.connect_with("cart", &lab.master("cart"), None).unwrap();
    for (directive, value) in [
        ("maxmemory-policy", "allkeys-lru"),
        ("save", "900 1 300 10"),
        ("appendonly", "no"),
        ("tcp-keepalive", "60"),
    ] {
        let answer: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(directive).query(&mut master).unwrap();
        assert_eq!(answer, [directive, value]);
    }
    let () = redis::cmd("CONFIG").arg("SET").arg("hz").arg("20").query(&mut master).unwrap();
    let mut sentinel = lab.connect_with("cart", "cart-sentinel-0", None).unwrap();
    let known: HashMap<String, String> =
        redis::cmd("SENTINEL").arg("MASTER").arg("mymaster").query(&mut sentinel).unwrap();
    assert_eq!(known["down-after-milliseconds"], "2000");
}

#[test]
fn convert_prints_a_list_for_a_list() {
    let lab = Lab::light();
    let item = |name: &str| {
        let text = failover("  redis:\n    replicas: 2\n").replace("name: cart", &format!("name: {name}"));
        format!("- {}\n", text.trim_end().replace('\n', "\n  "))
    };
    lab.file("list.yaml", &format!("apiVersion: v1\nkind: List\nitems:\n{}{}", item("a"), item("b")));
    lab.file("new.yaml", &lab.run(["convert", "-f", "list.yaml"]).ok().out);
    assert_eq!(lab.run(["validate", "-f", "new.yaml"]).ok().out, "a is valid\nb is valid\n");
}

#[test]
fn convert_names_every_field_that_is_not_honoured_with_its_line() {
    let lab = Lab::light();
    lab.file("old.yaml", &failover(SPEC));
    let said = lab.run(["convert", "-f", "old.yaml"]).ok().err;
    for words in [
        "warning: old.yaml:10:9: spec.redis.customConfig.1: is not honoured: replica-priority is set by Redoubt: ",
        "warning: old.yaml:11:5: spec.redis.shutdownConfigMap: is not honoured: ",
        "warning: old.yaml:24:9: spec.sentinel.customConfig.0: 2s is below 3s",
        "hint: cart is another Redis and begins without data",
        "hint: clients connect to cart-master instead of rfrm-cart, cart-replicas instead of rfrs-cart, cart-sentinel instead of rfs-cart",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
}

#[test]
fn convert_prints_nothing_when_something_is_at_fault() {
    let lab = Lab::light();
    let bad = failover(
        "  redis:\n    customConfig:\n      - appendonly\n  bootstrapNode:\n    allowSentinels: true\n",
    );
    lab.file("old.yaml", &format!("{}---\n{bad}", failover(SPEC)).replacen("name: cart", "name: fine", 1));
    for command in ["convert", "validate"] {
        let said = lab.run([command, "-f", "old.yaml"]).failed(
            2,
            &[
                "spec.redis.customConfig.0: \"appendonly\" is one word, without a value",
                "hint: write \"appendonly VALUE\"",
                "spec.bootstrapNode.host: is missing",
            ],
        );
        assert!(!said.out.contains("kind:"), "{}", said.out);
    }
}

#[test]
fn what_is_not_a_redis_failover_is_not_converted() {
    let lab = Lab::light();
    lab.file("new.yaml", "apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata:\n  name: cart\n");
    lab.run(["convert", "-f", "new.yaml"]).failed(2, &["there is no RedisFailover in it", "hint: "]);
}

#[test]
fn validate_understands_a_redis_failover() {
    let lab = Lab::light();
    lab.file("old.yaml", &failover(SPEC));
    let said = lab.run(["validate", "-f", "old.yaml"]).ok();
    assert_eq!(said.out, "cart is valid\n");
    assert!(said.err.contains("spec.redis.shutdownConfigMap: is not honoured"), "{}", said.err);
}

/// Nothing on this machine runs it, and it must not look as if.
#[test]
fn a_redis_failover_is_never_started_here_in_silence() {
    let lab = Lab::light();
    lab.file("old.yaml", &failover(SPEC));
    for command in ["apply", "up"] {
        lab.run([command, "-f", "old.yaml"]).failed(
            2,
            &[
                "old.yaml:2:1: kind: a RedisFailover does not run here",
                "hint: make a Redis of it: redoubt convert",
            ],
        );
    }
    assert!(!lab.state().exists());
}
