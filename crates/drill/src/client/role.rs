//! Finds the master by asking every node for its role.

use futures::stream::{FuturesUnordered, StreamExt as _};
use redis::{Client, ErrorKind, RedisError, RedisResult, Role, aio::MultiplexedConnection};

use super::{node_client, patient};
use crate::Target;

/// All nodes, with the connections that are open to them.
pub(crate) struct Nodes(Vec<Node>);

struct Node {
    client: Client,
    connection: Option<MultiplexedConnection>,
}

impl Nodes {
    /// The nodes of a set.
    pub(crate) fn new(target: &Target) -> Self {
        let clients = target
            .config
            .nodes
            .iter()
            .filter_map(|node| node_client(target.reached(&node.server), target.password()).ok());
        Self(clients.map(|client| Node { client, connection: None }).collect())
    }

    /// The first node that says it is master. Nobody waits for one that hangs.
    pub(crate) async fn master(&mut self) -> RedisResult<MultiplexedConnection> {
        let mut asked: FuturesUnordered<_> = self.0.iter_mut().map(Node::if_master).collect();
        while let Some(answer) = asked.next().await {
            if let Ok(Some(connection)) = answer {
                return Ok(connection);
            }
        }
        Err(RedisError::from((ErrorKind::Io, "no node says that it is master")))
    }
}

impl Node {
    /// A connection that broke is forgotten, so that the next call makes a new one.
    async fn if_master(&mut self) -> RedisResult<Option<MultiplexedConnection>> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.client.get_multiplexed_async_connection_with_config(&patient()).await?,
        };
        let role: Role = redis::cmd("ROLE").query_async(&mut connection).await?;
        self.connection = Some(connection.clone());
        Ok(matches!(role, Role::Primary { .. }).then_some(connection))
    }
}
