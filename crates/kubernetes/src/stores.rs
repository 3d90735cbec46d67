//! What is in the cluster, as the watches tell it. Nothing here asks: a look costs a lookup in memory.

use std::{collections::BTreeSet, fmt::Debug, hash::Hash, sync::Arc};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::DynamicObject,
    runtime::{
        WatchStreamExt as _,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use redoubt_api::{Key, ResourceKind};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::{
    access::{Cluster, resource_of},
    definition::{self, Definition},
    names::{Group, Names, labels, owner_of},
};

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everywhere.
    Cluster,
    /// In one namespace.
    Namespace(String),
}

/// What is in the cluster.
#[derive(Clone)]
pub(crate) struct Stores {
    redises: Store<DynamicObject>,
    failovers: Store<DynamicObject>,
    /// What the cluster knows of a `RedisFailover`.
    pub(crate) definition: watch::Receiver<Definition>,
    pub(crate) pods: Store<Pod>,
    sets: Store<StatefulSet>,
    pub(crate) services: Store<Service>,
    slices: Store<EndpointSlice>,
    /// Counts what was told of pods.
    pods_changed: watch::Sender<u64>,
}

/// Told of each event of a resource, and of each resource whose members changed.
#[derive(Debug)]
pub(crate) enum News {
    /// Something about a resource itself.
    Resource(ResourceKind, Box<Event<DynamicObject>>),
    /// Something about its members.
    Members(Key),
}

/// The watches; they end when this is dropped.
pub(crate) struct Watches {
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Stores {
    /// Begins to watch, and answers when all is known that is there. Only then is the news of Redis worth anything:
    /// what is not known yet must not look missing.
    pub(crate) async fn watch(
        cluster: &Cluster,
        scope: &Scope,
        news: tokio::sync::mpsc::Sender<News>,
    ) -> (Self, Watches) {
        let (pods, pod_writer) = store::<Pod>();
        let (sets, set_writer) = store::<StatefulSet>();
        let (services, service_writer) = store::<Service>();
        let (slices, slice_writer) = store::<EndpointSlice>();
        let redis_writer = Writer::new(resource_of(ResourceKind::Redis));
        let failover_writer = Writer::new(resource_of(ResourceKind::RedisFailover));
        let (definition, defined) = watch::channel(Definition::Absent);
        let stores = Self {
            redises: redis_writer.as_reader(),
            failovers: failover_writer.as_reader(),
            definition: defined.clone(),
            pods,
            sets,
            services,
            slices,
            pods_changed: watch::Sender::new(0),
        };
        let changed = stores.pods_changed.clone();
        let members = news.clone();
        let told = move || changed.send_modify(|count| *count += 1);
        let mut tasks = vec![
            spawn(members_of(cluster, scope, pod_writer), members.clone(), told),
            spawn(members_of(cluster, scope, set_writer), members.clone(), || ()),
            spawn(members_of(cluster, scope, service_writer), members.clone(), || ()),
            spawn(members_of(cluster, scope, slice_writer), members, || ()),
        ];
        // The writers live as long as the tasks above.
        let _ = stores.pods.wait_until_ready().await;
        let _ = stores.sets.wait_until_ready().await;
        let _ = stores.services.wait_until_ready().await;
        let _ = stores.slices.wait_until_ready().await;
        let redises = resources(ResourceKind::Redis, cluster, scope, redis_writer, news.clone());
        let failovers = resources(ResourceKind::RedisFailover, cluster, scope, failover_writer, news);
        tasks.extend([
            AbortOnDropHandle::new(tokio::spawn(redises)),
            AbortOnDropHandle::new(tokio::spawn(definition::follow(cluster.clone(), definition))),
            AbortOnDropHandle::new(tokio::spawn(once_defined(defined, failovers))),
        ]);
        (stores, Watches { _tasks: tasks })
    }

    /// The resource of this name.
    pub(crate) fn resource(&self, key: &Key) -> Option<Arc<DynamicObject>> {
        let reference = ObjectRef::new_with(&key.name, resource_of(key.kind)).within(&key.namespace);
        match key.kind {
            ResourceKind::Redis => self.redises.get(&reference),
            ResourceKind::RedisFailover => self.failovers.get(&reference),
        }
    }

    /// The names of every `RedisFailover` of a namespace.
    pub(crate) fn failovers_in(&self, namespace: &str) -> BTreeSet<String> {
        let there =
            self.failovers.state_filter(|failover| failover.namespace().as_deref() == Some(namespace));
        there.iter().map(|failover| failover.name_any()).collect()
    }

    /// The StatefulSet of these members.
    pub(crate) fn set(&self, key: &Key, group: Group) -> Option<Arc<StatefulSet>> {
        let reference = ObjectRef::new(&Names::of(key).set(group)).within(&key.namespace);
        self.sets.get(&reference).filter(|set| belongs(set.as_ref(), key))
    }

    /// All StatefulSets of a Redis.
    pub(crate) fn sets(&self, key: &Key) -> Vec<(Group, Arc<StatefulSet>)> {
        let of = |set: Arc<StatefulSet>| Some((Names::of(key).group_of(set.labels())?, set));
        self.sets.state_filter(|set| belongs(set, key)).into_iter().filter_map(of).collect()
    }

    /// The pods of a Redis.
    pub(crate) fn pods(&self, key: &Key) -> Vec<Arc<Pod>> {
        self.pods.state_filter(|pod| belongs(pod, key))
    }

    /// The Service of this name.
    pub(crate) fn service(&self, key: &Key, name: &str) -> Option<Arc<Service>> {
        let reference = ObjectRef::new(name).within(&key.namespace);
        self.services.get(&reference).filter(|service| belongs(service.as_ref(), key))
    }

    /// The slice of this name.
    pub(crate) fn slice(&self, key: &Key, name: &str) -> Option<Arc<EndpointSlice>> {
        let reference = ObjectRef::new(name).within(&key.namespace);
        self.slices.get(&reference).filter(|slice| belongs(slice.as_ref(), key))
    }

    /// Until this is so; asked whenever something is told of pods.
    pub(crate) async fn until(&self, is_so: impl Fn() -> bool) {
        let mut changed = self.pods_changed.subscribe();
        while !is_so() {
            // The sender lives in this very struct.
            let _ = changed.changed().await;
        }
    }

    /// Until none of the pods of this Redis is one of these.
    pub(crate) async fn gone(&self, key: &Key, uids: &[String]) {
        let is_there = |pod: &Arc<Pod>| pod.uid().is_some_and(|uid| uids.contains(&uid));
        self.until(|| !self.pods(key).iter().any(is_there)).await;
    }
}

/// It is a part of this resource.
pub(crate) fn belongs<K: Resource>(object: &K, key: &Key) -> bool {
    key_of(object).as_ref() == Some(key)
}

fn store<K>() -> (Store<K>, Writer<K>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let writer = Writer::<K>::new(());
    (writer.as_reader(), writer)
}

/// A watch of what is ours of one kind.
fn members_of<K>(
    cluster: &Cluster,
    scope: &Scope,
    writer: Writer<K>,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static
where
    K: crate::access::Kind + Send + Sync + 'static,
{
    let api: Api<K> = match scope {
        Scope::Cluster => Api::all(cluster.client()),
        Scope::Namespace(namespace) => Api::namespaced(cluster.client(), namespace),
    };
    let ours = format!("{}={}", labels::MANAGED_BY, labels::MANAGER);
    slim(watcher(api, watcher::Config::default().labels(&ours)), writer)
}

/// Tries again with growing pauses when it breaks off, and keeps no more than is read.
fn slim<K>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
    writer: Writer<K>,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Hash + Eq + Clone + Send + Sync,
{
    events.default_backoff().modify(|object| object.meta_mut().managed_fields = None).reflect(writer)
}

fn spawn<K: Resource + Send + 'static>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
    news: tokio::sync::mpsc::Sender<News>,
    told: impl Fn() + Send + 'static,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            told();
            match event {
                Ok(Event::Apply(object) | Event::Delete(object) | Event::InitApply(object)) => {
                    if let Some(key) = key_of(&object)
                        && news.send(News::Members(key)).await.is_err()
                    {
                        return;
                    }
                }
                Ok(Event::Init | Event::InitDone) => {}
                Err(error) => warn!(%error, "a watch broke off and is begun anew"),
            }
        }
    }))
}

/// Whose member it is.
fn key_of<K: Resource>(object: &K) -> Option<Key> {
    owner_of(object.labels(), object.namespace()?)
}

/// The watch of all resources of one kind.
fn resources(
    kind: ResourceKind,
    cluster: &Cluster,
    scope: &Scope,
    writer: Writer<DynamicObject>,
    news: tokio::sync::mpsc::Sender<News>,
) -> impl Future<Output = ()> + Send + 'static {
    let resource = resource_of(kind);
    let api: Api<DynamicObject> = match scope {
        Scope::Cluster => Api::all_with(cluster.client(), &resource),
        Scope::Namespace(namespace) => Api::namespaced_with(cluster.client(), namespace, &resource),
    };
    let events = slim(watcher(api, watcher::Config::default()), writer);
    async move {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if news.send(News::Resource(kind, Box::new(event))).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    let kind = kind.name();
                    warn!(%error, kind, "a watch broke off and is begun anew; is the CRD installed?");
                }
            }
        }
    }
}

/// A cluster that knows no such resource is asked for none.
async fn once_defined(mut defined: watch::Receiver<Definition>, watched: impl Future<Output = ()>) {
    if defined.wait_for(|definition| *definition != Definition::Absent).await.is_ok() {
        watched.await;
    }
}
