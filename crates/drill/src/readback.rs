//! Reads every acknowledged key back from the master, and removes what the drill wrote.

use std::time::Duration;

use redis::{AsyncConnectionConfig, RedisResult, aio::MultiplexedConnection};
use redoubt_wire::config::NodeEntry;

use crate::{
    Target,
    account::{WriterLog, missing},
    client::node_client,
    key::Keys,
};

/// Keys in one command: a few hundred microseconds of the server's only thread.
const BATCH: usize = 500;
/// For a server that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(10);

/// The acknowledged keys that this node does not have.
pub(crate) async fn lost(
    target: &Target,
    node: &NodeEntry,
    keys: &Keys,
    logs: impl IntoIterator<Item = &WriterLog>,
) -> RedisResult<Vec<String>> {
    let mut connection = connect(target, node).await?;
    let mut lost = Vec::new();
    for log in logs {
        let acked: Vec<u64> = log.acks.iter().map(|ack| ack.n).collect();
        for batch in acked.chunks(BATCH) {
            let mut read = redis::cmd("MGET");
            for n in batch {
                read.arg(keys.key(log.writer, *n));
            }
            let answers: Vec<Option<u64>> = read.query_async(&mut connection).await?;
            lost.extend(missing(batch, &answers).map(|n| keys.key(log.writer, n)));
        }
    }
    Ok(lost)
}

/// Removes every key that was sent, acknowledged or not.
pub(crate) async fn remove<'a>(
    target: &Target,
    node: &NodeEntry,
    keys: &'a Keys,
    logs: impl IntoIterator<Item = &'a WriterLog> + 'a,
) -> RedisResult<()> {
    let mut connection = connect(target, node).await?;
    let tried: Vec<String> = keys.tried(logs).collect();
    for batch in tried.chunks(BATCH) {
        redis::cmd("UNLINK").arg(batch).exec_async(&mut connection).await?;
    }
    Ok(())
}

async fn connect(target: &Target, node: &NodeEntry) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    node_client(target.reached(&node.server), target.password())?
        .get_multiplexed_async_connection_with_config(&config)
        .await
}
