//! Keeps two movers out of one cluster. Each names its connections; who sees another's name goes away. Nothing is
//! written, and a mover that dies leaves nothing behind.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use redoubt_redis::Connection;

use crate::{
    access::Access,
    cluster::{Cluster, Node},
    error::SlotsError,
};

/// What the name of a mover's connections begins with.
const NAME: &str = "redoubt-slots-";

/// Held while slots are moved.
#[derive(Debug)]
pub struct Guard {
    _connections: Vec<Connection>,
}

impl Guard {
    /// Names a connection at every master first, and looks for others after: of two that come at the same time, both may
    /// go away, but never both stay.
    pub async fn take(access: &Access, cluster: &Cluster) -> Result<Self, SlotsError> {
        let name = format!("{NAME}{:016x}", RandomState::new().build_hasher().finish());
        let mut connections = Vec::new();
        for node in cluster.masters() {
            let mut connection = access.connect(&node.endpoint).await?;
            connection.call(&["CLIENT", "SETNAME", &name]).await?;
            connections.push((node, connection));
        }
        for (node, connection) in &mut connections {
            seek(node, connection, &name).await?;
        }
        Ok(Self { _connections: connections.into_iter().map(|(_, connection)| connection).collect() })
    }

    /// Says whether somebody moves slots now, without keeping others from it.
    pub async fn seek(access: &Access, cluster: &Cluster) -> Result<(), SlotsError> {
        for node in cluster.masters() {
            seek(node, &mut access.connect(&node.endpoint).await?, "").await?;
        }
        Ok(())
    }
}

async fn seek(node: &Node, connection: &mut Connection, own: &str) -> Result<(), SlotsError> {
    let list = connection.call_as(&["CLIENT", "LIST"], |reply| Ok(reply.as_str()?.to_owned())).await?;
    match list.lines().find_map(|line| stranger(line, own)) {
        Some(who) => Err(SlotsError::Busy { who, node: node.endpoint.clone() }),
        None => Ok(()),
    }
}

/// Name and address of another mover's connection.
fn stranger(line: &str, own: &str) -> Option<String> {
    let field = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key));
    let name = field("name=").filter(|name| name.starts_with(NAME) && *name != own)?;
    Some(format!("{name} at {}", field("addr=").unwrap_or("an unknown address")))
}
