//! Looks at members directly, by addresses and passwords that were asked for once: for tests that look often.

use std::{collections::BTreeMap, time::Duration};

use redis::{
    Client, Connection, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisResult, Value,
    cluster::{ClusterClientBuilder, ClusterConnection},
};
use rustix::process::Pid;

use super::Lab;

/// A server that is alive and in reach answers within this, also on a busy machine.
const ANSWER: Duration = Duration::from_secs(2);

/// Where the members of a set are, and how an application logs in.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    pub(crate) nodes: BTreeMap<String, (String, u16)>,
    pub(crate) sentinels: BTreeMap<String, (String, u16)>,
    password: String,
    sentinel_password: String,
}

impl Lab {
    /// A look of one's own at this set.
    #[track_caller]
    pub(crate) fn sight(&self, name: &str) -> Sight {
        let (status, connection) = (self.status(name), self.connection(name));
        let of = |kind: &str| {
            let members = status[kind].as_array().unwrap().iter().map(|member| {
                let (host, port) = member["address"].as_str().unwrap().rsplit_once(':').unwrap();
                (member["name"].as_str().unwrap().to_owned(), (host.to_owned(), port.parse().unwrap()))
            });
            members.collect()
        };
        let text = |what: &str| connection[what].as_str().map(str::to_owned);
        Sight {
            nodes: of("nodes"),
            sentinels: of("sentinels"),
            password: text("password").expect("a password"),
            // There are none without Sentinels.
            sentinel_password: text("sentinelPassword").unwrap_or_default(),
        }
    }
}

impl Sight {
    /// The address of a member, without its port.
    pub(crate) fn host(&self, member: &str) -> String {
        self.nodes.get(member).or_else(|| self.sentinels.get(member)).unwrap().0.clone()
    }

    /// A connection to a member.
    pub(crate) fn connect(&self, member: &str) -> RedisResult<Connection> {
        let (at, password) = match self.nodes.get(member) {
            Some(at) => (at, &self.password),
            None => (&self.sentinels[member], &self.sentinel_password),
        };
        let address = ConnectionAddr::Tcp(at.0.clone(), at.1);
        let settings = RedisConnectionInfo::default().set_password(password);
        let info = address.into_connection_info()?.set_redis_settings(settings);
        let connection = Client::open(info)?.get_connection_with_timeout(ANSWER)?;
        connection.set_read_timeout(Some(ANSWER))?;
        connection.set_write_timeout(Some(ANSWER))?;
        Ok(connection)
    }

    /// A client of the whole cluster, that finds its way by itself.
    pub(crate) fn cluster(&self) -> RedisResult<ClusterConnection> {
        let nodes = self.nodes.values().map(|(host, port)| format!("redis://{host}:{port}/"));
        let client = ClusterClientBuilder::new(nodes).password(&self.password).response_timeout(ANSWER);
        client.connection_timeout(ANSWER).build()?.get_connection()
    }

    /// The node that a Sentinel names.
    pub(crate) fn named_by(&self, sentinel: &str) -> Option<String> {
        let mut asked = self.connect(sentinel).ok()?;
        let command = redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg("mymaster").to_owned();
        let (host, port): (String, u16) = command.query(&mut asked).ok()?;
        self.nodes.iter().find(|(_, at)| **at == (host.clone(), port)).map(|(node, _)| node.clone())
    }

    /// The node says that it is a master, or else a replica whose link is up; `None` if it is neither.
    pub(crate) fn leads(&self, node: &str) -> Option<bool> {
        let role: Vec<Value> = redis::cmd("ROLE").query(&mut self.connect(node).ok()?).ok()?;
        let text =
            |at: usize| role.get(at).and_then(|value| redis::from_redis_value::<String>(value.clone()).ok());
        match text(0)?.as_str() {
            "master" => Some(true),
            _ => (text(3)? == "connected").then_some(false),
        }
    }

    /// One node leads and all others follow it, in sync.
    pub(crate) fn master_of_all(&self) -> Option<String> {
        let roles: Vec<_> = self.nodes.keys().map(|node| (node, self.leads(node))).collect();
        let mut masters = roles.iter().filter(|(_, leads)| *leads == Some(true));
        let (master, _) = masters.next()?;
        let others_follow = masters.next().is_none() && roles.iter().all(|(_, leads)| leads.is_some());
        others_follow.then(|| (*master).clone())
    }

    /// A line of INFO.
    pub(crate) fn info(&self, node: &str, line: &str) -> Option<String> {
        let info: String = redis::cmd("INFO").query(&mut self.connect(node).ok()?).ok()?;
        let value =
            |text: &str| text.strip_prefix(line)?.strip_prefix(':').map(|value| value.trim().to_owned());
        info.lines().find_map(value)
    }

    /// The process of a node's server.
    pub(crate) fn server(&self, node: &str) -> Option<Pid> {
        Pid::from_raw(self.info(node, "process_id")?.parse().ok()?)
    }

    /// Full copies that the servers of this set have served since they started.
    pub(crate) fn full_syncs(&self) -> BTreeMap<String, u64> {
        let count = |node: &String| self.info(node, "sync_full").unwrap().parse().unwrap();
        self.nodes.keys().map(|node| (node.clone(), count(node))).collect()
    }
}
