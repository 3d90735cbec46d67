//! A whole set of real servers, started with what is rendered for them.

use std::path::PathBuf;

use redoubt_redis::{Connection, Endpoint};
use redoubt_serverconf::{ELECTABLE, Epochs, NodeLaunch, SentinelLaunch, Start, node_conf, sentinel_conf};
use redoubt_wire::{
    config::SetConfig,
    secrets::{AGENT_USER, Secrets},
};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use crate::server::{Server, until};

/// Servers, and the folder they live in.
pub(crate) struct Whole {
    pub(crate) set: SetConfig,
    pub(crate) secrets: Secrets,
    pub(crate) nodes: Vec<Server>,
    pub(crate) sentinels: Vec<Server>,
    dir: TempDir,
}

impl Whole {
    /// Starts the nodes, the first of them as master, and once all are in sync the Sentinels.
    pub(crate) async fn start(set: SetConfig, secrets: Secrets) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut whole = Self { set, secrets, nodes: Vec::new(), sentinels: Vec::new(), dir };
        for number in 0..whole.set.nodes.len() {
            let server = whole.start_node(number, if number == 0 { None } else { Some(0) });
            whole.nodes.push(server);
        }
        whole.in_sync(&whole.nodes[0], whole.nodes.len() - 1).await;
        for number in 0..whole.set.sentinel().map_or(0, |config| config.sentinels.len()) {
            let conf = whole.sentinel_conf(number);
            let server = whole.start_sentinel(number, &conf);
            whole.sentinels.push(server);
        }
        whole
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Starts a node as master, or as replica of the node of that number.
    pub(crate) fn start_node(&self, number: usize, master: Option<usize>) -> Server {
        let node = &self.set.nodes[number];
        let folder = self.folder(&node.name);
        let launch = NodeLaunch {
            bind: node.server.host.clone(),
            data_dir: folder.clone(),
            start: master.map_or(Start::Master, |of| Start::ReplicaOf(self.set.nodes[of].server.clone())),
            aof_in_file: self.set.persistence.aof,
            min_replicas_to_write: self.set.durability.min_replicas_to_write,
        };
        let conf = node_conf(&self.set, node, &self.secrets, &launch);
        Server::start(&folder, &node.name, &conf, &node.server)
    }

    pub(crate) fn sentinel_conf(&self, number: usize) -> String {
        let entry = &self.set.sentinel().unwrap().sentinels[number];
        let launch = SentinelLaunch {
            bind: entry.server.host.clone(),
            data_dir: self.folder(&entry.name),
            master: self.set.nodes[0].server.clone(),
            epochs: Epochs { current: 3, config: 3, leader: 3 },
        };
        sentinel_conf(&self.set, entry, &self.secrets, &launch).unwrap()
    }

    pub(crate) fn start_sentinel(&self, number: usize, conf: &str) -> Server {
        let entry = &self.set.sentinel().unwrap().sentinels[number];
        Server::start(&self.folder(&entry.name), &entry.name, conf, &entry.server)
    }

    /// The file a Sentinel writes to.
    pub(crate) fn sentinel_file(&self, number: usize) -> String {
        let name = &self.set.sentinel().unwrap().sentinels[number].name;
        std::fs::read_to_string(self.folder(name).join(format!("{name}.conf"))).unwrap()
    }

    /// A connection to any of the servers as the agent.
    pub(crate) async fn agent(&self, server: &Server) -> Connection {
        server.connect(Some(AGENT_USER), self.secrets.agent.current().expose_secret()).await
    }

    /// A connection to a node as the application.
    pub(crate) async fn application(&self, server: &Server) -> Connection {
        server.connect(None, self.secrets.application.current().expose_secret()).await
    }

    /// Waits until this node is master with so many replicas in sync, and makes all electable, as agents do.
    pub(crate) async fn in_sync(&self, master: &Server, replicas: usize) {
        let mut agent = self.agent(master).await;
        until("replicas in sync", async || {
            // A Sentinel that has just promoted it cuts its connections.
            let Ok(replication) = agent.replication().await else {
                agent = self.agent(master).await;
                return false;
            };
            replication.replicas.iter().filter(|replica| replica.is_online()).count() == replicas
        })
        .await;
        for server in &self.nodes {
            self.agent(server).await.config_set(&[("replica-priority", ELECTABLE)]).await.unwrap();
        }
    }

    /// Waits until every Sentinel names this master and knows so many replicas and all other Sentinels.
    pub(crate) async fn named(&self, master: &Endpoint, replicas: usize) {
        for server in &self.sentinels {
            let mut agent = self.agent(server).await;
            until("every Sentinel names the master and has a quorum", async || {
                let view = agent.sentinel_master("mymaster").await.unwrap();
                let known = agent.sentinel_sentinels("mymaster").await.unwrap().len();
                let replicas_known = agent.sentinel_replicas("mymaster").await.unwrap().len();
                view.endpoint == *master
                    && known + 1 == self.sentinels.len()
                    && replicas_known == replicas
                    && agent.sentinel_ckquorum("mymaster").await.unwrap().ok
            })
            .await;
        }
    }

    /// What the servers refused to users of ours.
    pub(crate) async fn refused(&self) -> Vec<String> {
        let mut all = Vec::new();
        for server in self.nodes.iter().chain(&self.sentinels) {
            let log = self.agent(server).await.call(&["ACL", "LOG"]).await.unwrap();
            all.extend(
                log.into_array().unwrap().iter().map(|entry| format!("{}: {entry:?}", server.endpoint)),
            );
        }
        all
    }
}
