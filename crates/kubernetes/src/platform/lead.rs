//! Leads clients to the master: the address of its Service first, then the roles on the pods.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use redoubt_api::{Key, Role};
use redoubt_engine::platform::{MemberKind, PlatformError};
use serde_json::json;

use super::KubernetesPlatform;
use crate::{access::Effect, names::Names, objects::master_slice};

impl KubernetesPlatform {
    pub(super) async fn lead_to(&self, key: &Key, master: &str) -> Result<(), PlatformError> {
        let names = Names::of(key);
        let mut pods: Vec<_> = self.stores.pods(key).into_iter().filter(|pod| is_node(names, pod)).collect();
        // First who leads now: `cart-replicas` must not lead to it.
        pods.sort_by_key(|pod| pod.name_any() != master);
        if let Some(pod) = pods.first().filter(|pod| pod.name_any() == master) {
            self.point_at(key, pod).await?;
        }
        for pod in pods {
            let role = if pod.name_any() == master { Role::Master } else { Role::Replica };
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

fn is_node(names: Names<'_>, pod: &Pod) -> bool {
    names.member_of(&pod.name_any(), pod.labels()).is_some_and(|(kind, _)| kind == MemberKind::Node)
}
