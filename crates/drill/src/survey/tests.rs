use redoubt_wire::state::OnDisk;

use super::{testing::*, *};

/// The troubles when one member says this.
fn troubles(name: &str, role: Option<AgentRole>) -> Vec<String> {
    let mut answers = whole();
    answers.insert(name.to_owned(), role.map(|role| state(name, role)));
    assess(&config(), &answers).troubles
}

#[test]
fn a_set_whose_members_agree_is_whole() {
    let health = assess(&config(), &whole());
    assert_eq!((health.master(), health.is_whole()), (Some("cart-0"), true));
}

#[test]
fn every_kind_of_trouble_is_seen_and_named() {
    let syncing = Replication::Replica { master: server(0), link_up: false, syncing: true };
    let cut = Replication::Replica { master: server(0), link_up: false, syncing: false };
    let starting = AgentRole::Node(NodeState {
        phase: Phase::Starting,
        replication: None,
        ready: false,
        joined: false,
        on_disk: OnDisk::Nothing,
        disk_fault: None,
        cluster: None,
        live: None,
    });
    for (name, role, trouble) in [
        ("cart-1", None, "cart-1: its agent does not answer"),
        ("cart-1", Some(starting), "cart-1: its server is starting"),
        (
            "cart-1",
            Some(node(replica_of(2))),
            "cart-1: follows 127.9.0.2:6379, not the master at 127.9.0.0:6379",
        ),
        ("cart-1", Some(node(syncing)), "cart-1: copies the master's data"),
        ("cart-1", Some(node(cut)), "cart-1: its link to the master is down"),
        ("cart-1", Some(sentinel_naming(0)), "cart-1: a Sentinel answers in its place"),
        ("cart-sentinel-2", None, "cart-sentinel-2: its agent does not answer"),
        (
            "cart-sentinel-2",
            Some(sentinel_naming(1)),
            "cart-sentinel-2: names 127.9.0.1:6379, not the master at 127.9.0.0:6379",
        ),
    ] {
        assert_eq!(troubles(name, role), [trouble]);
    }
}

#[test]
fn two_masters_are_never_a_whole_set() {
    let seen = troubles("cart-1", Some(node(Replication::Master { replicas: vec![] })));
    assert_eq!(seen[0], "2 nodes say that they are master: cart-0, cart-1");
}

#[test]
fn a_server_that_was_started_again_has_another_life() {
    let before = whole();
    let mut after = whole();
    after.get_mut("cart-0").unwrap().as_mut().unwrap().server_pid = Some(101);
    assert_ne!(life(&before, "cart-0"), life(&after, "cart-0"));
    after.get_mut("cart-0").unwrap().as_mut().unwrap().server_pid = None;
    assert_eq!(life(&after, "cart-0"), None);
}
