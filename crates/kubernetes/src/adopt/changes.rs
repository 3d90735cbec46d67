//! What would become of each object, and whose server would be restarted when.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Resource, ResourceExt as _};
use redoubt_api::CheckedRedis;
use redoubt_engine::platform::MemberKind;

use super::{
    Change, Restart,
    found::{Found, Server},
};
use crate::names::Names;

/// Directives of a `redis.conf` with a password.
const PASSWORDS: [&str; 2] = ["requirepass", "masterauth"];
/// What the old operator puts before the name of a `RedisFailover` for its scripts. The `redis.conf` of one that is called
/// `s-cart` has the name of the script of `cart`.
const SCRIPTS: [&str; 2] = ["s-", "readiness-"];

/// In the order in which they come about.
pub(super) fn changes(found: &Found, redis: &CheckedRedis, kept: &[String]) -> Vec<Change> {
    [
        resource(redis, kept),
        claims(found, redis),
        made(redis),
        workloads(found, redis),
        services(found, redis),
        budgets(redis),
        maps(found),
    ]
    .concat()
}

fn change(kind: &'static str, name: impl Into<String>, change: impl Into<String>) -> Change {
    Change { kind, name: name.into(), change: change.into() }
}

fn resource(redis: &CheckedRedis, kept: &[String]) -> Vec<Change> {
    let what = |directive: &String| {
        let text = format!("spec.redis.customConfig gets {directive:?}, which only the servers' memory has");
        change("RedisFailover", &redis.key.name, text)
    };
    kept.iter().map(what).collect()
}

fn claims(found: &Found, redis: &CheckedRedis) -> Vec<Change> {
    let what = if redis.spec.persistence.volume.keep_after_deletion {
        "belongs to nobody any more: it stays when the RedisFailover is deleted"
    } else {
        "belongs to the StatefulSet: it still goes with the RedisFailover, and so with its definition"
    };
    let owned = found.claims.iter().filter(|claim| is_owned(*claim, &found.uid));
    owned.map(|claim| change("PersistentVolumeClaim", claim.name_any(), what)).collect()
}

fn is_owned<K: Resource>(object: &K, uid: &str) -> bool {
    object.owner_references().iter().any(|owner| owner.uid == uid)
}

/// What the old operator has no counterpart of.
fn made(redis: &CheckedRedis) -> Vec<Change> {
    let names = Names::of(&redis.key);
    let nodes = addresses(names, MemberKind::Node, redis.spec.replicas);
    let sentinels =
        redis.sentinel().map(|sentinel| addresses(names, MemberKind::Sentinel, sentinel.replicas));
    [
        Some(change(
            "Secret",
            names.auth(),
            "is made: passwords of the agents, the replicas and the Sentinels",
        )),
        Some(change("ConfigMap", names.config(), "is made: what the agents read")),
        Some(change("Service", nodes, "are made: an address for each node that outlives its pod")),
        sentinels.map(|name| change("Service", name, "are made: the same for each Sentinel")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn addresses(names: Names<'_>, kind: MemberKind, count: u32) -> String {
    match count {
        0 | 1 => names.address(kind, 0),
        count => format!("{} to {}", names.address(kind, 0), count - 1),
    }
}

fn workloads(found: &Found, redis: &CheckedRedis) -> Vec<Change> {
    let names = Names::of(&redis.key);
    let kept = if found.claims.is_empty() { "name and selector" } else { "name, selector and volumes" };
    let nodes = format!("keeps its {kept}; its pods get an agent beside the server, one after the other");
    let sentinels = redis.sentinel().map(|sentinel| {
        let text = format!("is made: {} Sentinels, instead of those of the Deployment", sentinel.replicas);
        change("StatefulSet", names.sentinels(), text)
    });
    let old = found.sentinels.as_ref().map(|deployment| {
        change("Deployment", deployment.name_any(), "is removed, last, with its Sentinels")
    });
    let nodes = change("StatefulSet", names.nodes(), nodes);
    [Some(nodes), sentinels, old].into_iter().flatten().collect()
}

/// Clients keep the addresses they have.
fn services(found: &Found, redis: &CheckedRedis) -> Vec<Change> {
    let names = Names::of(&redis.key);
    let sentinels = redis.sentinel().map(|_| names.sentinels());
    let all = [Some(names.nodes()), Some(names.master()), Some(names.replicas()), sentinels];
    let what = |name: String| {
        let there = found.services.contains(&name);
        let text = if there { "keeps its address and its ports" } else { "is made: it was missing" };
        change("Service", name, text)
    };
    all.into_iter().flatten().map(what).collect()
}

fn budgets(redis: &CheckedRedis) -> Vec<Change> {
    let names = Names::of(&redis.key);
    let all = [Some(names.nodes()), redis.sentinel().map(|_| names.sentinels())];
    let what = "lets one member go at a time, and none while another is not ready";
    all.into_iter().flatten().map(|name| change("PodDisruptionBudget", name, what)).collect()
}

fn maps(found: &Found) -> Vec<Change> {
    let what = |map: &ConfigMap| {
        let own = &found.failover.metadata.name;
        let text = match sharer(own, &found.neighbours, &map.name_any()) {
            Some(other) => format!("stays: the RedisFailover {other} has the same"),
            None if has_password(map) => {
                "is removed, last, and with it the password it has in clear".to_owned()
            }
            None => "is removed, last".to_owned(),
        };
        change("ConfigMap", map.name_any(), text)
    };
    found.maps.iter().map(what).collect()
}

/// The names of the `ConfigMap` that the old operator makes of one.
pub(crate) fn map_names(name: &str) -> [String; 4] {
    ["rfr-", "rfs-", "rfr-s-", "rfr-readiness-"].map(|prefix| format!("{prefix}{name}"))
}

/// Another `RedisFailover` of these whose object has this name as well.
pub(crate) fn sharer<'a>(own: &str, neighbours: &'a BTreeSet<String>, map: &str) -> Option<&'a String> {
    let of = |name: &str| {
        let scripts = SCRIPTS.map(|script| format!("rfr-{script}{name}"));
        map == format!("rfr-{name}") || scripts.iter().any(|script| script == map)
    };
    neighbours.iter().find(|name| *name != own && of(name))
}

fn has_password(map: &ConfigMap) -> bool {
    let texts = map.data.iter().flat_map(|data| data.values());
    texts
        .flat_map(|text| text.lines())
        .any(|line| line.split_whitespace().next().is_some_and(|directive| PASSWORDS.contains(&directive)))
}

/// Replicas first, the last one to begin with; the old master once one of them leads.
pub(super) fn restarts(found: &Found, master: Option<&Server>) -> Vec<Restart> {
    let Some(master) = master else { return Vec::new() };
    let mut replicas: Vec<&Server> = found.servers.iter().filter(|server| server.pod != master.pod).collect();
    replicas.sort_by_key(|server| std::cmp::Reverse(ordinal(&server.pod)));
    let alone = replicas.is_empty();
    let restart = |pod: &str, when: &str| Restart { pod: pod.to_owned(), when: when.to_owned() };
    let replicas = replicas
        .into_iter()
        .map(|replica| restart(&replica.pod, "a replica, once all other copies are in sync"));
    let last = if alone {
        "the only node: nobody serves until it is back"
    } else {
        "the master, after one hand-over to a replica that was restarted before"
    };
    replicas.chain([restart(&master.pod, last)]).collect()
}

fn ordinal(pod: &str) -> Option<u32> {
    pod.rsplit_once('-')?.1.parse().ok()
}
