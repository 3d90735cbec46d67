//! What is made of a Redis, as a whole.

use redoubt_api::{CheckedRedis, Redis, check, raw::RedisSpec};
use redoubt_engine::{
    Counts,
    platform::{Identity, Workload},
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

fn workload(spec: Value) -> Workload {
    let redis = redis(spec);
    let counts = Counts::wanted(&redis);
    let names = Names("cart");
    let at = |last: u32, port| Endpoint::new(format!("198.19.0.{last}"), port);
    let identity = Identity {
        uid: "a-uid".to_owned(),
        nodes: (0..counts.nodes)
            .map(|ordinal| NodeEntry {
                shard: None,
                name: names.member(MemberKind::Node, ordinal),
                server: at(ordinal + 1, 6379),
                agent: at(ordinal + 1, 9121),
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
    let workload = workload(spec);
    let Objects { config, services, network_policies, budgets, stateful_sets } =
        Objects::new(wanted(&workload));
    let addresses = [
        member_services(&workload.redis, "a-uid", MemberKind::Node, 1),
        member_services(&workload.redis, "a-uid", MemberKind::Sentinel, workload.sentinels.min(1)),
    ]
    .concat();
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
fn what_was_written_is_handed_on() {
    let workload = workload(json!({
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
    }));
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
    let workload = workload(json!({}));
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
    let workload = workload(json!({}));
    let config = json!(Objects::new(wanted(&workload)).config).to_string();
    assert!(!config.contains("assword\":") && !config.contains("token"), "{config}");
}
