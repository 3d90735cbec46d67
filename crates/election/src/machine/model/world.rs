//! A tiny Redis and a tiny Sentinel: three of each, only what an election touches.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use redoubt_redis::Endpoint;
use redoubt_wire::config::{
    Access, Durability, NodeEntry, Persistence, SentinelConfig, SentinelEntry, SetConfig, Topology,
};

use crate::{
    Moment,
    machine::{Answer, Ask, NodeRole, NodeSight, Peer, Place, SentinelSight, VoteReply},
};

pub(super) const DOWN_AFTER: Duration = Duration::from_secs(5);

/// A set of this size, each process at an address of its own.
pub(crate) fn set(nodes: usize, sentinels: usize) -> Arc<SetConfig> {
    let sentinel = |index: usize| SentinelEntry {
        name: format!("s{index}"),
        id: format!("{index:040}"),
        server: Endpoint::new(format!("127.0.1.{index}"), 26379),
        agent: Endpoint::new(format!("127.0.1.{index}"), 9121),
    };
    let node = |index: usize| NodeEntry {
        shard: None,
        name: format!("n{index}"),
        server: Endpoint::new(format!("127.0.0.{index}"), 6379),
        agent: Endpoint::new(format!("127.0.0.{index}"), 9121),
    };
    let config = SentinelConfig {
        master_name: "mymaster".to_owned(),
        quorum: u32::try_from(sentinels / 2 + 1).unwrap(),
        down_after_ms: 5000,
        failover_timeout_ms: 10_000,
        parallel_syncs: 1,
        directives: BTreeMap::new(),
        sentinels: (0..sentinels).map(sentinel).collect(),
    };
    Arc::new(SetConfig {
        api_version: 1,
        name: "cart".to_owned(),
        namespace: "default".to_owned(),
        uid: "uid".to_owned(),
        generation: 1,
        topology: Topology::Sentinel(config),
        nodes: (0..nodes).map(node).collect(),
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
    })
}

/// A Sentinel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sentinel {
    pub(super) up: bool,
    pub(super) current_epoch: u64,
    pub(super) leader: Option<String>,
    /// Whom it last told that it voted for.
    pub(super) last_leader: Option<String>,
    pub(super) leader_epoch: u64,
    pub(super) config_epoch: u64,
    pub(super) names: usize,
    pub(super) own: Option<OwnFailover>,
    pub(super) voted_at: Option<Moment>,
    pub(super) switched_at: Option<Moment>,
}

/// How far a failover of Sentinel's own has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum OwnFailover {
    Asking { epoch: u64 },
    Elected { epoch: u64 },
    Chosen { epoch: u64, node: usize },
    Promoted { epoch: u64, node: usize },
}

/// A data node. Its data is the list of the writes it holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) up: bool,
    pub(super) master: Option<usize>,
    pub(super) data: Vec<u16>,
    /// Writes of a dead master that lie in its socket, and when it will have read them.
    pub(super) unread: Option<(Moment, Vec<u16>)>,
    pub(super) replid: u16,
    pub(super) replid2: u16,
    pub(super) paused_until: Option<Moment>,
    pub(super) min_replicas: u32,
    /// Sentinel promoted it by itself, with the fence as it stood.
    pub(super) by_sentinel: bool,
    /// It had to take a full copy, and threw away what it had.
    pub(super) full_syncs: u32,
}

/// Everything but the candidates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) now: Moment,
    pub(super) sentinels: Vec<Sentinel>,
    pub(super) nodes: Vec<Node>,
    /// Writes that a client was told are done.
    pub(super) acked: Vec<u16>,
    next_write: u16,
    next_replid: u16,
    /// All votes ever given: epoch and Sentinel to candidate.
    pub(super) votes: BTreeMap<(u64, usize), String>,
    /// When a majority last named each node.
    pub(super) named_at: Vec<Option<Moment>>,
    /// Pauses so far, and the one that runs.
    pub(super) paused: Duration,
    pub(super) pause_began: Option<Moment>,
}

/// Offsets do not start at nothing: a node without history has 0.
const BASE: u64 = 100;

impl World {
    /// Node 0 is master, named by all in epoch 1; everything has been replicated.
    pub(super) fn new(nodes: usize, sentinels: usize) -> Self {
        let sentinel = Sentinel {
            up: true,
            current_epoch: 1,
            leader: None,
            last_leader: None,
            leader_epoch: 1,
            config_epoch: 1,
            names: 0,
            own: None,
            voted_at: None,
            switched_at: None,
        };
        let node = |index: usize| Node {
            up: true,
            master: (index != 0).then_some(0),
            data: Vec::new(),
            unread: None,
            replid: 1,
            replid2: 0,
            paused_until: None,
            min_replicas: 1,
            by_sentinel: false,
            full_syncs: 0,
        };
        let mut world = Self {
            now: Moment::START,
            sentinels: vec![sentinel; sentinels],
            nodes: (0..nodes).map(node).collect(),
            acked: Vec::new(),
            next_write: 1,
            next_replid: 2,
            votes: BTreeMap::new(),
            named_at: vec![None; nodes],
            paused: Duration::ZERO,
            pause_began: None,
        };
        world.settle();
        world
    }

    pub(super) fn majority(&self) -> usize {
        self.sentinels.len() / 2 + 1
    }

    /// Whom a majority names, frozen and dead Sentinels included: they come back with what they knew.
    pub(super) fn named(&self) -> Option<usize> {
        (0..self.nodes.len()).find(|node| {
            self.sentinels.iter().filter(|sentinel| sentinel.names == *node).count() >= self.majority()
        })
    }

    /// The highest epoch that anybody could have heard of.
    pub(super) fn epoch(&self) -> u64 {
        let living = self.sentinels.iter().filter(|sentinel| sentinel.up);
        living.map(|sentinel| sentinel.current_epoch).max().unwrap_or(0)
    }

    pub(super) fn votes_for(&self, candidate: &str, epoch: u64) -> usize {
        self.votes.iter().filter(|((of, _), by)| *of == epoch && *by == candidate).count()
    }

    /// After every event: clients write wherever they are let, and a majority's word is noted.
    pub(super) fn settle(&mut self) {
        for node in 0..self.nodes.len() {
            if self.writable(node) && self.unreplicated(node) < 1 {
                let write = self.next_write;
                self.next_write += 1;
                self.nodes[node].data.push(write);
                self.acked.push(write);
            }
        }
        if let Some(named) = self.named() {
            self.named_at[named] = Some(self.now);
        }
    }

    pub(super) fn writable(&self, node: usize) -> bool {
        let this = &self.nodes[node];
        let paused = this.paused_until.is_some_and(|until| self.now < until);
        this.up && this.master.is_none() && !paused && self.attached(node) >= this.min_replicas as usize
    }

    fn attached(&self, node: usize) -> usize {
        self.nodes.iter().filter(|other| other.up && other.master == Some(node)).count()
    }

    /// Writes that no replica has yet; one at a time is enough to be lost.
    fn unreplicated(&self, node: usize) -> usize {
        let followers = self.nodes.iter().filter(|other| other.up && other.master == Some(node));
        let reached = followers.map(|other| other.data.len()).max().unwrap_or(0);
        self.nodes[node].data.len().saturating_sub(reached)
    }

    /// Time goes on: replicas catch up.
    pub(super) fn pass(&mut self, until: Moment) {
        self.now = self.now.max(until);
        for node in &mut self.nodes {
            if let Some((_, unread)) = node.unread.take_if(|(at, _)| *at <= until) {
                node.data.extend(unread);
            }
        }
        for _ in 0..self.nodes.len() {
            for node in 0..self.nodes.len() {
                self.replicate(node);
            }
        }
        if let Some(began) = self.pause_began
            && self.nodes[0].paused_until.is_none_or(|until| until <= self.now)
        {
            self.paused += self.nodes[0].paused_until.unwrap_or(self.now).since(began);
            self.pause_began = None;
        }
        self.settle();
    }

    fn replicate(&mut self, node: usize) {
        let Some(master) = self.nodes[node].master.filter(|_| self.nodes[node].up) else { return };
        if !self.nodes[master].up || master == node {
            return;
        }
        let (data, replid, replid2) = {
            let master = &self.nodes[master];
            (master.data.clone(), master.replid, master.replid2)
        };
        let replica = &mut self.nodes[node];
        if !data.starts_with(&replica.data) {
            replica.full_syncs += 1;
        }
        (replica.data, replica.replid, replica.replid2) = (data, replid, replid2);
    }

    /// Sentinels greet each other: the higher config epoch wins.
    pub(super) fn gossip(&mut self) {
        let best =
            self.sentinels.iter().filter(|sentinel| sentinel.up).max_by_key(|s| s.config_epoch).cloned();
        let Some(best) = best else { return };
        for sentinel in self.sentinels.iter_mut().filter(|sentinel| sentinel.up) {
            sentinel.take(best.current_epoch, best.config_epoch, best.names, self.now);
        }
        self.settle();
    }

    /// One step of a Sentinel's own failover.
    pub(super) fn own_step(&mut self, index: usize) {
        let Some(own) = self.sentinels[index].own.filter(|_| self.sentinels[index].up) else { return };
        let next = match own {
            OwnFailover::Asking { epoch } => {
                let me = format!("{index:040}");
                for voter in 0..self.sentinels.len() {
                    self.vote(voter, epoch, &me);
                }
                // Votes count only while the epoch is the current one.
                let elected = self.votes_for(&me, epoch) >= self.majority()
                    && self.sentinels[index].current_epoch == epoch;
                elected.then_some(OwnFailover::Elected { epoch })
            }
            OwnFailover::Elected { epoch } => {
                let named = self.sentinels[index].names;
                let node = (0..self.nodes.len()).rev().find(|node| *node != named && self.nodes[*node].up);
                node.map(|node| OwnFailover::Chosen { epoch, node })
            }
            OwnFailover::Chosen { epoch, node } => {
                self.promote(node, None);
                Some(OwnFailover::Promoted { epoch, node })
            }
            OwnFailover::Promoted { epoch, node } => {
                self.sentinels[index].config_epoch = epoch;
                self.sentinels[index].names = node;
                self.sentinels[index].switched_at = Some(self.now);
                self.gossip();
                for other in 0..self.nodes.len() {
                    if other != node && self.nodes[other].up {
                        self.nodes[other].master = Some(node);
                    }
                }
                None
            }
        };
        self.sentinels[index].own = next;
        self.settle();
    }

    fn vote(&mut self, index: usize, epoch: u64, candidate: &str) -> VoteReply {
        let now = self.now;
        let sentinel = &mut self.sentinels[index];
        if sentinel.up {
            sentinel.current_epoch = sentinel.current_epoch.max(epoch);
            if sentinel.leader_epoch < epoch && sentinel.current_epoch <= epoch {
                sentinel.leader = Some(candidate.to_owned());
                sentinel.last_leader.clone_from(&sentinel.leader);
                sentinel.leader_epoch = sentinel.current_epoch;
                sentinel.voted_at = Some(now);
                let before = self.votes.insert((epoch, index), candidate.to_owned());
                assert_eq!(before, None, "a Sentinel voted twice in one epoch");
            }
        }
        VoteReply { leader: sentinel.leader.clone(), epoch: sentinel.leader_epoch }
    }

    pub(super) fn promote(&mut self, node: usize, min_replicas: Option<u32>) {
        let next = self.next_replid;
        let node = &mut self.nodes[node];
        node.unread = None;
        if node.master.take().is_some() {
            (node.replid2, node.replid) = (node.replid, next);
            self.next_replid += 1;
        }
        node.by_sentinel = min_replicas.is_none();
        node.min_replicas = min_replicas.unwrap_or(node.min_replicas);
    }

    pub(super) fn server(node: usize) -> Endpoint {
        Endpoint::new(format!("127.0.0.{node}"), 6379)
    }

    pub(super) fn node_at(&self, at: &Endpoint) -> usize {
        (0..self.nodes.len()).find(|node| Self::server(*node) == *at).unwrap()
    }

    /// Carries out a call, as a real server would.
    pub(super) fn execute(&mut self, place: Place, ask: &Ask) -> Answer {
        let answer = match place {
            Place::Sentinel(index) if self.sentinels[index].up => self.at_sentinel(index, ask),
            Place::Node(index) if self.nodes[index].up => self.at_node(index, ask),
            _ => Answer::Lost("connection refused".to_owned()),
        };
        self.settle();
        answer
    }

    fn at_sentinel(&mut self, index: usize, ask: &Ask) -> Answer {
        match ask {
            Ask::Sentinel => Answer::Sentinel(self.sentinel_sight(index)),
            Ask::Vote { master, epoch, candidate } => {
                if self.node_at(master) != self.sentinels[index].names {
                    return Answer::Vote(VoteReply { leader: None, epoch: 0 });
                }
                Answer::Vote(self.vote(index, *epoch, candidate))
            }
            Ask::Announce { hello } => {
                self.hear(index, hello);
                Answer::Names(Some(Self::server(self.sentinels[index].names)))
            }
            Ask::Count => Answer::Names(Some(Self::server(self.sentinels[index].names))),
            other => unreachable!("{other:?} at a Sentinel"),
        }
    }

    fn sentinel_sight(&self, index: usize) -> SentinelSight {
        let this = &self.sentinels[index];
        let peer = |other: usize| Peer {
            id: format!("{other:040}"),
            at: Endpoint::new(format!("127.0.1.{other}"), 26379),
            voted_epoch: 0,
        };
        let promoted = match this.own {
            Some(OwnFailover::Chosen { node, .. } | OwnFailover::Promoted { node, .. }) => {
                vec![Self::server(node)]
            }
            _ => Vec::new(),
        };
        SentinelSight {
            names: Self::server(this.names),
            config_epoch: this.config_epoch,
            quorum: self.majority(),
            failing_over: this.own.is_some(),
            peers: (0..self.sentinels.len()).filter(|other| *other != index).map(peer).collect(),
            promoted,
        }
    }

    /// `ip,port,id,epoch,name,ip,port,epoch`, refused in the hearer's own name as a stranger's would be.
    fn hear(&mut self, index: usize, hello: &str) {
        let fields: Vec<&str> = hello.split(',').collect();
        let [_, _, id, current, _, host, port, epoch] = fields[..] else { panic!("not a hello: {hello}") };
        assert_ne!(id, format!("{index:040}"), "a Sentinel was greeted in its own name");
        let node = self.node_at(&Endpoint::new(host, port.parse().unwrap()));
        let now = self.now;
        self.sentinels[index].take(current.parse().unwrap(), epoch.parse().unwrap(), node, now);
    }

    fn at_node(&mut self, index: usize, ask: &Ask) -> Answer {
        let now = self.now;
        match ask {
            Ask::Node => {}
            Ask::Promote { min_replicas } => self.promote(index, Some(*min_replicas)),
            Ask::Follow { master } => {
                let master = self.node_at(master);
                assert_ne!(master, index, "a node was told to follow itself");
                (self.nodes[index].master, self.nodes[index].unread) = (Some(master), None);
                return Answer::Done;
            }
            Ask::Fence { min_replicas } => {
                self.nodes[index].min_replicas = *min_replicas;
                return Answer::Done;
            }
            Ask::Pause { hold } => {
                self.nodes[index].paused_until = Some(now + *hold);
                self.pause_began = Some(now);
                return Answer::Done;
            }
            Ask::Unpause | Ask::Release => {
                self.nodes[index].paused_until = None;
                self.pass(now);
                return Answer::Done;
            }
            Ask::AnnounceAtNode { hellos } => {
                for sentinel in 0..self.sentinels.len() {
                    let stranger = hellos.iter().find(|hello| !hello.contains(&format!("{sentinel:040}")));
                    if let (Some(hello), true) = (stranger, self.sentinels[sentinel].up) {
                        self.hear(sentinel, hello);
                    }
                }
                return Answer::Done;
            }
            other => unreachable!("{other:?} at a node"),
        }
        Answer::Node(self.node_sight(index))
    }

    fn node_sight(&self, index: usize) -> NodeSight {
        let node = &self.nodes[index];
        let role = match node.master {
            None => NodeRole::Master,
            Some(master) => {
                let link_up = self.nodes[master].up || node.unread.is_some();
                NodeRole::Replica { of: Self::server(master), link_up }
            }
        };
        NodeSight {
            role,
            replid: node.replid.to_string(),
            replid2: (node.replid2 != 0).then(|| node.replid2.to_string()),
            offset: BASE + node.data.len() as u64,
            priority: 100,
            incomplete: false,
            unwritable: false,
            attached: self.attached(index),
        }
    }
}

impl Sentinel {
    fn take(&mut self, current: u64, config_epoch: u64, names: usize, now: Moment) {
        self.current_epoch = self.current_epoch.max(current);
        if self.config_epoch < config_epoch {
            self.config_epoch = config_epoch;
            if self.names != names {
                self.names = names;
                self.switched_at = Some(now);
                self.leader = None;
                self.own = None;
            }
        }
    }
}
