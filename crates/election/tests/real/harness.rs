//! A set of real processes: each at a loopback address of its own, gone when the test is.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use redoubt_election::{Context, Request, new_id};
use redoubt_redis::{Connection, Connector, Credentials, Endpoint, role::Role};
use redoubt_wire::{
    config::{
        Access, Durability, NodeEntry, Persistence, SentinelConfig, SentinelEntry, SetConfig, Topology,
        sentinel_id,
    },
    failover::Cause,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How a set differs from the usual one.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) nodes: usize,
    pub(crate) sentinels: usize,
    /// Lines for every redis.conf, and for every sentinel.conf.
    pub(crate) node_lines: String,
    pub(crate) sentinel_lines: String,
    /// Who logs in at the nodes and at the Sentinels.
    pub(crate) credentials: [Option<Credentials>; 2],
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            nodes: 3,
            sentinels: 3,
            node_lines: String::new(),
            sentinel_lines: String::new(),
            credentials: [None, None],
        }
    }
}

/// Three nodes and three Sentinels, or as many as its shape says.
pub(crate) struct Lab {
    dir: TempDir,
    pub(crate) set: Arc<SetConfig>,
    pub(crate) nodes: Vec<Server>,
    pub(crate) sentinels: Vec<Server>,
    pub(crate) at_nodes: Connector,
    pub(crate) at_sentinels: Connector,
}

/// One process; killed when dropped.
pub(crate) struct Server {
    pub(crate) at: Endpoint,
    child: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    /// kill -9, and its end is awaited.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its process ended by itself, or by another's hand.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some())
    }

    pub(crate) fn pid(&self) -> Pid {
        let child = self.child.as_ref().expect("it runs");
        Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }
}

/// A /24 of loopback where nobody listens yet.
fn net() -> String {
    static TESTS: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(7919) + TESTS.fetch_add(1, Ordering::Relaxed);
        let net = format!("127.{}.{}", 64 + number % 64, (number / 64) % 256);
        if TcpListener::bind((format!("{net}.1"), 6379)).is_ok() {
            return net;
        }
    }
}

fn set(net: &str, shape: &Shape) -> SetConfig {
    let at = |index: usize, port: u16| Endpoint::new(format!("{net}.{}", index + 1), port);
    let node = |index: usize| NodeEntry {
        shard: None,
        name: format!("cart-{index}"),
        server: at(index, 6379),
        agent: at(index, 9121),
    };
    let sentinel = |index: usize| SentinelEntry {
        name: format!("cart-sentinel-{index}"),
        id: sentinel_id("uid", &format!("cart-sentinel-{index}")),
        server: at(100 + index, 26379),
        agent: at(100 + index, 9121),
    };
    let config = SentinelConfig {
        master_name: "mymaster".to_owned(),
        quorum: u32::try_from(shape.sentinels / 2 + 1).unwrap(),
        down_after_ms: 5000,
        failover_timeout_ms: 10_000,
        parallel_syncs: 1,
        directives: BTreeMap::new(),
        sentinels: (0..shape.sentinels).map(sentinel).collect(),
    };
    SetConfig {
        api_version: 1,
        name: "cart".to_owned(),
        namespace: "default".to_owned(),
        uid: "uid".to_owned(),
        generation: 1,
        topology: Topology::Sentinel(config),
        nodes: (0..shape.nodes).map(node).collect(),
        directives: BTreeMap::new(),
        persistence: Persistence { rdb_save: String::new(), aof: false, aof_fsync: "no".to_owned() },
        durability: Durability {
            min_replicas_to_write: 0,
            max_replica_lag_s: 3,
            recovery_deadline_ms: None,
            hang_limit_ms: 3000,
        },
        grace_period_ms: 10_000,
        agentless: false,
        bootstrap: None,
        access: Access::usual(false),
    }
}

impl Lab {
    /// The usual set, whole: replicas in sync, every Sentinel knows everybody.
    pub(crate) async fn start() -> Self {
        Self::shaped(Shape::default()).await
    }

    pub(crate) async fn shaped(shape: Shape) -> Self {
        let net = net();
        let set = set(&net, &shape);
        let dir = tempfile::tempdir().unwrap();
        let [at_nodes, at_sentinels] =
            shape.credentials.clone().map(|who| Connector::new(who, Duration::from_secs(2)));
        let sentinel = set.sentinel().unwrap().clone();
        let mut lab = Self {
            nodes: set.nodes.iter().map(|node| Server { at: node.server.clone(), child: None }).collect(),
            sentinels: sentinel
                .sentinels
                .iter()
                .map(|s| Server { at: s.server.clone(), child: None })
                .collect(),
            dir,
            set: Arc::new(set),
            at_nodes,
            at_sentinels,
        };
        for node in 0..lab.nodes.len() {
            lab.write_node(node, &shape);
            lab.start_node(node, (node != 0).then_some(0));
        }
        for index in 0..lab.sentinels.len() {
            lab.write_sentinel(index, &shape);
            lab.start_sentinel(index);
        }
        lab.whole(0).await;
        lab
    }

    fn write_node(&self, node: usize, shape: &Shape) {
        let host = &self.nodes[node].at.host;
        let text = format!(
            "bind {host}\nport 6379\ndir {}\nsave \"\"\nprotected-mode no\nreplica-announce-ip {host}\n\
             repl-diskless-sync no\nmin-replicas-to-write 1\nmin-replicas-max-lag 3\nloglevel warning\n\
             logfile node-{node}.log\n{}\n",
            self.dir.path().display(),
            shape.node_lines
        );
        fs::write(self.dir.path().join(format!("node-{node}.conf")), text).unwrap();
    }

    /// Fixed ids, everybody known beforehand.
    fn write_sentinel(&self, index: usize, shape: &Shape) {
        let config = self.set.sentinel().unwrap();
        let (me, master) = (&config.sentinels[index], &self.nodes[0].at.host);
        let mut text = format!(
            "bind {host}\nport 26379\ndir {}\nprotected-mode no\nlogfile sentinel-{index}.log\n\
             sentinel announce-ip {host}\nsentinel announce-port 26379\nsentinel myid {}\n\
             sentinel monitor mymaster {master} 6379 {}\nsentinel down-after-milliseconds mymaster {}\n\
             sentinel failover-timeout mymaster {}\n{}\n",
            self.dir.path().display(),
            me.id,
            config.quorum,
            config.down_after_ms,
            config.failover_timeout_ms,
            shape.sentinel_lines,
            host = me.server.host,
        );
        for node in &self.nodes[1..] {
            writeln!(text, "sentinel known-replica mymaster {} 6379", node.at.host).unwrap();
        }
        for other in config.sentinels.iter().filter(|other| other.id != me.id) {
            writeln!(text, "sentinel known-sentinel mymaster {} 26379 {}", other.server.host, other.id)
                .unwrap();
        }
        fs::write(self.dir.path().join(format!("sentinel-{index}.conf")), text).unwrap();
    }

    /// Starts (again) as a replica of this node, or as master.
    pub(crate) fn start_node(&mut self, node: usize, master: Option<usize>) {
        let conf = self.dir.path().join(format!("node-{node}.conf"));
        let mut command = Command::new("redis-server");
        command.arg(conf);
        if let Some(master) = master {
            command.args(["--replicaof", &self.nodes[master].at.host, "6379"]);
        }
        self.nodes[node].child = Some(spawn(command));
    }

    pub(crate) fn start_sentinel(&mut self, index: usize) {
        let mut command = Command::new("redis-sentinel");
        command.arg(self.dir.path().join(format!("sentinel-{index}.conf")));
        self.sentinels[index].child = Some(spawn(command));
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn config(&self) -> &SentinelConfig {
        self.set.sentinel().unwrap()
    }

    /// What the agent of this node acts with.
    pub(crate) fn context(&self, node: usize) -> Context {
        let me = self.set.nodes[node].name.clone();
        Context::new(Arc::clone(&self.set), me, self.at_nodes.clone(), self.at_sentinels.clone())
    }

    pub(crate) fn request(&self, cause: Cause, replaces: usize) -> Request {
        Request {
            id: new_id(),
            cause,
            replaces: self.nodes[replaces].at.clone(),
            to: None,
            old_offset: None,
            history: None,
            epoch_heard: 0,
        }
    }

    pub(crate) async fn node(&self, node: usize) -> Connection {
        self.at_nodes.connect(&self.nodes[node].at).await.unwrap()
    }

    pub(crate) async fn sentinel(&self, index: usize) -> Connection {
        self.at_sentinels.connect(&self.sentinels[index].at).await.unwrap()
    }

    pub(crate) fn index_of(&self, at: &Endpoint) -> usize {
        self.nodes.iter().position(|node| node.at == *at).expect("a node of the set")
    }

    /// The node that every running Sentinel names, in one epoch, without strangers or ghosts; `None` before.
    pub(crate) async fn named_by_all(&self) -> Option<usize> {
        let mut said = Vec::new();
        for index in (0..self.sentinels.len()).filter(|index| self.sentinels[*index].child.is_some()) {
            let mut connection = self.at_sentinels.connect(&self.sentinels[index].at).await.ok()?;
            let master = connection.sentinel_master("mymaster").await.ok()?;
            let others = connection.sentinel_sentinels("mymaster").await.ok()?;
            assert_eq!(others.len(), self.sentinels.len() - 1, "a ghost Sentinel: {others:?}");
            let replicas = connection.sentinel_replicas("mymaster").await.ok()?;
            assert_eq!(replicas.len(), self.nodes.len() - 1, "a ghost replica: {replicas:?}");
            said.push((master.endpoint, master.config_epoch));
        }
        let agreed = said.windows(2).all(|pair| pair[0] == pair[1]);
        said.first().filter(|_| agreed).map(|(named, _)| self.index_of(named))
    }

    /// Waits until the set is whole with this node as master: named by all, followed by all that run.
    pub(crate) async fn whole(&self, master: usize) {
        let began = Instant::now();
        while !self.is_whole(master).await {
            assert!(
                began.elapsed() < PATIENCE,
                "not whole with cart-{master}; logs in {}",
                self.dir().display()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn is_whole(&self, master: usize) -> bool {
        self.nodes_follow(master).await
            && self.sentinels_know_all().await
            && self.named_by_all().await == Some(master)
    }

    /// This node leads, and all others that run follow it.
    pub(crate) async fn nodes_follow(&self, master: usize) -> bool {
        for index in (0..self.nodes.len()).filter(|index| self.nodes[*index].child.is_some()) {
            let Ok(mut connection) = self.at_nodes.connect(&self.nodes[index].at).await else { return false };
            let Ok(role) = connection.role().await else { return false };
            let Ok(replication) = connection.replication().await else { return false };
            let others = self.nodes.iter().filter(|node| node.child.is_some()).count() - 1;
            let right = match role {
                // A link is up up to a second before the stream begins.
                Role::Master { replicas, .. } => index == master && replicas.len() == others,
                Role::Replica { master: of, .. } => {
                    index != master && of == self.nodes[master].at && replication.link_up == Some(true)
                }
                Role::Sentinel { .. } => false,
            };
            if !right {
                return false;
            }
        }
        true
    }

    async fn sentinels_know_all(&self) -> bool {
        for index in (0..self.sentinels.len()).filter(|index| self.sentinels[*index].child.is_some()) {
            let Ok(mut connection) = self.at_sentinels.connect(&self.sentinels[index].at).await else {
                return false;
            };
            let heard = async {
                let quorum = connection.sentinel_ckquorum("mymaster").await?;
                let replicas = connection.sentinel_replicas("mymaster").await?;
                let seen = |node: &Server| {
                    let view = replicas.iter().find(|replica| replica.endpoint == node.at);
                    view.is_none_or(|view| view.runid.is_some())
                };
                let running = self.nodes.iter().filter(|node| node.child.is_some());
                Ok::<_, redoubt_redis::Error>(quorum.ok && running.into_iter().all(seen))
            };
            if !heard.await.unwrap_or(false) {
                return false;
            }
        }
        true
    }

    /// Full copies that all running nodes have served.
    pub(crate) async fn full_syncs(&self) -> u64 {
        let mut sum = 0;
        for index in (0..self.nodes.len()).filter(|index| self.nodes[*index].child.is_some()) {
            let info = self.node(index).await.info(Some("stats")).await.unwrap();
            sum += info.get("sync_full").unwrap().parse::<u64>().unwrap();
        }
        sum
    }

    /// Names of the nodes that report master.
    pub(crate) async fn masters(&self) -> Vec<usize> {
        let mut masters = Vec::new();
        for index in (0..self.nodes.len()).filter(|index| self.nodes[*index].child.is_some()) {
            if self.node(index).await.role().await.unwrap().is_master() {
                masters.push(index);
            }
        }
        masters
    }
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server is installed")
}
