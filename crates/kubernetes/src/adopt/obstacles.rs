//! What stands in the way. In doubt it does: what is in front of us has data.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt as _;
use redoubt_api::{CheckedRedis, FailoverData};
use redoubt_engine::platform::MemberKind;
use redoubt_redis::info::NodeRole;

use super::{
    Obstacle,
    found::{Found, Live, Server},
};
use crate::names::{Names, labels};

/// The oldest version with users of its own for agents and replicas.
const OLDEST: (u32, u32) = (6, 2);
/// Where clients of a `RedisFailover` go, and where Redoubt's do.
const PORT: i32 = 6379;
/// Whom the old operator knows at its servers. `pinger` is for its probes.
const USERS: [&str; 2] = ["default", "pinger"];
/// What is said to a server while it is taken over.
const NEEDED: [&str; 17] = [
    "acl",
    "auth",
    "client",
    "config",
    "exec",
    "info",
    "multi",
    "ping",
    "psync",
    "publish",
    "replconf",
    "replicaof",
    "role",
    "script",
    "shutdown",
    "slaveof",
    "subscribe",
];

/// Whatever the resource says.
pub(super) fn outside(found: &Found) -> Vec<Obstacle> {
    let at_work = found.at_work.iter().map(|what| {
        Obstacle::new(
            format!("the old operator still works: {what}"),
            "scale its Deployment to 0, and see to it that nobody scales it up again",
        )
    });
    at_work.collect()
}

/// The nodes, as long as there is something to take over.
pub(super) fn nodes(found: &Found) -> Result<&StatefulSet, Obstacle> {
    let key = found.failover.metadata.key();
    let Some(nodes) = &found.nodes else {
        return Err(Obstacle::new(
            format!("there is no StatefulSet {}", Names::of(&key).nodes()),
            "nothing has to be taken over: Redoubt's operator runs the resource as it is",
        ));
    };
    if nodes.labels().get(labels::MANAGED_BY).map(String::as_str) == Some(labels::MANAGER) {
        return Err(Obstacle::new(
            format!("the StatefulSet {} is Redoubt's already", nodes.name_any()),
            format!("nothing: see `redoubt status redisfailover/{}`", key.name),
        ));
    }
    Ok(nodes)
}

/// What runs, compared with what the resource says.
pub(super) fn inside(
    found: &Found,
    nodes: &StatefulSet,
    redis: &CheckedRedis,
    master: Option<&Server>,
) -> Vec<Obstacle> {
    [
        shape(nodes, redis),
        ports_and_commands(found),
        servers(found),
        replication(found, nodes, redis, master),
        watchers(found, master),
    ]
    .concat()
}

/// What cannot be changed in place.
fn shape(set: &StatefulSet, redis: &CheckedRedis) -> Vec<Obstacle> {
    let (mut obstacles, name) = (Vec::new(), set.name_any());
    let mut not = |what: String, next: &str| obstacles.push(Obstacle::new(what, next));
    let spec = set.spec.clone().unwrap_or_default();
    if spec.selector.match_labels.as_ref() != Some(&Names::of(&redis.key).selector(MemberKind::Node)) {
        not(
            format!("the StatefulSet {name} finds its pods by other labels than the old operator's"),
            "make a Redis of it with `redoubt convert`, and move the data",
        );
    }
    let strategy = spec.update_strategy.and_then(|strategy| strategy.type_).unwrap_or_default();
    if strategy != "OnDelete" {
        not(
            format!("the StatefulSet {name} would restart all its pods as soon as it is changed"),
            "write OnDelete into its spec.updateStrategy.type",
        );
    }
    let (runs, asked) = (spec.replicas.unwrap_or(1), redis.spec.replicas);
    if u32::try_from(runs) != Ok(asked) {
        not(
            format!("{runs} nodes run, and spec.redis.replicas is {asked}"),
            "write the number that runs, and change it once Redoubt looks after them",
        );
    }
    let claimed = spec.volume_claim_templates.unwrap_or_default();
    let claimed: Vec<&str> = claimed.iter().filter_map(|claim| claim.metadata.name.as_deref()).collect();
    let wanted = match redis.failover.as_ref().map(|failover| &failover.data) {
        Some(FailoverData::Claim { name, .. }) => vec![name.as_str()],
        Some(FailoverData::EmptyDir(_)) | None => Vec::new(),
    };
    if claimed != wanted {
        not(
            format!(
                "the data is on {}, and spec.redis.storage asks for {}",
                described(&claimed),
                described(&wanted)
            ),
            "write spec.redis.storage as it was when the nodes were made",
        );
    }
    obstacles
}

fn described(claims: &[&str]) -> String {
    if claims.is_empty() { "an emptyDir".to_owned() } else { format!("the volume {}", claims.join(", ")) }
}

fn ports_and_commands(found: &Found) -> Vec<Obstacle> {
    let redis = &found.failover.spec.redis;
    let port = redis.port.filter(|port| *port > 0 && *port != PORT).map(|port| {
        Obstacle::new(
            format!("spec.redis.port is {port}, and Redoubt's nodes listen on {PORT}: clients would lose their way"),
            format!("let clients use {PORT} first"),
        )
    });
    let renamed = redis.custom_command_renames.iter().map(|rename| rename.from.to_ascii_lowercase());
    let renamed: BTreeSet<String> = renamed.filter(|name| NEEDED.contains(&name.as_str())).collect();
    let renamed = (!renamed.is_empty()).then(|| {
        let names = renamed.into_iter().collect::<Vec<_>>().join(", ");
        Obstacle::new(
            format!("spec.redis.customCommandRenames takes {names} away, which handing over needs"),
            "remove the entries, and have the old operator restart the nodes",
        )
    });
    port.into_iter().chain(renamed).collect()
}

fn servers(found: &Found) -> Vec<Obstacle> {
    let one = |server: &Server| match &server.live {
        Err(why) => vec![Obstacle::new(
            format!("{} cannot be asked: {why}", server.pod),
            "bring it back, or see whether the Secret of spec.auth has the password that is in force",
        )],
        Ok(live) => fit(&server.pod, live),
    };
    found.servers.iter().flat_map(one).collect()
}

/// What a server of Redoubt would not have.
fn fit(pod: &str, live: &Live) -> Vec<Obstacle> {
    let old = live.version.filter(|version| !version.has_redis(OLDEST.0, OLDEST.1)).map(|version| {
        Obstacle::new(
            format!("{pod} runs {version}, and Redoubt needs Redis 6.2 or newer"),
            "have the old operator run a newer image first",
        )
    });
    let strangers = live.users.iter().filter(|user| !USERS.contains(&user.as_str()));
    let strangers = strangers.cloned().collect::<Vec<_>>().join(", ");
    let strangers = (!strangers.is_empty()).then(|| {
        Obstacle::new(
            format!("{pod} has users that Redoubt would not make: {strangers}"),
            "let their applications log in as default, and delete them with ACL DELUSER",
        )
    });
    let modules = (!live.modules.is_empty()).then(|| {
        Obstacle::new(
            format!("{pod} has modules, which Redoubt does not load yet: {}", live.modules.join(", ")),
            "have the old operator look after it, as long as data of theirs is needed",
        )
    });
    [old, strangers, modules].into_iter().flatten().collect()
}

fn replication(
    found: &Found,
    nodes: &StatefulSet,
    redis: &CheckedRedis,
    master: Option<&Server>,
) -> Vec<Obstacle> {
    let count = nodes.spec.as_ref().and_then(|spec| usize::try_from(spec.replicas?).ok()).unwrap_or(1);
    if found.servers.len() != count {
        return vec![Obstacle::new(
            format!("{} of {count} pods are there", found.servers.len()),
            "wait until all of them run",
        )];
    }
    let Some((master, live)) = master.and_then(|master| Some((master, master.live.as_ref().ok()?))) else {
        return undecided(found);
    };
    if count == 1 {
        return alone(master, live, redis);
    }
    let replicas = found.servers.iter().filter(|server| server.pod != master.pod);
    replicas.filter_map(|replica| behind(replica, master)).collect()
}

/// Nobody leads, or several say so. Whoever cannot be asked was named before.
fn undecided(found: &Found) -> Vec<Obstacle> {
    let leading: Vec<&str> =
        found.servers.iter().filter(|server| server.leads()).map(|server| server.pod.as_str()).collect();
    let what = match leading.as_slice() {
        [] if found.servers.iter().any(|server| server.live.is_err()) => return Vec::new(),
        [] => "nobody leads".to_owned(),
        several => format!("{} all say that they lead", several.join(" and ")),
    };
    vec![Obstacle::new(
        what,
        "have the old operator or its Sentinels settle it first, then stop the old operator",
    )]
}

/// Its restart is a pause; without files it would be the end of the data.
fn alone(server: &Server, live: &Live, redis: &CheckedRedis) -> Vec<Obstacle> {
    let failover = redis.failover.as_deref();
    let goes = failover.is_none_or(|failover| matches!(failover.data, FailoverData::EmptyDir(_)));
    let unsaved = redis.spec.persistence.rdb_save.is_empty() && !redis.spec.persistence.aof;
    if live.keys == 0 || !(goes || unsaved) {
        return Vec::new();
    }
    vec![Obstacle::new(
        format!("{} is the only copy, and its data would not outlive its restart", server.pod),
        "have the old operator run two nodes first, or give it a volume and save points",
    )]
}

fn behind(replica: &Server, master: &Server) -> Option<Obstacle> {
    let replication = &replica.live.as_ref().ok()?.replication;
    let pod = &replica.pod;
    let follows = replication.master.as_ref().is_some_and(|followed| followed.host == master.address);
    let what = if replication.role == NodeRole::Replica && !follows {
        format!("{pod} does not follow {}, which leads", master.pod)
    } else if replication.syncing == Some(true) || replication.link_up != Some(true) {
        format!("{pod} is not in sync with {}", master.pod)
    } else {
        return None;
    };
    Some(Obstacle::new(
        what,
        "have it follow, and wait until its link is up: no copy may be missing meanwhile",
    ))
}

fn watchers(found: &Found, master: Option<&Server>) -> Vec<Obstacle> {
    if found.sentinels.is_none() {
        // A fork means that by a `spec.sentinel.enabled` that is left out.
        return vec![Obstacle::new(
            "there is no Deployment of Sentinels, and nodes without them cannot be taken over yet",
            "have the old operator run Sentinels first (spec.sentinel.enabled: true)",
        )];
    }
    if found.watchers.is_empty() {
        return vec![Obstacle::new(
            "no Sentinel runs",
            "bring them back: who leads has to be sure before it is moved",
        )];
    }
    let next = "wait until the Sentinels agree on who leads, and no failover is under way";
    let one = |watcher: &super::found::Watcher| {
        let what = match &watcher.view {
            Err(why) => format!("the Sentinel {} cannot be asked: {why}", watcher.pod),
            Ok(view) if view.flags.failover_in_progress() => {
                format!("the Sentinel {} has a failover under way", watcher.pod)
            }
            Ok(view) if view.flags.o_down() || view.flags.s_down() => {
                format!("the Sentinel {} holds the master for dead", watcher.pod)
            }
            Ok(view) => {
                let master = master.filter(|master| view.endpoint.host != master.address)?;
                format!("the Sentinel {} names {}, and {} leads", watcher.pod, view.endpoint, master.pod)
            }
        };
        Some(Obstacle::new(what, next))
    };
    found.watchers.iter().filter_map(one).collect()
}
