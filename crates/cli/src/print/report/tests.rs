use std::collections::BTreeMap;

use redoubt_api::RedisStatus;

use super::*;
use crate::report::{Engine, Live};

pub(crate) fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn condition(kind: ConditionType, status: ConditionStatus, reason: &str, message: &str) -> Condition {
    Condition {
        kind,
        status,
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: now(),
    }
}

fn node(name: &str, role: Option<Role>, ready: bool, state: &str) -> NodeStatus {
    NodeStatus {
        name: name.to_owned(),
        address: format!("127.7.0.{}:6379", name.chars().last().unwrap()),
        role,
        ready,
        state: state.to_owned(),
    }
}

/// Two nodes, one of which is being restarted, and a Sentinel.
pub(crate) fn report() -> Report {
    let conditions = vec![
        condition(
            ConditionType::Ready,
            ConditionStatus::False,
            "NodeDown",
            "cart-1 is starting; nothing to do",
        ),
        condition(ConditionType::Available, ConditionStatus::True, "MasterServes", "cart-0 takes writes"),
        condition(
            ConditionType::Degraded,
            ConditionStatus::True,
            "ReplicaMissing",
            "1 of 2 nodes is in sync",
        ),
    ];
    let status = RedisStatus {
        conditions,
        master: Some("cart-0".to_owned()),
        nodes: vec![
            node("cart-0", Some(Role::Master), true, "running"),
            node("cart-1", None, false, "starting"),
        ],
        sentinels: vec![SentinelStatus {
            name: "cart-sentinel-0".to_owned(),
            address: "127.7.1.0:26379".to_owned(),
            master: Some("127.7.0.0:6379".to_owned()),
            ready: true,
            state: "running".to_owned(),
        }],
        last_failover: Some(LastFailover {
            id: "0123456789ab".to_owned(),
            cause: "crash".to_owned(),
            old_master: Some("cart-1".to_owned()),
            new_master: Some("cart-0".to_owned()),
            epoch: Some(3),
            votes: vec!["cart-sentinel-0".to_owned()],
            bytes_behind: Some(0),
            started_at: "2026-11-21T11:58:00Z".parse().unwrap(),
            duration_ms: 12,
            outcome: "Done".to_owned(),
            steps: Vec::new(),
        }),
        events: vec![Event {
            at: "2026-11-21T11:59:55Z".parse().unwrap(),
            source: "cart-1".to_owned(),
            reason: "ServerExited".to_owned(),
            message: "killed by signal 9".to_owned(),
            warning: true,
        }],
        ..RedisStatus::default()
    };
    let figures = LiveNode {
        reachable: true,
        offset: Some(1234),
        memory_bytes: Some(1_572_864),
        ..LiveNode::default()
    };
    Report {
        name: "cart".to_owned(),
        namespace: "default".to_owned(),
        generation: None,
        engine: Some(Engine { running: true, pid: Some(7) }),
        status,
        live: Live { nodes: BTreeMap::from([("cart-0".to_owned(), figures)]), ..Live::default() },
        contradicted: None,
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn what_is_wrong_stands_at_the_top_and_what_is_well_takes_no_room() {
    insta::assert_snapshot!(plain(&text(&report(), now(), false)), @r"
    cart  Degraded  2 nodes, 1 Sentinel
      not Ready (NodeDown): cart-1 is starting; nothing to do
      Degraded (ReplicaMissing): 1 of 2 nodes is in sync

    NODE    ROLE     STATE     ADDRESS         OFFSET  LAG  LINK  MEMORY
    cart-0  master   running   127.7.0.0:6379  1234    -    -     1.5 MiB
    cart-1  unknown  starting  127.7.0.1:6379  -       -    -     -

    SENTINEL         STATE    ADDRESS          NAMES AS MASTER
    cart-sentinel-0  running  127.7.1.0:26379  cart-0

    Last failover  cart-1 -> cart-0 (crash), 12 ms, 0 B behind, 2 min ago (id 0123456789ab)

    WHEN     WHERE   EVENT         MESSAGE
    5 s ago  cart-1  ServerExited  killed by signal 9
    ");
}

#[test]
fn a_set_that_nobody_watches_says_so() {
    let mut report = report();
    report.engine = Some(Engine { running: false, pid: None });
    assert!(plain(&text(&report, now(), false)).contains("nobody watches it"));
}

#[test]
fn a_list_names_the_worst_trouble_of_each() {
    insta::assert_snapshot!(plain(&list(&[report()])), @r"
    NAME  STATUS    MASTER  NODES  SENTINELS  MESSAGE
    cart  Degraded  cart-0  1/2    1/1        1 of 2 nodes is in sync
    ");
}

#[test]
fn json_is_the_status_with_live_figures_beside_it() {
    let json = serde_json::to_value(report()).unwrap();
    assert_eq!(json["conditions"][0]["type"], "Ready");
    assert_eq!(json["nodes"][0]["role"], "master");
    assert_eq!(json["nodes"][0]["address"], "127.7.0.0:6379");
    assert_eq!(json["sentinels"][0]["name"], "cart-sentinel-0");
    assert_eq!(json["master"], "cart-0");
    assert_eq!(json["lastFailover"]["id"], "0123456789ab");
    assert_eq!(json["events"][0]["reason"], "ServerExited");
    assert_eq!(json["live"]["nodes"]["cart-0"]["offset"], 1234);
}

#[test]
fn the_verdict_names_the_worst() {
    use ConditionStatus::{False, True};
    use ConditionType::{Available, Degraded, Progressing, Ready};
    let verdict_of = |conditions: &[(ConditionType, ConditionStatus)]| {
        let conditions: Vec<_> =
            conditions.iter().map(|(kind, status)| condition(*kind, *status, "", "")).collect();
        verdict(&conditions).0
    };
    assert_eq!(verdict_of(&[]), "Unknown");
    assert_eq!(verdict_of(&[(Ready, True), (Progressing, True)]), "Ready");
    assert_eq!(verdict_of(&[(Ready, False), (Degraded, True), (Available, False)]), "Unavailable");
    assert_eq!(verdict_of(&[(Ready, False), (Progressing, True), (Degraded, True)]), "Degraded");
    assert_eq!(verdict_of(&[(Ready, False), (Progressing, True)]), "Progressing");
    assert_eq!(verdict_of(&[(Ready, False)]), "NotReady");
}
