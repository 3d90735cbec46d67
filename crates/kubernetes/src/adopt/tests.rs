use redoubt_redis::info::Info;
use serde_json::{Value, json};

use super::*;
use crate::adopt::found::{Live, Watcher};

const UID: &str = "a-uid";

/// What the old operator makes of a `RedisFailover` with this spec; nobody but `cart` is there.
fn made(spec: &Value) -> Found {
    let text = json!({
        "apiVersion": "databases.spotahome.com/v1", "kind": "RedisFailover",
        "metadata": { "name": "cart", "namespace": "shop" }, "spec": spec,
    });
    let failover: RedisFailover = serde_json::from_value(text).unwrap();
    let count = usize::try_from(failover.spec.redis.replicas.unwrap_or(3)).unwrap();
    let claims = failover.spec.redis.storage.persistent_volume_claim.iter();
    let claims: Vec<Value> = claims.map(|_| json!({ "metadata": { "name": "data" } })).collect();
    let set = json!({
        "metadata": { "name": "rfr-cart", "labels": { "app.kubernetes.io/managed-by": "redis-operator" } },
        "spec": {
            "replicas": count, "serviceName": "rfr-cart", "template": {},
            "updateStrategy": { "type": "OnDelete" },
            "selector": { "matchLabels": {
                "app.kubernetes.io/name": "cart",
                "app.kubernetes.io/component": "redis",
                "app.kubernetes.io/part-of": "redis-failover",
            } },
            "volumeClaimTemplates": claims,
        },
    });
    let owned = json!([{ "apiVersion": "v1", "kind": "RedisFailover", "name": "cart", "uid": UID }]);
    let claim = |ordinal| {
        let name = format!("data-rfr-cart-{ordinal}");
        serde_json::from_value(json!({ "metadata": { "name": name, "ownerReferences": owned } })).unwrap()
    };
    let conf = "port 6379\nmasterauth hidden\nrequirepass hidden\n";
    Found {
        uid: UID.to_owned(),
        generation: Some(1),
        neighbours: ["cart".to_owned()].into(),
        at_work: Vec::new(),
        has_status: true,
        nodes: Some(serde_json::from_value(set).unwrap()),
        sentinels: Some(serde_json::from_value(json!({ "metadata": { "name": "rfs-cart" } })).unwrap()),
        servers: (0..count).map(|ordinal| server(ordinal, 1.min(count - 1))).collect(),
        watchers: (0..3).map(|number| watcher(number, "10.0.0.1")).collect(),
        claims: if claims.is_empty() { Vec::new() } else { (0..count).map(claim).collect() },
        services: ["rfrm-cart", "rfrs-cart", "rfs-cart"].map(str::to_owned).into(),
        maps: vec![map("rfr-cart", conf), map("rfs-cart", ""), map("rfr-s-cart", "")],
        failover,
    }
}

fn map(name: &str, text: &str) -> k8s_openapi::api::core::v1::ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": name }, "data": { "redis.conf": text } })).unwrap()
}

fn server(ordinal: usize, master: usize) -> Server {
    let role = if ordinal == master {
        "role:master\r\n".to_owned()
    } else {
        format!(
            "role:slave\r\nmaster_host:10.0.0.{master}\r\nmaster_port:6379\r\nmaster_link_status:up\r\n\
             master_sync_in_progress:0\r\n"
        )
    };
    let text = format!("# Replication\r\n{role}master_replid:{}\r\nmaster_repl_offset:9\r\n", "a".repeat(40));
    let config =
        [("save", "900 1 300 10"), ("tcp-keepalive", "60"), ("appendonly", "no"), ("maxmemory", "0")];
    let live = Live {
        version: redoubt_redis::version::ServerVersion::from_numbers(
            redoubt_redis::version::Engine::Redis,
            "6.2.6",
        ),
        replication: Info::parse(text).replication().unwrap(),
        keys: 7,
        config: config.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        users: ["default", "pinger"].map(str::to_owned).into(),
        modules: Vec::new(),
    };
    Server { pod: format!("rfr-cart-{ordinal}"), address: format!("10.0.0.{ordinal}"), live: Ok(live) }
}

fn watcher(number: usize, names: &str) -> Watcher {
    let fields = [
        ("name", "mymaster"),
        ("ip", names),
        ("port", "6379"),
        ("flags", "master"),
        ("config-epoch", "0"),
        ("quorum", "2"),
        ("num-other-sentinels", "2"),
    ];
    let words = fields.into_iter().flat_map(|(name, value)| [name, value]);
    let reply = Value::Array(words.map(|word| json!(word)).collect());
    let reply = redoubt_redis::Value::Array(
        reply
            .as_array()
            .unwrap()
            .iter()
            .map(|word| redoubt_redis::Value::bulk(word.as_str().unwrap()))
            .collect(),
    );
    let view = redoubt_redis::sentinel::MasterView::from_value(reply).unwrap();
    Watcher { pod: format!("rfs-cart-{number}"), view: Ok(view) }
}

/// A server that answers.
fn live(found: &mut Found, ordinal: usize) -> &mut Live {
    found.servers[ordinal].live.as_mut().unwrap()
}

fn volumes(keep: bool) -> Value {
    json!({ "redis": { "storage": { "keepAfterDeletion": keep, "persistentVolumeClaim": {
        "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    } } } })
}

fn obstacles(found: &Found) -> Vec<String> {
    let obstacles = judge(found).obstacles;
    assert!(obstacles.iter().all(|obstacle| !obstacle.next.is_empty()), "{obstacles:?}");
    obstacles.into_iter().map(|obstacle| obstacle.what).collect()
}

fn of<'a>(adoption: &'a Adoption, kind: &str, name: &str) -> Vec<&'a str> {
    let of = |change: &&Change| change.kind == kind && change.name == name;
    adoption.changes.iter().filter(of).map(|change| change.change.as_str()).collect()
}

#[test]
fn what_the_old_operator_left_in_order_can_be_taken_over() {
    for spec in [json!({}), volumes(true), volumes(false), json!({ "redis": { "replicas": 2 } })] {
        assert_eq!(obstacles(&made(&spec)), [""; 0], "{spec}");
    }
}

#[test]
fn replicas_are_restarted_first_from_the_last_on_and_the_master_once_another_leads() {
    let restarts = judge(&made(&json!({}))).restarts;
    let pods: Vec<&str> = restarts.iter().map(|restart| restart.pod.as_str()).collect();
    assert_eq!(pods, ["rfr-cart-2", "rfr-cart-0", "rfr-cart-1"]);
    assert!(restarts[2].when.contains("one hand-over"), "{restarts:?}");
}

#[test]
fn everything_that_stands_in_the_way_is_named() {
    type Case = (&'static str, fn(&mut Found));
    let cases: &[Case] = &[
        ("the old operator still works: old-0 holds the Lease", |found| {
            found.at_work = vec!["old-0 holds the Lease".to_owned()];
        }),
        ("spec.redis.customConfig.0: is empty", |found| {
            found.failover.spec.redis.custom_config = vec![String::new()];
        }),
        ("there is no StatefulSet rfr-cart", |found| found.nodes = None),
        ("the StatefulSet rfr-cart is Redoubt's already", |found| {
            let labels = found.nodes.as_mut().unwrap().metadata.labels.as_mut().unwrap();
            labels.insert("app.kubernetes.io/managed-by".to_owned(), "redoubt".to_owned());
        }),
        ("finds its pods by other labels", |found| {
            found.nodes.as_mut().unwrap().spec.as_mut().unwrap().selector.match_labels = None;
        }),
        ("would restart all its pods", |found| {
            found.nodes.as_mut().unwrap().spec.as_mut().unwrap().update_strategy = None;
        }),
        ("3 nodes run, and spec.redis.replicas is 5", |found| {
            found.failover.spec.redis.replicas = Some(5);
        }),
        ("the data is on an emptyDir, and spec.redis.storage asks for the volume data", |found| {
            let other = made(&volumes(true));
            found.failover.spec.redis.storage = other.failover.spec.redis.storage;
        }),
        ("spec.redis.port is 6380", |found| found.failover.spec.redis.port = Some(6380)),
        ("customCommandRenames takes config away", |found| {
            let rename = json!([{ "from": "CONFIG", "to": "" }, { "from": "FLUSHALL", "to": "" }]);
            found.failover.spec.redis.custom_command_renames = serde_json::from_value(rename).unwrap();
        }),
        ("rfr-cart-2 cannot be asked: no", |found| found.servers[2].live = Err("no".to_owned())),
        ("rfr-cart-0 runs", |found| live(found, 0).version.as_mut().unwrap().minor = 0),
        ("rfr-cart-0 has users that Redoubt would not make: app", |found| {
            live(found, 0).users.insert("app".to_owned());
        }),
        ("rfr-cart-0 has modules, which Redoubt does not load yet: search", |found| {
            live(found, 0).modules.push("search".to_owned());
        }),
        ("2 of 3 pods are there", |found| drop(found.servers.pop())),
        ("nobody leads", |found| found.servers = vec![server(0, 3), server(1, 3), server(2, 3)]),
        ("rfr-cart-0 and rfr-cart-1 all say that they lead", |found| found.servers[0] = server(0, 0)),
        ("rfr-cart-0 does not follow rfr-cart-1", |found| found.servers[0] = server(0, 2)),
        ("rfr-cart-0 is not in sync", |found| live(found, 0).replication.link_up = Some(false)),
        ("rfr-cart-2 is not in sync", |found| live(found, 2).replication.syncing = Some(true)),
        ("no Sentinel runs", |found| found.watchers.clear()),
        ("the Sentinel rfs-cart-1 cannot be asked: no", |found| {
            found.watchers[1].view = Err("no".to_owned());
        }),
        ("the Sentinel rfs-cart-2 names 10.0.0.2:6379, and rfr-cart-1 leads", |found| {
            found.watchers[2] = watcher(2, "10.0.0.2");
        }),
    ];
    for (words, change) in cases {
        let mut found = made(&json!({}));
        change(&mut found);
        let named = obstacles(&found);
        assert!(matches!(named.as_slice(), [one] if one.contains(words)), "{words}: {named:?}");
    }
}

#[test]
fn where_there_is_nothing_to_take_over_nothing_is_said_to_change() {
    let mut nowhere = made(&json!({}));
    nowhere.nodes = None;
    let mut ours = made(&json!({}));
    let labels = ours.nodes.as_mut().unwrap().metadata.labels.as_mut().unwrap();
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "redoubt".to_owned());
    for found in [nowhere, ours] {
        let Adoption { unwritten, obstacles, changes, restarts, warnings, .. } = judge(&found);
        assert_eq!(obstacles.len(), 1);
        assert!(unwritten.is_empty() && changes.is_empty() && restarts.is_empty() && warnings.is_empty());
    }
}

#[test]
fn the_only_copy_is_not_restarted_unless_it_outlives_that() {
    let alone = |rest: &Value| {
        let mut spec = rest.clone();
        spec["redis"]["replicas"] = json!(1);
        let mut found = made(&spec);
        found.watchers = vec![watcher(0, "10.0.0.0")];
        found
    };
    assert!(obstacles(&alone(&json!({})))[0].contains("is the only copy"));
    assert_eq!(obstacles(&alone(&volumes(true))), [""; 0]);
    let mut unsaved = volumes(true);
    unsaved["redis"]["customConfig"] = json!(["save \"\""]);
    let mut unsaved = alone(&unsaved);
    live(&mut unsaved, 0).config.insert("save".to_owned(), String::new());
    assert!(obstacles(&unsaved)[0].contains("is the only copy"));
    live(&mut unsaved, 0).keys = 0;
    assert_eq!(obstacles(&unsaved), [""; 0]);
}

#[test]
fn what_lives_in_memory_alone_is_written_into_the_resource() {
    let mut found = made(&json!({ "redis": { "customConfig": ["timeout 60"] } }));
    for (name, value) in [("maxmemory", "104857600"), ("save", ""), ("timeout", "60"), ("port", "6379")] {
        live(&mut found, 1).config.insert(name.to_owned(), value.to_owned());
    }
    live(&mut found, 0).config.insert("maxmemory".to_owned(), "5".to_owned());
    let adoption = judge(&found);
    let kept = of(&adoption, "RedisFailover", "cart");
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept[0].contains("\"maxmemory 104857600\"") && kept[1].contains(r#""save \"\"""#), "{kept:?}");
    let warned =
        adoption.warnings.iter().any(|warning| warning.message.contains("rfr-cart-0 alone runs with"));
    assert!(warned, "{:?}", adoption.warnings);
}

/// AOF that somebody turned on live must not be turned off by the take-over.
#[test]
fn a_live_append_only_file_is_kept() {
    let mut found = made(&json!({}));
    live(&mut found, 1).config.insert("appendonly".to_owned(), "yes".to_owned());
    let adoption = judge(&found);
    assert!(of(&adoption, "RedisFailover", "cart")[0].contains("appendonly yes"), "{adoption:?}");
}

#[test]
fn a_volume_is_owned_by_the_resource_no_more() {
    let change = |keep| {
        let adoption = judge(&made(&volumes(keep)));
        of(&adoption, "PersistentVolumeClaim", "data-rfr-cart-2").join("")
    };
    assert!(change(true).contains("it stays when the RedisFailover is deleted"));
    assert!(change(false).contains("it still goes with the RedisFailover, and so with its definition"));
    let mut free = made(&volumes(true));
    free.claims.iter_mut().for_each(|claim| claim.metadata.owner_references = None);
    assert_eq!(of(&judge(&free), "PersistentVolumeClaim", "data-rfr-cart-2"), [""; 0]);
}

#[test]
fn the_headless_service_that_is_missing_is_made_and_the_others_stay() {
    let adoption = judge(&made(&json!({})));
    assert_eq!(of(&adoption, "Service", "rfr-cart"), ["is made: it was missing"]);
    for name in ["rfrm-cart", "rfrs-cart", "rfs-cart"] {
        assert_eq!(of(&adoption, "Service", name), ["keeps its address and its ports"]);
    }
}

/// `s-cart` has a `ConfigMap` of the same name.
#[test]
fn what_two_resources_share_stays() {
    let mut found = made(&json!({}));
    assert!(of(&judge(&found), "ConfigMap", "rfr-cart")[0].contains("the password it has in clear"));
    assert_eq!(of(&judge(&found), "ConfigMap", "rfr-s-cart"), ["is removed, last"]);
    found.neighbours.insert("s-cart".to_owned());
    let adoption = judge(&found);
    assert!(of(&adoption, "ConfigMap", "rfr-s-cart")[0].contains("stays: the RedisFailover s-cart"));
    assert_eq!(of(&adoption, "ConfigMap", "rfs-cart"), ["is removed, last"]);
}

/// A fork means "none" by a field that is left out; what it made shows that.
#[test]
fn whether_there_are_sentinels_is_decided_by_what_exists() {
    let mut without = made(&json!({}));
    without.sentinels = None;
    without.watchers.clear();
    assert!(obstacles(&without)[0].contains("there is no Deployment of Sentinels"));
    let with = judge(&made(&json!({ "sentinel": { "enabled": false } })));
    assert_eq!(with.obstacles, []);
    assert!(of(&with, "StatefulSet", "rfs-cart")[0].contains("is made: 3 Sentinels"));
    assert_eq!(of(&with, "Deployment", "rfs-cart").len(), 1);
}

#[test]
fn a_definition_without_a_status_is_told() {
    let mut found = made(&json!({}));
    found.has_status = false;
    let warned = judge(&found).warnings.iter().any(|warning| warning.message.contains("no status"));
    assert!(warned);
}
