//! What is wrong is named with file, line and field, with exit code 2, and nothing is touched.

use crate::lab::Lab;

/// A `Redis` with these lines under `spec:`.
pub(crate) fn redis(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata:\n  name: {name}\nspec:\n  mode: Sentinel\n{spec}"
    )
}

/// Validates and applies one file; both refuse it in these words.
#[track_caller]
fn refused(text: &str, words: &[&str]) {
    let lab = Lab::light();
    lab.file("bad.yaml", text);
    for command in ["validate", "apply", "up"] {
        lab.run([command, "-f", "bad.yaml"]).failed(2, words);
    }
    assert!(!lab.state().exists(), "a refused file leaves nothing behind");
}

#[test]
fn broken_yaml_is_refused_with_its_line() {
    refused("apiVersion: redoubt.dev/v1\nkind: [\n", &["error: bad.yaml:2:", "YAML"]);
}

#[test]
fn an_unknown_field_is_named_with_the_nearest_one() {
    refused(&redis("cart", "  replcas: 3\n"), &["bad.yaml:7:", "spec.replcas", "hint: ", "replicas"]);
}

#[test]
fn a_wrong_unit_is_named_with_its_field() {
    let text = redis("cart", "  sentinel:\n    downAfter: 5 parsecs\n");
    refused(&text, &["bad.yaml:8:", "spec.sentinel.downAfter"]);
}

#[test]
fn no_replicas_are_refused() {
    refused(&redis("cart", "  replicas: 0\n"), &["bad.yaml:7:", "spec.replicas"]);
}

#[test]
fn a_quorum_above_the_number_of_sentinels_is_refused() {
    let text = redis("cart", "  sentinel: {replicas: 3, quorum: 4}\n");
    refused(&text, &["bad.yaml:7:", "spec.sentinel.quorum"]);
}

#[test]
fn a_name_that_is_no_dns_label_is_refused() {
    refused(&redis("Cart_1", ""), &["bad.yaml:4:", "metadata.name"]);
}

#[test]
fn two_resources_of_one_name_are_refused() {
    let text = format!("{}---\n{}", redis("cart", ""), redis("cart", ""));
    refused(&text, &["metadata.name", "already at bad.yaml:4"]);
}

#[test]
fn a_directive_that_is_ours_is_refused_by_name_and_reason() {
    for directive in ["dir", "port", "replicaof", "requirepass"] {
        let text = redis("cart", &format!("  config:\n    {directive}: x\n"));
        refused(&text, &["bad.yaml:8:", &format!("spec.config.{directive}")]);
    }
}

#[test]
fn a_down_after_below_three_seconds_is_refused_with_the_reason() {
    let text = redis("cart", "  sentinel: {downAfter: 1s}\n");
    refused(&text, &["spec.sentinel.downAfter", "healthy masters were failed over"]);
}

#[test]
fn a_cluster_whose_masters_could_not_vote_or_with_fields_of_another_mode_is_refused() {
    let cluster = |spec: &str| redis("cart", spec).replace("Sentinel", "Cluster");
    refused(&cluster("  shards: 2\n"), &["bad.yaml:7:", "spec.shards", "at least 3", "majority"]);
    refused(&cluster("  replicas: 6\n"), &["bad.yaml:7:", "spec.replicas", "spec.replicasPerShard"]);
    refused(&cluster("  weights: {3: 2}\n"), &["bad.yaml:7:", "spec.weights.3", "there is no shard"]);
    refused(&cluster("  weights: {0: 101}\n"), &["bad.yaml:7:", "spec.weights.0"]);
    refused(&redis("cart", "  shards: 3\n"), &["bad.yaml:7:", "spec.shards", "mode: Cluster"]);
}

#[test]
fn all_faults_are_told_at_once() {
    let text = redis("cart", "  replicas: 0\n  replcas: 3\n  config: {dir: /tmp}\n");
    refused(&text, &["spec.replcas"]);
    let text = redis("cart", "  replicas: 0\n  config: {dir: /tmp}\n");
    refused(&text, &["spec.replicas", "spec.config.dir"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let lab = Lab::light();
    for command in ["validate", "apply", "up"] {
        lab.run([command, "-f", "absent.yaml"]).failed(2, &["error: absent.yaml: ", "hint: "]);
    }
}

#[test]
fn an_empty_file_says_so() {
    let lab = Lab::light();
    lab.file("bad.yaml", "");
    lab.run(["validate", "-f", "bad.yaml"]).failed(2, &["bad.yaml: no resource in it"]);
}

#[test]
fn an_even_number_of_sentinels_is_a_warning() {
    let lab = Lab::light();
    lab.file("even.yaml", &redis("cart", "  sentinel: {replicas: 4}\n"));
    let said = lab.run(["validate", "-f", "even.yaml"]).ok();
    assert!(
        said.err.contains("warning: even.yaml:7:") && said.err.contains("spec.sentinel.replicas"),
        "{}",
        said.err
    );
}

#[test]
fn programs_read_faults_as_json() {
    let lab = Lab::light();
    lab.file("bad.yaml", &redis("cart", "  replicas: 0\n"));
    let said = lab.run(["validate", "-f", "bad.yaml", "-o", "json"]).failed(2, &[]);
    let fault = &said.json()["faults"][0];
    assert_eq!(
        (&fault["file"], &fault["line"], &fault["path"]),
        (&"bad.yaml".into(), &7.into(), &"spec.replicas".into())
    );
}

#[test]
fn a_wrong_word_on_the_command_line_is_answered_with_the_right_ones() {
    let lab = Lab::light();
    lab.run(["drill", "cart", "kill-mster"]).failed(2, &["kill-master"]);
    lab.run(["statsu"]).failed(2, &["status"]);
    lab.run(["up", "--detch"]).failed(2, &["--detach"]);
}

#[test]
fn without_a_state_folder_every_command_says_how_to_begin() {
    let lab = Lab::light();
    for command in
        [&["status"][..], &["status", "cart"], &["connection", "cart"], &["logs", "cart-0"], &["down"]]
    {
        lab.run(command).failed(3, &["error: there is no state folder", "hint: ", "redoubt up -f FILE"]);
    }
}
