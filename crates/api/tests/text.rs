//! What a file says, and what people are told about one that cannot be read.

use proptest::prelude::*;
use redoubt_api::{Batch, Source, parse, read};

fn batch(text: &str) -> Batch {
    read(&[Source { file: "cart.yaml", text }])
}

fn told(text: &str) -> Vec<String> {
    batch(text).faults.iter().map(ToString::to_string).collect()
}

const HEAD: &str = "apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata:\n  name: cart\n";

/// Lines after [`HEAD`] (which has four), and all that is said about them.
const MALFORMED: [(&str, &[&str]); 18] = [
    (
        "spec:\n  replica: 3\n",
        &["cart.yaml:6:3: spec.replica: is not a field that is known; did you mean replicas?"],
    ),
    ("spek: {}\n", &["cart.yaml:5:1: spek: is not a field that is known; did you mean spec?"]),
    (
        "spec:\n  sentinel:\n    downAfter: 5\n",
        &["cart.yaml:7:5: spec.sentinel.downAfter: \"5\" is not a duration; it has no unit: write 5s or 5ms"],
    ),
    (
        "spec: {sentinel: {downAfter: 5 s}}\n",
        &[
            "cart.yaml:5:19: spec.sentinel.downAfter: \"5 s\" is not a duration; write whole numbers with a unit: 500ms, 5s, 2m, 1h",
        ],
    ),
    (
        "spec: {durability: {recoveryDeadline: always}}\n",
        &[
            "cart.yaml:5:21: spec.durability.recoveryDeadline: \"always\" is not a duration; write whole numbers with a unit: 500ms, 5s, 2m, 1h, or never",
        ],
    ),
    (
        "spec: {persistence: {volume: {size: 10GB}}}\n",
        &[
            "cart.yaml:5:31: spec.persistence.volume.size: \"10GB\" is not a quantity; write 10Gi (powers of 1024) or 10G (powers of 1000)",
        ],
    ),
    (
        "spec: {replicas: three}\n",
        &["cart.yaml:5:8: spec.replicas: must be a whole number, not text; write a whole number"],
    ),
    (
        "spec: {replicas: \"3\"}\n",
        &["cart.yaml:5:8: spec.replicas: must be a whole number, not text; write 3 without quotes"],
    ),
    ("spec: {replicas: -1}\n", &["cart.yaml:5:8: spec.replicas: must be a whole number from 0 on, not -1"]),
    ("spec: {replicas: 2.5}\n", &["cart.yaml:5:8: spec.replicas: must be a whole number from 0 on, not 2.5"]),
    (
        "spec: {mode: sentinel}\n",
        &[
            "cart.yaml:5:8: spec.mode: must be one of Standalone, Sentinel or Cluster, not \"sentinel\"; did you mean Sentinel?",
        ],
    ),
    (
        "spec: {config: [a]}\n",
        &["cart.yaml:5:8: spec.config: must be a group of fields, not a list; write a group of fields"],
    ),
    ("spec: [a\n", &["cart.yaml:5:7: this is not YAML: unclosed bracket '['"]),
    (
        "  x: y\n",
        &[
            "cart.yaml:5:3: metadata.x: is not a field that is known; known here: name, namespace, labels, annotations, generation, uid, resourceVersion, creationTimestamp",
        ],
    ),
    (
        "spec:\n  replicas: 3\n  replicas: 5\n",
        &["cart.yaml:7:3: spec.replicas: is there twice; remove one of them"],
    ),
    (
        "spec:\n  replicas: 0\n  replica: 5\n  replicas: 5\n",
        &[
            "cart.yaml:6:3: spec.replicas: must be at least 1, not 0; to remove a Redis, delete the resource",
            "cart.yaml:7:3: spec.replica: is not a field that is known; did you mean replicas?",
            "cart.yaml:8:3: spec.replicas: is there twice; remove one of them",
        ],
    ),
    (
        "  labels: {version: 7}\n",
        &["cart.yaml:5:12: metadata.labels.version: must be text, not a number; write it in quotes: \"7\""],
    ),
    (
        "spec: {sentinel: {replicas: x, quorum: 9}, config: {port: 1}}\n",
        &[
            "cart.yaml:5:19: spec.sentinel.replicas: must be a whole number, not text; write a whole number",
            "cart.yaml:5:53: spec.config.port: port is set by Redoubt: Redoubt decides where a node listens; remove it",
        ],
    ),
];

#[test]
fn a_malformed_document_is_told_by_file_line_column_and_field() {
    for (text, expected) in MALFORMED {
        assert_eq!(told(&format!("{HEAD}{text}")), expected, "{text}");
    }
}

/// Whole documents that are not the resource they should be.
const STRANGE: [(&str, &str); 9] = [
    (
        "- a\n",
        "cart.yaml:1:1: this document is not a resource; a file may hold Redis (redoubt.dev/v1), RedisFailover (databases.spotahome.com/v1), Secret (v1)",
    ),
    (
        "just words\n",
        "cart.yaml:1:1: this document is not a resource; a file may hold Redis (redoubt.dev/v1), RedisFailover (databases.spotahome.com/v1), Secret (v1)",
    ),
    ("apiVersion: redoubt.dev/v1\n", "cart.yaml:1:1: kind: is missing; write kind: Redis"),
    ("kind: Redis\n", "cart.yaml:1:1: apiVersion: is missing; write apiVersion: redoubt.dev/v1"),
    (
        "kind: Redis\napiVersion: redoubt.dev/v2\n",
        "cart.yaml:2:1: apiVersion: \"redoubt.dev/v2\" is not a version of Redis that is known; write apiVersion: redoubt.dev/v1",
    ),
    (
        "kind: redis\napiVersion: redoubt.dev/v1\n",
        "cart.yaml:1:1: kind: \"redis\" is not a kind that is known; did you mean Redis?",
    ),
    (
        "kind: Deployment\napiVersion: apps/v1\n",
        "cart.yaml:1:1: kind: Deployment (apps/v1) is not a kind that is known; a file may hold Redis (redoubt.dev/v1), RedisFailover (databases.spotahome.com/v1), Secret (v1)",
    ),
    ("kind: Redis\napiVersion: redoubt.dev/v1\n", "cart.yaml:1:1: metadata: is missing"),
    ("kind: Redis\napiVersion: redoubt.dev/v1\nmetadata: {}\n", "cart.yaml:3:1: metadata.name: is missing"),
];

#[test]
fn a_document_of_another_kind_is_named_as_such() {
    for (text, expected) in STRANGE {
        assert_eq!(told(text), [expected], "{text}");
    }
}

#[test]
fn each_item_of_a_list_is_judged_for_itself() {
    let item = |name: &str, spec: &str| {
        format!(
            "- apiVersion: redoubt.dev/v1\n  kind: Redis\n  metadata: {{name: {name}}}\n  spec: {{{spec}}}\n"
        )
    };
    let items = item("a", "") + &item("b", "replcas: 3") + &item("c", "");
    let text = format!("apiVersion: v1\nkind: List\nitems:\n{items}");
    let batch = read(&[Source { file: "list.yaml", text: &text }]);
    let names: Vec<_> = batch.accepted.iter().map(|accepted| accepted.checked.key.name.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    let [fault] = &batch.faults[..] else { panic!("{:?}", batch.faults) };
    assert!(fault.to_string().starts_with("list.yaml:11:10: spec.replcas: "), "{fault}");
}

#[test]
fn a_key_that_is_twice_in_a_list_hides_none_of_its_items() {
    let text = "apiVersion: v1\nkind: List\nkind: List\nitems:\n- {apiVersion: redoubt.dev/v1, kind: Redis, metadata: {name: a}}\n";
    let batch = read(&[Source { file: "list.yaml", text }]);
    assert_eq!(batch.accepted.len(), 1);
    assert_eq!(batch.faults[0].to_string(), "list.yaml:3:1: kind: is there twice; remove one of them");
}

#[test]
fn a_malformed_document_never_hides_the_others() {
    let good = |name: &str| format!("apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {{name: {name}}}\n");
    for broken in ["a: [\n", "\"\n", "}\n", "\t- x\n", "a: b: c\n", "&a *a\n", "!!int x\n", "? {\n"] {
        let batch = batch(&format!("{}---\n{broken}---\n{}", good("one"), good("two")));
        let names: Vec<_> =
            batch.accepted.iter().map(|accepted| accepted.checked.key.name.as_str()).collect();
        assert_eq!(names, ["one", "two"], "{broken:?}");
        assert_eq!(batch.faults.len(), 1, "{broken:?}");
        assert!(
            (4..=6).contains(&batch.faults[0].place.as_ref().unwrap().line),
            "{broken:?}: {}",
            batch.faults[0]
        );
    }
}

#[test]
fn two_resources_never_share_a_name() {
    let files = [("a.yaml", HEAD), ("b.yaml", HEAD)].map(|(file, text)| Source { file, text });
    let batch = read(&files);
    let faults: Vec<_> = batch.faults.iter().map(ToString::to_string).collect();
    let expected = "b.yaml:4:3: metadata.name: there is a Redis \"cart\" in namespace \"default\" already at a.yaml:4; give one of them another name";
    assert_eq!(faults, [expected]);
    assert_eq!(batch.accepted.len(), 1, "the first one counts");
    let elsewhere = HEAD.replace("  name: cart", "  name: cart\n  namespace: shop");
    let both = read(&[files[0], Source { file: "b.yaml", text: &elsewhere }]);
    assert_eq!((both.accepted.len(), both.faults.len()), (2, 0));
}

#[test]
fn a_status_in_a_file_is_passed_over() {
    let batch = batch(&format!("{HEAD}status: {{master: [1, 2], conditions: nonsense}}\n"));
    assert_eq!(batch.faults, []);
    assert_eq!(batch.accepted[0].redis.status, None);
}

/// A Secret, and what is said about it.
const SECRETS: [(&str, &[&str]); 6] = [
    ("stringData: {password: correct-horse}", &[]),
    ("data: {password: Y29ycmVjdC1ob3JzZQ==}", &[]),
    (
        "data: {password: correct-horse}",
        &[
            "cart.yaml:4:8: data.password: is not text in base64; encode it, or put it under stringData as it is",
        ],
    ),
    (
        "data: {password: Y29ycmVjdC1ob3JzZQo=}",
        &[
            "cart.yaml:4:8: data.password: contains a blank, a line end or a control character; remove blanks and line ends: echo adds one, echo -n does not",
        ],
    ),
    (
        "stringData: {password: short}",
        &[
            "cart.yaml:4:14: stringData.password: is shorter than 8 characters; use letters and digits, as from: openssl rand -hex 24",
        ],
    ),
    (
        "stringData: {pasword: correct-horse}",
        &["cart.yaml:4:1: stringData: there is no key \"password\"; add stringData: {password: …}"],
    ),
];

#[test]
fn a_secret_holds_a_password_that_servers_can_carry() {
    for (data, expected) in SECRETS {
        let batch = batch(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: cart-auth}}\n{data}\n"));
        let faults: Vec<_> = batch.faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults, expected, "{data}");
        assert_eq!(
            batch.secrets.first().map(|secret| secret.password.as_str()),
            expected.is_empty().then_some("correct-horse")
        );
        assert!(!format!("{batch:?}").contains("correct-horse"), "passwords are not for logs");
    }
}

/// Lines as people and their editors produce them, so that arbitrary files come near to real ones.
fn line() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "---",
        "spec:",
        "replicas: 3",
        "kind: Redis",
        "apiVersion: redoubt.dev/v1",
        "metadata:",
        "name: cart",
        "- a",
        "&a",
        "*a",
        "<<: *a",
        "? x",
        ": y",
        "|",
        ">",
        "{",
        "}",
        "[",
        "\"",
        "'",
        "!!str",
        "#",
        "\t",
        "~",
        "config:",
        "%TAG",
    ]);
    (0_usize..6, prop::collection::vec(word, 0..4))
        .prop_map(|(indent, words)| " ".repeat(indent) + &words.join(" "))
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = batch(&text);
    }

    #[test]
    fn text_that_resembles_a_resource_is_accepted_for_good_or_refused_with_a_place(
        lines in prop::collection::vec(line(), 0..12),
    ) {
        let batch = batch(&(HEAD.to_owned() + &lines.join("\n")));
        prop_assert!(batch.faults.iter().all(|fault| fault.place.is_some()));
        for accepted in batch.accepted {
            let stored = accepted.redis.to_yaml().unwrap();
            let again = read(&[Source { file: "stored.yaml", text: &stored }]);
            prop_assert_eq!(again.accepted, [accepted]);
        }
    }

    #[test]
    fn a_resource_cut_off_anywhere_never_panics(end in 0_usize..HEAD.len()) {
        for result in parse(&HEAD[..end], "cart.yaml") {
            prop_assert!(result.is_ok() || result.is_err_and(|faults| !faults.is_empty()));
        }
    }

    #[test]
    fn nesting_without_end_is_refused(depth in 33_usize..5_000, open in "[\\[{]") {
        prop_assert!(!told(&open.repeat(depth)).is_empty());
    }
}
