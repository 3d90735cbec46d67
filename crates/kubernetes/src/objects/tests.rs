//! What is made of a Redis, as a whole.

use redoubt_api::{
    CheckedRedis, Redis, Resource, check,
    failover::{Surroundings, run},
    parse,
    raw::RedisSpec,
};
use redoubt_engine::{
    Counts,
    platform::{Identity, Seat, Workload},
    set_config,
};
use redoubt_redis::Endpoint;
use redoubt_wire::config::{NodeEntry, SentinelEntry, sentinel_id};
use serde_json::{Value, json};

use super::*;

fn redis(spec: Value) -> CheckedRedis {
    let mut redis = Redis::new("cart");
    redis.metadata.namespace = Some("shop".to_owned());
    redis.spec = serde_json::from_value::<RedisSpec>(spec).unwrap();
    check(&redis).unwrap().0
}

fn failover(spec: &Value) -> CheckedRedis {
    let text = json!({
        "apiVersion": "databases.spotahome.com/v1",
        "kind": "RedisFailover",
        "metadata": { "name": "cart", "namespace": "shop", "labels": { "team": "shop", labels::COMPONENT: "mine" } },
        "spec": spec,
    });
    let document = parse(&text.to_string(), "cart.yaml").pop().unwrap().unwrap();
    let Resource::RedisFailover(failover) = document.resource else { panic!("a RedisFailover") };
    run(&failover, Surroundings::default()).unwrap()
}

fn workload(redis: CheckedRedis) -> Workload {
    let counts = Counts::wanted(&redis);
    let key = redis.key.clone();
    let names = Names::of(&key);
    let at = |last: u32, port| Endpoint::new(format!("198.19.0.{last}"), port);
    let identity = Identity {
        uid: "a-uid".to_owned(),
        nodes: (1..)
            .zip(counts.ordinals(MemberKind::Node))
            .map(|(last, ordinal)| NodeEntry {
                shard: Seat::of(ordinal).map(|seat| seat.shard),
                name: names.member(MemberKind::Node, ordinal),
                server: at(last, 6379),
                agent: at(last, 9121),
            })
            .collect(),
        sentinels: (0..counts.sentinels)
            .map(|ordinal| SentinelEntry {
                name: names.member(MemberKind::Sentinel, ordinal),
                id: sentinel_id("a-uid", &names.member(MemberKind::Sentinel, ordinal)),
                server: at(ordinal + 11, 26379),
                agent: at(ordinal + 11, 9121),
            })
            .collect(),
    };
    let config = set_config(&redis, &identity, counts);
    Workload {
        nodes: counts.nodes,
        shards: counts.shards,
        sentinels: counts.sentinels,
        config,
        template: "t-0".to_owned(),
        redis,
    }
}

fn wanted(workload: &Workload) -> Wanted<'_> {
    Wanted { workload, agent_image: "redoubt:test" }
}

/// Everything as YAML documents, the members' addresses among them.
fn all(spec: Value) -> String {
    all_of(&workload(redis(spec)))
}

fn all_of(workload: &Workload) -> String {
    let Objects { config, services, network_policies, budgets, stateful_sets } =
        Objects::new(wanted(workload));
    let one_of_each =
        Counts { nodes: 1, shards: workload.shards.min(1), sentinels: workload.sentinels.min(1) };
    let addresses = member_services(&workload.redis, "a-uid", one_of_each);
    let mut values = vec![json!(config)];
    values.extend(addresses.iter().chain(&services).map(|object| json!(object)));
    values.extend(network_policies.iter().map(|object| json!(object)));
    values.extend(budgets.iter().map(|object| json!(object)));
    values.extend(stateful_sets.iter().map(|object| json!(object)));
    values.iter().map(|value| serde_saphyr::to_string(value).unwrap()).collect::<Vec<_>>().join("---\n")
}

#[test]
fn the_first_example() {
    insta::assert_snapshot!(all(json!({})));
}

#[test]
fn one_node_without_failover() {
    insta::assert_snapshot!(all(json!({
        "mode": "Standalone",
        "engine": "Valkey",
        "networkPolicy": { "enabled": false },
        "persistence": { "volume": { "size": "2Gi", "storageClass": "fast", "keepAfterDeletion": false } },
    })));
}

#[test]
fn each_shard_has_a_set_and_a_budget_and_all_share_the_rest() {
    let workload = workload(redis(json!({ "mode": "Cluster", "shards": 4, "replicasPerShard": 2 })));
    let objects = Objects::new(wanted(&workload));
    let names = |objects: Vec<&ObjectMeta>| -> Vec<String> {
        objects.iter().filter_map(|metadata| metadata.name.clone()).collect()
    };
    let shards = ["cart-shard-0", "cart-shard-1", "cart-shard-2", "cart-shard-3"];
    assert_eq!(names(objects.stateful_sets.iter().map(|set| &set.metadata).collect()), shards);
    assert_eq!(names(objects.budgets.iter().map(|budget| &budget.metadata).collect()), shards);
    assert_eq!(names(objects.services.iter().map(|service| &service.metadata).collect()), ["cart"]);
    assert_eq!(names(objects.network_policies.iter().map(|policy| &policy.metadata).collect()), ["cart"]);
    let last = json!(objects.stateful_sets[3]);
    assert_eq!((&last["spec"]["replicas"], &last["spec"]["serviceName"]), (&json!(3), &json!("cart")));
    for selector in [
        &last["spec"]["selector"]["matchLabels"],
        &last["spec"]["template"]["metadata"]["labels"],
        &last["spec"]["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        &json!(objects.budgets[3])["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector["redoubt.dev/shard"], "3");
    }
    let apart = &last["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"];
    let term = &apart["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    assert_eq!(term["labelSelector"]["matchLabels"]["redoubt.dev/shard"], Value::Null, "those of all shards");
    // Its nodes talk to each other, and nobody else to them there.
    let container = &last["spec"]["template"]["spec"]["containers"][0];
    assert!(container["ports"].to_string().contains("16379"), "{container}");
    let rules = json!(objects.network_policies[0])["spec"]["ingress"].clone();
    let on_bus = rules.as_array().unwrap().iter().filter(|rule| rule["ports"][0]["port"] == 16379);
    let peers: Vec<_> = on_bus.map(|rule| rule["from"].clone()).collect();
    let own = &peers[0][0]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"];
    assert_eq!((peers.len(), own), (1, &json!("cart")));
    // Who lists the nodes finds those that serve.
    let service = json!(objects.services[0]);
    assert_eq!(service["spec"]["clusterIP"], "None");
    assert_eq!(service["spec"]["publishNotReadyAddresses"], Value::Null);
    let addresses = member_services(&workload.redis, "a-uid", workload.counts());
    assert_eq!(addresses.len(), 12);
    let last = json!(addresses[11]);
    assert_eq!(last["metadata"]["name"], "cart-shard-3-2");
    assert_eq!(last["spec"]["selector"]["statefulset.kubernetes.io/pod-name"], "cart-shard-3-2");
    assert!(last["spec"]["ports"].to_string().contains("16379"), "{last}");
    assert_eq!(probes(wanted(&workload)).0.len(), 1);
}

#[test]
fn what_was_written_is_handed_on() {
    let workload = workload(redis(json!({
        "image": "registry/redis:7.4",
        "imagePullSecrets": [{ "name": "registry" }],
        "podAnnotations": { "team": "shop" },
        "resources": { "requests": { "cpu": "100m" }, "limits": { "cpu": "2", "memory": "1Gi" } },
        "services": { "masterAnnotations": { "external-dns.alpha.kubernetes.io/hostname": "cart.example.org" } },
        "networkPolicy": { "from": [{ "namespaceSelector": {} }] },
        "placement": {
            "nodeSelector": { "disk": "fast" },
            "tolerations": [{ "key": "redis", "operator": "Exists" }],
            "affinity": { "nodeAffinity": {} },
            "topologySpreadConstraints": [{ "topologyKey": "rack", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule" }],
            "priorityClassName": "high",
        },
    })));
    assert_eq!(faults(&workload.redis), [""; 0]);
    let objects = Objects::new(wanted(&workload));
    let pod = json!(objects.stateful_sets[0])["spec"]["template"].clone();
    assert_eq!(pod["metadata"]["annotations"]["team"], "shop");
    let spec = &pod["spec"];
    assert_eq!(spec["containers"][0]["image"], "registry/redis:7.4");
    assert_eq!(spec["containers"][0]["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(spec["imagePullSecrets"], json!([{ "name": "registry" }]));
    assert_eq!(spec["nodeSelector"], json!({ "disk": "fast" }));
    assert_eq!(spec["tolerations"], json!([{ "key": "redis", "operator": "Exists" }]));
    assert_eq!(spec["affinity"], json!({ "nodeAffinity": {} }));
    assert_eq!(spec["topologySpreadConstraints"][0]["topologyKey"], "rack");
    assert_eq!(spec["priorityClassName"], "high");
    let master =
        objects.services.iter().find(|service| service.metadata.name.as_deref() == Some("cart-master"));
    assert_eq!(
        master.unwrap().metadata.annotations.as_ref().unwrap()["external-dns.alpha.kubernetes.io/hostname"],
        "cart.example.org"
    );
    let clients = &json!(objects.network_policies[0])["spec"]["ingress"][1]["from"];
    assert_eq!(*clients, json!([{ "namespaceSelector": {} }]));
}

#[test]
fn redis_pods_hold_no_credentials_of_the_cluster_and_keep_to_the_restricted_standard() {
    let workload = workload(redis(json!({})));
    for set in Objects::new(wanted(&workload)).stateful_sets {
        let spec = &json!(set)["spec"]["template"]["spec"];
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in [&spec["containers"][0], &spec["initContainers"][0]] {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false);
            assert_eq!(security["readOnlyRootFilesystem"], true);
            assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
        }
    }
}

#[test]
fn no_secret_is_in_the_configuration() {
    let workload = workload(redis(json!({})));
    let config = json!(Objects::new(wanted(&workload)).config).to_string();
    assert!(!config.contains("assword\":") && !config.contains("token"), "{config}");
}

/// What its users' tools rely on: the old operator's names, labels and ports.
#[test]
fn a_failover_has_the_names_and_labels_of_the_old_operator() {
    insta::assert_snapshot!(all_of(&workload(failover(&json!({
        "redis": {
            "replicas": 3,
            "exporter": { "enabled": true, "args": ["--check-keys=a"] },
            "storage": { "persistentVolumeClaim": {
                "metadata": { "name": "redisfailover-persistent-data" },
                "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
            } },
        },
        "sentinel": {
            "exporter": { "enabled": true, "image": "exporter:1" },
            "resources": { "limits": { "memory": "100Mi" } },
            "nodeSelector": { "disk": "slow" },
        },
        "auth": { "secretPath": "redis-auth" },
    })))));
}

#[test]
fn a_failover_without_volumes_has_none_and_runs_as_before() {
    let workload =
        workload(failover(&json!({ "redis": { "storage": { "emptyDir": { "medium": "Memory" } } } })));
    assert_eq!(faults(&workload.redis), [""; 0]);
    let (pods, claims) = probes(wanted(&workload));
    assert_eq!(claims, []);
    let volumes = &json!(pods[0].1)["spec"]["volumes"];
    assert!(
        volumes.to_string().contains(r#"{"emptyDir":{"medium":"Memory"},"name":"redis-data"}"#),
        "{volumes}"
    );
    let objects = Objects::new(wanted(&workload));
    let nodes = json!(objects.stateful_sets[0]);
    assert_eq!(nodes["spec"]["volumeClaimTemplates"], Value::Null);
    assert_eq!(nodes["spec"]["template"]["spec"]["securityContext"]["runAsUser"], 1000);
}

#[test]
fn what_a_failover_writes_for_pods_and_is_no_such_thing_is_named() {
    let redis = failover(&json!({
        "redis": { "securityContext": { "runAsUser": "me" }, "tolerations": [{ "key": 5 }] },
        "sentinel": { "affinity": { "nodeAffinity": 5 }, "exporter": { "enabled": true, "env": [{ "name": 5 }] } },
    }));
    let faults = faults(&redis);
    for path in [
        "spec.redis.securityContext",
        "spec.redis.tolerations",
        "spec.sentinel.affinity",
        "spec.sentinel.exporter.env",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(path)), "{path}: {faults:?}");
    }
}
