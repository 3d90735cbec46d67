//! What is refused, and what the person sees.

use crate::cluster::{Namespace, wait};

fn redis(name: &str, spec: &str) -> String {
    format!("apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

#[test]
fn what_the_rules_refuse_names_the_field_and_what_to_do() {
    let Some(namespace) = Namespace::new("what_the_rules_refuse_names_the_field_and_what_to_do") else {
        return;
    };
    for (name, spec, words) in [
        ("cart", "{mode: Cluster, replicas: 3}", "spec.replicas: has no meaning in mode Cluster"),
        ("cart", "{mode: Cluster, shards: 2}", "spec.shards: Invalid value: 2"),
        ("cart", "{shards: 3}", "spec.shards, spec.replicasPerShard: have a meaning in mode Cluster only"),
        ("cart", "{mode: Standalone, replicas: 3}", "spec.replicas: must be 1 in mode Standalone"),
        ("cart", "{sentinel: {quorum: 5}}", "spec.sentinel.quorum: is more than the Sentinels there are"),
        ("cart", "{auth: {enabled: false, secretName: x}}", "spec.auth.secretName: names a password"),
        ("cart", "{tls: {enabled: true}}", "spec.tls: encrypted connections are not available yet"),
        ("cart", "{replica: 3}", "unknown field \"spec.replica\""),
        ("9cart", "{}", "metadata.name: must be a DNS label"),
        ("a-name-that-is-much-too-long-for-all-that-is-made", "{}", "metadata.name: at most 43 characters"),
    ] {
        let why = namespace.apply(&redis(name, spec)).unwrap_err();
        assert!(why.contains(words), "{spec}: {why}");
    }
}

#[test]
fn what_cannot_change_is_refused_and_what_runs_is_untouched() {
    let Some(namespace) = Namespace::new("what_cannot_change_is_refused_and_what_runs_is_untouched") else {
        return;
    };
    let paused = |spec: &str| {
        redis("cart", spec)
            .replace("{name: cart}", "{name: cart, annotations: {redoubt.dev/paused: \"true\"}}")
    };
    namespace.apply(&paused("{persistence: {volume: {size: 1Gi}}}")).unwrap();
    for (spec, field) in [
        ("{mode: Standalone}", "spec.mode"),
        ("{persistence: {volume: {size: 2Gi}}}", "spec.persistence.volume.size"),
        ("{persistence: {volume: {storageClass: x}}}", "spec.persistence.volume.storageClass"),
        ("{sentinel: {masterName: x}}", "spec.sentinel.masterName"),
    ] {
        let why = namespace.apply(&paused(spec)).unwrap_err();
        assert!(why.contains(&format!("{field}: cannot be changed")), "{why}");
    }
    // The default written out is no change.
    namespace.apply(&paused("{mode: Sentinel}")).unwrap();
}

#[test]
fn what_only_the_operator_refuses_is_in_the_status_and_nothing_is_made() {
    let Some(namespace) =
        Namespace::new("what_only_the_operator_refuses_is_in_the_status_and_nothing_is_made")
    else {
        return;
    };
    for (name, spec, words) in [
        ("directive", "{config: {port: \"1\"}}", "spec.config.port"),
        ("secret", "{auth: {secretName: nobody}}", "spec.auth.secretName: the Secret nobody is refused"),
        ("class", "{persistence: {volume: {storageClass: nobody}}}", "there is no storage class nobody"),
    ] {
        namespace.apply(&redis(name, spec)).unwrap();
        wait(&format!("{name} says why"), || {
            let seen =
                namespace.condition(name, "Progressing").map(|(_, _, message)| message).unwrap_or_default();
            if seen.contains(words) { Ok(()) } else { Err(seen) }
        });
        assert_eq!(namespace.get("statefulset", name), None);
        assert_eq!(namespace.get("service", &format!("{name}-0")), None);
    }
}

#[test]
fn a_quota_that_half_of_it_would_fit_into_lets_nothing_be_made() {
    let Some(namespace) = Namespace::new("a_quota_that_half_of_it_would_fit_into_lets_nothing_be_made")
    else {
        return;
    };
    namespace.kubectl(&["create", "quota", "few", "--hard=pods=3"]);
    wait("the quota counts", || {
        let quota = namespace.get("resourcequota", "few").unwrap_or_default();
        if quota["status"]["used"]["pods"] == "0" { Ok(()) } else { Err(quota["status"].to_string()) }
    });
    namespace.apply(&redis("cart", "{}")).unwrap();
    wait("the status names the quota", || {
        let seen =
            namespace.condition("cart", "Progressing").map(|(_, _, message)| message).unwrap_or_default();
        if seen.contains("quota few") && seen.contains("6 of") { Ok(()) } else { Err(seen) }
    });
    for kind in ["statefulset", "service", "configmap", "pod"] {
        let made = namespace.kubectl(&[
            "get",
            kind,
            "--selector",
            "app.kubernetes.io/instance=cart",
            "--output",
            "name",
        ]);
        assert_eq!(made, "", "{kind}");
    }
    namespace.kubectl(&["delete", "quota", "few"]);
    namespace.ready("cart");
}

/// What the condition says of this, in the end.
#[track_caller]
fn says(namespace: &Namespace, redis: &str, words: &str) {
    wait(&format!("{redis} says {words}"), || {
        let conditions = ["Progressing", "Ready"].map(|kind| namespace.condition(redis, kind));
        let seen = format!("{conditions:?}");
        if seen.contains(words) { Ok(()) } else { Err(seen) }
    });
}

#[test]
fn a_secret_is_named_with_what_is_wrong_with_it() {
    let Some(namespace) = Namespace::new("a_secret_is_named_with_what_is_wrong_with_it") else { return };
    namespace.kubectl(&["create", "secret", "generic", "wrong-key", "--from-literal=pass=given-1234"]);
    namespace.kubectl(&["create", "secret", "generic", "unfit", "--from-literal=password=two words"]);
    for (name, secret, words) in [
        ("missing", "nobody", "create it with the key password"),
        ("key", "wrong-key", "it has no key password (it has: pass)"),
        ("words", "unfit", "the Secret unfit cannot be used"),
    ] {
        namespace.apply(&redis(name, &format!("{{auth: {{secretName: {secret}}}}}"))).unwrap();
        says(&namespace, name, words);
        assert_eq!(namespace.get("statefulset", name), None);
    }
    let shown = namespace.kubectl(&["get", "redis,events", "--output", "yaml"]);
    assert!(!shown.contains("given-1234") && !shown.contains("two words"), "a password is shown");
    // Put right, it goes on by itself.
    let right = ["create", "secret", "generic", "nobody", "--from-literal=password=given-1234"];
    namespace.kubectl(&right);
    namespace.ready("missing");
}

/// A change that only the operator can judge: said in the status, and what runs goes on as it is.
#[test]
fn a_change_that_is_refused_leaves_what_runs_untouched() {
    let Some(namespace) = Namespace::new("a_change_that_is_refused_leaves_what_runs_untouched") else {
        return;
    };
    namespace.apply(&redis("cart", "{}")).unwrap();
    namespace.ready("cart");
    let runs = || namespace.kubectl(&["get", "pods", "--output", "jsonpath={.items[*].metadata.uid}"]);
    let before = runs();
    for (spec, words) in [
        ("{config: {port: \"1\"}}", "spec.config.port"),
        (
            "{placement: {tolerations: [{operator: Perhaps, key: x}]}}",
            "spec.template.spec.tolerations[0].operator",
        ),
        ("{auth: {secretName: nobody}}", "the Secret nobody is refused"),
    ] {
        namespace.apply(&redis("cart", spec)).unwrap();
        says(&namespace, "cart", words);
        assert_eq!(runs(), before, "{spec}");
    }
    namespace.apply(&redis("cart", "{}")).unwrap();
    namespace.ready("cart");
    assert_eq!(runs(), before);
}
