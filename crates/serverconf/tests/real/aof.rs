//! The append-only file is turned on and off under kill -9, on real servers.

use std::{path::Path, time::Duration};

use crate::{
    net,
    server::{Server, until},
    set,
};
use redoubt_redis::Connection;
use redoubt_serverconf::{
    NodeLaunch, Start,
    aof::{Driver, Holds, RECORD, StartsAs, Step, prepare, settle},
    node_conf,
};
use redoubt_wire::config::SetConfig;
use tempfile::TempDir;
use tokio::time::sleep;

/// More steps than any way has.
const MANY: usize = 20;

/// A data folder and the set of its one node. Every start goes by the rule.
struct Node {
    dir: TempDir,
    set: SetConfig,
}

impl Node {
    fn new(save: &str) -> Self {
        Self::with_delay(save, 2000)
    }

    /// Microseconds a key: saves and rewrites last long enough to be killed in their middle.
    fn with_delay(save: &str, delay: u32) -> Self {
        let mut set = set::set_at(&net(), 1, 0);
        save.clone_into(&mut set.persistence.rdb_save);
        // With `everysec` a server that waits for the disk keeps writes of the last second to itself.
        "always".clone_into(&mut set.persistence.aof_fsync);
        set.directives.insert("rdb-key-save-delay".to_owned(), delay.to_string());
        Self { dir: tempfile::tempdir().unwrap(), set }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn start(&self, wanted: bool) -> Server {
        let at_start = prepare(self.path(), wanted, None, StartsAs::Master).unwrap();
        self.start_with(at_start.holds.aof_in_file())
    }

    fn start_with(&self, aof_in_file: bool) -> Server {
        let node = &self.set.nodes[0];
        let launch = NodeLaunch {
            bind: node.server.host.clone(),
            data_dir: self.path().to_path_buf(),
            start: Start::Master,
            aof_in_file,
            min_replicas_to_write: 0,
        };
        Server::start(
            self.path(),
            "node",
            &node_conf(&self.set, node, &set::secrets(), &launch),
            &node.server,
        )
    }
}

async fn agent(server: &Server) -> Connection {
    server.connect(Some("redoubt-agent"), "agent-password").await
}

async fn application(server: &Server) -> Connection {
    server.connect(None, "password").await
}

/// Writes fifty keys of this era over those of the one before: an old file cannot pass for a new one.
async fn write_era(server: &Server, era: usize) {
    let mut application = application(server).await;
    let (era, script) = (era.to_string(), "for i = 1, 50 do redis.call('SET', 'key' .. i, ARGV[1]) end");
    application.call(&["EVAL", script, "0", &era]).await.unwrap();
}

/// (The child of a save may have put its file in place and not be collected yet.)
async fn save(server: &Server) {
    let mut application = application(server).await;
    until("a save", async || application.call(&["SAVE"]).await.is_ok()).await;
}

async fn era(server: &Server) -> String {
    let mut application = application(server).await;
    let keys = application.dbsize().await.unwrap();
    let era = application.call(&["GET", "key50"]).await.unwrap();
    format!("{keys} keys of era {}", era.as_str().unwrap_or("none"))
}

/// Makes so many steps, and says whether there are more. To wait is a step as well.
async fn walk(node: &Node, server: &Server, wanted: bool, steps: usize) -> bool {
    let mut connection = agent(server).await;
    let mut driver = Driver { connection: &mut connection, dir: node.path(), wanted };
    let mut idle = false;
    let mut made = 0;
    loop {
        let (step, _) = driver.look().await.unwrap();
        assert!(!matches!(step, Step::Failed(_)), "{step:?}");
        if step == Step::Done {
            return false;
        }
        let waits = matches!(step, Step::Wait(_));
        made += usize::from(!waits || !idle);
        if made > steps {
            return true;
        }
        idle = waits;
        driver.carry_out(step).await.unwrap();
        sleep(Duration::from_millis(if waits { 10 } else { 0 })).await;
    }
}

/// Goes the way from `!wanted` to `wanted` again and again, killed one step later each time.
async fn killed_at_every_step(wanted: bool, save_points: &str) {
    let node = Node::new(save_points);
    let mut server = node.start(!wanted);
    for steps in 0..MANY {
        settle(&mut agent(&server).await, node.path(), !wanted).await.unwrap();
        write_era(&server, steps).await;
        if wanted {
            save(&server).await;
        }
        let more = walk(&node, &server, wanted, steps).await;
        server.kill();
        server = node.start(wanted);
        assert_eq!(era(&server).await, format!("50 keys of era {steps}"), "killed after {steps} steps");
        let holds = settle(&mut agent(&server).await, node.path(), wanted).await.unwrap();
        assert_eq!(holds.aof_in_file(), wanted);
        server.kill();
        server = node.start(wanted);
        assert_eq!(era(&server).await, format!("50 keys of era {steps}"), "killed at the end");
        if !more {
            assert!(steps >= 4, "there are steps to be killed at");
            return;
        }
    }
    panic!("the way has no end");
}

#[tokio::test]
async fn turned_on_under_kill_9_every_key_is_there() {
    killed_at_every_step(true, "3600 1").await;
}

#[tokio::test]
async fn turned_off_under_kill_9_every_key_is_there() {
    killed_at_every_step(false, "3600 1").await;
}

#[tokio::test]
async fn turned_off_without_save_points_every_key_is_there() {
    killed_at_every_step(false, "").await;
}

#[tokio::test]
async fn with_the_aof_on_nothing_is_lost_whatever_was_switched_before() {
    let node = Node::new("");
    let mut server = node.start(false);
    for era in 0..3 {
        settle(&mut agent(&server).await, node.path(), true).await.unwrap();
        write_era(&server, era).await;
        server.kill();
        server = node.start(true);
        assert_eq!(self::era(&server).await, format!("50 keys of era {era}"));
        settle(&mut agent(&server).await, node.path(), false).await.unwrap();
        assert!(!node.path().join("appendonlydir").exists() && !node.path().join("appendonly.aof").exists());
    }
}

#[tokio::test]
async fn an_rdb_alone_is_loaded_although_the_aof_is_wanted() {
    let node = Node::new("3600 1");
    let mut server = node.start_with(false);
    write_era(&server, 7).await;
    save(&server).await;
    server.kill();

    // No record: as a folder that comes from elsewhere.
    let mut server = node.start(true);
    assert_eq!(era(&server).await, "50 keys of era 7");
    assert_eq!(settle(&mut agent(&server).await, node.path(), true).await.unwrap(), Holds::Aof);
    write_era(&server, 8).await;
    server.kill();
    assert_eq!(era(&node.start(true)).await, "50 keys of era 8");
}

#[tokio::test]
async fn of_files_without_a_record_the_newer_one_is_loaded() {
    let node = Node::new("");
    let mut server = node.start_with(true);
    write_era(&server, 1).await;
    save(&server).await;
    write_era(&server, 2).await;
    server.kill();
    let mut server = node.start(false);
    assert_eq!(era(&server).await, "50 keys of era 2", "the AOF goes on where the RDB ends");
    server.kill();

    // The AOF stays behind while an RDB is saved, a second later at least: times are told in seconds.
    std::fs::remove_file(node.path().join(RECORD)).unwrap();
    let mut server = node.start_with(true);
    agent(&server).await.config_set(&[("appendonly", "no")]).await.unwrap();
    write_era(&server, 3).await;
    sleep(Duration::from_millis(1100)).await;
    save(&server).await;
    server.kill();
    assert_eq!(era(&node.start(true)).await, "50 keys of era 3", "the AOF is a leftover");
}

#[tokio::test]
async fn a_failing_save_is_told_and_the_aof_stays_what_is_loaded() {
    let node = Node::new("");
    let mut server = node.start(true);
    write_era(&server, 1).await;
    // A folder in the place of the RDB: the server can write its file and not rename it.
    std::fs::create_dir(node.path().join("dump.rdb")).unwrap();
    let refused = settle(&mut agent(&server).await, node.path(), false).await;
    assert!(refused.is_err(), "{refused:?}");
    std::fs::remove_dir(node.path().join("dump.rdb")).unwrap();
    server.kill();
    let mut server = node.start(false);
    assert_eq!(era(&server).await, "50 keys of era 1");
    settle(&mut agent(&server).await, node.path(), false).await.unwrap();
    server.kill();
    assert_eq!(era(&node.start(false)).await, "50 keys of era 1");
}

/// A save goes on in its child when the server is killed, and would put its file in the place of a newer one.
#[tokio::test]
async fn a_save_that_outlived_its_server_is_not_taken_for_a_new_one() {
    let node = Node::with_delay("", 20_000);
    let mut server = node.start(true);
    write_era(&server, 1).await;
    agent(&server).await.bgsave().await.unwrap();
    until("the save has begun", async || {
        std::fs::read_dir(node.path())
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().ends_with(".rdb"))
    })
    .await;
    server.kill();
    let mut again = node.start(true);
    write_era(&again, 2).await;
    // The old save takes a second, and so will the new one: the old one ends in the middle of it.
    sleep(Duration::from_millis(500)).await;
    settle(&mut agent(&again).await, node.path(), false).await.unwrap();
    again.kill();
    assert_eq!(era(&node.start(false)).await, "50 keys of era 2");
}
