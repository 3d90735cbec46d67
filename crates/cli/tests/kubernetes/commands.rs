//! The commands of one machine, against a cluster: all by way of the API server.

use std::{env, os::unix::fs::symlink, process::Command};

use crate::cluster::{Namespace, Said, said, wait};

const CART: &str = include_str!("../../../../examples/cart.yaml");

fn cart(test: &str) -> Option<Namespace> {
    let namespace = Namespace::new(test)?;
    namespace.apply(CART).unwrap();
    namespace.ready("cart");
    Some(namespace)
}

#[test]
fn every_command_of_one_machine_works_in_a_cluster() {
    let Some(namespace) = cart("every_command_of_one_machine_works_in_a_cluster") else { return };

    let status = namespace.redoubt(&["status", "cart", "-o", "json", "--ready"]);
    let seen = status.json();
    assert_eq!((status.code, &seen["namespace"]), (Some(0), &namespace.name.clone().into()), "{status:#?}");
    for member in ["cart-0", "cart-1", "cart-2"] {
        assert_eq!(seen["live"]["nodes"][member]["reachable"], true, "{seen:#}");
    }
    assert_eq!(seen["live"]["sentinels"]["cart-sentinel-2"]["quorum"], true, "{seen:#}");
    let text = namespace.redoubt(&["status", "cart"]).well();
    assert!(text.contains("Ready") && text.contains("cart-2"), "{text}");
    let list = namespace.redoubt(&["status"]).well();
    assert!(list.lines().any(|line| line.starts_with("cart") && line.contains("Ready")), "{list}");

    let said = namespace.redoubt(&["cli", "cart", "--", "SET", "greeting", "hello"]).well();
    assert_eq!(said.trim(), "OK");
    let refused = namespace.redoubt(&["cli", "cart", "--", "-e", "NOSUCHCOMMAND"]);
    assert_eq!(refused.code, Some(1), "redis-cli's own code: {refused:#?}");

    let before = namespace.master("cart").unwrap();
    let moved = namespace.redoubt(&["switchover", "cart", "-o", "json"]).json();
    assert_eq!(
        (&moved["cause"], &moved["outcome"]["result"]),
        (&"switchover".into(), &"done".into()),
        "{moved:#}"
    );
    wait("the status follows", || match namespace.master("cart") {
        Some(after) if after != before => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(namespace.redoubt(&["cli", "cart", "--", "GET", "greeting"]).well().trim(), "hello");

    let log = namespace.redoubt(&["logs", &before]).well();
    assert!(log.lines().count() > 3 && log.contains("\"MasterChanged\""), "{log}");
    let log = namespace.redoubt(&["logs", "cart-sentinel-0", "-o", "text"]).well();
    assert!(log.contains("INFO") && !log.contains("{\""), "{log}");
}

/// What is shown is what an application in the cluster pastes.
#[test]
fn a_connection_is_that_of_an_application_in_the_cluster() {
    let Some(namespace) = cart("a_connection_is_that_of_an_application_in_the_cluster") else { return };
    let seen = namespace.redoubt(&["connection", "cart", "-o", "json"]).json();
    let within = |service: &str| format!("{service}.{}.svc", namespace.name);
    assert_eq!(seen["master"], format!("{}:6379", within("cart-master")));
    assert_eq!(seen["replicas"][0], format!("{}:6379", within("cart-replicas")));
    assert_eq!(seen["sentinels"][2], format!("{}:26379", within("cart-sentinel-2")));
    assert_eq!((&seen["masterName"], &seen["password"]), (&"mymaster".into(), &serde_json::Value::Null));

    let url = namespace.redoubt(&["connection", "cart", "-o", "url", "--show-password"]).well();
    let pinged = namespace.shell("cart-sentinel-0", &format!("redis-cli -u {} PING\n", url.trim())).unwrap();
    assert!(pinged.ends_with("PONG"), "{pinged}");
}

#[test]
fn kubectl_finds_it_as_a_plugin_and_it_leaves_this_machine_alone() {
    let Some(namespace) = cart("kubectl_finds_it_as_a_plugin_and_it_leaves_this_machine_alone") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    symlink(env!("CARGO_BIN_EXE_redoubt"), folder.path().join("kubectl-redoubt")).unwrap();
    let path = format!("{}:{}", folder.path().display(), env::var("PATH").unwrap());
    let kubectl = |args: &[&str]| -> Said {
        said(Command::new("kubectl").arg("redoubt").args(args).env("PATH", &path).current_dir(folder.path()))
    };
    let status = kubectl(&["status", "cart", "-n", &namespace.name]).well();
    assert!(status.contains("Ready"), "{status}");
    let refused = kubectl(&["down"]);
    assert!(refused.code == Some(2) && refused.err.contains("looks at clusters"), "{refused:#?}");
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let Some(namespace) = cart("what_is_not_there_is_named_with_what_is") else { return };
    for (args, code, words) in [
        (&["status", "crat"][..], 3, "did you mean \"cart\"?"),
        (&["connection", "zzz"], 3, "there is cart"),
        (&["logs", "cart-9"], 3, "did you mean \"cart-"),
        (&["switchover", "cart", "--to", "cart-7"], 3, "did you mean \"cart-"),
        (&["status", "--context", "nobody"], 2, "--context"),
        (&["status", "--kubeconfig", "/nobody"], 2, "/nobody"),
    ] {
        let refused = namespace.redoubt(args);
        assert!(refused.code == Some(code) && refused.err.contains(words), "{args:?}: {refused:#?}");
    }
    let empty = Namespace::new("what_is_not_there_is_named_with_what_is").unwrap();
    let said = empty.redoubt(&["status"]);
    assert!(said.code == Some(0) && said.err.contains("kubectl apply -f FILE"), "{said:#?}");
}
