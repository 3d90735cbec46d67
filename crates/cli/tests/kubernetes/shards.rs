//! Mode Cluster, as a person finds their way about it, and whole again whatever becomes of its pods.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use redoubt_drill::ClientKind;
use serde_json::Value;

use crate::{
    cluster::{Namespace, said, wait},
    fault::{Fault, alone, is_lab, machine_is, machine_of},
    game::{self, Blow},
};

const SHOP: &str = "
apiVersion: redoubt.dev/v1
kind: Redis
metadata: {name: shop}
spec:
  mode: Cluster
  shards: 3
  replicasPerShard: 1
";
const KEYS: usize = 3000;

fn shop(test: &str) -> Option<Namespace> {
    let namespace = Namespace::new(test)?;
    namespace.apply(SHOP).unwrap();
    namespace.ready("shop");
    Some(namespace)
}

fn status(namespace: &Namespace) -> Value {
    namespace.resource("shop").expect("the Redis")["status"].clone()
}

/// Who leads each shard.
fn masters(namespace: &Namespace) -> Vec<String> {
    let status = status(namespace);
    let shards = status["shards"].as_array().cloned().unwrap_or_default();
    shards.iter().filter_map(|shard| shard["master"].as_str().map(str::to_owned)).collect()
}

/// `redis-cli`, which follows where it is sent.
fn cli(namespace: &Namespace, pod: &str, command: &str) -> Result<String, String> {
    namespace.redis_cli("shop", pod, &format!("-c {command}"))
}

/// Writes keys into all shards, which all replicas have then.
fn fill(namespace: &Namespace) {
    let password = namespace.secret("shop", "password");
    let script = format!(
        "export REDISCLI_AUTH='{password}'; i=0; while [ $i -lt {KEYS} ]; do echo SET key:$i $i; i=$((i+1)); done \
         | redis-cli -c | grep -c OK\n"
    );
    assert_eq!(namespace.shell("shop-shard-0-0", &script).unwrap(), KEYS.to_string());
    for master in masters(namespace) {
        assert_eq!(namespace.redis_cli("shop", &master, "WAIT 1 10000").unwrap(), "1", "{master}");
    }
}

/// Counted where they are kept, and read through a node that has only some of them.
fn has_all(namespace: &Namespace) {
    wait("all keys are there", || {
        let count = |master: String| namespace.redis_cli("shop", &master, "DBSIZE");
        let counts: Vec<_> = masters(namespace).into_iter().map(count).collect();
        let keys = counts.iter().flatten().filter_map(|count| count.parse::<usize>().ok()).sum::<usize>();
        (keys == KEYS).then_some(()).ok_or(format!("{counts:?}"))
    });
    for n in [0, KEYS / 2, KEYS - 1] {
        assert_eq!(cli(namespace, "shop-shard-1-0", &format!("GET key:{n}")), Ok(n.to_string()));
    }
}

/// The pods say who leads, as the status does.
fn labelled(namespace: &Namespace) {
    wait("the roles are on the pods", || {
        let path = "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}";
        let leads =
            namespace.kubectl(&["get", "pods", "--selector", "redoubt.dev/role=master", "--output", path]);
        let follow =
            namespace.kubectl(&["get", "pods", "--selector", "redoubt.dev/role=replica", "--output", path]);
        let leads: Vec<_> = leads.lines().map(str::to_owned).collect();
        (leads == masters(namespace) && follow.lines().count() == 3)
            .then_some(())
            .ok_or(format!("{leads:?}, {follow}"))
    });
}

/// With no machine a majority of the masters is lost, and so no election either.
fn spread(namespace: &Namespace) {
    let masters = masters(namespace);
    let machines: BTreeSet<String> = masters.iter().map(|pod| machine_of(&namespace.name, pod)).collect();
    assert_eq!(machines.len(), masters.len(), "{masters:?} are on {machines:?}");
}

#[test]
fn the_walk_through_of_a_cluster() {
    let Some(namespace) = shop("the_walk_through_of_a_cluster") else { return };
    let pods: Vec<String> = namespace.uids("shop").into_keys().collect();
    let expected: Vec<String> =
        (0..3).flat_map(|shard| (0..2).map(move |index| format!("shop-shard-{shard}-{index}"))).collect();
    assert_eq!(pods, expected);
    let info = cli(&namespace, "shop-shard-2-1", "CLUSTER INFO").unwrap();
    for line in ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:6", "cluster_size:3"] {
        assert!(info.contains(line), "{line}: {info}");
    }
    let nodes = cli(&namespace, "shop-shard-1-1", "CLUSTER NODES").unwrap();
    let roles =
        |role: &str| nodes.lines().filter(|line| line.contains(role) && line.contains("connected")).count();
    assert_eq!((roles("master"), roles("slave")), (3, 3), "{nodes}");
    assert_eq!(cli(&namespace, "shop-shard-0-0", "SET greeting hello"), Ok("OK".to_owned()));
    for pod in &pods {
        assert_eq!(cli(&namespace, pod, "GET greeting"), Ok("hello".to_owned()), "{pod}");
    }
    labelled(&namespace);
    let listed = namespace.kubectl(&["get", "statefulsets,poddisruptionbudgets", "--output", "name"]);
    for shard in 0..3 {
        assert!(listed.contains(&format!("statefulset.apps/shop-shard-{shard}")), "{listed}");
        assert!(listed.contains(&format!("poddisruptionbudget.policy/shop-shard-{shard}")), "{listed}");
    }
    // Any of those that the Service finds is a way in.
    wait("the Service leads to one of them", || {
        let through = cli(&namespace, "shop-shard-0-0", "-h shop GET greeting 2>&1");
        (through == Ok("hello".to_owned())).then_some(()).ok_or(format!("{through:?}"))
    });
    let connection = namespace.redoubt(&["connection", "shop", "-o", "json"]).json();
    let first = format!("shop-shard-0-0.{}.svc:6379", namespace.name);
    assert_eq!((&connection["cluster"][0], &connection["master"]), (&Value::from(first), &Value::Null));
    let table = namespace.kubectl(&["get", "redis", "shop"]);
    assert!(table.contains("Cluster") && table.contains("6/6"), "{table}");
    let shown = namespace.redoubt(&["status", "shop"]).well();
    assert!(shown.contains("shop-shard-2-1"), "{shown}");
}

#[test]
fn a_deleted_master_is_replaced_and_all_pods_deleted_at_once_lose_nothing() {
    let Some(namespace) = shop("a_deleted_master_is_replaced_and_all_pods_deleted_at_once_lose_nothing")
    else {
        return;
    };
    fill(&namespace);
    let before = masters(&namespace);
    let uids = namespace.uids("shop");
    namespace.kubectl(&["delete", "pod", &before[1], "--wait=false"]);
    wait("its replica leads the shard, and it is back", || {
        let (now, pods) = (masters(&namespace), namespace.uids("shop"));
        let replaced = pods.get(&before[1]).is_some_and(|uid| Some(uid) != uids.get(&before[1]));
        (now.get(1).is_some_and(|master| *master != before[1]) && replaced)
            .then_some(())
            .ok_or(format!("{now:?}"))
    });
    namespace.ready("shop");
    labelled(&namespace);
    has_all(&namespace);
    for force in [&[][..], &["--force", "--grace-period=0"]] {
        let uids = namespace.uids("shop");
        let all = ["delete", "pods", "--selector", "app.kubernetes.io/instance=shop", "--wait=false"];
        namespace.kubectl(&[&all, force].concat());
        wait("all pods are new", || {
            let pods = namespace.uids("shop");
            let new = pods.iter().filter(|(name, uid)| uids.get(*name) != Some(uid)).count();
            (pods.len() == 6 && new == 6).then_some(()).ok_or(format!("{new} of {}", pods.len()))
        });
        namespace.ready("shop");
        labelled(&namespace);
        has_all(&namespace);
    }
}

#[test]
fn a_deleted_cluster_keeps_its_volumes_and_comes_back_with_its_data() {
    let Some(namespace) = shop("a_deleted_cluster_keeps_its_volumes_and_comes_back_with_its_data") else {
        return;
    };
    fill(&namespace);
    namespace.kubectl(&["delete", "redis", "shop"]);
    wait("its pods are gone", || {
        let pods = namespace.uids("shop");
        pods.is_empty().then_some(()).ok_or(format!("{pods:?}"))
    });
    let claims = namespace.kubectl(&["get", "persistentvolumeclaims", "--output", "name"]);
    assert_eq!(claims.lines().count(), 6, "{claims}");
    namespace.apply(SHOP).unwrap();
    namespace.ready("shop");
    has_all(&namespace);
}

/// More replicas join their shards, and leave them again.
#[test]
fn replicas_come_and_go_by_kubectl_patch() {
    let Some(namespace) = shop("replicas_come_and_go_by_kubectl_patch") else { return };
    fill(&namespace);
    let of = |pods: &BTreeMap<String, String>, shard: usize| {
        pods.keys().filter(|pod| pod.starts_with(&format!("shop-shard-{shard}-"))).count()
    };
    for replicas in [2_usize, 1] {
        let patch = format!("{{\"spec\":{{\"replicasPerShard\":{replicas}}}}}");
        namespace.kubectl(&["patch", "redis", "shop", "--type", "merge", "--patch", &patch]);
        wait("every shard has as many nodes as asked", || {
            let pods = namespace.uids("shop");
            let counts: Vec<usize> = (0..3).map(|shard| of(&pods, shard)).collect();
            (counts == [replicas + 1; 3]).then_some(()).ok_or(format!("{counts:?}"))
        });
        namespace.ready("shop");
        has_all(&namespace);
    }
    let refused =
        namespace.apply(&SHOP.replace("mode: Cluster", "mode: Cluster\n  replicas: 6")).unwrap_err();
    assert!(refused.contains("spec.replicas: has no meaning in mode Cluster"), "{refused}");
}

/// Drains take a machine with a master of each shard in turn; whatever else of the cluster is there goes with it.
#[test]
fn machines_drained_one_after_the_other_lose_no_acknowledged_write() {
    let name = "machines_drained_one_after_the_other_lose_no_acknowledged_write";
    let Some(namespace) = Namespace::new(name) else { return };
    // A drain takes the pods of this name from all namespaces.
    namespace.apply(&SHOP.replace("name: shop", "name: drained")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for shard in 0..3 {
        namespace.ready("drained");
        let played = game::play(&namespace.name, "drained", Blow::Drain, ClientKind::Role, Some(shard));
        let result = runtime.block_on(played).unwrap_or_else(|why| panic!("shard {shard}: {why}"));
        assert_eq!(result.lost, Some(0), "{result:#?}");
        assert!(result.acknowledged > 100 && result.healthy_after_ms.is_some(), "{result:#?}");
    }
    namespace.ready("drained");
    let check = ["cluster", "check", "drained", "--namespace", &namespace.name];
    let said = said(Command::new(env!("CARGO_BIN_EXE_redoubt")).args(check)).well();
    assert!(said.contains("6 nodes agree, 16384 slots are covered"), "{said}");
}

/// Shards come, with their share of the slots, and go again, under writers.
#[test]
fn shards_come_and_go_by_kubectl_patch() {
    let Some(namespace) = shop("shards_come_and_go_by_kubectl_patch") else { return };
    fill(&namespace);
    for shards in [4_usize, 3, 4] {
        let patch = format!("{{\"spec\":{{\"shards\":{shards}}}}}");
        namespace.kubectl(&["patch", "redis", "shop", "--type", "merge", "--patch", &patch]);
        wait("there are as many shards as asked", || {
            let names = namespace.kubectl(&["get", "statefulsets", "--output", "name"]);
            (names.lines().count() == shards).then_some(()).ok_or(names)
        });
        namespace.ready("shop");
        wait("each shard has its share", || {
            let counts: Vec<_> = status(&namespace)["shards"].as_array().cloned().unwrap_or_default();
            let counts: Vec<usize> =
                counts.iter().filter_map(|shard| usize::try_from(shard["count"].as_u64()?).ok()).collect();
            let share = 16384 / shards;
            let even = counts.len() == shards && counts.iter().all(|count| count.abs_diff(share) <= 1);
            even.then_some(()).ok_or(format!("{counts:?}"))
        });
        has_all(&namespace);
    }
}

/// Each zone of the lab has one machine.
#[test]
fn a_lost_zone_takes_one_master_and_the_others_elect_another() {
    let name = "a_lost_zone_takes_one_master_and_the_others_elect_another";
    if !is_lab(name) {
        return;
    }
    alone();
    let Some(namespace) = Namespace::new(name) else { return };
    namespace.apply(&format!("{SHOP}  persistence: {{volume: {{storageClass: zonal}}}}\n")).unwrap();
    namespace.ready("shop");
    fill(&namespace);
    spread(&namespace);
    let before = masters(&namespace);
    let machine = machine_of(&namespace.name, &before[1]);
    let elsewhere =
        before.iter().find(|pod| machine_of(&namespace.name, pod) != machine).expect("another machine");
    let cut = Fault::new("cut", &[&machine], "uncut");
    wait("another leads the shard, and all slots are served", || {
        let now = masters(&namespace);
        let info = namespace.redis_cli("shop", elsewhere, "CLUSTER INFO")?;
        let serves =
            info.contains("cluster_state:ok") && now.get(1).is_some_and(|master| *master != before[1]);
        serves.then_some(()).ok_or(format!("{now:?} {info}"))
    });
    let said: Vec<_> = (0..30).map(|n| cli(&namespace, elsewhere, &format!("GET key:{n}"))).collect();
    let all: Vec<_> = (0..30).map(|n: usize| Ok(n.to_string())).collect();
    assert_eq!(said, all);
    cut.undo();
    machine_is(&machine, "True");
    namespace.ready("shop");
    wait("the masters are spread again", || {
        let machines: BTreeSet<String> =
            masters(&namespace).iter().map(|pod| machine_of(&namespace.name, pod)).collect();
        (machines.len() == 3).then_some(()).ok_or(format!("{machines:?}"))
    });
    has_all(&namespace);
}
