//! Kubernetes as a [`Platform`].

mod domains;
mod identity;
mod lead;
mod members;
mod publish;
mod takeover;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, Secret, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::{Resource, ResourceExt as _, runtime::events::Recorder};
use redoubt_api::{CheckedRedis, Key, PublishedStatus, RedisStatus};
use redoubt_engine::platform::{
    Identity, Member, MemberKind, Platform, PlatformError, Publication, Workload,
};
use redoubt_wire::secrets::{Password, TOKEN};
use secrecy::SecretString;
use serde_json::json;

use self::domains::Domains;
use crate::{
    access::{Cluster, Effect, Kind},
    names::{Group, Names, labels},
    objects::{Objects, Wanted},
    secrets,
    stand_in::{StandIns, is_agentless},
    stores::{Stores, belongs},
};

/// Kubernetes. What is there is read from the watches; what should be is applied.
pub(crate) struct KubernetesPlatform {
    cluster: Cluster,
    stores: Stores,
    recorder: Recorder,
    /// The image with `redoubt-agent`, for whoever gets a new process anyway.
    agent_image: String,
    /// For nodes without an agent.
    stand_ins: StandIns,
    /// What was applied last in this life, so that the same is not applied again.
    applied: Mutex<BTreeMap<Key, (Workload, String)>>,
    domains: Domains,
}

impl KubernetesPlatform {
    pub(crate) fn new(
        cluster: Cluster,
        stores: Stores,
        recorder: Recorder,
        agent_image: String,
        stand_ins: StandIns,
    ) -> Self {
        Self {
            cluster,
            stores,
            recorder,
            agent_image,
            stand_ins,
            applied: Mutex::default(),
            domains: Domains::default(),
        }
    }

    fn applied(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, (Workload, String)>> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operator of another version restarts no server: the image stays until a new process is asked for anyway.
    fn agent_image(&self, workload: &Workload) -> String {
        let pinned = || {
            let set = self.stores.set(&workload.redis.key, Group::all(workload.counts()).next()?)?;
            let pod = set.spec.as_ref()?.template.clone();
            let template = pod.metadata?.annotations?.remove(labels::TEMPLATE)?;
            let image = pod.spec?.init_containers?.into_iter().next()?.image?;
            (template == workload.template).then_some(image)
        };
        pinned().unwrap_or_else(|| self.agent_image.clone())
    }

    /// It is as it was applied last, and nothing of it was taken away since.
    fn stands(&self, workload: &Workload, image: &str) -> bool {
        let key = &workload.redis.key;
        let known = self.applied().get(key).is_some_and(|(last, with)| last == workload && with == image);
        known && Group::all(workload.counts()).all(|group| self.stores.set(key, group).is_some())
    }

    async fn settle(&self, workload: &Workload) -> Result<(), PlatformError> {
        let image = self.agent_image(workload);
        if self.stands(workload, &image) {
            return Ok(());
        }
        let key = &workload.redis.key;
        self.applied().remove(key);
        let wanted = Wanted { workload, agent_image: &image };
        let objects = Objects::new(wanted);
        // What would be refused half way must not begin.
        self.apply_all(&objects, Effect::DryRun).await?;
        secrets::settle(&self.cluster, &workload.redis, &workload.config.uid).await?;
        self.apply_all(&objects, Effect::Real).await?;
        if objects.network_policies.is_empty() {
            self.remove_policies(key).await?;
        }
        self.remove_shards(workload).await?;
        self.tell(workload).await?;
        self.go_on_with_takeover(workload).await?;
        self.applied().insert(key.clone(), (workload.clone(), image));
        Ok(())
    }

    async fn remove_policies(&self, key: &Key) -> Result<(), PlatformError> {
        for kind in [MemberKind::Node, MemberKind::Sentinel] {
            self.remove_ours::<NetworkPolicy>(key, &Names::of(key).of_kind(kind)).await?;
        }
        Ok(())
    }

    async fn remove_ours<K: Kind>(&self, key: &Key, name: &str) -> Result<(), PlatformError> {
        self.remove_if::<K>(key, name, |object| belongs(object, key)).await
    }

    /// Not one of the same name that somebody else made.
    async fn remove_if<K: Kind>(
        &self,
        key: &Key,
        name: &str,
        is_it: impl Fn(&K) -> bool,
    ) -> Result<(), PlatformError> {
        let found = self.cluster.get::<K>(&key.namespace, name).await?;
        match found.filter(is_it) {
            Some(object) => self.cluster.delete::<K>(&key.namespace, name, object.meta().uid.clone()).await,
            None => Ok(()),
        }
    }

    /// Those that the cluster has no more. Their volumes stay as those of a node that left do.
    async fn remove_shards(&self, workload: &Workload) -> Result<(), PlatformError> {
        let key = &workload.redis.key;
        let shards = workload.shards;
        for (group, set) in self.stores.sets(key) {
            if matches!(group, Group::Shard(shard) if shard >= shards) {
                let name = set.name_any();
                self.cluster.delete::<StatefulSet>(&key.namespace, &name, set.uid()).await?;
                self.remove_ours::<PodDisruptionBudget>(key, &name).await?;
            }
        }
        Ok(())
    }

    /// Pods come last: what they mount has to be there.
    async fn apply_all(&self, objects: &Objects, effect: Effect) -> Result<(), PlatformError> {
        let Objects { config, services, network_policies, budgets, stateful_sets } = objects;
        self.cluster.apply(config, effect).await?;
        for service in services {
            self.cluster.apply(service, effect).await?;
        }
        for policy in network_policies {
            self.cluster.apply(policy, effect).await?;
        }
        for budget in budgets {
            self.cluster.apply(budget, effect).await?;
        }
        for set in stateful_sets {
            self.cluster.apply(set, effect).await?;
        }
        Ok(())
    }

    /// Has the kubelets look at the new configuration at once.
    async fn tell(&self, workload: &Workload) -> Result<(), PlatformError> {
        let key = &workload.redis.key;
        let revision = workload.config.revision();
        for pod in self.stores.pods(key) {
            if pod.annotations().get(labels::CONFIG) != Some(&revision) {
                let change = json!({ "metadata": { "annotations": { labels::CONFIG: revision } } });
                self.cluster.merge::<Pod>(&key.namespace, &pod.name_any(), &change).await?;
            }
        }
        Ok(())
    }

    /// What the uid of the resource is now, if there is one.
    fn uid(&self, key: &Key) -> Option<String> {
        self.stores.resource(key)?.uid()
    }

    /// Everything that is not of the resource that is there now, if there is one. Volumes are nobody's but the
    /// StatefulSet's, and that only where the resource says so. The rest is collected as its owner is gone.
    async fn remove(&self, key: &Key) -> Result<(), PlatformError> {
        let uid = self.uid(key);
        let is_old = |owners: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference]| {
            !owners.iter().any(|owner| Some(&owner.uid) == uid.as_ref())
        };
        let pods: Vec<String> = self.stores.pods(key).iter().filter_map(|pod| pod.uid()).collect();
        for (_, set) in self.stores.sets(key) {
            if is_old(set.owner_references()) {
                self.cluster.delete::<StatefulSet>(&key.namespace, &set.name_any(), set.uid()).await?;
            }
        }
        self.stores.gone(key, &pods).await;
        for service in self.stores.services.state_filter(|service| belongs(service, key)) {
            if is_old(service.owner_references()) {
                self.cluster.delete::<Service>(&key.namespace, &service.name_any(), service.uid()).await?;
            }
        }
        Ok(())
    }
}

impl Platform for KubernetesPlatform {
    async fn identify(&self, redis: &CheckedRedis) -> Result<Identity, PlatformError> {
        self.addresses(redis).await
    }

    async fn observe(&self, key: &Key) -> Result<Vec<Member>, PlatformError> {
        let pods = self.stores.pods(key);
        // Only in a cluster is there more than one master, and so something to spread.
        if pods.iter().any(|pod| pod.labels().contains_key(labels::SHARD)) {
            self.domains.learn(&self.cluster, &pods).await?;
        }
        Ok(members::members(&self.stores, key, &self.domains))
    }

    async fn apply(&self, workload: &Workload) -> Result<(), PlatformError> {
        self.settle(workload).await
    }

    async fn replace(&self, workload: &Workload, member: &str) -> Result<(), PlatformError> {
        self.settle(workload).await?;
        let key = &workload.redis.key;
        let pod = self.stores.pods(key).into_iter().find(|pod| pod.name_any() == member);
        let Some(pod) = pod else { return Ok(()) };
        let uid = pod.uid();
        self.cluster.delete::<Pod>(&key.namespace, member, uid.clone()).await?;
        self.stores.gone(key, uid.as_slice()).await;
        if is_agentless(pod.annotations()) {
            self.tidy(key).await?;
        }
        Ok(())
    }

    async fn lead(&self, key: &Key, masters: &[String]) -> Result<(), PlatformError> {
        self.lead_to(key, masters).await
    }

    async fn publish(&self, key: &Key, publication: &Publication) -> Result<(), PlatformError> {
        self.show(key, publication).await
    }

    async fn published(&self, key: &Key) -> Result<Option<RedisStatus>, PlatformError> {
        let Some(redis) = self.stores.resource(key) else { return Ok(None) };
        let Some(status) = redis.data.get("status") else { return Ok(None) };
        match serde_json::from_value::<PublishedStatus>(status.clone()) {
            Ok(published) => Ok(Some(published.status)),
            // Not worth stopping for: it is written anew as soon as something is seen.
            Err(error) => {
                tracing::warn!(redis = key.name, %error, "the last status cannot be read");
                Ok(None)
            }
        }
    }

    async fn delete(&self, key: &Key) -> Result<(), PlatformError> {
        self.remove(key).await?;
        self.applied().remove(key);
        Ok(())
    }

    async fn token(&self, key: &Key) -> Result<Arc<SecretString>, PlatformError> {
        let name = Names::of(key).auth();
        let fault = |why: String| PlatformError {
            what: format!("the token of {} cannot be read from the Secret {name}", key.name),
            why,
            next: "delete the Secret's key token; it is made anew".to_owned(),
        };
        let secret = self.cluster.get::<Secret>(&key.namespace, &name).await?;
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        let text = data.get(TOKEN).ok_or_else(|| fault("there is none".to_owned()))?;
        let token = Password::parse(&text.0).map_err(|why| fault(why.to_string()))?;
        Ok(Arc::new(token.current().clone()))
    }
}

/// The object is being deleted.
fn is_leaving<K: Resource>(object: &K) -> bool {
    object.meta().deletion_timestamp.is_some()
}
