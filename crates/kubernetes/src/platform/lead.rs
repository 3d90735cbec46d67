//! Leads clients to the master: the address of its Service first, then the roles on the pods.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use redoubt_api::Key;
use redoubt_engine::platform::{MemberKind, PlatformError};
use serde_json::json;

use super::KubernetesPlatform;
use crate::{
    access::Effect,
    names::{Names, labels, parse_pod},
    objects::master_slice,
};

impl KubernetesPlatform {
    pub(super) async fn lead_to(&self, key: &Key, master: &str) -> Result<(), PlatformError> {
        let mut pods: Vec<_> = self.stores.pods(key).into_iter().filter(|pod| is_node(pod)).collect();
        // First who leads now: `cart-replicas` must not lead to it.
        pods.sort_by_key(|pod| pod.name_any() != master);
        if let Some(pod) = pods.first().filter(|pod| pod.name_any() == master) {
            self.point_at(key, pod).await?;
        }
        for pod in pods {
            let role = if pod.name_any() == master { labels::MASTER } else { labels::REPLICA };
            if pod.labels().get(labels::ROLE).map(String::as_str) != Some(role) {
                let change = json!({ "metadata": { "labels": { labels::ROLE: role } } });
                self.cluster.merge::<Pod>(&key.namespace, &pod.name_any(), &change).await?;
            }
        }
        Ok(())
    }

    async fn point_at(&self, key: &Key, pod: &Pod) -> Result<(), PlatformError> {
        let name = Names(&key.name).master();
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

fn is_node(pod: &Pod) -> bool {
    let component = pod.labels().get(labels::COMPONENT).map(String::as_str);
    parse_pod(&pod.name_any(), component).is_some_and(|(kind, _)| kind == MemberKind::Node)
}
