//! Takes over what the old operator made, where the resource says so. Each part can be cut off anywhere and done again;
//! the rest is the engine's usual work: nodes with an old template are replaced, the master after a hand-over.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use redoubt_api::{CheckedRedis, Key};
use redoubt_engine::platform::{MemberKind, PlatformError, Workload};
use redoubt_redis::{Connection, Connector, Credentials, Endpoint, Error, role::Role};
use redoubt_serverconf::acl;
use redoubt_wire::{
    config::SetConfig,
    secrets::{AGENT_USER, REPLICATION_USER, Secrets},
};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::KubernetesPlatform;
use crate::{
    access::Kind,
    adopt::{Adoption, map_names, sharer},
    error::refused,
    names::{Names, labels, ports},
    remote::{self, Reach, Remote},
    rival::is_of_the_old,
    secrets,
    stand_in::is_agentless,
};

/// A server answers within milliseconds; its pod may be on a machine that is busy.
const ANSWER: Duration = Duration::from_secs(3);
/// Pods of Sentinels start within seconds, unless an image has to be pulled.
const SENTINELS_UP: Duration = Duration::from_mins(2);
/// A partial resynchronization takes milliseconds.
const RE_POINTED: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

/// Its user agrees, and does not hold it.
fn adopted(redis: &CheckedRedis) -> bool {
    !redis.spec.paused && redis.failover.as_ref().is_some_and(|failover| failover.adopted)
}

impl KubernetesPlatform {
    /// Makes the old operator's nodes be members: judged first, data first. The StatefulSet goes without its pods, and is
    /// made again over them. False: there is nothing to take over.
    pub(super) async fn begin_takeover(
        &self,
        redis: &CheckedRedis,
        uid: &str,
    ) -> Result<bool, PlatformError> {
        let key = &redis.key;
        if !adopted(redis) {
            return Ok(false);
        }
        let nodes = Names::of(key).of_kind(MemberKind::Node);
        let old = self.cluster.get::<StatefulSet>(&key.namespace, &nodes).await?;
        let Some(old) = old.filter(|set| is_of_the_old(set.labels())) else {
            // Begun before, and cut off when its StatefulSet was gone.
            return Ok(!self.old_pods(key, MemberKind::Node).await?.is_empty());
        };
        let seen = self.judged(key).await?;
        tracing::info!(
            redis = key.name,
            restarts = seen.restarts.len(),
            "takes over what the old operator made"
        );
        secrets::settle(&self.cluster, redis, uid).await?;
        self.free_volumes(key, uid, &old).await?;
        for kind in [MemberKind::Node, MemberKind::Sentinel] {
            // Two kinds of limits in one budget are refused; Redoubt's own comes in its place.
            self.remove_old::<PodDisruptionBudget>(key, &Names::of(key).of_kind(kind)).await?;
        }
        for pod in self.old_pods(key, MemberKind::Node).await? {
            let ours = json!({ "metadata": { "labels": { labels::MANAGED_BY: labels::MANAGER } } });
            self.cluster.merge::<Pod>(&key.namespace, &pod.name_any(), &ours).await?;
        }
        let api: Api<StatefulSet> = self.cluster.api(&key.namespace);
        let deleted = api.delete(&nodes, &DeleteParams::orphan()).await;
        deleted
            .map(|_| true)
            .map_err(|error| refused(format!("cannot take the StatefulSet {nodes} over"), &error))
    }

    /// What stands in the way does so now as well.
    async fn judged(&self, key: &Key) -> Result<Adoption, PlatformError> {
        let remote = Remote::within(self.cluster.client(), &key.namespace);
        let fault = |why: String, next: String| PlatformError {
            what: format!("the RedisFailover {} is not taken over", key.name),
            why,
            next,
        };
        let seen = remote.adoption_by(&key.name, Reach::Direct).await;
        let seen = seen.map_err(|error| fault(error.to_string(), error.next().to_owned()))?;
        if let Some(obstacle) = seen.obstacles.first() {
            return Err(fault(obstacle.what.clone(), obstacle.next.clone()));
        }
        if seen.unwritten.is_empty() {
            return Ok(seen);
        }
        Err(fault(
            format!("only the memory of its servers has {}", seen.unwritten.join(", ")),
            format!(
                "write it into spec.redis.customConfig; `redoubt adopt redisfailover/{}` does so",
                key.name
            ),
        ))
    }

    /// Who deletes the resource, or its definition, must not delete the data with it.
    async fn free_volumes(&self, key: &Key, uid: &str, old: &StatefulSet) -> Result<(), PlatformError> {
        let templates = old.spec.as_ref().and_then(|spec| spec.volume_claim_templates.clone());
        let prefixes: Vec<String> = templates
            .into_iter()
            .flatten()
            .map(|claim| format!("{}-{}-", claim.name_any(), old.name_any()))
            .collect();
        let api: Api<PersistentVolumeClaim> = self.cluster.api(&key.namespace);
        let listed = api.list(&ListParams::default()).await;
        let listed =
            listed.map_err(|error| refused("cannot look at the volume claims".to_owned(), &error))?;
        for claim in listed.items {
            let name = claim.name_any();
            let ours = prefixes.iter().any(|prefix| {
                name.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.parse::<u32>().is_ok())
            });
            let mut owners = claim.metadata.owner_references.unwrap_or_default();
            let before = owners.len();
            owners.retain(|owner| owner.uid != uid);
            if ours && owners.len() < before {
                let change = json!({ "metadata": { "ownerReferences": owners } });
                self.cluster.merge::<PersistentVolumeClaim>(&key.namespace, &name, &change).await?;
            }
        }
        Ok(())
    }

    async fn remove_old<K: Kind>(&self, key: &Key, name: &str) -> Result<(), PlatformError> {
        let found = self.cluster.get::<K>(&key.namespace, name).await?;
        let of_this = |object: &K| {
            is_of_the_old(object.labels()) && object.labels().get(labels::FAILOVER) == Some(&key.name)
        };
        match found.filter(of_this) {
            Some(object) => self.cluster.delete::<K>(&key.namespace, name, object.uid()).await,
            None => Ok(()),
        }
    }

    /// Pods of the old operator's making, by its labels.
    async fn old_pods(&self, key: &Key, kind: MemberKind) -> Result<Vec<Pod>, PlatformError> {
        let selector = Names::of(key).selector(kind);
        let pairs: Vec<String> = selector.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let api: Api<Pod> = self.cluster.api(&key.namespace);
        let listed = api.list(&ListParams::default().labels(&pairs.join(","))).await;
        let mut pods = listed.map_err(|error| refused("cannot look at the pods".to_owned(), &error))?.items;
        pods.retain(|pod| is_agentless(pod.annotations()) && pod.metadata.deletion_timestamp.is_none());
        Ok(pods)
    }

    /// After everything was applied: has Redoubt's Sentinels watch instead of the old ones, and stands in for agents.
    pub(super) async fn go_on_with_takeover(&self, workload: &Workload) -> Result<(), PlatformError> {
        let redis = &workload.redis;
        if !adopted(redis) {
            return Ok(());
        }
        let key = &redis.key;
        let own = self.own_secrets(key).await?;
        let set = Arc::new(workload.config.clone());
        self.stand_ins.stand_in(key, &set, &own);
        let name = Names::of(key).of_kind(MemberKind::Sentinel);
        let old = self.cluster.get::<Deployment>(&key.namespace, &name).await?;
        if old.is_some_and(|deployment| is_of_the_old(deployment.labels())) {
            self.sentinels_are_up(workload).await?;
            self.change_watch(redis, &set, &own).await.map_err(|fault| fault.told(key))?;
            self.remove_old::<Deployment>(key, &name).await?;
        }
        self.tidy(key).await
    }

    /// Once no pod of the old operator is left: what only those needed, the password in the clear with it.
    pub(super) async fn tidy(&self, key: &Key) -> Result<(), PlatformError> {
        for kind in [MemberKind::Node, MemberKind::Sentinel] {
            if !self.old_pods(key, kind).await?.is_empty() {
                return Ok(());
            }
        }
        let neighbours = self.stores.failovers_in(&key.namespace);
        for map in map_names(&key.name) {
            if sharer(&key.name, &neighbours, &map).is_none() {
                self.remove_old::<ConfigMap>(key, &map).await?;
            }
        }
        Ok(())
    }

    async fn own_secrets(&self, key: &Key) -> Result<Secrets, PlatformError> {
        let remote = Remote::within(self.cluster.client(), &key.namespace);
        let name = remote::spelled(key);
        remote.secrets(&name).await.map_err(|error| PlatformError {
            what: format!("the passwords of {} cannot be read", key.name),
            why: error.to_string(),
            next: error.next().to_owned(),
        })
    }

    async fn sentinels_are_up(&self, workload: &Workload) -> Result<(), PlatformError> {
        let key = &workload.redis.key;
        let up = self.stores.until(|| {
            let members = super::members::members(&self.stores, key, &self.domains);
            let run = members.iter().filter(|member| member.kind == MemberKind::Sentinel && member.running);
            run.count() >= workload.sentinels as usize
        });
        tokio::time::timeout(SENTINELS_UP, up).await.map_err(|_| PlatformError {
            what: format!("the Sentinels of {} are not taken over", key.name),
            why: format!("Redoubt's own do not run within {SENTINELS_UP:?}"),
            next: "it is tried again; see what keeps the pods rfs-… from starting".to_owned(),
        })
    }

    /// From the old Sentinels to Redoubt's. Theirs forget the master before ours are let in at it: two groups that watch one
    /// master by two addresses would take each other's word.
    async fn change_watch(&self, redis: &CheckedRedis, set: &SetConfig, own: &Secrets) -> Result<(), Fault> {
        let key = &redis.key;
        let given = secrets::given(&self.cluster, redis).await?;
        let login = given.map(|password| Credentials { user: None, password: password.current().clone() });
        let servers = Connector::new(login, ANSWER);
        let mut nodes = Vec::new();
        for pod in self.old_pods(key, MemberKind::Node).await? {
            let mut node = OldNode::reach(&pod, set, &servers).await?;
            node.let_in(set, own).await?;
            nodes.push(node);
        }
        let (masters, replicas): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|node| node.leads);
        let [mut master] =
            <[OldNode; 1]>::try_from(masters).map_err(|masters| Fault::Masters(masters.len()))?;
        let watched = set.sentinel().map(|sentinel| sentinel.master_name.as_str()).unwrap_or_default();
        let sentinels = Connector::new(None, ANSWER);
        let watchers = self.old_pods(key, MemberKind::Sentinel).await?;
        for pod in &watchers {
            is_sure(pod, &sentinels, watched, &master).await?;
        }
        // The last look before anything is changed: whoever is to follow it there has to find it there.
        let there = servers.connect(&master.server).await;
        drop(there.map_err(|source| master.fault(source))?);
        for pod in &watchers {
            forget(pod, &sentinels, watched).await?;
        }
        for mut replica in replicas {
            replica.follow(&master.server).await?;
            replica.let_agents_in(set, own).await?;
        }
        master.is_followed(set).await?;
        master.let_agents_in(set, own).await
    }
}

/// Why the watch was not changed.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error("{pod}: {source}")]
    Server {
        pod: String,
        #[source]
        source: Error,
    },
    #[error("{0} nodes say that they lead")]
    Masters(usize),
    #[error("the Sentinel {pod} has a failover under way, or names another master than {master}")]
    Unsure { pod: String, master: String },
    #[error("the replicas did not come back under their new addresses")]
    NotFollowed,
}

impl Fault {
    fn told(self, key: &Key) -> PlatformError {
        match self {
            Self::Platform(error) => error,
            other => PlatformError {
                what: format!("the Sentinels of {} are not taken over", key.name),
                why: other.to_string(),
                next: other.next().to_owned(),
            },
        }
    }

    fn next(&self) -> &'static str {
        match self {
            Self::Masters(0) => {
                "none was moved; have the node with the most data lead (REPLICAOF NO ONE), and the others follow it"
            }
            Self::Masters(_) => "none was moved; have all but the one that clients use follow it",
            Self::Platform(_) | Self::Server { .. } | Self::Unsure { .. } | Self::NotFollowed => {
                "it is tried again; see whether its pods are well"
            }
        }
    }
}

/// A Sentinel that was told to forget the master before is sure.
async fn is_sure(pod: &Pod, connector: &Connector, watched: &str, master: &OldNode) -> Result<(), Fault> {
    let asked = async { connector.connect(&at(pod, ports::SENTINEL)).await?.sentinel_master(watched).await };
    match asked.await {
        Ok(view) if view.endpoint.host == master.address && !view.flags.failover_in_progress() => Ok(()),
        Ok(_) => Err(Fault::Unsure { pod: pod.name_any(), master: master.pod.clone() }),
        Err(Error::Server { message, .. }) if message.contains("No such master") => Ok(()),
        Err(source) => Err(Fault::Server { pod: pod.name_any(), source }),
    }
}

async fn forget(pod: &Pod, connector: &Connector, watched: &str) -> Result<(), Fault> {
    let forgotten = async {
        let mut connection = connector.connect(&at(pod, ports::SENTINEL)).await?;
        match connection.sentinel_remove(watched).await {
            Err(Error::Server { message, .. }) if message.contains("No such master") => Ok(()),
            answer => answer,
        }
    };
    forgotten.await.map_err(|source| Fault::Server { pod: pod.name_any(), source })
}

fn at(pod: &Pod, number: i32) -> Endpoint {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
    Endpoint::new(address, u16::try_from(number).unwrap_or_default())
}

/// A node that the old operator made.
struct OldNode {
    pod: String,
    /// Where it was known before.
    address: String,
    /// Where it is announced from now on.
    server: Endpoint,
    connection: Connection,
    leads: bool,
}

impl OldNode {
    async fn reach(pod: &Pod, set: &SetConfig, connector: &Connector) -> Result<Self, Fault> {
        let name = pod.name_any();
        let fault = |source| Fault::Server { pod: pod.name_any(), source };
        let mut connection = connector.connect(&at(pod, ports::REDIS)).await.map_err(fault)?;
        let leads = matches!(connection.role().await.map_err(fault)?, Role::Master { .. });
        let server = set.node(&name).map(|node| node.server.clone());
        let server = server.unwrap_or_else(|| at(pod, ports::REDIS));
        Ok(Self { pod: name, address: at(pod, ports::REDIS).host, server, connection, leads })
    }

    /// Replicas and Sentinels may log in, and it announces itself by the address that outlives its pod.
    async fn let_in(&mut self, set: &SetConfig, own: &Secrets) -> Result<(), Fault> {
        let users = acl::node_users(set, own);
        for user in users.iter().filter(|user| !["default", AGENT_USER].contains(&user.name())) {
            self.call(user.set_user().arguments()).await?;
        }
        let (host, port) = (self.server.host.clone(), self.server.port.to_string());
        let settings = [
            ("masteruser", REPLICATION_USER),
            ("masterauth", own.replication.current().expose_secret()),
            ("replica-announce-ip", host.as_str()),
            ("replica-announce-port", port.as_str()),
        ];
        let set = self.connection.config_set(&settings).await;
        set.map_err(|source| self.fault(source))
    }

    /// As soon as they may ask the master, Redoubt's Sentinels begin to watch it.
    async fn let_agents_in(&mut self, set: &SetConfig, own: &Secrets) -> Result<(), Fault> {
        let users = acl::node_users(set, own);
        for user in users.iter().filter(|user| user.name() == AGENT_USER) {
            self.call(user.set_user().arguments()).await?;
        }
        Ok(())
    }

    async fn call(&mut self, arguments: &[String]) -> Result<(), Fault> {
        let called = self.connection.call(arguments).await;
        called.map(drop).map_err(|source| self.fault(source))
    }

    /// The master by its new address: a partial resynchronization, since it is the same server.
    async fn follow(&mut self, master: &Endpoint) -> Result<(), Fault> {
        let pointed = self.connection.replicaof(Some(master)).await;
        pointed.map_err(|source| self.fault(source))
    }

    /// Until every other node is attached, under its new address.
    async fn is_followed(&mut self, set: &SetConfig) -> Result<(), Fault> {
        let until = tokio::time::Instant::now() + RE_POINTED;
        loop {
            let seen = self.connection.replication().await.map_err(|source| self.fault(source))?;
            let attached = |server: &Endpoint| {
                seen.replicas.iter().any(|replica| replica.endpoint == *server && replica.is_online())
            };
            if set.nodes.iter().filter(|node| node.server != self.server).all(|node| attached(&node.server)) {
                return Ok(());
            }
            if tokio::time::Instant::now() >= until {
                return Err(Fault::NotFollowed);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn fault(&self, source: Error) -> Fault {
        Fault::Server { pod: self.pod.clone(), source }
    }
}
