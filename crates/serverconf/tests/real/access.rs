//! The ACL users at work: each can do its job on real servers, and no more.

use crate::{
    net,
    server::{PATIENCE, until},
    set,
    whole::Whole,
};
use redoubt_redis::{Connection, Connector, Error, sentinel::HELLO_CHANNEL};
use redoubt_serverconf::{acl, set_access};
use redoubt_wire::{
    config::{Access, ClusterConfig, SetConfig, Topology},
    secrets::{Password, SENTINEL_USER},
};

fn quick(nodes: usize, sentinels: usize) -> SetConfig {
    let mut set = set::set_at(&net(), nodes, sentinels);
    if let Topology::Sentinel(config) = &mut set.topology {
        config.down_after_ms = 1000;
        config.failover_timeout_ms = 3000;
    }
    set.durability.min_replicas_to_write = u32::from(nodes > 1);
    set
}

async fn alone(access: Access) -> Whole {
    let mut set = quick(1, 0);
    set.access = access;
    Whole::start(set, set::secrets()).await
}

const APPLICATION: Access = Access::usual(true);

async fn is_denied(connection: &mut Connection, command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    matches!(connection.call(&words).await, Err(Error::Server { code, .. }) if code == "NOPERM")
}

#[tokio::test]
async fn replication_monitoring_and_failover_need_no_more_rights_than_they_have() {
    let mut whole = Whole::start(quick(3, 3), set::secrets()).await;
    whole.named(&whole.set.nodes[0].server, 2).await;
    let mut application = whole.application(&whole.nodes[0]).await;
    application.call(&["SET", "key", "value"]).await.unwrap();
    application.call(&["WAIT", "2", "5000"]).await.unwrap();

    whole.nodes.remove(0).kill();
    let mut agents = [whole.agent(&whole.nodes[0]).await, whole.agent(&whole.nodes[1]).await];
    let mut new = None;
    until("a Sentinel promotes a replica and points the other one at it", async || {
        for (number, agent) in agents.iter_mut().enumerate() {
            // The Sentinel cuts all connections when it points a server elsewhere.
            match agent.replication().await {
                Ok(view) if view.replicas.iter().any(redoubt_redis::info::AttachedReplica::is_online) => {
                    new = Some(number);
                }
                Ok(_) => {}
                Err(_) => *agent = whole.agent(&whole.nodes[number]).await,
            }
        }
        new.is_some()
    })
    .await;
    let master = &whole.nodes[new.unwrap()];
    whole.named(&master.endpoint, 2).await;
    let value = whole.application(master).await.call(&["GET", "key"]).await.unwrap();
    assert_eq!(value.as_str(), Ok("value"));

    // The old master comes back as replica.
    let back = whole.start_node(0, Some(new.unwrap() + 1));
    whole.nodes.push(back);
    whole.in_sync(&whole.nodes[new.unwrap()], 2).await;
    assert_eq!(whole.refused().await, Vec::<String>::new());
}

/// What an agent asks of its node.
const OF_A_NODE: [&str; 30] = [
    "PING",
    "INFO all",
    "ROLE",
    "DBSIZE",
    "LASTSAVE",
    "TIME",
    "WAIT 0 1",
    "CLIENT ID",
    "CLIENT SETNAME agent",
    "CLIENT LIST",
    "CLIENT PAUSE 1 WRITE",
    "CLIENT UNPAUSE",
    "CLIENT KILL TYPE normal",
    "CONFIG GET maxmemory",
    "CONFIG SET min-replicas-to-write 0",
    "CONFIG REWRITE",
    "ACL SETUSER another on",
    "ACL DELUSER another",
    "ACL GETUSER default",
    "ACL LIST",
    "ACL LOG",
    "SLOWLOG LEN",
    "SLOWLOG GET",
    "LATENCY LATEST",
    "MEMORY STATS",
    "BGSAVE SCHEDULE",
    "REPLICAOF 127.0.0.1 1",
    "REPLICAOF NO ONE",
    "PUBLISH __sentinel__:hello x",
    "COMMAND INFO get",
];

/// What an agent asks of its Sentinel.
const OF_A_SENTINEL: [&str; 19] = [
    "PING",
    "INFO",
    "ROLE",
    "CLIENT SETNAME agent",
    "SENTINEL MASTERS",
    "SENTINEL MASTER mymaster",
    "SENTINEL REPLICAS mymaster",
    "SENTINEL SENTINELS mymaster",
    "SENTINEL MYID",
    "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
    "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 *",
    "SENTINEL CKQUORUM mymaster",
    "SENTINEL SET mymaster quorum 1",
    "SENTINEL CONFIG GET *",
    "SENTINEL FLUSHCONFIG",
    "SENTINEL MONITOR other 127.0.0.1 1 1",
    "SENTINEL REMOVE other",
    "ACL SETUSER another on",
    "ACL LIST",
];

async fn may(connection: &mut Connection, commands: &[&str]) {
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        connection.call(&words).await.unwrap_or_else(|e| panic!("{command}: {e}"));
    }
}

#[tokio::test]
async fn the_agent_can_do_its_work_and_read_no_keys() {
    let whole = Whole::start(quick(1, 1), set::secrets()).await;
    let mut node = whole.agent(&whole.nodes[0]).await;
    may(&mut node, &OF_A_NODE).await;
    for command in ["GET key", "SET key value", "KEYS *", "FLUSHALL", "PUBLISH news x", "MONITOR"] {
        assert!(is_denied(&mut node, command).await, "{command}");
    }
    let mut sentinel = whole.agent(&whole.sentinels[0]).await;
    may(&mut sentinel, &OF_A_SENTINEL).await;
    assert!(is_denied(&mut sentinel, "SENTINEL RESET mymaster").await);
    let listening = whole.agent(&whole.sentinels[0]).await;
    drop(listening.subscribe(&["+switch-master", "+vote-for-leader", "+new-epoch", "-sdown"]).await.unwrap());
    // The last one: the server goes.
    node.shutdown(false).await.unwrap();
    sentinel.shutdown(false).await.unwrap();
}

/// An agent takes over the server that one of another version has started. What moves keys is for clusters only.
#[tokio::test]
async fn a_server_that_was_taken_over_gets_the_rights_of_today() {
    let whole = Whole::start(quick(1, 0), set::secrets()).await;
    let mut agent = whole.agent(&whole.nodes[0]).await;
    let moves = [
        "DUMP key",
        "PTTL key",
        "ASKING",
        "WATCH key",
        "UNWATCH",
        "MIGRATE 127.0.0.1 1 key 0 10",
        "RESTORE-ASKING key 0 x",
        "SELECT 0",
        "MEMORY USAGE key",
        "MULTI",
        "DEL key",
    ];
    for command in moves {
        assert!(is_denied(&mut agent, command).await, "{command}");
    }
    let mut set = whole.set.clone();
    set.topology = Topology::Cluster(ClusterConfig { shards: 3, node_timeout_ms: 5000 });
    for _ in 0..2 {
        set_access(&mut agent, &set, &whole.secrets).await.unwrap();
    }
    for command in moves {
        assert!(!is_denied(&mut agent, command).await, "{command}");
    }
    agent.call(&["EXEC"]).await.unwrap();
    for command in ["GET key", "SET key value", "FLUSHALL"] {
        assert!(is_denied(&mut agent, command).await, "{command}");
    }
}

#[tokio::test]
async fn the_application_changes_neither_topology_nor_the_servers_life() {
    let denied = [
        "REPLICAOF NO ONE",
        "SLAVEOF NO ONE",
        "FAILOVER ABORT",
        "SHUTDOWN NOSAVE",
        "ACL SETUSER x",
        "ACL LIST",
        "CONFIG SET maxmemory 1",
        "CONFIG REWRITE",
    ];
    let whole = alone(APPLICATION).await;
    let mut application = whole.application(&whole.nodes[0]).await;
    // (DEBUG and MODULE LOAD have locks of their own from 7.0 on, `enable-debug-command` and `enable-module-command`.)
    for command in denied {
        assert!(is_denied(&mut application, command).await, "{command}");
    }
    for command in [
        "SET a b",
        "EVAL return(1) 0",
        "FLUSHALL",
        "CONFIG GET maxmemory",
        "ACL WHOAMI",
        "MODULE LIST",
        "INFO",
        "CLIENT LIST",
        "PUBLISH __sentinel__:hello x",
        "MULTI",
        "EXEC",
        "BGREWRITEAOF",
        "HELLO 3",
    ] {
        application
            .call(&command.split_whitespace().collect::<Vec<_>>())
            .await
            .unwrap_or_else(|e| panic!("{command}: {e}"));
    }
    let whole = alone(Access { admin_commands: true, ..APPLICATION }).await;
    let mut application = whole.application(&whole.nodes[0]).await;
    for command in denied.into_iter().filter(|command| !command.starts_with("SHUTDOWN")) {
        assert!(!is_denied(&mut application, command).await, "{command}");
    }
}

#[tokio::test]
async fn a_protected_channel_is_closed_to_the_application_and_the_others_are_open() {
    let whole = alone(Access { protect_sentinel_channel: true, ..APPLICATION }).await;
    let mut application = whole.application(&whole.nodes[0]).await;
    for open in ["news", "_", "__", "_x", "__keyspace@0__:a", "__x", "n__sentinel__:hello"] {
        assert!(!is_denied(&mut application, &format!("PUBLISH {open} x")).await, "{open}");
    }
    for closed in [HELLO_CHANNEL, "__sentinel__:other", "__s"] {
        assert!(is_denied(&mut application, &format!("PUBLISH {closed} x")).await, "{closed}");
        assert!(is_denied(&mut application, &format!("SUBSCRIBE {closed}")).await, "{closed}");
    }
    for pattern in ["*", "__sentinel__*"] {
        assert!(is_denied(&mut application, &format!("PSUBSCRIBE {pattern}")).await, "{pattern}");
    }
}

#[tokio::test]
async fn at_a_sentinel_the_application_asks_and_listens_and_no_more() {
    let whole = Whole::start(quick(1, 1), set::secrets()).await;
    let server = &whole.sentinels[0];
    let mut application = server.connect(None, "sentinel-password").await;
    for command in [
        "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
        "SENTINEL MASTERS",
        "SENTINEL REPLICAS mymaster",
        "SENTINEL SENTINELS mymaster",
        "SENTINEL CKQUORUM mymaster",
        "INFO",
        "ROLE",
        "CLIENT LIST",
        "HELLO 3",
    ] {
        application
            .call(&command.split_whitespace().collect::<Vec<_>>())
            .await
            .unwrap_or_else(|e| panic!("{command}: {e}"));
    }
    for command in [
        "SENTINEL RESET mymaster",
        "SENTINEL REMOVE mymaster",
        "SENTINEL FAILOVER mymaster",
        "SENTINEL SET mymaster quorum 9",
        "SENTINEL CONFIG GET *",
        "PUBLISH __sentinel__:hello x",
        "SHUTDOWN",
        "ACL LIST",
    ] {
        assert!(is_denied(&mut application, command).await, "{command}");
    }
    drop(server.connect(None, "sentinel-password").await.psubscribe(&["*"]).await.unwrap());
}

#[tokio::test]
async fn without_auth_the_application_needs_no_password_and_the_others_still_do() {
    let whole = alone(Access { auth: false, ..APPLICATION }).await;
    let server = &whole.nodes[0];
    whole.agent(server).await;
    let mut anybody = Connector::new(None, PATIENCE).connect(&server.endpoint).await.unwrap();
    anybody.call(&["SET", "a", "b"]).await.unwrap();
    assert!(is_denied(&mut anybody, "REPLICAOF NO ONE").await);
    assert!(log_in(&mut anybody, "redoubt-agent", "whatever").await.is_err());
}

async fn log_in(connection: &mut Connection, user: &str, password: &str) -> Result<(), Error> {
    connection.call(&["AUTH", user, password]).await.map(drop)
}

#[tokio::test]
async fn a_rotation_is_carried_into_running_servers_and_the_previous_password_stays_good() {
    let mut whole = Whole::start(quick(2, 2), set::secrets()).await;
    let before = whole.secrets.clone();
    let rotated = |old: &str| Password::new(format!("new-{old}")).unwrap().with_previous(old).unwrap();
    let mut after = before.clone();
    after.application = rotated("password");
    after.sentinel_at_nodes = rotated("sentinel-node-password");
    after.replication = rotated("replication-password");

    let users = acl::changed(&acl::node_users(&whole.set, &before), &acl::node_users(&whole.set, &after));
    assert_eq!(users.len(), 3, "{users:?}");
    for server in &whole.nodes {
        let mut agent = whole.agent(server).await;
        for user in &users {
            agent.call(user.set_user().arguments()).await.unwrap();
        }
        agent.config_set(&[("masterauth", "new-replication-password")]).await.unwrap();
    }
    let changes = redoubt_serverconf::plan_sentinel((&whole.set, &before), (&whole.set, &after));
    for server in &whole.sentinels {
        let mut agent = whole.agent(server).await;
        for change in &changes.live {
            agent.call(change.call.arguments()).await.unwrap();
        }
    }
    for password in ["password", "new-password"] {
        whole.nodes[0].connect(None, password).await.call(&["GET", "a"]).await.unwrap();
    }
    whole.secrets = after;
    // The link is made anew with the new password, and the Sentinels log in with theirs.
    whole.nodes.remove(1).kill();
    let again = whole.start_node(1, Some(0));
    whole.nodes.push(again);
    whole.in_sync(&whole.nodes[0], 1).await;
    whole.named(&whole.set.nodes[0].server, 1).await;
    until("the Sentinels are logged in at the nodes", async || {
        let clients = whole.agent(&whole.nodes[0]).await.call(&["CLIENT", "LIST"]).await.unwrap();
        clients.as_str().unwrap().matches(&format!("user={SENTINEL_USER}")).count() >= 4
    })
    .await;
    assert_eq!(whole.refused().await, Vec::<String>::new());
}
