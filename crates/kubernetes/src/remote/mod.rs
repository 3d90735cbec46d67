//! A cluster seen from outside, for people and their command lines: what the operator published, and ways into the
//! pods that need nothing but the API server.

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
use redoubt_api::{Key, PublishedStatus, RESTARTED_AT, RedisStatus};
use redoubt_redis::Endpoint;
use redoubt_wire::{config::SetConfig, secrets::Secrets};
use serde_json::json;

pub use self::{error::RemoteError, tunnel::Tunnel};
use crate::{
    access::{Kind, redis_resource},
    error::is_not_found,
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

/// A `Redis` as the API server has it.
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

    /// Where in the cluster this is.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// All Redis of the namespace, by name.
    pub async fn redises(&self) -> Result<Vec<Published>, RemoteError> {
        let list = self.redis_api().list(&ListParams::default()).await;
        let list = list.map_err(|error| self.refused("the Redis cannot be listed", &error))?;
        list.items.iter().map(published).collect()
    }

    /// One of them.
    pub async fn redis(&self, name: &str) -> Result<Published, RemoteError> {
        published(&self.object(name).await?)
    }

    /// The configuration that its agents share.
    pub async fn config(&self, name: &str) -> Result<SetConfig, RemoteError> {
        let map = Names(name).config();
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
        let secret = Names(name).auth();
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
        self.service(&Names(name).master(), ports::REDIS)
    }

    /// The Service that leads to the replicas, as pods reach it.
    #[must_use]
    pub fn replicas_service(&self, name: &str) -> Endpoint {
        self.service(&Names(name).replicas(), ports::REDIS)
    }

    /// The Service of one Sentinel, as pods reach it.
    #[must_use]
    pub fn sentinel_service(&self, sentinel: &str) -> Endpoint {
        self.service(sentinel, ports::SENTINEL)
    }

    /// The address of the Service that leads to the master.
    pub async fn master_address(&self, name: &str) -> Result<Option<Endpoint>, RemoteError> {
        let service = Names(name).master();
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
        let change = json!({ "metadata": { "annotations": { RESTARTED_AT: at.to_string() } } });
        let patched = self.redis_api().patch(name, &PatchParams::default(), &Patch::Merge(change)).await;
        patched.map(drop).map_err(|error| self.refused(format!("the Redis {name} cannot be changed"), &error))
    }

    async fn object(&self, name: &str) -> Result<DynamicObject, RemoteError> {
        match self.redis_api().get_opt(name).await {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(self.no_such_redis(name).await),
            Err(error) => Err(self.refused(format!("the Redis {name} cannot be read"), &error)),
        }
    }

    async fn no_such_redis(&self, name: &str) -> RemoteError {
        // Who may read one need not be allowed to list all: then nothing is suggested.
        let known = self.redis_api().list(&ListParams::default()).await;
        let known = known.map(|list| list.items.iter().map(ResourceExt::name_any).collect());
        let namespace = self.namespace.clone();
        RemoteError::NoSuchRedis { name: name.to_owned(), namespace, known: known.unwrap_or_default() }
    }

    fn redis_api(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &redis_resource())
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

fn published(object: &DynamicObject) -> Result<Published, RemoteError> {
    let key = feed::key(object);
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
