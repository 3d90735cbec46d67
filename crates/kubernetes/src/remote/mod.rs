//! A cluster seen from outside, for people and their command lines: what the operator published, and ways into the
//! pods that need nothing but the API server.

mod adoption;
mod error;
mod pods;
mod secrets;
mod tunnel;

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use redoubt_api::{Key, PublishedStatus, RESTARTED_AT, RedisStatus, ResourceKind};
use redoubt_engine::platform::MemberKind;
use redoubt_redis::Endpoint;
use redoubt_wire::{config::SetConfig, secrets::Secrets};
use serde_json::json;

pub(crate) use self::adoption::Reach;
pub use self::{error::RemoteError, tunnel::Tunnel};
use crate::{
    access::{Kind, resource_of},
    error::{is_forbidden, is_not_found},
    feed,
    names::{Names, labels, ports},
    objects::CONFIG_FILE,
};

/// Which cluster, and where in it.
#[derive(Debug, Clone, Default)]
pub struct RemoteOptions {
    /// The file; without it what `KUBECONFIG` names, `~/.kube/config`, or the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// The context; without it the file's current one.
    pub context: Option<String>,
    /// The namespace; without it that of the context.
    pub namespace: Option<String>,
}

/// One namespace of a cluster.
#[derive(Clone)]
pub struct Remote {
    client: Client,
    namespace: String,
}

/// A resource as the API server has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Its name and namespace.
    pub key: Key,
    /// Which of its versions was applied last.
    pub generation: Option<i64>,
    /// What the operator says of it; `None` as long as no operator saw it.
    pub status: Option<RedisStatus>,
}

impl Remote {
    /// Finds the cluster; asks it nothing yet.
    pub async fn open(options: &RemoteOptions) -> Result<Self, RemoteError> {
        // Installed already when several parts of a program use it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = configured(options).await?;
        let namespace = options.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| RemoteError::Config(error.to_string()))?;
        Ok(Self { client, namespace })
    }

    /// For the operator, which has its client.
    pub(crate) fn within(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned() }
    }

    /// Where in the cluster this is.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// All Redis of the namespace, by name, then all `RedisFailover`, where there is such a thing.
    pub async fn redises(&self) -> Result<Vec<Published>, RemoteError> {
        let mut all = Vec::new();
        for kind in ResourceKind::ALL {
            let optional = kind == ResourceKind::RedisFailover;
            match self.api_of(kind).list(&ListParams::default()).await {
                Ok(list) => {
                    let read: Result<Vec<_>, _> =
                        list.items.iter().map(|item| published(kind, item)).collect();
                    all.extend(read?);
                }
                Err(error) if optional && (is_not_found(&error) || is_forbidden(&error)) => {}
                Err(error) => {
                    return Err(self.refused(format!("the {} cannot be listed", kind.name()), &error));
                }
            }
        }
        Ok(all)
    }

    /// One of them.
    pub async fn redis(&self, name: &str) -> Result<Published, RemoteError> {
        let key = self.key(name);
        published(key.kind, &self.object(&key).await?)
    }

    /// The configuration that its agents share.
    pub async fn config(&self, name: &str) -> Result<SetConfig, RemoteError> {
        let map = Names::of(&self.key(name)).config();
        let what = format!("the ConfigMap {map} cannot be read");
        let found =
            self.api::<ConfigMap>().get_opt(&map).await.map_err(|error| self.refused(what, &error))?;
        let text = found.and_then(|map| map.data?.remove(CONFIG_FILE));
        let Some(text) = text else {
            self.redis(name).await?;
            return Err(RemoteError::NotYet { name: name.to_owned() });
        };
        let unfit = |why: serde_json::Error| RemoteError::Unfit {
            what: format!("the ConfigMap {map}"),
            why: why.to_string(),
        };
        serde_json::from_str(&text).map_err(unfit)
    }

    /// Its passwords.
    pub async fn secrets(&self, name: &str) -> Result<Secrets, RemoteError> {
        let secret = Names::of(&self.key(name)).auth();
        let what = format!("the Secret {secret} cannot be read");
        let found =
            self.api::<Secret>().get_opt(&secret).await.map_err(|error| self.refused(what, &error))?;
        let data = found.and_then(|secret| secret.data);
        let data = data.ok_or_else(|| RemoteError::NotYet { name: name.to_owned() })?;
        secrets::read(&secret, &data)
    }

    /// The Service that leads to the master, as pods reach it.
    #[must_use]
    pub fn master_service(&self, name: &str) -> Endpoint {
        self.service(&Names::of(&self.key(name)).master(), ports::REDIS)
    }

    /// The Service that leads to the replicas, as pods reach it.
    #[must_use]
    pub fn replicas_service(&self, name: &str) -> Endpoint {
        self.service(&Names::of(&self.key(name)).replicas(), ports::REDIS)
    }

    /// The Services that are the addresses of so many Sentinels, as pods reach them.
    #[must_use]
    pub fn sentinel_services(&self, name: &str, count: u32) -> Vec<Endpoint> {
        let key = self.key(name);
        let address = |ordinal| Names::of(&key).address(MemberKind::Sentinel, ordinal);
        (0..count).map(|ordinal| self.service(&address(ordinal), ports::SENTINEL)).collect()
    }

    /// The Services that are the addresses of the nodes of a cluster, as pods reach them; none in other modes.
    #[must_use]
    pub fn shard_services(&self, config: &SetConfig) -> Vec<Endpoint> {
        let in_shards = config.nodes.iter().filter(|node| node.shard.is_some());
        // The address of a member of a `Redis` has its name.
        in_shards.map(|node| self.service(&node.name, ports::REDIS)).collect()
    }

    /// The address of the Service that leads to the master.
    pub async fn master_address(&self, name: &str) -> Result<Option<Endpoint>, RemoteError> {
        let service = Names::of(&self.key(name)).master();
        let what = format!("the Service {service} cannot be read");
        let api = self.api::<k8s_openapi::api::core::v1::Service>();
        let found = api.get_opt(&service).await.map_err(|error| self.refused(what, &error))?;
        let address = found.and_then(|service| service.spec?.cluster_ip);
        Ok(address.map(|host| Endpoint::new(host, port(ports::REDIS))))
    }

    /// A way to one port of one pod.
    pub async fn tunnel(&self, pod: &str, port: u16) -> Result<Tunnel, RemoteError> {
        Tunnel::open(self.api::<Pod>(), pod.to_owned(), port).await
    }

    /// Asks for a restart of every node, one at a time.
    pub async fn restart(&self, name: &str, at: jiff::Timestamp) -> Result<(), RemoteError> {
        let key = self.key(name);
        let change = json!({ "metadata": { "annotations": { RESTARTED_AT: at.to_string() } } });
        let api = self.api_of(key.kind);
        let patched = api.patch(&key.name, &PatchParams::default(), &Patch::Merge(change)).await;
        patched.map(drop).map_err(|error| {
            self.refused(format!("the {} {} cannot be changed", key.kind.name(), key.name), &error)
        })
    }

    async fn object(&self, key: &Key) -> Result<DynamicObject, RemoteError> {
        match self.api_of(key.kind).get_opt(&key.name).await {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(self.no_such(key).await),
            Err(error) => {
                Err(self.refused(format!("the {} {} cannot be read", key.kind.name(), key.name), &error))
            }
        }
    }

    async fn no_such(&self, key: &Key) -> RemoteError {
        // Who may read one need not be allowed to list all: then nothing is suggested.
        let known = self.api_of(key.kind).list(&ListParams::default()).await;
        let known =
            known.map(|list| list.items.iter().map(|item| spelled(&feed::key(key.kind, item))).collect());
        let namespace = self.namespace.clone();
        RemoteError::NoSuchResource {
            kind: key.kind,
            name: key.name.clone(),
            namespace,
            known: known.unwrap_or_default(),
        }
    }

    fn api_of(&self, kind: ResourceKind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource_of(kind))
    }

    /// Which resource is meant: `cart` is a `Redis`, `redisfailover/cart` is not.
    fn key(&self, name: &str) -> Key {
        match name.split_once('/') {
            Some((kind, name)) if is_failover(kind) => Key::failover(&self.namespace, name),
            _ => Key::redis(&self.namespace, name),
        }
    }

    fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn service(&self, name: &str, number: i32) -> Endpoint {
        Endpoint::new(format!("{name}.{}.svc", self.namespace), port(number))
    }

    fn refused(&self, what: impl Into<String>, error: &kube::Error) -> RemoteError {
        RemoteError::refused(format!("{} (namespace {})", what.into(), self.namespace), error)
    }
}

async fn configured(options: &RemoteOptions) -> Result<Config, RemoteError> {
    let RemoteOptions { kubeconfig, context, .. } = options;
    let choice = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
    let fault = |error: &dyn std::fmt::Display| RemoteError::Config(error.to_string());
    match (kubeconfig, context) {
        (Some(file), _) => {
            let read = Kubeconfig::read_from(file).map_err(|error| fault(&error))?;
            Config::from_custom_kubeconfig(read, &choice).await.map_err(|error| fault(&error))
        }
        (None, Some(_)) => Config::from_kubeconfig(&choice).await.map_err(|error| fault(&error)),
        (None, None) => Config::infer().await.map_err(|error| fault(&error)),
    }
}

/// The names by which kubectl takes a kind.
fn is_failover(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    ["rf", "redisfailover", "redisfailovers", "redisfailovers.databases.spotahome.com"]
        .contains(&kind.as_str())
}

/// As commands take it.
#[must_use]
pub fn spelled(key: &Key) -> String {
    match key.kind {
        ResourceKind::Redis => key.name.clone(),
        ResourceKind::RedisFailover => format!("redisfailover/{}", key.name),
    }
}

fn published(kind: ResourceKind, object: &DynamicObject) -> Result<Published, RemoteError> {
    let key = feed::key(kind, object);
    let status = match object.data.get("status") {
        None => None,
        Some(status) => {
            let read = serde_json::from_value::<PublishedStatus>(status.clone());
            let unfit = |error: serde_json::Error| RemoteError::Unfit {
                what: format!("the status of {}", key.name),
                why: error.to_string(),
            };
            Some(read.map_err(unfit)?.status)
        }
    };
    Ok(Published { generation: object.metadata.generation, key, status })
}

fn port(number: i32) -> u16 {
    u16::try_from(number).unwrap_or_default()
}

/// Names of the pods of all Redis of this namespace.
async fn members(remote: &Remote) -> Vec<String> {
    let ours = ListParams::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGER));
    let listed = remote.api::<Pod>().list(&ours).await;
    listed.map(|list| list.items.iter().map(ResourceExt::name_any).collect()).unwrap_or_default()
}

/// What was asked of a pod was not done; one that is not there is answered with those that are.
async fn of_pod(remote: &Remote, pod: &str, what: String, error: &kube::Error) -> RemoteError {
    if is_not_found(error) {
        return RemoteError::NoSuchMember { name: pod.to_owned(), known: members(remote).await };
    }
    remote.refused(what, error)
}
