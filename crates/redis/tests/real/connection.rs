//! Connections and subscriptions against a real server.

use std::time::Duration;

use redoubt_redis::{Connector, Endpoint, Error, Value};
use tokio::time::timeout;

use crate::server::{DEADLINE, Server, credentials, fresh_endpoint, until};

#[tokio::test]
async fn a_call_a_pipeline_and_an_error_reply() {
    let server = Server::start(&["--save", ""]);
    let mut connection = server.connect().await;
    assert_eq!(connection.call(&["SET", "k", "v"]).await, Ok(Value::Simple("OK".to_owned())));
    let replies =
        connection.pipeline(&[vec!["GET", "k"], vec!["LPUSH", "k", "x"], vec!["EXISTS", "k"]]).await.unwrap();
    assert_eq!(replies[0], Ok(Value::bulk("v")));
    assert_eq!(replies[1].as_ref().unwrap_err().code(), Some("WRONGTYPE"));
    assert_eq!(replies[2], Ok(Value::Integer(1)));
    assert!(!connection.is_broken());
}

#[tokio::test]
async fn what_is_announced_may_be_reached_elsewhere() {
    let server = Server::start(&["--save", ""]);
    let announced = Endpoint::new("198.51.100.7", 6379);
    let reach = [(announced.clone(), server.endpoint.clone())].into();
    let connector = Connector::new(None, DEADLINE).with_reach(reach);
    for endpoint in [&announced, &server.endpoint] {
        let mut connection = connector.connect(endpoint).await.unwrap();
        connection.call(&["PING"]).await.unwrap();
    }
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_another_one() {
    let server = Server::start(&["--save", ""]);
    let mut connection = server.connect().await;
    let late = connection.call_within(Duration::from_millis(20), &["BLPOP", "nothing", "0"]).await;
    assert!(matches!(late, Err(Error::Timeout { .. })), "{late:?}");
    let next = connection.call(&["PING"]).await.unwrap_err();
    assert!(next.to_string().contains("did not answer BLPOP within 20ms"), "{next}");
}

#[tokio::test]
async fn a_dropped_call_gives_the_connection_up() {
    let server = Server::start(&["--save", ""]);
    let mut connection = server.connect().await;
    let cut_off = timeout(Duration::from_millis(20), connection.call(&["BLPOP", "nothing", "0"])).await;
    assert!(cut_off.is_err());
    let next = connection.call(&["PING"]).await.unwrap_err();
    assert!(next.to_string().contains("BLPOP was given up"), "{next}");
}

#[tokio::test]
async fn a_wrong_password_is_told_from_a_missing_one_and_a_rotation_reaches_all_clones() {
    let server = Server::start(&["--save", "", "--requirepass", "right"]);
    let connector = Connector::new(Some(credentials(None, "wrong")), DEADLINE);
    let refused = connector.connect(&server.endpoint).await.unwrap_err();
    assert!(matches!(&refused, Error::Auth { user, .. } if user == "default"), "{refused}");
    assert!(refused.is_answer(), "{refused}");

    let clone = connector.clone();
    connector.set_credentials(Some(credentials(Some("default"), "right")));
    let mut connection = clone.connect(&server.endpoint).await.unwrap();
    connection.call(&["PING"]).await.unwrap();

    let mut stranger = server.connect().await;
    assert_eq!(stranger.call(&["PING"]).await.unwrap_err().code(), Some("NOAUTH"));
}

#[tokio::test]
async fn a_full_server_is_no_wrong_password() {
    let server = Server::start(&["--save", "", "--maxclients", "1"]);
    let mut only = server.connect().await;
    only.ping().await.unwrap();
    let connector = Connector::new(Some(credentials(None, "x")), DEADLINE);
    let refused = connector.connect(&server.endpoint).await.unwrap_err();
    assert!(!matches!(refused, Error::Auth { .. }), "{refused}");
    drop(only);
    until("there is room, and nobody asked for a password", async || {
        matches!(connector.connect(&server.endpoint).await, Err(Error::Auth { .. }))
    })
    .await;
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_told_apart() {
    let nobody = fresh_endpoint(6379);
    let refused = Connector::new(None, DEADLINE).connect(&nobody).await.unwrap_err();
    assert!(matches!(refused, Error::Connect { .. }), "{refused}");

    let deaf = tokio::net::TcpListener::bind((nobody.host.as_str(), 0)).await.unwrap();
    let endpoint = Endpoint::new(nobody.host, deaf.local_addr().unwrap().port());
    let connector = Connector::new(Some(credentials(None, "x")), Duration::from_millis(50));
    let silent = connector.connect(&endpoint).await.unwrap_err();
    assert!(matches!(silent, Error::Timeout { .. }), "{silent}");
    assert!(silent.to_string().starts_with(&endpoint.to_string()), "{silent}");
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.sock");
    let _server = Server::start(&["--save", "", "--unixsocket", path.to_str().unwrap()]);
    let mut connection = Connector::new(None, DEADLINE).connect_unix(&path).await.unwrap();
    assert_eq!(connection.call(&["PING"]).await, Ok(Value::Simple("PONG".to_owned())));
}

#[tokio::test]
async fn a_big_reply_comes_whole() {
    let server = Server::start(&["--save", ""]);
    let mut connection = server.connect().await;
    let big = "x".repeat(3 * 1024 * 1024);
    connection.call(&["SET", "big", &big]).await.unwrap();
    assert_eq!(connection.call(&["GET", "big"]).await, Ok(Value::bulk(&big)));
}

#[tokio::test]
async fn messages_arrive_in_order_and_none_is_lost_when_a_wait_is_dropped() {
    let server = Server::start(&["--save", ""]);
    let mut subscription = server.connect().await.subscribe(&["a", "b"]).await.unwrap();
    let mut publisher = server.connect().await;
    for number in 0..50 {
        let channel = if number % 2 == 0 { "a" } else { "b" };
        publisher.call(&["PUBLISH", channel, &number.to_string()]).await.unwrap();
    }
    for number in 0..50 {
        let message = loop {
            let wait = timeout(Duration::from_micros(1), subscription.next()).await;
            if let Ok(message) = wait {
                break message.unwrap();
            }
        };
        assert_eq!(message.text(), number.to_string());
    }
}

#[tokio::test]
async fn patterns_name_the_channel_and_the_end_of_the_server_ends_the_subscription() {
    let server = Server::start(&["--save", ""]);
    let mut subscription = server.connect().await.psubscribe(&["+*"]).await.unwrap();
    server.connect().await.call(&["PUBLISH", "+vote", "x"]).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().channel, "+vote");
    drop(server);
    assert!(matches!(subscription.next().await, Err(Error::Closed { .. })));
}

#[tokio::test]
async fn who_may_not_listen_is_told_so() {
    let user = "user u on >p resetchannels &mine +@all";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("acl.conf");
    std::fs::write(&file, user).unwrap();
    let server = Server::start(&["--save", "", "--aclfile", file.to_str().unwrap()]);
    let connector = Connector::new(Some(credentials(Some("u"), "p")), DEADLINE);
    let connection = connector.connect(&server.endpoint).await.unwrap();
    let refused = connection.subscribe(&["mine", "theirs"]).await.unwrap_err();
    assert_eq!(refused.code(), Some("NOPERM"));
}

#[tokio::test]
async fn silence_is_no_fault_and_a_server_that_hangs_is_one() {
    let server = Server::start(&["--save", ""]);
    let (ping_after, pong_within) = (Duration::from_millis(20), Duration::from_millis(500));
    let quiet = server.connect().await.subscribe(&["news"]).await.unwrap();
    let mut quiet = quiet.with_heartbeat(ping_after, pong_within);
    assert!(timeout(Duration::from_millis(300), quiet.next()).await.is_err());
    server.connect().await.publish("news", "hello").await.unwrap();
    assert_eq!(quiet.next().await.unwrap().text(), "hello");
    // Nobody listened for longer than the periods together: that says nothing of the server.
    tokio::time::sleep(ping_after + pong_within).await;
    assert!(timeout(Duration::from_millis(100), quiet.next()).await.is_err());

    server.freeze();
    let silent = quiet.next().await.unwrap_err();
    assert!(matches!(&silent, Error::Timeout { command, .. } if command == "PING"), "{silent}");
}
