//! Takes over what the old operator made, where the resource says so. Each part can be cut off anywhere and done again;
//! the rest is the engine's usual work: nodes with an old template are replaced, the master after a hand-over.

mod watch;

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
use redoubt_wire::secrets::Secrets;
use serde_json::json;

use super::KubernetesPlatform;
use crate::{
    access::Kind,
    adopt::{Adoption, map_names, sharer},
    error::refused,
    names::{Names, labels},
    remote::{self, Reach, Remote},
    rival::is_of_the_old,
    secrets,
    stand_in::is_agentless,
};

/// Pods of Sentinels start within seconds, unless an image has to be pulled.
const SENTINELS_UP: Duration = Duration::from_mins(2);

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
        let of_this = |object: &K| {
            is_of_the_old(object.labels()) && object.labels().get(labels::FAILOVER) == Some(&key.name)
        };
        self.remove_if::<K>(key, name, of_this).await
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
}
