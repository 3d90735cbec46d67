//! A resource is stored as text: what is read again must be what was written.

#![cfg(test)]

use std::collections::BTreeMap;

use proptest::{option::of, prelude::*};
use redoubt_api::{
    RawObject, Redis, RedisSpec, Resource, check, parse,
    raw::{
        AccessMode, AofSpec, AuthSpec, Deadline, Directive, DurabilitySpec, Engine, Fsync, ImagePullPolicy,
        Interval, MetricsSpec, Mode, NetworkPolicySpec, PersistenceSpec, PlacementSpec, Quantity, RdbSpec,
        ResourcesSpec, SecretName, SentinelSpec, ServicesSpec, VersionText, VolumeSpec,
    },
};
use serde_json::Value;

fn again(redis: &Redis) -> Redis {
    let text = redis.to_yaml().unwrap();
    let mut documents = parse(&text, "stored.yaml");
    assert_eq!(documents.len(), 1, "{text}");
    match documents.remove(0) {
        Ok(document) => match document.resource {
            Resource::Redis(redis) => *redis,
            Resource::RedisFailover(_) | Resource::Secret(_) => panic!("a Redis"),
        },
        Err(faults) => panic!("{faults:?}\n{text}"),
    }
}

/// Text that YAML readers like to take for something else.
const TRICKY: [&str; 17] = [
    "no", "yes", "on", "~", "null", "1e3", "0x10", "7.10", "", " ", "a: b", "- a", "#x", "'", "\"", "1_000",
    "012",
];

/// Text of that kind, and any other.
fn tricky() -> impl Strategy<Value = String> {
    prop_oneof![prop::sample::select(&TRICKY[..]).prop_map(str::to_owned), any::<String>()]
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[a-z./-]{1,12}", tricky(), 0..3)
}

fn directives() -> impl Strategy<Value = BTreeMap<String, Directive>> {
    prop::collection::btree_map("[a-z-]{1,12}", tricky().prop_map(Directive), 0..3)
}

fn interval() -> impl Strategy<Value = Interval> {
    (0_u64..=i32::MAX as u64).prop_map(|ms| Interval(std::time::Duration::from_millis(ms)))
}

fn quantity() -> impl Strategy<Value = Quantity> {
    ("[0-9]{1,6}(\\.[0-9]{1,3})?", prop::sample::select(vec!["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "Ti"]))
        .prop_map(|(number, unit)| format!("{number}{unit}").parse().unwrap())
}

fn sentinel() -> impl Strategy<Value = SentinelSpec> {
    let counts = (of(any::<u32>()), of(any::<u32>()), of(any::<u32>()));
    let rest = (of(tricky()), of(interval()), of(any::<bool>()), of(interval()), directives());
    (counts, rest).prop_map(|((replicas, quorum, parallel_syncs), rest)| {
        let (master_name, down_after, force_down_after, failover_timeout, config) = rest;
        SentinelSpec {
            replicas,
            quorum,
            master_name,
            down_after,
            force_down_after,
            failover_timeout,
            parallel_syncs,
            config,
        }
    })
}

fn auth() -> impl Strategy<Value = AuthSpec> {
    (of(any::<bool>()), of(tricky()), of(any::<bool>()), of(any::<bool>())).prop_map(
        |(enabled, secret_name, admin_commands, protect_sentinel_channel)| AuthSpec {
            enabled,
            secret_name,
            admin_commands,
            protect_sentinel_channel,
        },
    )
}

fn persistence() -> impl Strategy<Value = PersistenceSpec> {
    let fsync = prop::sample::select(vec![Fsync::Always, Fsync::Everysec, Fsync::No]);
    let mode = prop::sample::select(vec![AccessMode::ReadWriteOnce, AccessMode::ReadWriteMany]);
    let rdb = of(tricky()).prop_map(|save| RdbSpec { save });
    let aof = (of(any::<bool>()), of(fsync)).prop_map(|(enabled, fsync)| AofSpec { enabled, fsync });
    let volume = (of(quantity()), of(tricky()), of(mode), of(any::<bool>())).prop_map(
        |(size, storage_class, access_mode, keep_after_deletion)| VolumeSpec {
            size,
            storage_class,
            access_mode,
            keep_after_deletion,
        },
    );
    (of(rdb), of(aof), of(volume)).prop_map(|(rdb, aof, volume)| PersistenceSpec { rdb, aof, volume })
}

fn durability() -> impl Strategy<Value = DurabilitySpec> {
    let deadline = prop_oneof![Just(Deadline::Never), interval().prop_map(Deadline::After)];
    (of(any::<u32>()), of(interval()), of(deadline), of(interval())).prop_map(
        |(min_replicas_to_write, max_replica_lag, recovery_deadline, hang_limit)| DurabilitySpec {
            min_replicas_to_write,
            max_replica_lag,
            recovery_deadline,
            hang_limit,
        },
    )
}

fn resources() -> impl Strategy<Value = ResourcesSpec> {
    let quantities = || prop::collection::btree_map("[a-z./-]{1,12}", quantity(), 0..3);
    (quantities(), quantities()).prop_map(|(requests, limits)| ResourcesSpec { requests, limits })
}

fn raw_object() -> impl Strategy<Value = RawObject> {
    let value = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        tricky().prop_map(Value::from),
        prop::collection::vec(tricky().prop_map(Value::from), 0..3).prop_map(Value::from),
    ];
    prop::collection::btree_map("[a-zA-Z]{1,9}", value, 0..3)
        .prop_map(|map| RawObject(map.into_iter().collect()))
}

fn raw_objects() -> impl Strategy<Value = Vec<RawObject>> {
    prop::collection::vec(raw_object(), 0..3)
}

fn secret_names() -> impl Strategy<Value = Vec<SecretName>> {
    prop::collection::vec(tricky().prop_map(|name| SecretName { name }), 0..3)
}

fn placement() -> impl Strategy<Value = PlacementSpec> {
    (labels(), raw_objects(), of(raw_object()), raw_objects(), of(tricky())).prop_map(
        |(node_selector, tolerations, affinity, topology_spread_constraints, priority_class_name)| {
            PlacementSpec {
                node_selector,
                tolerations,
                affinity,
                topology_spread_constraints,
                priority_class_name,
            }
        },
    )
}

fn services() -> impl Strategy<Value = ServicesSpec> {
    (labels(), labels(), labels()).prop_map(
        |(master_annotations, replicas_annotations, sentinel_annotations)| ServicesSpec {
            master_annotations,
            replicas_annotations,
            sentinel_annotations,
        },
    )
}

fn network_policy() -> impl Strategy<Value = NetworkPolicySpec> {
    (of(any::<bool>()), raw_objects()).prop_map(|(enabled, from)| NetworkPolicySpec { enabled, from })
}

prop_compose! {
    fn spec()(
        mode in of(prop::sample::select(vec![Mode::Standalone, Mode::Sentinel, Mode::Cluster])),
        engine in of(prop::sample::select(vec![Engine::Redis, Engine::Valkey])),
        image_pull_policy in of(prop::sample::select(vec![ImagePullPolicy::Always, ImagePullPolicy::Never])),
        (version, image) in (of(tricky()), of(tricky())),
        (replicas, shards, replicas_per_shard) in (of(any::<u32>()), of(any::<u32>()), of(any::<u32>())),
        weights in prop::collection::btree_map("[0-9]{1,2}|[a-z]", any::<u32>(), 0..3),
        (sentinel, auth, durability) in (of(sentinel()), of(auth()), of(durability())),
        (config, persistence, resources) in (directives(), of(persistence()), of(resources())),
        (placement, image_pull_secrets, pod_annotations) in (of(placement()), secret_names(), labels()),
        (services, network_policy) in (of(services()), of(network_policy())),
        metrics in of(of(any::<bool>())),
        termination_grace_period in of(interval()),
    ) -> RedisSpec {
        RedisSpec {
            mode, engine, image, image_pull_policy, replicas, shards, replicas_per_shard, weights, sentinel, auth, config, persistence, durability, resources,
            version: version.map(VersionText),
            image_pull_secrets, placement, pod_annotations, services, network_policy,
            metrics: metrics.map(|enabled| MetricsSpec { enabled }),
            termination_grace_period,
            tls: None,
        }
    }
}

proptest! {
    #[test]
    fn what_was_stored_is_what_is_read(
        name in tricky(), annotations in labels(), generation in of(any::<i64>()), spec in spec(),
    ) {
        let mut redis = Redis::new(name);
        redis.metadata.annotations = annotations;
        redis.metadata.generation = generation;
        redis.spec = spec;
        let stored = again(&redis);
        prop_assert_eq!(&stored, &redis);
        prop_assert_eq!(check(&stored), check(&redis));
    }

    #[test]
    fn an_interval_is_what_its_text_says(interval in interval()) {
        prop_assert_eq!(interval.to_string().parse::<Interval>().unwrap(), interval);
    }

    #[test]
    fn arbitrary_text_is_a_value_or_a_fault(text in "[0-9a-zA-Z. ]{0,12}") {
        for why in [
            text.parse::<Interval>().map(drop), text.parse::<Deadline>().map(drop), text.parse::<Quantity>().map(drop),
        ].into_iter().filter_map(Result::err) {
            prop_assert!(!why.0.is_empty());
        }
    }
}

#[test]
fn units_are_read_as_they_are_meant() {
    for (text, ms) in
        [("500ms", 500), ("5s", 5_000), ("2m", 120_000), ("1h30m", 5_400_000), ("1d", 86_400_000)]
    {
        assert_eq!(text.parse::<Interval>().unwrap().0.as_millis(), ms, "{text}");
    }
    for text in ["", "5", "s", "5 s", "-5s", "1.5s", "5S", "5sec", "99999999999999999999s", "30d"] {
        assert!(text.parse::<Interval>().is_err(), "{text}");
    }
    for (text, units) in
        [("1", 1), ("1k", 1_000), ("1Ki", 1_024), ("1.5Gi", 1_610_612_736), ("500m", 1), ("2500m", 3)]
    {
        assert_eq!(text.parse::<Quantity>().unwrap().units(), units, "{text}");
    }
    for text in [
        "",
        "Gi",
        "1GB",
        "1 Gi",
        "-1",
        "1.",
        ".5",
        "1.2.3",
        "1K",
        "99999999999999999999999999999999999999999",
    ] {
        assert!(text.parse::<Quantity>().is_err(), "{text}");
    }
}
