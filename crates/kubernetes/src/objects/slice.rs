//! Where `cart-master` leads to.

use std::net::IpAddr;

use k8s_openapi::api::{
    core::v1::{ObjectReference, Pod},
    discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
};
use kube::ResourceExt as _;
use redoubt_api::Key;

use super::meta;
use crate::names::{Names, labels, ports};

/// The Service that a slice belongs to, by the API of `discovery.k8s.io/v1`.
const SERVICE: &str = "kubernetes.io/service-name";
/// Who looks after a slice, by the same: the controllers of Kubernetes keep away from what is not theirs.
const SLICE_MANAGER: &str = "endpointslice.kubernetes.io/managed-by";

/// The one address of the Service of the master. One write moves it: a Service that selects a label waits for two writes
/// to pods, and for a controller that may pause for seconds between two looks at them, since each of them is news to it.
/// `None` while the pod has no address.
pub(crate) fn master_slice(key: &Key, uid: &str, pod: &Pod) -> Option<EndpointSlice> {
    let address: IpAddr = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    let names = Names::of(key);
    let mut metadata = meta(key, uid, names.master());
    let own = [(SERVICE, names.master()), (SLICE_MANAGER, labels::MANAGER.to_owned())];
    metadata.labels.get_or_insert_default().extend(own.map(|(name, value)| (name.to_owned(), value)));
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    Some(EndpointSlice {
        metadata,
        address_type: family.to_owned(),
        endpoints: vec![Endpoint {
            addresses: vec![address.to_string()],
            // Whether the master's probe has come round yet does not matter.
            conditions: Some(EndpointConditions { ready: Some(true), ..EndpointConditions::default() }),
            node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            target_ref: Some(ObjectReference {
                kind: Some("Pod".to_owned()),
                name: Some(pod.name_any()),
                namespace: pod.namespace(),
                uid: pod.uid(),
                ..ObjectReference::default()
            }),
            ..Endpoint::default()
        }],
        ports: Some(vec![EndpointPort {
            name: Some("redis".to_owned()),
            port: Some(ports::REDIS),
            protocol: Some("TCP".to_owned()),
            ..EndpointPort::default()
        }]),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slice(status: &serde_json::Value) -> Option<EndpointSlice> {
        let key = Key::redis("shop", "cart");
        let pod = serde_json::from_value(json!({
            "metadata": { "name": "cart-1", "namespace": "shop", "uid": "a-pod" },
            "spec": { "nodeName": "node-b", "containers": [] },
            "status": status,
        }));
        master_slice(&key, "a-uid", &pod.unwrap())
    }

    #[test]
    fn it_leads_to_one_pod_for_the_service_of_the_master() {
        let slice = json!(slice(&json!({ "podIP": "198.19.3.7" })).unwrap());
        assert_eq!(slice["metadata"]["labels"][SERVICE], "cart-master");
        assert_eq!(slice["metadata"]["labels"][SLICE_MANAGER], "redoubt");
        assert_eq!(slice["metadata"]["ownerReferences"][0]["uid"], "a-uid");
        assert_eq!(slice["endpoints"][0]["addresses"], json!(["198.19.3.7"]));
        assert_eq!(slice["endpoints"][0]["targetRef"]["uid"], "a-pod");
        assert_eq!((&slice["addressType"], &slice["ports"][0]["port"]), (&json!("IPv4"), &json!(6379)));
    }

    #[test]
    fn a_pod_of_the_other_family_has_its_own_kind_and_one_without_an_address_none() {
        assert_eq!(slice(&json!({ "podIP": "fd00::7" })).unwrap().address_type, "IPv6");
        assert_eq!(slice(&json!({})), None);
    }
}
