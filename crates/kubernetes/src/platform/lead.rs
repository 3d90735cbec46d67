//! Leads clients to the master: the address of its Service first, then the roles on the pods. A cluster leads its clients
//! itself, and has the roles on its pods only.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use redoubt_api::{Key, Role};
use redoubt_engine::platform::PlatformError;
use serde_json::json;

use super::KubernetesPlatform;
use crate::{
    access::Effect,
    names::{Group, Names},
    objects::master_slice,
};

impl KubernetesPlatform {
    pub(super) async fn lead_to(&self, key: &Key, masters: &[String]) -> Result<(), PlatformError> {
        let names = Names::of(key);
        let leads = |pod: &Pod| masters.contains(&pod.name_any());
        let pods = self.stores.pods(key);
        // First who leads now: `cart-replicas` must not lead to it.
        let (leaders, others): (Vec<_>, Vec<_>) = pods.into_iter().partition(|pod| leads(pod));
        if let [pod] = &leaders[..] {
            self.point_at(key, pod).await?;
        }
        // Of a shard whose master is not known nobody knows who is a replica.
        let is_led = |group: Group| {
            let set = names.set(group);
            masters.iter().any(|master| master.rsplit_once('-').is_some_and(|(of, _)| of == set))
        };
        let follows = |pod: &&Arc<Pod>| names.group_of(pod.labels()).is_some_and(is_led);
        for pod in leaders.iter().chain(others.iter().filter(follows)) {
            let role = if leads(pod) { Role::Master } else { Role::Replica };
            let (label, value) = names.role(role);
            if pod.labels().get(label).map(String::as_str) != Some(value) {
                let change = json!({ "metadata": { "labels": { label: value } } });
                self.cluster.merge::<Pod>(&key.namespace, &pod.name_any(), &change).await?;
            }
        }
        Ok(())
    }

    async fn point_at(&self, key: &Key, pod: &Pod) -> Result<(), PlatformError> {
        let name = Names::of(key).master();
        let is_ours = |spec: &k8s_openapi::api::core::v1::ServiceSpec| spec.selector.is_none();
        let service = self.stores.service(key, &name);
        if !service.is_some_and(|service| service.spec.as_ref().is_some_and(is_ours)) {
            return Ok(());
        }
        let Some(uid) = self.uid(key) else { return Ok(()) };
        let Some(slice) = master_slice(key, &uid, pod) else { return Ok(()) };
        let leads_there = self.stores.slice(key, &name).is_some_and(|now| {
            now.endpoints == slice.endpoints
                && now.metadata.owner_references == slice.metadata.owner_references
        });
        if !leads_there {
            self.cluster.apply(&slice, Effect::Real).await?;
        }
        Ok(())
    }
}
