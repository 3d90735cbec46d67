//! A resource and a world for tests, one line each: converged unless said otherwise.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use redoubt_api::{
    AofFsync, Auth, CheckedCluster, CheckedFailover, CheckedRedis, CheckedSentinel, CheckedSpec,
    CheckedTopology, Durability, Engine, FailoverData, FailoverPods, FailoverSource, Finding,
    ImagePullPolicy, Key, Metrics, NetworkPolicy, Persistence, Placement, RawObject, Resources, SentinelDoor,
    SentinelPods, Services, Volume,
};
use redoubt_redis::Endpoint;
use redoubt_wire::{
    API_VERSION,
    config::{NodeEntry, SentinelEntry, sentinel_id},
    state::{AgentRole, AgentState, ClusterView, Live, NodeState, OnDisk, Phase, Replication, SentinelState},
};

use crate::{
    look::Look,
    plan::{Memory, Plan, plan_for},
    platform::{Identity, Member, MemberKind, Seat},
    world::{Counts, MemberView, Observed, World},
};

type Tweak = Box<dyn Fn(&mut World)>;

/// A resource and the members that run for it.
pub(crate) struct Scene {
    redis: CheckedRedis,
    running: Counts,
    master: u32,
    tweaks: Vec<Tweak>,
}

/// The Redis from which [`Scene::filled`] is filled.
pub(crate) fn outside() -> Endpoint {
    Endpoint::new("old.shop", 6379)
}

/// The nodes of [`Scene::cluster`].
pub(crate) const CLUSTER: [&str; 6] = [
    "cart-shard-0-0",
    "cart-shard-0-1",
    "cart-shard-1-0",
    "cart-shard-1-1",
    "cart-shard-2-0",
    "cart-shard-2-1",
];

impl Scene {
    /// Three nodes, three Sentinels, `cart-0` leads, all well.
    pub(crate) fn sentinel() -> Self {
        Self {
            redis: redis(),
            running: Counts { nodes: 3, sentinels: 3, shards: 0 },
            master: 0,
            tweaks: Vec::new(),
        }
    }

    /// One node.
    pub(crate) fn standalone() -> Self {
        let mut scene = Self::sentinel();
        scene.redis.spec.topology = CheckedTopology::Standalone;
        scene.redis.spec.replicas = 1;
        Self { running: Counts { nodes: 1, sentinels: 0, shards: 0 }, ..scene }
    }

    /// [`CLUSTER`]: three shards of two nodes, the first node of each leads, all well.
    pub(crate) fn cluster() -> Self {
        let mut scene = Self::sentinel();
        let cluster = CheckedCluster {
            shards: 3,
            replicas_per_shard: 1,
            weights: BTreeMap::new(),
            node_timeout: Duration::from_secs(5),
        };
        scene.redis.spec.replicas = cluster.nodes();
        scene.redis.spec.topology = CheckedTopology::Cluster(cluster);
        Self { running: Counts { nodes: 2, shards: 3, sentinels: 0 }, ..scene }
    }

    /// So many shards run; all but the first three own no slots yet, or no more.
    pub(crate) fn shards(mut self, count: u32) -> Self {
        self.running.shards = count;
        self
    }

    /// This is asked for in mode Cluster.
    pub(crate) fn wants(self, change: impl FnOnce(&mut CheckedCluster)) -> Self {
        self.spec(|spec| {
            if let CheckedTopology::Cluster(cluster) = &mut spec.topology {
                change(cluster);
                spec.replicas = cluster.nodes();
            }
        })
    }

    /// What the server of this node says of the cluster.
    pub(crate) fn says(self, name: &'static str, change: impl Fn(&mut ClusterView) + 'static) -> Self {
        self.node(name, move |node| change(node.cluster.as_deref_mut().expect("a node of a cluster")))
    }

    /// So many nodes are asked for and run.
    pub(crate) fn nodes(mut self, count: u32) -> Self {
        self.running.nodes = count;
        self.wants_nodes(count)
    }

    /// So many Sentinels are asked for and run.
    pub(crate) fn sentinels(mut self, count: u32) -> Self {
        self.running.sentinels = count;
        self.wants_sentinels(count)
    }

    /// So many nodes are asked for; those that run stay as they are.
    pub(crate) fn wants_nodes(mut self, count: u32) -> Self {
        self.redis.spec.replicas = count;
        self
    }

    /// So many Sentinels are asked for; those that run stay as they are.
    pub(crate) fn wants_sentinels(self, count: u32) -> Self {
        self.spec(|spec| {
            if let CheckedTopology::Sentinel(sentinel) = &mut spec.topology {
                sentinel.replicas = count;
                sentinel.quorum = crate::world::majority(count);
            }
        })
    }

    pub(crate) fn spec(mut self, change: impl FnOnce(&mut CheckedSpec)) -> Self {
        change(&mut self.redis.spec);
        self
    }

    /// A `RedisFailover` of which this is said.
    pub(crate) fn failover(mut self, not_honoured: Vec<Finding>, warnings: Vec<Finding>) -> Self {
        self.redis.failover = Some(Box::new(CheckedFailover {
            adopted: false,
            bootstrap: None,
            labels: BTreeMap::new(),
            data: FailoverData::EmptyDir(RawObject::default()),
            nodes: FailoverPods::default(),
            sentinels: FailoverPods::default(),
            sentinel_pods: SentinelPods::default(),
            not_honoured,
            warnings,
        }));
        self
    }

    /// A `RedisFailover` that asks to be filled from [`outside`].
    pub(crate) fn asks_to_be_filled(self) -> Self {
        let mut scene = self.failover(Vec::new(), Vec::new());
        let Endpoint { host, port } = outside();
        if let Some(failover) = &mut scene.redis.failover {
            failover.bootstrap = Some(FailoverSource { host, port });
        }
        scene
    }

    /// Such a one whose nodes hold all that is there, and follow it; nobody leads.
    pub(crate) fn filled(self) -> Self {
        let scene = self.asks_to_be_filled();
        let waiting = || Phase::Waiting { why: "no node leads yet".to_owned(), until: None };
        let scene = ["cart-sentinel-0", "cart-sentinel-1", "cart-sentinel-2"].into_iter().fold(
            scene,
            |scene, name| {
                scene.voter(name, move |sentinel| (sentinel.phase, sentinel.master) = (waiting(), None))
            },
        );
        ["cart-0", "cart-1", "cart-2"].into_iter().fold(scene, |scene, name| {
            scene.node(name, |node| {
                let (link_up, syncing) = (true, false);
                (node.ready, node.joined) = (true, false);
                node.replication = Some(Replication::Replica { master: outside(), link_up, syncing });
            })
        })
    }

    /// This node leads.
    pub(crate) fn master_at(mut self, ordinal: u32) -> Self {
        self.master = ordinal;
        self
    }

    pub(crate) fn member(mut self, name: &'static str, change: impl Fn(&mut MemberView) + 'static) -> Self {
        self.tweaks.push(Box::new(move |world| {
            change(
                world
                    .members
                    .iter_mut()
                    .find(|view| view.member.name == name)
                    .expect("a member of the scene"),
            );
        }));
        self
    }

    pub(crate) fn agent(self, name: &'static str, change: impl Fn(&mut AgentState) + 'static) -> Self {
        self.member(name, move |view| change(&mut view.state.as_mut().expect("an agent that answers").value))
    }

    pub(crate) fn node(self, name: &'static str, change: impl Fn(&mut NodeState) + 'static) -> Self {
        self.agent(name, move |agent| match &mut agent.role {
            AgentRole::Node(node) => change(node),
            AgentRole::Sentinel(_) => panic!("{name} is a Sentinel"),
        })
    }

    pub(crate) fn voter(self, name: &'static str, change: impl Fn(&mut SentinelState) + 'static) -> Self {
        self.agent(name, move |agent| match &mut agent.role {
            AgentRole::Sentinel(sentinel) => change(sentinel),
            AgentRole::Node(_) => panic!("{name} is a node"),
        })
    }

    /// Nobody knows how it is.
    pub(crate) fn silent(self, name: &'static str) -> Self {
        self.member(name, |view| view.state = None)
    }

    /// Its agent has ended.
    pub(crate) fn ended(self, name: &'static str) -> Self {
        self.silent(name).member(name, |view| view.member.running = false)
    }

    pub(crate) fn leaving(self, name: &'static str) -> Self {
        self.member(name, |view| view.member.leaving = true)
    }

    /// Its process was made for an older resource.
    pub(crate) fn outdated(self, name: &'static str) -> Self {
        self.member(name, |view| view.member.template = "old-0".to_owned())
    }

    pub(crate) fn syncing(self, name: &'static str) -> Self {
        self.node(name, |node| {
            node.ready = false;
            if let Some(Replication::Replica { link_up, syncing, .. }) = &mut node.replication {
                (*link_up, *syncing) = (false, true);
            }
        })
    }

    /// It still knows a node and a Sentinel that are no more.
    pub(crate) fn stale(self, name: &'static str) -> Self {
        self.voter(name, |sentinel| {
            sentinel.known_sentinels.push(sentinel_id("other", "cart-sentinel-9"));
            sentinel.known_replicas.push(Endpoint::new("127.0.1.99", 6379));
        })
    }

    pub(crate) fn redis(&self) -> &CheckedRedis {
        &self.redis
    }

    pub(crate) fn identity(&self) -> Identity {
        identity(self.running.max(Counts::wanted(&self.redis)))
    }

    pub(crate) fn world(&self) -> World {
        let mut world = self.bare_world();
        let states: Vec<_> = world.members.iter().map(|view| self.state(&world, &view.member)).collect();
        for (view, state) in world.members.iter_mut().zip(states) {
            view.state = Some(Observed { value: state, at: world.at });
        }
        for tweak in &self.tweaks {
            tweak(&mut world);
        }
        world
    }

    /// The platform has been told all there is to tell.
    pub(crate) fn memory(&self) -> Memory {
        let world = self.world();
        let look = Look::new(&self.redis, &world);
        Memory { applied: Some(Box::new(look.workload(look.counts))), ..Memory::default() }
    }

    pub(crate) fn plan(&self) -> Plan {
        plan_for(&Look::new(&self.redis, &self.world()), &self.memory())
    }

    fn bare_world(&self) -> World {
        let template = crate::template::template(&self.redis);
        let member = |kind, ordinal| MemberView {
            member: Member {
                name: name(kind, ordinal),
                kind,
                ordinal,
                template: template.clone(),
                running: true,
                leaving: false,
                trouble: None,
                domain: None,
            },
            state: None,
        };
        let nodes = self.running.ordinals(MemberKind::Node).map(|ordinal| member(MemberKind::Node, ordinal));
        let sentinels = (0..self.running.sentinels).map(|ordinal| member(MemberKind::Sentinel, ordinal));
        World::new(now(), self.identity(), nodes.chain(sentinels).collect())
    }

    fn state(&self, world: &World, member: &Member) -> AgentState {
        let config = Look::new(&self.redis, world).config;
        let master = node_endpoint(self.master);
        let others: Vec<Endpoint> =
            (0..self.running.nodes).map(node_endpoint).filter(|endpoint| *endpoint != master).collect();
        let role = match member.kind {
            MemberKind::Node if self.running.shards > 0 => {
                AgentRole::Node(in_shard(member.ordinal, self.running))
            }
            MemberKind::Node => AgentRole::Node(node_state(member.ordinal == self.master, &master, others)),
            MemberKind::Sentinel => AgentRole::Sentinel(SentinelState {
                phase: Phase::Running,
                master: Some(master),
                epoch: 1,
                current_epoch: 1,
                known_sentinels: (0..self.running.sentinels)
                    .filter(|ordinal| *ordinal != member.ordinal)
                    .map(|ordinal| sentinel_id("uid", &name(MemberKind::Sentinel, ordinal)))
                    .collect(),
                known_replicas: others,
                quorum_ok: true,
            }),
        };
        agent(&member.name, config.revision(), role)
    }
}

/// The clock of every scene.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

pub(crate) fn name(kind: MemberKind, ordinal: u32) -> String {
    match kind {
        MemberKind::Node => match Seat::of(ordinal) {
            Some(Seat { shard, index }) => format!("cart-shard-{shard}-{index}"),
            None => format!("cart-{ordinal}"),
        },
        MemberKind::Sentinel => format!("cart-sentinel-{ordinal}"),
    }
}

pub(crate) fn node_endpoint(ordinal: u32) -> Endpoint {
    Endpoint::new(node_host(ordinal), 6379)
}

fn node_host(ordinal: u32) -> String {
    match Seat::of(ordinal) {
        Some(Seat { shard, index }) => format!("127.0.3.{shard}{index}"),
        None => format!("127.0.1.{ordinal}"),
    }
}

pub(crate) fn identity(counts: Counts) -> Identity {
    let node = |ordinal| NodeEntry {
        shard: Seat::of(ordinal).map(|seat| seat.shard),
        name: name(MemberKind::Node, ordinal),
        server: node_endpoint(ordinal),
        agent: Endpoint::new(node_host(ordinal), 9121),
    };
    let sentinel = |ordinal| SentinelEntry {
        name: name(MemberKind::Sentinel, ordinal),
        id: sentinel_id("uid", &name(MemberKind::Sentinel, ordinal)),
        server: Endpoint::new(format!("127.0.2.{ordinal}"), 26379),
        agent: Endpoint::new(format!("127.0.2.{ordinal}"), 9121),
    };
    Identity {
        uid: "uid".to_owned(),
        nodes: counts.ordinals(MemberKind::Node).map(node).collect(),
        sentinels: (0..counts.sentinels).map(sentinel).collect(),
    }
}

pub(crate) fn agent(name: &str, config: String, role: AgentRole) -> AgentState {
    AgentState {
        api_version: API_VERSION,
        agent_version: "0.1.0".to_owned(),
        name: name.to_owned(),
        incarnation: "first".to_owned(),
        revision: 1,
        config: Some(config),
        config_fault: None,
        restart_needed: Vec::new(),
        server_pid: Some(1),
        server_version: Some("7.0.15".to_owned()),
        role,
        last_failover: None,
        notices: Vec::new(),
    }
}

pub(crate) fn node_state(leads: bool, master: &Endpoint, others: Vec<Endpoint>) -> NodeState {
    let replication = if leads {
        Replication::Master { replicas: others }
    } else {
        Replication::Replica { master: master.clone(), link_up: true, syncing: false }
    };
    NodeState {
        phase: Phase::Running,
        replication: Some(replication),
        ready: true,
        joined: true,
        on_disk: OnDisk::Nothing,
        disk_fault: None,
        cluster: None,
        live: None,
    }
}

/// A node of a cluster, whose first nodes lead: three shards own all slots.
fn in_shard(number: u32, running: Counts) -> NodeState {
    const SLOTS: [&str; 3] = ["0-5460", "5461-10922", "10923-16383"];
    let seat = Seat::of(number).expect("a seat");
    let master = node_endpoint(Seat { index: 0, ..seat }.number());
    let leads = seat.index == 0;
    let slots = SLOTS.get(seat.shard as usize).filter(|_| leads).copied().unwrap_or_default();
    let id = |index| format!("id-{}-{index}", seat.shard);
    let others = running.ordinals(MemberKind::Node).filter(|other| *other != number);
    let view = ClusterView {
        id: id(seat.index),
        master: (!leads).then(|| id(0)),
        is_ok: true,
        epoch: 1,
        slots: slots.to_owned(),
        knows: others.map(node_endpoint).collect(),
        misses: Vec::new(),
        covered: 16384,
        open: 0,
        map: "map".to_owned(),
    };
    NodeState {
        // A master without slots has nothing to serve.
        ready: !leads || view.leads(),
        live: Some(Live::default()),
        cluster: Some(Box::new(view)),
        ..node_state(leads, &master, Vec::new())
    }
}

pub(crate) fn redis() -> CheckedRedis {
    let sentinel = CheckedSentinel {
        replicas: 3,
        quorum: 2,
        master_name: "mymaster".to_owned(),
        down_after: Duration::from_secs(5),
        failover_timeout: Duration::from_secs(10),
        parallel_syncs: 1,
        config: BTreeMap::new(),
    };
    CheckedRedis {
        key: Key::redis("default", "cart"),
        generation: 1,
        spec: CheckedSpec {
            topology: CheckedTopology::Sentinel(sentinel),
            engine: Engine::Redis,
            version: None,
            image: None,
            image_pull_policy: ImagePullPolicy::IfNotPresent,
            replicas: 3,
            auth: Auth {
                enabled: true,
                secret_name: None,
                admin_commands: false,
                protect_sentinel_channel: false,
                sentinel_door: SentinelDoor::AsNodes,
                denied_commands: Vec::new(),
            },
            config: BTreeMap::new(),
            persistence: Persistence {
                rdb_save: "3600 1 300 100".to_owned(),
                aof: true,
                aof_fsync: AofFsync::Everysec,
                volume: Volume {
                    size: 1 << 30,
                    storage_class: None,
                    access_mode: "ReadWriteOnce".to_owned(),
                    keep_after_deletion: true,
                },
            },
            durability: Durability {
                min_replicas_to_write: 0,
                max_replica_lag: Duration::from_secs(3),
                recovery_deadline: Some(Duration::from_mins(1)),
                hang_limit: Duration::from_secs(3),
            },
            resources: Resources::default(),
            placement: Placement::default(),
            image_pull_secrets: Vec::new(),
            pod_annotations: BTreeMap::new(),
            services: Services::default(),
            network_policy: NetworkPolicy { enabled: true, from: Vec::new() },
            metrics: Metrics { enabled: true },
            termination_grace_period: Duration::from_secs(30),
            restarted_at: None,
            paused: false,
        },
        failover: None,
    }
}
