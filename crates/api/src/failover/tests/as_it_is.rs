//! The resource as the operator runs it, with what no `Redis` has.

use super::*;
use crate::{CheckedFailover, CheckedRedis, FailoverData, SentinelDoor};

fn run(spec: &str) -> CheckedRedis {
    super::super::run(&failover(spec), Surroundings::default())
        .unwrap_or_else(|why| panic!("{spec}: {why:?}"))
}

fn extra(spec: &str) -> CheckedFailover {
    *run(spec).failover.unwrap()
}

fn refused(failover: &RedisFailover) -> Vec<Fault> {
    super::super::run(failover, Surroundings::default()).err().unwrap_or_default()
}

/// Honoured as it is, and named as not honoured where a `Redis` is made of it.
#[test]
fn what_a_redis_has_no_field_for_is_honoured() {
    for spec in [
        "{redis: {securityContext: {runAsUser: 7}, containerSecurityContext: {privileged: false}}}",
        "{redis: {exporter: {enabled: true, image: a, args: [b], env: [{name: c}]}}}",
        "{sentinel: {exporter: {enabled: true}, image: b, resources: {limits: {memory: 100Mi}}}}",
        "{sentinel: {nodeSelector: {a: b}, podAnnotations: {c: d}, affinity: {podAntiAffinity: {}}}}",
        "{redis: {customCommandRenames: [{from: keys, to: ''}]}}",
        "{labelWhitelist: [a]}",
        "{}",
    ] {
        assert_eq!(extra(spec).not_honoured, [], "{spec}");
    }
}

#[test]
fn what_is_not_honoured_is_named_as_before() {
    for (spec, path) in [
        ("{redis: {command: [a]}}", "spec.redis.command"),
        ("{redis: {initContainers: [{name: a}]}}", "spec.redis.initContainers"),
        ("{redis: {port: 12345}}", "spec.redis.port"),
        ("{redis: {exporter: {enabled: true, port: 9}}}", "spec.redis.exporter.port"),
        ("{redis: {customCommandRenames: [{from: KEYS, to: k}]}}", "spec.redis.customCommandRenames.0.to"),
        ("{haproxy: {replicas: 2}}", "spec.haproxy"),
        ("{redis: {replcas: 2}}", "spec.redis.replcas"),
    ] {
        assert_eq!(paths(&extra(spec).not_honoured), [path], "{spec}");
    }
}

#[test]
fn a_command_that_is_renamed_is_taken_from_the_application() {
    let renames =
        "{redis: {customCommandRenames: [{from: FLUSHALL, to: ''}, {from: KEYS, to: k}, {from: a, to: A}]}}";
    assert_eq!(run(renames).spec.auth.denied_commands, ["flushall", "keys"]);
    let bad = failover("{redis: {customCommandRenames: [{from: 'a b', to: ''}, {from: '', to: ''}]}}");
    assert_eq!(
        paths(&refused(&bad)),
        ["spec.redis.customCommandRenames.0.from", "spec.redis.customCommandRenames.1.from"]
    );
}

#[test]
fn data_is_where_it_was_written() {
    let FailoverData::EmptyDir(dir) = extra("{}").data else { panic!("no volume") };
    assert_eq!(json!(dir), json!({}));
    let FailoverData::EmptyDir(dir) =
        extra("{redis: {storage: {emptyDir: {medium: Memory, sizeLimit: 2Gi}}}}").data
    else {
        panic!("no volume")
    };
    assert_eq!(json!(dir), json!({ "medium": "Memory", "sizeLimit": "2Gi" }));
    let FailoverData::Claim { name, template } = extra(CLAIM).data else { panic!("a volume") };
    assert_eq!(name, "d");
    assert_eq!(
        json!(template),
        json!({
            "metadata": { "name": "d", "labels": { "a": "b" } },
            "spec": {
                "volumeMode": "Block",
                "accessModes": ["ReadWriteMany"],
                "storageClassName": "fast",
                "resources": { "requests": { "storage": "8Gi" }, "limits": {} },
            },
        })
    );
    assert!(!run(CLAIM).spec.persistence.volume.keep_after_deletion);
}

/// The old Sentinels never asked for a password, and clients bring none.
#[test]
fn sentinels_ask_for_no_password_and_that_is_said() {
    let with_password = run("{auth: {secretPath: s}}");
    assert!(with_password.spec.auth.enabled);
    assert_eq!(with_password.spec.auth.sentinel_door, SentinelDoor::Open);
    assert!(paths(&with_password.failover.unwrap().warnings).contains(&"spec.auth.secretPath"));
}

#[test]
fn labels_that_a_pattern_finds_are_copied_and_all_without_one() {
    let labels = |whitelist: &str| {
        let mut failover = failover(&format!("{{labelWhitelist: {whitelist}}}"));
        failover.metadata.labels =
            [("team", "shop"), ("tier", "1")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        super::super::run(&failover, Surroundings::default())
            .map(|redis| redis.failover.unwrap().labels.into_keys().collect::<Vec<_>>())
    };
    assert_eq!(labels("[]").unwrap(), ["team", "tier"]);
    assert_eq!(labels("['^te']").unwrap(), ["team"]);
    assert_eq!(labels("[nothing]").unwrap(), [""; 0]);
    assert_eq!(paths(&labels("['(']").unwrap_err()), ["spec.labelWhitelist.0"]);
}

/// Its names are made in another way than those of a `Redis`, which leaves less room.
#[test]
fn a_name_may_have_48_characters_and_any_ending() {
    for (name, accepted) in [
        ("a".repeat(48).as_str(), true),
        ("a".repeat(49).as_str(), false),
        ("cart-sentinel", true),
        ("s-cart", true),
        ("1cart", true),
        ("cart.shop", false),
    ] {
        let mut named = failover("{}");
        name.clone_into(&mut named.metadata.name);
        let faults = refused(&named);
        assert_eq!(paths(&faults), ["metadata.name"][usize::from(accepted)..], "{name}: {faults:?}");
    }
}

#[test]
fn a_redis_elsewhere_is_followed_at_the_port_that_is_written_or_the_usual_one() {
    for (node, port) in [
        ("{host: old.shop}", Some(6379)),
        ("{host: old.shop, port: ''}", Some(6379)),
        ("{host: old.shop, port: '6380'}", Some(6380)),
        ("{host: old.shop, port: 6381, enabled: true}", Some(6381)),
        ("{host: old.shop, enabled: false}", None),
    ] {
        let extra = extra(&format!("{{bootstrapNode: {node}}}"));
        let source = port.map(|port| crate::FailoverSource { host: "old.shop".to_owned(), port });
        assert_eq!(extra.bootstrap, source, "{node}");
        assert_eq!(paths(&extra.warnings).contains(&"spec.bootstrapNode"), port.is_some(), "{node}");
    }
    let lone = "{bootstrapNode: {host: a}, redis: {replicas: 1}, sentinel: {enabled: false}}";
    assert_eq!(paths(&refused(&failover(lone))), ["spec.bootstrapNode"]);
    let sentinels = extra("{bootstrapNode: {host: a, allowSentinels: true}}");
    assert_eq!(paths(&sentinels.not_honoured), ["spec.bootstrapNode.allowSentinels"]);
}

#[test]
fn bad_input_is_named_here_too() {
    for (spec, expected) in FAULTS {
        let faults = refused(&failover(spec));
        assert_eq!(paths(&faults), expected, "{spec}: {faults:?}");
    }
}

#[test]
fn it_has_its_own_key_and_what_kubernetes_counts() {
    let redis = super::super::run(
        &document(
            "apiVersion: databases.spotahome.com/v1\nkind: RedisFailover\nmetadata: {name: foo, namespace: shop, generation: 7}\n",
        ),
        Surroundings::default(),
    )
    .unwrap();
    assert_eq!((redis.key, redis.generation), (crate::Key::failover("shop", "foo"), 7));
}
