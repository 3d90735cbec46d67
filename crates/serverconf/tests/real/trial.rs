//! A configuration is tried on a throw-away server, which leaves nothing behind.

use std::path::Path;

use crate::{binary, set};
use redoubt_serverconf::{NodeLaunch, Start, TrialError, check, check_sentinel, defaults, node_conf, sweep};
use redoubt_wire::config::{SetConfig, Topology};

fn set() -> SetConfig {
    set::set_at("127.0.0", 3, 3)
}

fn conf(directives: &[(&str, &str)]) -> String {
    let mut set = set();
    set.directives =
        directives.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let launch = NodeLaunch {
        bind: "127.0.0.1".to_owned(),
        data_dir: "/nowhere/at all".into(),
        start: Start::ReplicaOf(set.nodes[1].server.clone()),
        aof_in_file: true,
        min_replicas_to_write: 1,
    };
    node_conf(&set, &set.nodes[0], &set::secrets(), &launch)
}

async fn checked(directives: &[(&str, &str)]) -> Result<(), TrialError> {
    let scratch = tempfile::tempdir().unwrap();
    let checked = check(&binary(), &conf(directives), scratch.path()).await;
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "the trial leaves nothing behind");
    checked
}

#[tokio::test]
async fn what_the_server_takes_passes() {
    checked(&[]).await.unwrap();
    checked(&[
        ("maxmemory", "100mb"),
        ("maxmemory-policy", "allkeys-lru"),
        ("client-output-buffer-limit", "normal 0 0 0 replica 512mb 128mb 60"),
        ("notify-keyspace-events", ""),
        ("loglevel", "warning"),
        ("io-threads", "2"),
        ("databases", "3"),
    ])
    .await
    .unwrap();
}

#[tokio::test]
async fn what_the_server_refuses_is_named() {
    for (name, value) in [
        ("maxmemory", "a lot"),
        ("maxmemory-policy", "best"),
        ("no-such-directive", "1"),
        ("hz", "often"),
        ("loglevel", "loud"),
        ("maxmemory", "\"100mb"),
        ("client-output-buffer-limit", "normal 0 0"),
    ] {
        match checked(&[("hz", "20"), (name, value)]).await {
            Err(TrialError::Refused(refusal)) => {
                assert_eq!(refusal.directive.as_deref(), Some(name), "{refusal}");
                assert!(!refusal.message.is_empty(), "{refusal}");
            }
            other => panic!("{name} {value}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn directives_of_a_sentinel_are_tried_on_a_sentinel() {
    let scratch = tempfile::tempdir().unwrap();
    let with = |name: &str, value: &str| {
        let mut set = set();
        if let Topology::Sentinel(config) = &mut set.topology {
            config.directives.insert(name.to_owned(), value.to_owned());
        }
        set
    };
    check_sentinel(&binary(), &with("loglevel", "debug"), scratch.path()).await.unwrap();
    check_sentinel(&binary(), &with("notification-script", "/bin/true"), scratch.path()).await.unwrap();
    // (A directive that nobody knows is refused as well, but by the Sentinels of Redis 8.)
    for name in ["notification-script", "maxclients"] {
        match check_sentinel(&binary(), &with(name, "/no/such/file"), scratch.path()).await {
            Err(TrialError::Refused(refusal)) => {
                assert_eq!(refusal.directive.as_deref(), Some(name), "{refusal}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_defaults_are_the_servers_own() {
    let scratch = tempfile::tempdir().unwrap();
    let found =
        defaults(&binary(), &["maxmemory-policy", "hz", "no-such-directive"], scratch.path()).await.unwrap();
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        [("hz".to_owned(), "10".to_owned()), ("maxmemory-policy".to_owned(), "noeviction".to_owned())]
    );
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_long_path_a_missing_binary_and_a_missing_folder_are_told_apart() {
    let scratch = tempfile::tempdir().unwrap();
    let deep = scratch.path().join("long".repeat(40));
    std::fs::create_dir(&deep).unwrap();
    assert_eq!(defaults(&binary(), &["hz"], &deep).await.unwrap()["hz"], "10");
    let error = check(Path::new("/no/such/server"), "", scratch.path()).await.unwrap_err();
    assert!(matches!(error, TrialError::Start { .. }), "{error}");
    std::fs::write(scratch.path().join("file"), "").unwrap();
    let error = check(&binary(), "", &scratch.path().join("file")).await.unwrap_err();
    assert!(matches!(error, TrialError::Folder { .. }), "{error}");
}

#[tokio::test]
async fn what_a_killed_process_left_behind_is_swept() {
    let scratch = tempfile::tempdir().unwrap();
    let left = scratch.path().join("trial-1-0");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("conf"), "port 0\nunixsocket s\nuser redoubt-trial on nopass +@all\n").unwrap();
    let mut server = std::process::Command::new(binary())
        .arg("conf")
        .current_dir(&left)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    crate::server::until("its socket", async || left.join("s").exists()).await;
    std::fs::write(scratch.path().join("other"), "").unwrap();
    sweep(scratch.path()).await;
    assert!(server.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1, "only what is not ours stays");
    sweep(Path::new("/no/such/folder")).await;
}
