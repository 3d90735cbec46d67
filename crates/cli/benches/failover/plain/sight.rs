//! What servers and Sentinels of the set say, all asked at once.

use std::{collections::HashMap, time::Duration};

use futures::future::join_all;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult, Role};
use redoubt_drill::Target;
use redoubt_redis::Endpoint;

use super::node_at;
use crate::Result;

/// A server that does not answer within this is as good as dead.
const ANSWER: Duration = Duration::from_secs(1);

type Flags = HashMap<String, String>;

/// What a node says of itself.
#[derive(Debug, Clone, Copy)]
enum Says {
    /// It is a master with so many replicas.
    Master { replicas: usize },
    /// It follows this node, in sync.
    Follows(usize),
}

/// One look at every member.
#[derive(Debug)]
pub(super) struct Sight {
    nodes: Vec<Option<Says>>,
    /// Of every Sentinel, the node it names and whether it sees nothing amiss.
    sentinels: Vec<Option<(usize, bool)>>,
}

impl Sight {
    /// Asks everybody.
    pub(super) async fn of(target: &Target) -> Self {
        let nodes = target.config.nodes.iter().map(|node| says(target, &node.server));
        let config = target.config.sentinel();
        let sentinels = config.into_iter().flat_map(|config| &config.sentinels);
        let views = sentinels.map(|entry| view(target, &entry.server));
        let (nodes, sentinels) = tokio::join!(join_all(nodes), join_all(views));
        Self { nodes, sentinels }
    }

    /// The node that every Sentinel names.
    pub(super) fn named(&self) -> Option<usize> {
        let mut named = self.sentinels.iter().map(|view| view.map(|(node, _)| node));
        let first = named.next()??;
        named.all(|other| other == Some(first)).then_some(first)
    }

    /// The node says that it is a master.
    pub(super) fn says_master(&self, node: usize) -> bool {
        matches!(self.nodes.get(node), Some(Some(Says::Master { .. })))
    }

    /// The master of a set in which nothing is amiss.
    pub(super) fn leader(&self) -> Option<usize> {
        let named = self.named()?;
        let calm = self.sentinels.iter().flatten().all(|(_, calm)| *calm);
        let fits = |(number, says): (usize, &Option<Says>)| match *says {
            Some(Says::Master { replicas }) => number == named && replicas + 1 == self.nodes.len(),
            Some(Says::Follows(master)) => number != named && master == named,
            None => false,
        };
        (calm && self.nodes.iter().enumerate().all(fits)).then_some(named)
    }
}

async fn says(target: &Target, at: &Endpoint) -> Option<Says> {
    match ask(at, &["ROLE"]).await.ok()? {
        Role::Primary { replicas, .. } => Some(Says::Master { replicas: replicas.len() }),
        Role::Replica { primary_ip, primary_port, replication_state, .. }
            if replication_state == "connected" =>
        {
            node_at(target, &Endpoint::new(primary_ip, primary_port)).map(Says::Follows)
        }
        _ => None,
    }
}

async fn view(target: &Target, at: &Endpoint) -> Option<(usize, bool)> {
    let name = &target.config.sentinel()?.master_name;
    let master: Flags = ask(at, &["SENTINEL", "MASTER", name]).await.ok()?;
    let replicas: Vec<Flags> = ask(at, &["SENTINEL", "REPLICAS", name]).await.ok()?;
    let node = node_at(target, &Endpoint::new(master.get("ip")?.clone(), master.get("port")?.parse().ok()?))?;
    let is = |flags: &Flags, name: &str, value: &str| flags.get(name).is_some_and(|is| is == value);
    let others = target.config.nodes.len() - 1;
    let calm = is(&master, "flags", "master")
        && is(&master, "num-other-sentinels", &others.to_string())
        && replicas.len() == others
        && replicas.iter().all(|one| is(one, "flags", "slave") && is(one, "master-link-status", "ok"));
    Some((node, calm))
}

/// `SENTINEL FAILOVER` at the first Sentinel.
pub(super) async fn fail_over(target: &Target) -> Result<()> {
    let config = target.config.sentinel().ok_or("no Sentinels")?;
    let first = config.sentinels.first().ok_or("no Sentinels")?;
    Ok(ask::<()>(&first.server, &["SENTINEL", "FAILOVER", &config.master_name]).await?)
}

async fn ask<T: FromRedisValue>(at: &Endpoint, words: &[&str]) -> RedisResult<T> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER)).set_response_timeout(Some(ANSWER));
    let client = Client::open((at.host.as_str(), at.port))?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query_async(&mut connection).await
}
