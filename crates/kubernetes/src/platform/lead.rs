//! Leads clients to the master: the address of its Service first, then the roles on the pods. A cluster leads its clients
//! itself, and has the roles on its pods only.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt as _;
use redoubt_api::{ADOPT, Key, Role};
use redoubt_engine::platform::PlatformError;
use serde_json::json;

use super::KubernetesPlatform;
use crate::{
    access::Effect,
    names::{Group, Names},
    objects::master_slice,
};

/// A role that no pod has.
const NOBODY: &str = "led-by-its-slice";

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
        let Some(service) = self.stores.service(key, &name) else { return Ok(()) };
        let way = Way::of(&service, key);
        if way == Way::Kubernetes || (way == Way::OldOperator && !self.is_adopted(key)) {
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
        if way == Way::OldOperator {
            // Not removed: Kubernetes would leave behind where the Service led by it.
            let (label, _) = Names::of(key).role(Role::Master);
            let change = json!({ "spec": { "selector": { label: NOBODY } } });
            self.cluster.merge::<Service>(&key.namespace, &name, &change).await?;
        }
        Ok(())
    }

    /// Who takes the way back takes this away first.
    fn is_adopted(&self, key: &Key) -> bool {
        let resource = self.stores.resource(key);
        resource
            .is_some_and(|resource| resource.annotations().get(ADOPT).is_some_and(|value| value == "true"))
    }
}

/// Who decides where the Service of the master leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Our slice.
    Slice,
    /// Kubernetes, to the only node there is.
    Kubernetes,
    /// The role labels, after a probe: as the old operator made it.
    OldOperator,
}

impl Way {
    fn of(service: &Service, key: &Key) -> Self {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let (label, _) = Names::of(key).role(Role::Master);
        match selector.map(|selector| selector.get(label).map(String::as_str)) {
            None | Some(Some(NOBODY)) => Self::Slice,
            Some(None) => Self::Kubernetes,
            Some(Some(_)) => Self::OldOperator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_the_old_operator_made_is_led_by_a_slice_from_then_on() {
        let way = |selector: serde_json::Value| {
            let service = json!({ "metadata": {}, "spec": { "selector": selector } });
            Way::of(&serde_json::from_value(service).unwrap(), &Key::failover("shop", "cart"))
        };
        assert_eq!(way(json!(null)), Way::Slice);
        assert_eq!(way(json!({ "app.kubernetes.io/name": "cart" })), Way::Kubernetes);
        assert_eq!(way(json!({ "redisfailovers-role": "master" })), Way::OldOperator);
        assert_eq!(way(json!({ "redisfailovers-role": NOBODY })), Way::Slice);
    }
}
