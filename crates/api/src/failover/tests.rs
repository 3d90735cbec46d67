//! The cases of the translation, one a line.

mod as_it_is;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{CheckedTopology, Fault, Finding, Resource, parse};

/// A resource with this spec, in the flow style of YAML.
fn failover(spec: &str) -> RedisFailover {
    document(&format!(
        "apiVersion: databases.spotahome.com/v1\nkind: RedisFailover\nmetadata: {{name: foo}}\nspec: {spec}\n"
    ))
}

fn document(text: &str) -> RedisFailover {
    let document = parse(text, "foo.yaml").pop().unwrap().unwrap();
    let Resource::RedisFailover(failover) = document.resource else { panic!("a RedisFailover") };
    *failover
}

#[track_caller]
fn translated(spec: &str) -> Translation {
    translate(&failover(spec), Surroundings::default()).unwrap()
}

fn faults(spec: &str) -> Vec<Fault> {
    translate(&failover(spec), Surroundings::default()).err().unwrap_or_default()
}

fn paths(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.path.as_str()).collect()
}

#[test]
fn the_smallest_one_has_what_the_old_operator_gave_it() {
    insta::assert_snapshot!(translated("{}").redis.to_yaml().unwrap());
}

/// What is written, where it is in the `Redis`, and what is there.
type Honoured = Vec<(&'static str, &'static str, Value)>;

fn honoured() -> Honoured {
    [honoured_of_servers(), honoured_of_directives(), honoured_of_sentinels(), honoured_around()].concat()
}

fn honoured_of_servers() -> Honoured {
    vec![
        // Counts: 0 and less are the default, as before.
        ("{redis: {replicas: 5}}", "/replicas", json!(5)),
        ("{redis: {replicas: 0}}", "/replicas", json!(3)),
        ("{redis: {replicas: -1}}", "/replicas", json!(3)),
        ("{sentinel: {replicas: 5}}", "/sentinel/replicas", json!(5)),
        ("{sentinel: {replicas: 0}}", "/sentinel/replicas", Value::Null),
        // The server.
        ("{redis: {image: 'redis:7.2'}}", "/image", json!("redis:7.2")),
        ("{redis: {image: 'valkey/valkey:8.1'}}", "/engine", json!("Valkey")),
        ("{redis: {imagePullPolicy: Always}}", "/imagePullPolicy", json!("Always")),
        ("{redis: {imagePullSecrets: [{name: a}]}}", "/imagePullSecrets/0/name", json!("a")),
        ("{sentinel: {imagePullSecrets: [{name: b}]}}", "/imagePullSecrets/0/name", json!("b")),
        ("{redis: {terminationGracePeriod: 45}}", "/terminationGracePeriod", json!("45s")),
        ("{redis: {terminationGracePeriod: 0}}", "/terminationGracePeriod", Value::Null),
        ("{redis: {resources: {limits: {memory: 1Gi}}}}", "/resources/limits/memory", json!("1Gi")),
    ]
}

fn honoured_of_directives() -> Honoured {
    vec![
        ("{redis: {customConfig: [maxclients 100]}}", "/config/maxclients", json!("100")),
        ("{redis: {customConfig: ['hz 10', 'HZ 50']}}", "/config/hz", json!("50")),
        (
            "{redis: {customConfig: ['notify-keyspace-events \"\"']}}",
            "/config/notify-keyspace-events",
            json!(""),
        ),
        ("{redis: {customConfig: [tcp-keepalive 300]}}", "/config/tcp-keepalive", json!("300")),
        (
            "{redis: {customConfig: [client-output-buffer-limit normal 0 0 0, client-output-buffer-limit slave 9 9 0]}}",
            "/config/client-output-buffer-limit",
            json!("normal 0 0 0 slave 9 9 0"),
        ),
        ("{redis: {customConfig: [save 60 1]}}", "/persistence/rdb/save", json!("60 1")),
        ("{redis: {customConfig: ['save \"\"', appendonly yes]}}", "/persistence/rdb/save", json!("")),
        ("{redis: {customConfig: [appendonly yes]}}", "/persistence/aof/enabled", json!(true)),
        (
            "{redis: {customConfig: [appendonly yes, appendfsync always]}}",
            "/persistence/aof/fsync",
            json!("always"),
        ),
        ("{redis: {customConfig: [appendfsync always]}}", "/persistence/aof/fsync", Value::Null),
        ("{redis: {customConfig: [min-slaves-to-write 1]}}", "/durability/minReplicasToWrite", json!(1)),
        ("{redis: {customConfig: [min-replicas-max-lag 2]}}", "/durability/maxReplicaLag", json!("2s")),
        (
            "{redis: {resources: {limits: {memory: 1000M}}, maxMemory: {}}}",
            "/config/maxmemory",
            json!("750000000"),
        ),
        ("{redis: {maxMemory: {policy: allkeys-lru}}}", "/config/maxmemory-policy", json!("allkeys-lru")),
    ]
}

fn honoured_of_sentinels() -> Honoured {
    vec![
        ("{sentinel: {customConfig: [down-after-milliseconds 2000]}}", "/sentinel/downAfter", json!("2s")),
        (
            "{sentinel: {customConfig: [down-after-milliseconds 2000]}}",
            "/sentinel/forceDownAfter",
            json!(true),
        ),
        (
            "{sentinel: {customConfig: [down-after-milliseconds 4000]}}",
            "/sentinel/forceDownAfter",
            Value::Null,
        ),
        ("{sentinel: {customConfig: [failover-timeout 3000]}}", "/sentinel/failoverTimeout", json!("3s")),
        ("{sentinel: {failoverTimeout: 20s}}", "/sentinel/failoverTimeout", json!("20s")),
        ("{sentinel: {customConfig: [parallel-syncs 2]}}", "/sentinel/parallelSyncs", json!(2)),
        ("{sentinel: {customConfig: [quorum 3]}}", "/sentinel/quorum", json!(3)),
        ("{sentinel: {customConfig: [loglevel verbose]}}", "/sentinel/config/loglevel", json!("verbose")),
        ("{sentinel: {disableMyMaster: true}}", "/sentinel/masterName", json!("foo")),
        ("{redis: {replicas: 1}, sentinel: {enabled: false}}", "/mode", json!("Standalone")),
        ("{redis: {replicas: 1}}", "/mode", Value::Null),
    ]
}

/// Volumes, access, and the pods.
fn honoured_around() -> Honoured {
    vec![
        // Volumes.
        (
            "{redis: {storage: {keepAfterDeletion: true}}}",
            "/persistence/volume/keepAfterDeletion",
            json!(true),
        ),
        ("{}", "/persistence/volume/keepAfterDeletion", json!(false)),
        ("{redis: {storage: {emptyDir: {sizeLimit: 2Gi}}}}", "/persistence/volume/size", json!("2Gi")),
        // Access: as open as it was.
        ("{auth: {secretPath: s}}", "/auth/secretName", json!("s")),
        ("{auth: {secretPath: s}}", "/auth/enabled", Value::Null),
        ("{auth: {secretPath: ''}}", "/auth/enabled", json!(false)),
        ("{}", "/auth/adminCommands", json!(true)),
        ("{}", "/networkPolicy/enabled", json!(false)),
        (
            "{networkPolicyNsList: [{matchLabelKey: team, matchLabelValue: shop}]}",
            "/networkPolicy/from/0/namespaceSelector/matchLabels/team",
            json!("shop"),
        ),
        // Where pods run, and what is written on them.
        ("{redis: {nodeSelector: {disk: ssd}}}", "/placement/nodeSelector/disk", json!("ssd")),
        ("{redis: {priorityClassName: high}}", "/placement/priorityClassName", json!("high")),
        ("{redis: {tolerations: [{key: a}]}}", "/placement/tolerations/0/key", json!("a")),
        ("{redis: {affinity: {nodeAffinity: {a: 1}}}}", "/placement/affinity/nodeAffinity/a", json!(1)),
        ("{redis: {podAnnotations: {a: b}}}", "/podAnnotations/a", json!("b")),
        ("{redis: {serviceAnnotations: {a: b}}}", "/services/masterAnnotations/a", json!("b")),
        ("{redis: {serviceAnnotations: {a: b}}}", "/services/replicasAnnotations/a", json!("b")),
        ("{sentinel: {serviceAnnotations: {a: b}}}", "/services/sentinelAnnotations/a", json!("b")),
    ]
}

#[test]
fn what_was_written_is_where_it_belongs() {
    for (spec, pointer, expected) in honoured() {
        let redis = json!(translated(spec).redis.spec);
        assert_eq!(redis.pointer(pointer).unwrap_or(&Value::Null), &expected, "{spec} {pointer}: {redis}");
    }
}

const CLAIM: &str = "{redis: {storage: {persistentVolumeClaim: {metadata: {name: d, labels: {a: b}}, spec: {accessModes: [ReadWriteMany], \
                     storageClassName: fast, volumeMode: Block, resources: {requests: {storage: 8Gi}}}}}}}";

#[test]
fn a_volume_claim_keeps_size_class_and_mode() {
    let translation = translated(CLAIM);
    let volume = &json!(translation.redis.spec)["persistence"]["volume"];
    assert_eq!(
        *volume,
        json!({ "size": "8Gi", "storageClass": "fast", "accessMode": "ReadWriteMany", "keepAfterDeletion": false })
    );
    assert_eq!(
        paths(&translation.not_honoured),
        [
            "spec.redis.storage.persistentVolumeClaim.metadata.labels",
            "spec.redis.storage.persistentVolumeClaim.spec.volumeMode",
        ]
    );
}

/// What is written, and the fields that are named as not honoured, beside the volume that is always missing here.
const NOT_HONOURED: [(&str, &[&str]); 27] = [
    ("{}", &[]),
    ("{redis: {command: [a]}}", &["spec.redis.command"]),
    ("{redis: {command: [], hostNetwork: false, dnsPolicy: ''}}", &[]),
    (
        "{redis: {shutdownConfigMap: a, startupConfigMap: b}}",
        &["spec.redis.shutdownConfigMap", "spec.redis.startupConfigMap"],
    ),
    ("{redis: {initContainers: [{name: a}]}}", &["spec.redis.initContainers"]),
    ("{redis: {extraContainers: [{name: a}]}}", &["spec.redis.extraContainers"]),
    (
        "{redis: {extraVolumes: [{name: a}], extraVolumeMounts: [{name: a}]}}",
        &["spec.redis.extraVolumeMounts", "spec.redis.extraVolumes"],
    ),
    ("{redis: {securityContext: {runAsUser: 1000}}}", &["spec.redis.securityContext"]),
    ("{sentinel: {configCopy: {containerSecurityContext: {a: true}}}}", &["spec.sentinel.configCopy"]),
    ("{redis: {customLivenessProbe: {exec: {command: [a]}}}}", &["spec.redis.customLivenessProbe"]),
    ("{redis: {hostNetwork: true, dnsPolicy: Default}}", &["spec.redis.dnsPolicy", "spec.redis.hostNetwork"]),
    ("{redis: {serviceAccountName: a}}", &["spec.redis.serviceAccountName"]),
    ("{redis: {disablePodDisruptionBudget: true}}", &["spec.redis.disablePodDisruptionBudget"]),
    (
        "{redis: {env: [{name: A}], inPlaceResize: Enabled, preventMasterEviction: true}}",
        &["spec.redis.env", "spec.redis.inPlaceResize", "spec.redis.preventMasterEviction"],
    ),
    ("{redis: {customCommandRenames: [{from: keys, to: ''}]}}", &["spec.redis.customCommandRenames.0"]),
    ("{redis: {customConfig: [hz 10, dir /tmp]}}", &["spec.redis.customConfig.1"]),
    ("{redis: {customConfig: [replica-priority 50]}}", &["spec.redis.customConfig.0"]),
    ("{redis: {customConfig: [min-replicas-max-lag 10]}}", &["spec.redis.customConfig.0"]),
    ("{redis: {port: 12345}}", &["spec.redis.port"]),
    ("{redis: {exporter: {enabled: true}}}", &[]),
    (
        "{redis: {exporter: {enabled: true, image: a}}, sentinel: {exporter: {enabled: true}}}",
        &["spec.redis.exporter", "spec.sentinel.exporter"],
    ),
    (
        "{sentinel: {resources: {limits: {memory: 100Mi}}, image: b}}",
        &["spec.sentinel.resources", "spec.sentinel.image"],
    ),
    (
        "{sentinel: {customConfig: [auth-pass x], port: '36379'}}",
        &["spec.sentinel.customConfig.0", "spec.sentinel.port"],
    ),
    ("{sentinel: {nodeSelector: {a: b}}}", &["spec.sentinel.nodeSelector"]),
    ("{sentinel: {enabled: false}}", &["spec.sentinel.enabled"]),
    ("{haproxy: {replicas: 2}, labelWhitelist: [a]}", &["spec.haproxy", "spec.labelWhitelist"]),
    ("{bootstrapNode: {host: 10.0.0.1, port: 6380}}", &["spec.bootstrapNode"]),
];

#[test]
fn no_field_is_passed_over_in_silence() {
    for (spec, expected) in NOT_HONOURED {
        let translation = translated(spec);
        let no_volume = "spec.redis.storage.persistentVolumeClaim";
        let mut named = paths(&translation.not_honoured);
        named.retain(|path| *path != no_volume);
        let mut expected = expected.to_vec();
        named.sort_unstable();
        expected.sort_unstable();
        assert_eq!(named, expected, "{spec}");
        for finding in &translation.not_honoured {
            assert!(finding.message.starts_with("is not honoured: ") && finding.hint.is_some(), "{finding}");
        }
    }
}

#[test]
fn a_misspelt_field_is_named_with_the_nearest_one() {
    let [_, unknown] = &translated("{redis: {replcas: 5}}").not_honoured[..] else { panic!("two findings") };
    assert_eq!(
        unknown.to_string(),
        "spec.redis.replcas: is not honoured: it is not a field that is known; did you mean replicas?"
    );
}

const FAULTS: [(&str, &[&str]); 16] = [
    ("{redis: {customConfig: ['']}}", &["spec.redis.customConfig.0"]),
    ("{redis: {customConfig: [hz 10, appendonly]}}", &["spec.redis.customConfig.1"]),
    ("{sentinel: {customConfig: [loglevel]}}", &["spec.sentinel.customConfig.0"]),
    ("{redis: {customConfig: [appendonly on]}}", &["spec.redis.customConfig.0"]),
    ("{redis: {customConfig: [appendfsync never]}}", &["spec.redis.customConfig.0"]),
    ("{redis: {customConfig: [hz 10, save sometimes]}}", &["spec.redis.customConfig.1"]),
    ("{redis: {customConfig: [\"hz 10\\nport 1\"]}}", &["spec.redis.customConfig.0"]),
    ("{sentinel: {customConfig: [down-after-milliseconds soon]}}", &["spec.sentinel.customConfig.0"]),
    ("{sentinel: {customConfig: [quorum 9]}}", &["spec.sentinel.customConfig.0"]),
    ("{bootstrapNode: {}}", &["spec.bootstrapNode.host"]),
    ("{bootstrapNode: {host: a, port: '70000'}}", &["spec.bootstrapNode.port"]),
    ("{bootstrapNode: {host: \"a 1\\nport 2\"}}", &["spec.bootstrapNode.host"]),
    ("{redis: {replicas: 51}}", &["spec.redis.replicas"]),
    ("{redis: {terminationGracePeriod: -5}}", &["spec.redis.terminationGracePeriod"]),
    (
        "{redis: {maxMemory: {percent: 99}, resources: {limits: {memory: 1Gi}}}}",
        &["spec.redis.maxMemory.percent"],
    ),
    (
        "{redis: {storage: {persistentVolumeClaim: {spec: {accessModes: [ReadOnlyMany]}}}}}",
        &[
            "spec.redis.storage.persistentVolumeClaim.spec.resources.requests.storage",
            "spec.redis.storage.persistentVolumeClaim.spec.accessModes",
        ],
    ),
];

#[test]
fn bad_input_is_named_by_the_field_that_was_written() {
    for (spec, expected) in FAULTS {
        let faults = faults(spec);
        assert_eq!(paths(&faults), expected, "{spec}: {faults:?}");
    }
}

#[test]
fn a_name_of_more_than_48_characters_is_refused() {
    let mut long = failover("{}");
    long.metadata.name = "a".repeat(49);
    let faults = translate(&long, Surroundings::default()).unwrap_err();
    assert_eq!(paths(&faults), ["metadata.name"]);
}

/// Below our own limit, accepted as it was, and said.
#[test]
fn a_short_down_after_is_accepted_with_a_warning() {
    let translation = translated("{sentinel: {customConfig: [down-after-milliseconds 2000]}}");
    assert!(paths(&translation.warnings).contains(&"spec.sentinel.customConfig.0"), "{translation:?}");
}

/// The old Sentinels never asked for one.
#[test]
fn a_password_that_sentinels_ask_for_from_now_on_is_said() {
    for (spec, words) in [
        (
            "{auth: {secretPath: s}}",
            "the Sentinels ask for one too; give clients the key sentinel-password of the Secret foo-auth",
        ),
        ("{}", "there is none: whoever reaches a node reads and writes everything"),
    ] {
        let translation = translated(spec);
        let about = translation.warnings.iter().find(|warning| warning.path == "spec.auth.secretPath");
        assert!(about.unwrap().to_string().contains(words), "{about:?}");
    }
}

/// The same text means Sentinels to one operator and none to another: what one of them made tells which it was.
#[test]
fn what_exists_decides_whether_there_are_sentinels() {
    let has_sentinels = |enabled: &str, sentinels| {
        let failover = failover(&format!("{{redis: {{replicas: 1}}, sentinel: {{{enabled}}}}}"));
        let translation = translate(&failover, Surroundings { sentinels }).unwrap();
        matches!(translation.checked.spec.topology, CheckedTopology::Sentinel(_))
    };
    for (enabled, sentinels, expected) in [
        ("", None, true),
        ("", Some(true), true),
        ("", Some(false), false),
        ("enabled: true", None, true),
        ("enabled: true", Some(false), true),
        ("enabled: false", None, false),
        ("enabled: false", Some(false), false),
        ("enabled: false", Some(true), true),
    ] {
        assert_eq!(has_sentinels(enabled, sentinels), expected, "{enabled:?} {sentinels:?}");
    }
}

#[test]
fn an_image_without_users_is_warned_of() {
    for (image, warned) in [
        ("redis:4.0-alpine", true),
        ("redis:6.0.9", true),
        ("redis:6.2.6-alpine", false),
        ("redis:7", false),
        ("registry.example.org:5000/redis:5", true),
        ("registry.example.org:5000/redis", false),
        ("redis:latest", false),
    ] {
        let translation = translated(&format!("{{redis: {{image: '{image}'}}}}"));
        assert_eq!(paths(&translation.warnings).contains(&"spec.redis.image"), warned, "{image}");
    }
}

#[test]
fn what_marks_an_object_as_that_of_a_tool_is_left_out() {
    let failover = document(
        "apiVersion: databases.spotahome.com/v1
kind: RedisFailover
metadata:
  name: foo
  namespace: shop
  uid: 6ec5
  managedFields: [{manager: kubectl}]
  finalizers: [a]
  labels: {team: shop, app.kubernetes.io/managed-by: Helm}
  annotations:
    meta.helm.sh/release-name: foo
    note: kept
    redoubt.dev/adopt: 'true'
    redisfailovers.databases.spotahome.com/skip-reconcile: 'true'
status: {state: Healthy}
",
    );
    let redis = translate(&failover, Surroundings::default()).unwrap().redis;
    assert_eq!(
        json!(redis.metadata),
        json!({
            "name": "foo",
            "namespace": "shop",
            "labels": { "team": "shop" },
            "annotations": { "note": "kept", "redoubt.dev/paused": "true" },
        })
    );
}

#[test]
fn the_consent_to_a_take_over_is_understood_and_misspelt_it_is_none() {
    let run = |value: &str| {
        let text = "apiVersion: databases.spotahome.com/v1
kind: RedisFailover
metadata: {name: foo, annotations: {redoubt.dev/adopt: 'VALUE'}}
spec: {}
";
        super::run(&document(&text.replace("VALUE", value)), Surroundings::default())
    };
    let agreed = run("true").unwrap().failover.unwrap();
    assert!(agreed.adopted);
    assert!(!agreed.warnings.iter().any(|warning| warning.path.contains("annotations")), "{agreed:?}");
    assert!(!run("false").unwrap().failover.unwrap().adopted);
    assert_eq!(run("yes").unwrap_err()[0].path, "metadata.annotations.redoubt.dev/adopt");
}

#[test]
fn what_is_printed_is_read_as_the_same_redis() {
    for (spec, ..) in honoured() {
        let translation = translated(spec);
        let text = translation.redis.to_yaml().unwrap();
        let document = parse(&text, "redis.yaml").pop().unwrap().unwrap();
        let Resource::Redis(redis) = document.resource else { panic!("a Redis") };
        assert_eq!(crate::check(&redis).unwrap().0, translation.checked, "{text}");
    }
}

/// An entry such as people write, and such as nobody does.
fn entry() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        prop::sample::select(
            &["save", "appendonly", "hz", "min-replicas-max-lag", "port", "loglevel", "quorum"][..]
        )
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    (name, prop_oneof!["[0-9]{1,4}", any::<String>()]).prop_map(|(name, value)| format!("{name} {value}"))
}

proptest! {
    /// Whatever is written: it is refused, or printed as a Redis that is read as the same one.
    #[test]
    fn no_entry_breaks_out_of_its_place(
        nodes in prop::collection::vec(entry(), 0..4),
        sentinels in prop::collection::vec(entry(), 0..4),
        count in -2..9,
    ) {
        let mut failover = failover("{}");
        failover.spec.redis.custom_config = nodes;
        failover.spec.redis.replicas = Some(count);
        failover.spec.sentinel.custom_config = sentinels;
        match translate(&failover, Surroundings::default()) {
            Ok(translation) => {
                let text = translation.redis.to_yaml().unwrap();
                let document = parse(&text, "redis.yaml").pop().unwrap().unwrap();
                let Resource::Redis(redis) = document.resource else { panic!("a Redis") };
                prop_assert_eq!(crate::check(&redis).unwrap().0, translation.checked, "{}", text);
            }
            Err(faults) => prop_assert!(faults.iter().all(|fault| fault.path.contains(".customConfig"))),
        }
    }
}
