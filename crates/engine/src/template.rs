//! The digest of all that takes a new process. Directives are not in it: agents apply these live.

use std::{collections::BTreeMap, fmt::Write as _};

use redoubt_api::{
    CheckedFailover, CheckedRedis, CheckedSpec, Engine, FailoverData, FailoverExporter, FailoverPods,
    ImagePullPolicy, RawObject, SentinelPods,
};
use sha2::{Digest as _, Sha256};

/// Digest of what makes a member's process: engine, version, image, resources, placement, grace period; and, after a
/// dash, of `restartedAt`, so that a restart somebody asked for can be told from one that a change brings along.
///
/// A new version of this program must give the same digest for the same resource, or its upgrade would restart every
/// server: lines are only ever added, and only for fields that are set.
#[must_use]
pub fn template(redis: &CheckedRedis) -> String {
    let asked = redis.spec.restarted_at.as_deref().map(digest);
    let mut lines = lines(&redis.spec);
    if let Some(failover) = &redis.failover {
        lines += &failover_lines(failover);
    }
    format!("{}-{}", digest(&lines), asked.as_deref().unwrap_or("0"))
}

/// Both templates differ in who asked for a restart, so somebody did.
#[must_use]
pub(crate) fn restart_was_asked(old: &str, new: &str) -> bool {
    let asked = |template: &str| template.rsplit_once('-').map(|(_, asked)| asked.to_owned());
    asked(new).as_deref() != Some("0") && asked(old) != asked(new)
}

/// Taken apart without `..`: whoever adds a field decides here whether it takes a new process.
fn lines(spec: &CheckedSpec) -> String {
    let CheckedSpec {
        topology: _,
        engine,
        version,
        image,
        image_pull_policy,
        image_pull_secrets,
        replicas: _,
        auth: _,
        config: _,
        persistence: _,
        durability: _,
        resources,
        placement,
        pod_annotations,
        services: _,
        network_policy: _,
        metrics: _,
        termination_grace_period,
        restarted_at: _,
        paused: _,
    } = spec;
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(lines, "{name}={value}");
    };
    line("engine", engine_name(*engine));
    line("version", version.as_deref().unwrap_or_default());
    line("image", image.as_deref().unwrap_or_default());
    line("pull", pull_name(*image_pull_policy));
    line("grace", &termination_grace_period.as_millis().to_string());
    line("requests", &pairs(&resources.requests));
    line("limits", &pairs(&resources.limits));
    line("nodeSelector", &pairs(&placement.node_selector));
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            line(name, &value);
        }
    };
    set("tolerations", objects(&placement.tolerations));
    set("affinity", objects(placement.affinity.as_slice()));
    set("spread", objects(&placement.topology_spread_constraints));
    set("priority", placement.priority_class_name.clone().unwrap_or_default());
    set("pullSecrets", image_pull_secrets.join(","));
    set("podAnnotations", pairs(pod_annotations));
    lines
}

/// Taken apart without `..`, as above.
fn failover_lines(failover: &CheckedFailover) -> String {
    let CheckedFailover {
        adopted: _,
        bootstrap: _,
        labels: _,
        data,
        nodes,
        sentinels,
        sentinel_pods,
        not_honoured: _,
        warnings: _,
    } = failover;
    let mut lines = String::new();
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(lines, "{name}={value}");
        }
    };
    if let FailoverData::EmptyDir(dir) = data {
        set("emptyDir", objects(std::slice::from_ref(dir)));
    }
    for (of, pods) in [("nodes", nodes), ("sentinels", sentinels)] {
        let FailoverPods { exporter, security, container_security } = pods;
        set(&format!("{of}.security"), objects(security.as_slice()));
        set(&format!("{of}.containerSecurity"), objects(container_security.as_slice()));
        if let Some(exporter) = exporter {
            let FailoverExporter {
                image,
                image_pull_policy,
                args,
                env,
                resources,
                container_security_context,
            } = exporter;
            set(&format!("{of}.exporter"), image.clone().unwrap_or_else(|| "default".to_owned()));
            set(&format!("{of}.exporter.pull"), image_pull_policy.clone().unwrap_or_default());
            set(&format!("{of}.exporter.args"), args.join(" "));
            set(&format!("{of}.exporter.env"), objects(env));
            set(&format!("{of}.exporter.resources"), objects(resources.as_slice()));
            set(&format!("{of}.exporter.security"), objects(container_security_context.as_slice()));
        }
    }
    let SentinelPods { image, resources, placement, annotations } = sentinel_pods;
    set("sentinels.image", image.clone().unwrap_or_default());
    set("sentinels.requests", pairs(&resources.requests));
    set("sentinels.limits", pairs(&resources.limits));
    set("sentinels.nodeSelector", pairs(&placement.node_selector));
    set("sentinels.tolerations", objects(&placement.tolerations));
    set("sentinels.affinity", objects(placement.affinity.as_slice()));
    set("sentinels.spread", objects(&placement.topology_spread_constraints));
    set("sentinels.priority", placement.priority_class_name.clone().unwrap_or_default());
    set("sentinels.annotations", pairs(annotations));
    lines
}

fn engine_name(engine: Engine) -> &'static str {
    match engine {
        Engine::Redis => "redis",
        Engine::Valkey => "valkey",
    }
}

fn pull_name(policy: ImagePullPolicy) -> &'static str {
    match policy {
        ImagePullPolicy::Always => "always",
        ImagePullPolicy::IfNotPresent => "if-not-present",
        ImagePullPolicy::Never => "never",
    }
}

fn objects(objects: &[RawObject]) -> String {
    let text = |object: &RawObject| serde_json::to_string(&object.0).unwrap_or_default();
    objects.iter().map(text).collect::<Vec<_>>().join(",")
}

fn pairs(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join(",")
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..6].iter().fold(String::with_capacity(12), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Scene;

    fn of(change: impl FnOnce(&mut CheckedSpec)) -> String {
        let mut redis = Scene::sentinel().redis().clone();
        change(&mut redis.spec);
        template(&redis)
    }

    #[test]
    fn an_upgrade_of_this_program_restarts_no_server() {
        assert_eq!(of(|_| ()), "30286d58120c-0");
    }

    #[test]
    fn what_agents_apply_live_takes_no_new_process() {
        let same = of(|_| ());
        assert_eq!(of(|spec| spec.replicas = 5), same);
        assert_eq!(of(|spec| spec.persistence.aof = false), same);
        assert_eq!(of(|spec| drop(spec.config.insert("maxmemory".to_owned(), "1gb".to_owned()))), same);
    }

    #[test]
    fn what_makes_the_process_takes_a_new_one() {
        let same = of(|_| ());
        assert_ne!(of(|spec| spec.version = Some("7.2".to_owned())), same);
        assert_ne!(of(|spec| spec.placement.priority_class_name = Some("high".to_owned())), same);
        assert_ne!(of(|spec| spec.placement.tolerations.push(RawObject::default())), same);
        assert_ne!(of(|spec| spec.image = Some("redis:8".to_owned())), same);
        assert_ne!(of(|spec| drop(spec.resources.limits.insert("cpu".to_owned(), "1".to_owned()))), same);
    }

    #[test]
    fn what_only_a_failover_asks_for_takes_a_new_process_but_its_labels_do_not() {
        let of = |change: &dyn Fn(&mut CheckedFailover)| {
            let mut redis = Scene::sentinel().failover(Vec::new(), Vec::new()).redis().clone();
            redis.failover.as_deref_mut().into_iter().for_each(change);
            template(&redis)
        };
        let same = of(&|_| ());
        assert_eq!(of(&|failover| drop(failover.labels.insert("team".to_owned(), "shop".to_owned()))), same);
        assert_ne!(of(&|failover| failover.nodes.exporter = Some(FailoverExporter::default())), same);
        assert_ne!(of(&|failover| failover.sentinels.security = Some(RawObject::default())), same);
        assert_ne!(of(&|failover| failover.sentinel_pods.image = Some("b".to_owned())), same);
    }

    #[test]
    fn a_restart_that_was_asked_for_is_told_from_a_change() {
        let (old, new) = (of(|_| ()), of(|spec| spec.restarted_at = Some("now".to_owned())));
        assert!(restart_was_asked(&old, &new));
        assert!(!restart_was_asked(&new, &new));
        assert!(!restart_was_asked(&new, &old));
        assert!(!restart_was_asked(&old, &of(|spec| spec.version = Some("7.2".to_owned()))));
    }
}
