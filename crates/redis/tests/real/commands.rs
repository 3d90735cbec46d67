//! The commands to data nodes.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use redoubt_redis::{Error, info::NodeRole, rdb::RdbHeader, role::Role};
use tokio::time::{Instant, timeout};

use crate::server::{Server, until};

/// Waits until this replica follows its master.
pub(crate) async fn linked(replica: &Server) {
    until("the replica is linked", async || {
        replica.connect().await.replication().await.unwrap().link_up == Some(true)
    })
    .await;
}

#[tokio::test]
async fn a_replica_follows_is_promoted_and_follows_again() {
    let (master, other) = (Server::start(&["--save", ""]), Server::start(&["--save", ""]));
    let mut connection = other.connect().await;
    connection.replicaof(Some(&master.endpoint)).await.unwrap();
    connection.replicaof(Some(&master.endpoint)).await.unwrap();
    linked(&other).await;
    assert_eq!(connection.role().await.unwrap().master(), Some(&master.endpoint));
    let replicas = master.connect().await.replication().await.unwrap().replicas;
    assert_eq!(replicas[0].endpoint, other.endpoint);

    connection.replicaof(None).await.unwrap();
    let promoted = connection.replication().await.unwrap();
    assert_eq!((promoted.role, connection.role().await.unwrap().is_master()), (NodeRole::Master, true));
    assert!(promoted.master_replid2.is_some());
}

#[tokio::test]
async fn paused_writes_wait_and_go_on() {
    let server = Server::start(&["--save", ""]);
    let (mut agent, mut client) = (server.connect().await, server.connect().await);
    agent.client_pause_write(Duration::from_mins(1)).await.unwrap();
    assert!(client.call(&["GET", "k"]).await.is_ok());
    let mut write = Box::pin(client.call(&["SET", "k", "v"]));
    assert!(timeout(Duration::from_millis(50), &mut write).await.is_err());
    agent.client_unpause().await.unwrap();
    assert!(write.await.is_ok());
}

#[tokio::test]
async fn killed_clients_are_counted_and_the_caller_stays() {
    let server = Server::start(&["--save", ""]);
    let mut agent = server.connect().await;
    let mut client = server.connect().await;
    client.ping().await.unwrap();
    let mut subscription = server.connect().await.subscribe(&["news"]).await.unwrap();
    assert_eq!(agent.client_kill_normal().await, Ok(1));
    assert!(matches!(client.ping().await, Err(Error::Closed { .. })));
    assert_eq!(agent.client_kill_pubsub().await, Ok(1));
    assert!(matches!(subscription.next().await, Err(Error::Closed { .. })));
    agent.ping().await.unwrap();
}

#[tokio::test]
async fn several_directives_are_set_at_once_and_a_bad_one_is_told() {
    let server = Server::start(&["--save", ""]);
    let mut connection = server.connect().await;
    connection.config_set(&[("maxmemory", "100mb"), ("appendfsync", "always")]).await.unwrap();
    assert_eq!(connection.config_get("maxmemory").await.unwrap()["maxmemory"], "104857600");
    let both = connection.config_get("append*").await.unwrap();
    assert_eq!((both["appendfsync"].as_str(), both["appendonly"].as_str()), ("always", "no"));
    connection.config_rewrite().await.unwrap();
    let file = std::fs::read_to_string(server.dir.path().join("redis.conf")).unwrap();
    assert!(file.contains("appendfsync always"), "{file}");

    let refused =
        connection.config_set(&[("maxmemory", "1gb"), ("appendfsync", "perhaps")]).await.unwrap_err();
    assert!(refused.to_string().contains("CONFIG SET"), "{refused}");
}

#[tokio::test]
async fn info_says_who_serves_and_what() {
    let server = Server::start(&["--save", ""]);
    let mut connection = server.connect().await;
    connection.call(&["SET", "k", "v"]).await.unwrap();
    let info = connection.info(Some("all")).await.unwrap();
    assert!(info.version().is_some_and(|version| version.has_redis(6, 2)));
    assert_eq!((info.keys(), connection.dbsize().await.unwrap()), (1, 1));
    assert!(info.section("commandstats").any(|(name, _)| name == "cmdstat_set"));
    assert!(connection.info(None).await.unwrap().section("commandstats").next().is_none());
}

#[tokio::test]
async fn the_file_of_a_master_with_a_replica_names_its_history() {
    let master = Server::start(&["--save", "3600 1", "--repl-diskless-sync-delay", "0"]);
    let file = || RdbHeader::read(File::open(master.dir.path().join("dump.rdb")).unwrap()).unwrap();
    let mut connection = master.connect().await;
    connection.call(&["SAVE"]).await.unwrap();
    assert_eq!(file().repl_id, None);

    let replica = master.replica();
    linked(&replica).await;
    connection.call(&["SET", "k", "v"]).await.unwrap();
    // The child that wrote the replica's copy may still be on its way out.
    until("saved", async || master.connect().await.call(&["SAVE"]).await.is_ok()).await;
    let (header, now) = (file(), connection.replication().await.unwrap());
    assert_eq!(header.repl_id, Some(now.master_replid));
    assert!(header.repl_offset.is_some_and(|offset| offset > 0 && offset <= now.master_repl_offset));
}

#[tokio::test]
async fn a_server_that_shuts_down_answers_by_going_away() {
    let server = Server::start(&["--save", ""]);
    let before = Instant::now();
    server.connect().await.shutdown(false).await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(5));
    until("the server is gone", async || server.try_connect().await.is_err()).await;
}

#[tokio::test]
async fn a_replica_whose_master_is_not_there_says_so() {
    let nobody = crate::server::fresh_endpoint(6379);
    let server = Server::start(&["--save", ""]);
    let mut connection = server.connect().await;
    connection.replicaof(Some(&nobody)).await.unwrap();
    let view = connection.replication().await.unwrap();
    assert_eq!((view.link_up, view.last_io_s, view.master.as_ref()), (Some(false), None, Some(&nobody)));
    assert!(matches!(connection.role().await, Ok(Role::Replica { .. })));
}

#[tokio::test]
async fn the_base_of_an_append_only_file_has_no_history_of_its_own() {
    let server = Server::start(&["--save", "", "--appendonly", "yes"]);
    let mut connection = server.connect().await;
    connection.bgsave().await.unwrap();
    connection.bgrewriteaof().await.unwrap();
    until("the base is written", async || {
        let view = server.connect().await.info(Some("persistence")).await.unwrap().persistence();
        assert_eq!((view.aof_enabled, view.aof_last_bgrewrite_ok), (Some(true), Some(true)));
        view.rdb_bgsave_in_progress == Some(false)
            && (view.aof_rewrite_in_progress, view.aof_rewrite_scheduled) == (Some(false), Some(false))
    })
    .await;
    let header = RdbHeader::read(File::open(append_only_base(server.dir.path())).unwrap()).unwrap();
    assert!(header.aof_base && header.repl_id.is_none(), "{header:?}");
    let saved = RdbHeader::read(File::open(server.dir.path().join("dump.rdb")).unwrap()).unwrap();
    assert!(!saved.aof_base, "{saved:?}");
}

/// The newest base in `appendonlydir`; before 7.0 the one append-only file.
fn append_only_base(dir: &Path) -> PathBuf {
    let Ok(files) = std::fs::read_dir(dir.join("appendonlydir")) else { return dir.join("appendonly.aof") };
    let files = files.map(|file| file.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains(".base.")).max().unwrap()
}
