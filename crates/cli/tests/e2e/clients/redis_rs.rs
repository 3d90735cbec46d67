//! redis-rs' Sentinel client, asked for a connection again on every error; and its Cluster client.

use std::{
    fs::File,
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use redis::{
    Commands as _, Connection, ConnectionAddr, ErrorKind, RedisError, RedisResult, ServerErrorKind,
    cluster::{ClusterClientBuilder, ClusterConnection},
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use serde_json::Value;

/// Writes until it is stopped.
pub(super) fn ride(ride: &Value, stopped: &AtomicBool, out: File) {
    if ride["nodes"].is_null() {
        by_sentinels(ride, stopped, out);
    } else {
        by_cluster(ride, stopped, out);
    }
}

/// A key, and two that have to be in one slot. While that is open their tries may be over; one key's never are.
fn by_cluster(ride: &Value, stopped: &AtomicBool, mut out: File) {
    let url = |of: &Value| format!("redis://{}:{}/", of[0].as_str().unwrap(), of[1]);
    // Left alone it waits for 1.3 s before each of its sixteen tries, and for minutes before the last ones.
    let mut client = ClusterClientBuilder::new(ride["nodes"].as_array().unwrap().iter().map(url))
        .min_retry_wait(10)
        .max_retry_wait(500);
    if let Some(password) = ride["password"].as_str() {
        client = client.password(password);
    }
    let client = client.build().unwrap();
    let mut connection = client.get_connection().unwrap();
    let deaths = ride["deaths"] == true;
    let mut number = 0;
    while !stopped.load(Ordering::Relaxed) {
        let key = format!("{}:{number}", ride["prefix"].as_str().unwrap());
        match step(&mut connection, &key, number, deaths) {
            Ok(Step::Written) => {
                writeln!(out, "ok {number}").unwrap();
                number += 1;
                pause(2);
            }
            Ok(Step::Gone) => writeln!(out, "retry {key} went with its master").unwrap(),
            Ok(Step::Open(error)) => {
                writeln!(out, "retry {error}").unwrap();
                pause(10);
            }
            Err(error) if deaths && is_of_a_death(&error) => {
                writeln!(out, "retry {error}").unwrap();
                // It keeps connections to servers that have ended, and stands still on them for minutes (Broken pipe).
                if let Ok(fresh) = client.get_connection() {
                    connection = fresh;
                }
                pause(10);
            }
            Err(error) => panic!("not in its documentation: {error}"),
        }
    }
}

/// What came of a step.
enum Step {
    Written,
    /// What was written went with its master.
    Gone,
    /// The tries for the two keys were over before their slot had arrived.
    Open(RedisError),
}

fn step(connection: &mut ClusterConnection, key: &str, number: u64, deaths: bool) -> RedisResult<Step> {
    connection.set::<_, _, ()>(key, number)?;
    match connection.get::<_, Option<u64>>(key)? {
        None if deaths => return Ok(Step::Gone),
        found => assert_eq!(found, Some(number), "{key} after it was set"),
    }
    let pair = [(format!("{{{key}}}:a"), number), (format!("{{{key}}}:b"), number)];
    match connection.mset::<_, _, ()>(&pair) {
        Ok(()) => Ok(Step::Written),
        Err(error) if is_of_an_open_slot(&error) => Ok(Step::Open(error)),
        Err(error) => Err(error),
    }
}

/// Two keys that are nowhere yet: the giver sends to the taker (ASK), who has them tried again (TRYAGAIN).
fn is_of_an_open_slot(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Ask | ServerErrorKind::TryAgain))
}

/// Its tries at a node that is gone, or is no master any more, are over.
fn is_of_a_death(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::Server(
                ServerErrorKind::ClusterDown | ServerErrorKind::ReadOnly | ServerErrorKind::Moved
            )
    )
}

fn by_sentinels(ride: &Value, stopped: &AtomicBool, mut out: File) {
    let text = |name: &str| ride[name].as_str().unwrap().to_owned();
    let mut client = client(ride);
    let mut connection = None;
    let mut number = 0;
    while !stopped.load(Ordering::Relaxed) {
        match set(&mut client, &mut connection, &format!("{}:{number}", text("prefix")), number) {
            Ok(()) => {
                writeln!(out, "ok {number}").unwrap();
                number += 1;
                pause(2);
            }
            // The fence of a master that was announced a moment ago: the write was not made.
            Err(error) if error.code() == Some("NOREPLICAS") => {
                writeln!(out, "refused {error}").unwrap();
                pause(10);
            }
            Err(error) => {
                assert!(is_expected(&error), "not in its documentation: {error}");
                writeln!(out, "retry {error}").unwrap();
                connection = None;
                pause(10);
            }
        }
    }
    let mut connection = connection.unwrap_or_else(|| client.get_connection().unwrap());
    let info: String = redis::cmd("CLIENT").arg("INFO").query(&mut connection).unwrap();
    let address = info.split(' ').find_map(|field| field.strip_prefix("laddr=")).unwrap();
    writeln!(out, "master {address}").unwrap();
}

fn set(
    client: &mut SentinelClient,
    connection: &mut Option<Connection>,
    key: &str,
    number: u64,
) -> RedisResult<()> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(client.get_connection()?),
    };
    connection.set(key, number)
}

/// The connection is gone, its server follows another one now, or the Sentinels have no master to name.
fn is_expected(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::MasterNameNotFoundBySentinel
            | ErrorKind::Server(ServerErrorKind::ReadOnly)
    )
}

fn client(ride: &Value) -> SentinelClient {
    let text = |name: &str| ride[name].as_str().unwrap();
    let address = |of: &Value| {
        ConnectionAddr::Tcp(of[0].as_str().unwrap().to_owned(), of[1].as_u64().unwrap().try_into().unwrap())
    };
    let sentinels = ride["sentinels"].as_array().unwrap().iter().map(address);
    SentinelClientBuilder::new(sentinels, text("masterName"), SentinelServerType::Master)
        .unwrap()
        .set_client_to_redis_password(text("password"))
        .set_client_to_sentinel_password(text("sentinelPassword"))
        .build()
        .unwrap()
}

fn pause(ms: u64) {
    #[expect(clippy::disallowed_methods, reason = "the pace of a client, without a runtime")]
    std::thread::sleep(Duration::from_millis(ms));
}
