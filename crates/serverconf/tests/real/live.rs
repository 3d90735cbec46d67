//! Changes reach a running server, all or none.

use std::collections::BTreeMap;

use crate::{binary, net, set, whole::Whole};
use redoubt_redis::Connection;
use redoubt_serverconf::{ApplyError, Change, Login, apply_access, apply_live, defaults, plan_live, removed};
use redoubt_wire::{config::SetConfig, secrets::Password};

fn with(set: &SetConfig, directives: &[(&str, &str)]) -> SetConfig {
    let directives = directives.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    SetConfig { directives: directives.collect(), ..set.clone() }
}

async fn shown(agent: &mut Connection, name: &str) -> String {
    agent.config_get(name).await.unwrap().remove(name).unwrap()
}

#[tokio::test]
async fn a_value_is_set_and_its_removal_brings_the_default_back() {
    let base = set::set_at(&net(), 1, 0);
    let scratch = tempfile::tempdir().unwrap();
    let whole = Whole::start(base.clone(), set::secrets()).await;
    let mut agent = whole.agent(&whole.nodes[0]).await;
    let given = with(
        &base,
        &[
            ("maxmemory", "100mb"),
            ("maxmemory-policy", "allkeys-lru"),
            ("client-output-buffer-limit", "replica 512mb 128mb 60"),
            ("notify-keyspace-events", "Ex"),
            ("hz", "50"),
            ("repl-backlog-size", "32mb"),
            ("databases", "4"),
        ],
    );
    let untouched = agent.config_get("*").await.unwrap();

    let plan = plan_live(&untouched, &base, &given, &BTreeMap::new());
    assert_eq!(apply_live(&mut agent, &plan).await.unwrap(), ["databases"], "that one takes a restart");
    assert_eq!(shown(&mut agent, "maxmemory").await, "104857600");
    assert_eq!(shown(&mut agent, "hz").await, "50");
    let running = agent.config_get("*").await.unwrap();
    let again = plan_live(&running, &base, &given, &BTreeMap::new());
    assert!(matches!(&again[..], [Change::Set { name, .. }] if name == "databases"), "{again:?}");

    let back = defaults(&binary(), &removed(&given, &base), scratch.path()).await.unwrap();
    let plan = plan_live(&running, &given, &base, &back);
    assert!(apply_live(&mut agent, &plan).await.unwrap().is_empty());
    assert_eq!(agent.config_get("*").await.unwrap(), untouched);
}

#[tokio::test]
async fn a_refused_value_changes_nothing_and_is_named() {
    let base = set::set_at(&net(), 1, 0);
    let whole = Whole::start(base.clone(), set::secrets()).await;
    let mut agent = whole.agent(&whole.nodes[0]).await;
    let untouched = agent.config_get("*").await.unwrap();
    let given =
        with(&base, &[("hz", "50"), ("maxmemory", "100mb"), ("maxmemory-policy", "best"), ("timeout", "9")]);
    let plan = plan_live(&untouched, &base, &given, &BTreeMap::new());
    match apply_live(&mut agent, &plan).await.unwrap_err() {
        ApplyError::Refused { directive, message, left } => {
            assert_eq!(directive, "maxmemory-policy");
            assert!(!message.is_empty() && !message.contains("possibly related"), "{message}");
            assert!(left.0.is_empty(), "{left:?}");
        }
        lost @ ApplyError::Lost(_) => panic!("{lost}"),
    }
    assert_eq!(agent.config_get("*").await.unwrap(), untouched);
}

#[tokio::test]
async fn a_server_started_with_a_configuration_needs_no_change_for_it() {
    let mut given = with(
        &set::set_at(&net(), 1, 0),
        &[
            ("client-output-buffer-limit", "normal 0 0 0 replica 512mb 128mb 60"),
            ("maxmemory", "1gb"),
            ("maxmemory-policy", "Allkeys-LRU"),
            ("notify-keyspace-events", "KEA"),
            ("oom-score-adj-values", "0 200 800"),
            ("hash-max-ziplist-value", "32"),
            ("latency-monitor-threshold", "25"),
            ("lazyfree-lazy-eviction", "YES"),
        ],
    );
    given.persistence.rdb_save = "900 1 60 1000".to_owned();
    let whole = Whole::start(given.clone(), set::secrets()).await;
    let running = whole.agent(&whole.nodes[0]).await.config_get("*").await.unwrap();
    assert_eq!(plan_live(&running, &given, &given, &BTreeMap::new()), []);
}

#[tokio::test]
async fn rights_and_passwords_are_changed_while_it_runs() {
    let whole = Whole::start(set::set_at(&net(), 1, 0), set::secrets()).await;
    let node = &whole.nodes[0];
    let mut agent = whole.agent(node).await;
    let before = (&whole.set, &whole.secrets);
    let mut set = whole.set.clone();
    set.access.admin_commands = true;
    let mut secrets = whole.secrets.clone();
    secrets.application = Password::new("another").unwrap();
    secrets.replication = Password::new("next").unwrap();
    let mut application = whole.application(node).await;

    apply_access(&mut agent, before, (&set, &secrets), Login::Set).await.unwrap();
    apply_access(&mut agent, before, (&set, &secrets), Login::Set).await.unwrap();
    assert_eq!(shown(&mut agent, "masterauth").await, "next");
    application.call(&["CONFIG", "SET", "hz", "11"]).await.unwrap();
    node.connect(None, "another").await.call(&["ACL", "LIST"]).await.unwrap();
    let credentials = redoubt_redis::Credentials { user: None, password: "password".into() };
    let old = redoubt_redis::Connector::new(Some(credentials), crate::server::PATIENCE);
    assert!(old.connect(&node.endpoint).await.is_err(), "the old password is gone");
}
