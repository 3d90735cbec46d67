use std::time::Duration;

use proptest::prelude::*;

use super::{check, check_change};
use crate::{AofFsync, CheckedRedis, CheckedTopology, Engine, Fault, Redis, Resource, Warning, parse};

fn redis(spec: &str) -> Redis {
    named("cart", spec)
}

/// A resource with this spec, one field a line, indented by two blanks.
fn named(name: &str, spec: &str) -> Redis {
    let spec = if spec.is_empty() { "spec: {}".to_owned() } else { format!("spec:\n{spec}") };
    let text = format!("apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {{name: {name:?}}}\n{spec}");
    let document = parse(&text, "cart.yaml").pop().unwrap().unwrap();
    let Resource::Redis(redis) = document.resource else { panic!("a Redis") };
    *redis
}

fn accepted(spec: &str) -> (CheckedRedis, Vec<Warning>) {
    check(&redis(spec)).unwrap()
}

fn faults(redis: &Redis) -> Vec<Fault> {
    check(redis).err().unwrap_or_default()
}

#[test]
fn everything_has_a_default() {
    let (cart, warnings) = accepted("");
    assert_eq!(warnings, []);
    insta::assert_debug_snapshot!(cart);
}

#[test]
fn a_default_written_out_changes_nothing() {
    let written = "
  mode: Sentinel
  engine: Redis
  imagePullPolicy: IfNotPresent
  replicas: 3
  sentinel: {replicas: 3, quorum: 2, masterName: mymaster, downAfter: 5s, forceDownAfter: false, failoverTimeout: 10s, parallelSyncs: 1, config: {}}
  auth: {enabled: true, adminCommands: false, protectSentinelChannel: false}
  config: {}
  persistence:
    rdb: {save: '3600 1 300 100 60 10000'}
    aof: {enabled: true, fsync: everysec}
    volume: {size: 1Gi, accessMode: ReadWriteOnce, keepAfterDeletion: true}
  durability: {minReplicasToWrite: 0, maxReplicaLag: 3s, recoveryDeadline: 60s, hangLimit: 3s}
  resources: {requests: {}, limits: {}}
  placement: {nodeSelector: {}}
  metrics: {enabled: true}
  terminationGracePeriod: 30s
  tls: {enabled: false}";
    assert_eq!(accepted(written), accepted(""));
}

#[test]
fn what_was_written_is_what_is_wanted() {
    let (cart, _) = accepted(
        "
  mode: Standalone
  engine: Valkey
  version: 7.10
  config: {Maxmemory-Policy: allkeys-lru, hz: 10, lazyfree-lazy-expire: true}
  persistence:
    rdb: {save: ''}
    aof: {fsync: always}
    volume: {size: 1.5G}
  durability: {recoveryDeadline: never}
  terminationGracePeriod: 1m30s",
    );
    let spec = cart.spec;
    assert_eq!((spec.topology, spec.replicas, spec.engine), (CheckedTopology::Standalone, 1, Engine::Valkey));
    assert_eq!(spec.version.as_deref(), Some("7.10"));
    let config: Vec<_> = spec.config.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(config, [("hz", "10"), ("lazyfree-lazy-expire", "yes"), ("maxmemory-policy", "allkeys-lru")]);
    assert_eq!((spec.persistence.rdb_save.as_str(), spec.persistence.aof_fsync), ("", AofFsync::Always));
    assert_eq!(spec.persistence.volume.size, 1_500_000_000);
    assert_eq!(spec.durability.recovery_deadline, None);
    assert_eq!(spec.termination_grace_period, Duration::from_secs(90));
}

#[test]
fn a_cluster_has_the_nodes_of_all_its_shards() {
    let (cart, _) = accepted("  {mode: Cluster, shards: 5, replicasPerShard: 2}");
    let cluster = cart.cluster().unwrap();
    assert_eq!((cluster.shards, cluster.replicas_per_shard, cart.spec.replicas), (5, 2, 15));
    let (cart, warnings) = accepted("  mode: Cluster");
    assert_eq!((cart.spec.replicas, warnings), (6, Vec::new()));
    let (cart, _) = accepted("  {mode: Cluster, shards: 4, weights: {0: 3, \"2\": 100}}");
    let weights = [0, 1, 2, 3, 4].map(|shard| cart.cluster().unwrap().weight(shard));
    assert_eq!(weights, [3, 1, 100, 1, 0]);
}

#[test]
fn the_mode_does_not_change() {
    let of = |spec: &str| accepted(spec).0;
    let cluster = "  {mode: Cluster, shards: 3, replicasPerShard: 1}";
    for (before, after, path) in [("", cluster, "spec.mode"), (cluster, "  mode: Standalone", "spec.mode")] {
        let faults = check_change(&of(before), &of(after)).unwrap_err();
        let [fault] = &faults[..] else { panic!("{after}: {faults:?}") };
        assert_eq!(fault.path, path, "{before} to {after}");
        assert!(fault.hint.is_some(), "{after}: every fault says what to do");
    }
    for other in [
        "  {mode: Cluster, replicasPerShard: 2, config: {maxmemory: 1gb}}",
        "  {mode: Cluster, shards: 5, weights: {4: 3}}",
    ] {
        assert_eq!(check_change(&of(cluster), &of(other)), Ok(()), "{other}");
    }
    assert_eq!(check_change(&of(""), &of("  replicas: 5")), Ok(()));
}

#[test]
fn limits_follow_a_shorter_down_after() {
    for (down_after, lag_s, hang_ms) in
        [("5s", 3, 3_000), ("10s", 3, 3_000), ("4s", 3, 2_400), ("3s", 2, 1_800)]
    {
        let (cart, _) = accepted(&format!("  sentinel: {{downAfter: {down_after}}}"));
        let durability = cart.spec.durability;
        assert_eq!(durability.max_replica_lag, Duration::from_secs(lag_s), "{down_after}");
        assert_eq!(durability.hang_limit, Duration::from_millis(hang_ms), "{down_after}");
    }
}

#[test]
fn the_quorum_is_the_majority() {
    for (sentinels, quorum) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (9, 5)] {
        let (cart, _) = accepted(&format!("  sentinel: {{replicas: {sentinels}}}"));
        assert_eq!(cart.sentinel().unwrap().quorum, quorum);
    }
}

/// Spec, path of the only fault, words of its message.
const REFUSED: [(&str, &str, &str); 44] = [
    ("  {mode: Cluster, shards: 2}", "spec.shards", "at least 3"),
    ("  {mode: Cluster, shards: 21}", "spec.shards", "at most 20"),
    ("  {mode: Cluster, replicasPerShard: 5}", "spec.replicasPerShard", "at most 4"),
    ("  {mode: Cluster, replicas: 6}", "spec.replicas", "no meaning in mode Cluster"),
    ("  shards: 3", "spec.shards", "no meaning in mode Sentinel"),
    ("  {mode: Cluster, weights: {3: 2}}", "spec.weights.3", "the shards are 0 to 2"),
    ("  {mode: Cluster, weights: {\"01\": 2}}", "spec.weights.01", "no shard \"01\""),
    ("  {mode: Cluster, weights: {heavy: 2}}", "spec.weights.heavy", "no shard \"heavy\""),
    ("  {mode: Cluster, weights: {0: 0}}", "spec.weights.0", "from 1 to 100, not 0"),
    ("  {mode: Cluster, weights: {0: 101}}", "spec.weights.0", "from 1 to 100, not 101"),
    ("  weights: {0: 2}", "spec.weights", "no meaning in mode Sentinel"),
    (
        "  {mode: Cluster, durability: {minReplicasToWrite: 2}}",
        "spec.durability.minReplicasToWrite",
        "nothing could be written",
    ),
    ("  {mode: Cluster, durability: {hangLimit: 5s}}", "spec.durability.hangLimit", "node timeout"),
    ("  tls: {enabled: true}", "spec.tls", "not available yet"),
    ("  tls: {secretName: cart-tls}", "spec.tls", "not available yet"),
    ("  replicas: 0", "spec.replicas", "at least 1"),
    ("  replicas: 51", "spec.replicas", "at most 50"),
    ("  {mode: Standalone, replicas: 2}", "spec.replicas", "must be 1 in mode Standalone"),
    ("  version: seven", "spec.version", "not a version"),
    ("  version: '7.2.4.1'", "spec.version", "not a version"),
    ("  image: 'redis 7'", "spec.image", "not an image"),
    ("  sentinel: {replicas: 0}", "spec.sentinel.replicas", "at least 1"),
    ("  sentinel: {replicas: 11}", "spec.sentinel.replicas", "at most 9"),
    ("  sentinel: {quorum: 0}", "spec.sentinel.quorum", "at least 1"),
    ("  sentinel: {quorum: 4}", "spec.sentinel.quorum", "more than the 3 Sentinels"),
    ("  sentinel: {masterName: my master}", "spec.sentinel.masterName", "not a name Sentinels take"),
    ("  sentinel: {downAfter: 1s}", "spec.sentinel.downAfter", "below 3s"),
    ("  sentinel: {downAfter: 100ms, forceDownAfter: true}", "spec.sentinel.downAfter", "too short"),
    ("  sentinel: {failoverTimeout: 500ms}", "spec.sentinel.failoverTimeout", "below 1s"),
    ("  sentinel: {parallelSyncs: 0}", "spec.sentinel.parallelSyncs", "at least 1"),
    ("  sentinel: {config: {myid: abc}}", "spec.sentinel.config.myid", "set by Redoubt"),
    ("  auth: {secretName: Cart_Auth}", "spec.auth.secretName", "not the name of a Secret"),
    ("  auth: {enabled: false, secretName: cart-auth}", "spec.auth.secretName", "is false"),
    ("  config: {replicaof: 10.0.0.1 6379}", "spec.config.replicaof", "decided by election"),
    ("  persistence: {rdb: {save: '3600'}}", "spec.persistence.rdb.save", "not pairs"),
    ("  persistence: {rdb: {save: '3600 0'}}", "spec.persistence.rdb.save", "not pairs"),
    ("  persistence: {volume: {size: 10m}}", "spec.persistence.volume.size", "hold no data set"),
    (
        "  durability: {minReplicasToWrite: 3}",
        "spec.durability.minReplicasToWrite",
        "nothing could be written",
    ),
    (
        "  durability: {maxReplicaLag: 5s}",
        "spec.durability.maxReplicaLag",
        "not below spec.sentinel.downAfter",
    ),
    ("  durability: {maxReplicaLag: 1500ms}", "spec.durability.maxReplicaLag", "whole seconds"),
    ("  durability: {hangLimit: 5s}", "spec.durability.hangLimit", "not below spec.sentinel.downAfter"),
    ("  durability: {hangLimit: 100ms}", "spec.durability.hangLimit", "one slow command"),
    ("  resources: {limits: {memory: 512m}}", "spec.resources.limits.memory", "thousandths of a byte"),
    ("  terminationGracePeriod: 500ms", "spec.terminationGracePeriod", "at least 1s"),
];

#[test]
fn what_cannot_work_is_refused_with_its_path() {
    for (spec, path, words) in REFUSED {
        let faults = faults(&redis(spec));
        let [fault] = &faults[..] else { panic!("{spec}: {faults:?}") };
        assert_eq!(fault.path, path, "{spec}");
        assert!(fault.message.contains(words), "{spec}: {fault}");
        assert!(fault.hint.is_some(), "{spec}: every fault says what to do");
    }
}

/// Spec, path of the only warning, words of its message.
const DOUBTFUL: [(&str, &str, &str); 15] = [
    ("  {mode: Cluster, replicasPerShard: 0}", "spec.replicasPerShard", "none to take over"),
    ("  {mode: Cluster, sentinel: {quorum: 2}}", "spec.sentinel", "no effect in mode Cluster"),
    ("  replicas: 1", "spec.replicas", "none to take over"),
    ("  {mode: Standalone, sentinel: {quorum: 2}}", "spec.sentinel", "no effect in mode Standalone"),
    ("  {version: '7.2', image: 'redis:7.2'}", "spec.version", "no effect beside spec.image"),
    ("  sentinel: {replicas: 1}", "spec.sentinel.replicas", "one Sentinel"),
    ("  sentinel: {replicas: 4}", "spec.sentinel.replicas", "4 is even"),
    ("  sentinel: {failoverTimeout: 3m}", "spec.sentinel.failoverTimeout", "twice this long"),
    ("  sentinel: {downAfter: 2s, forceDownAfter: true}", "spec.sentinel.downAfter", "below 3s"),
    ("  auth: {enabled: false}", "spec.auth.enabled", "reads and writes everything"),
    (
        "  persistence: {aof: {enabled: false}, rdb: {save: ''}}",
        "spec.persistence",
        "nothing is kept on disk",
    ),
    ("  persistence: {aof: {enabled: false, fsync: always}}", "spec.persistence.aof.fsync", "no effect"),
    ("  durability: {minReplicasToWrite: 2}", "spec.durability.minReplicasToWrite", "stops all writes"),
    (
        "  {config: {maxmemory: 1gb}, resources: {limits: {memory: 1Gi}}}",
        "spec.config.maxmemory",
        "leaves nothing",
    ),
    (
        "  {config: {maxmemory: 1g}, resources: {limits: {memory: 900M}}}",
        "spec.config.maxmemory",
        "leaves nothing",
    ),
];

#[test]
fn what_deserves_a_second_look_is_accepted_with_a_warning() {
    for (spec, path, words) in DOUBTFUL {
        let (_, warnings) = accepted(spec);
        let [warning] = &warnings[..] else { panic!("{spec}: {warnings:?}") };
        assert_eq!(warning.path, path, "{spec}");
        assert!(warning.message.contains(words), "{spec}: {warning}");
    }
}

#[test]
fn a_name_leaves_room_for_the_names_made_from_it() {
    let longest = "a".repeat(43);
    for name in ["cart", "cart-2", "a", &longest] {
        assert_eq!(faults(&named(name, "")), [], "{name}");
    }
    let (long, label) = ("a".repeat(44), "a".repeat(64));
    for name in [
        "",
        "Cart",
        "cart_1",
        "cart.x",
        "-cart",
        "cart-",
        "1cart",
        "cart-sentinel",
        "x-master",
        &long,
        &label,
    ] {
        let faults = faults(&named(name, ""));
        assert_eq!(faults.len(), 1, "{name}: {faults:?}");
        assert_eq!(faults[0].path, "metadata.name");
    }
}

#[test]
fn all_faults_are_reported_at_once() {
    let redis =
        named("Cart", "  replicas: 0\n  sentinel: {replicas: 3, quorum: 4}\n  config: {dir: /x, port: 1}");
    let paths: Vec<_> = faults(&redis).into_iter().map(|fault| fault.path).collect();
    let expected =
        ["metadata.name", "spec.replicas", "spec.sentinel.quorum", "spec.config.dir", "spec.config.port"];
    assert_eq!(paths, expected);
}

#[test]
fn annotations_of_ours_are_understood_or_questioned() {
    let mut cart = redis("");
    let mut annotate = |name: &str, value: &str| {
        cart.metadata.annotations = [(name.to_owned(), value.to_owned())].into();
        check(&cart)
    };
    assert!(annotate("redoubt.dev/paused", "true").unwrap().0.spec.paused);
    assert!(!annotate("redoubt.dev/paused", "false").unwrap().0.spec.paused);
    assert_eq!(
        annotate("redoubt.dev/paused", "yes").unwrap_err()[0].path,
        "metadata.annotations.redoubt.dev/paused"
    );
    assert_eq!(
        annotate("redoubt.dev/restartedAt", "now").unwrap().0.spec.restarted_at.as_deref(),
        Some("now")
    );
    let (_, warnings) = annotate("redoubt.dev/restartAt", "now").unwrap();
    assert!(warnings[0].to_string().ends_with("did you mean redoubt.dev/restartedAt?"), "{}", warnings[0]);
}

proptest! {
    #[test]
    fn no_spec_has_a_fence_that_closes_after_the_election(down_after_ms in 3_000_u64..100_000) {
        let (cart, _) = accepted(&format!("  sentinel: {{downAfter: {down_after_ms}ms}}"));
        let down_after = Duration::from_millis(down_after_ms);
        // Measured: the fence closes 0.6 s after the lag is reached.
        prop_assert!(cart.spec.durability.max_replica_lag + Duration::from_millis(600) < down_after);
        prop_assert!(cart.spec.durability.hang_limit < down_after);
    }

    #[test]
    fn a_quorum_that_is_accepted_can_be_reached(sentinels in 0_u32..12, quorum in 0_u32..12) {
        let redis = redis(&format!("  sentinel: {{replicas: {sentinels}, quorum: {quorum}}}"));
        if let Ok((cart, _)) = check(&redis) {
            let sentinel = cart.sentinel().unwrap();
            prop_assert!((1..=sentinel.replicas).contains(&sentinel.quorum));
        }
    }
}
