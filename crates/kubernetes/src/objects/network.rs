//! Who may reach the members: clients the servers and Sentinels, the members each other, everybody the agents' port,
//! where all but health and metrics needs a token.

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use redoubt_api::RawObject;
use redoubt_engine::platform::MemberKind;
use serde_json::Value;

use super::Wanted;
use crate::names::ports;

pub(super) fn policy(wanted: Wanted<'_>, kind: MemberKind) -> Option<NetworkPolicy> {
    if !wanted.redis().spec.network_policy.enabled {
        return None;
    }
    let mut metadata = wanted.meta(wanted.names().of_kind(kind));
    metadata.labels = Some(wanted.labels_of(kind));
    let server = match kind {
        MemberKind::Node => ports::REDIS,
        MemberKind::Sentinel => ports::SENTINEL,
    };
    let members = vec![NetworkPolicyPeer {
        pod_selector: Some(LabelSelector {
            match_labels: Some(wanted.names().instance()),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }];
    let bus = wanted.has_shards().then(|| rule(Some(members.clone()), ports::BUS));
    let ingress = [
        rule(Some(members), server),
        rule(Some(clients(&wanted.redis().spec.network_policy.from)), server),
        rule(None, wanted.names().agent_port()),
    ];
    let ingress = ingress.into_iter().chain(bus).collect();
    Some(NetworkPolicy {
        metadata,
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(wanted.names().selector(kind)),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(ingress),
            ..NetworkPolicySpec::default()
        }),
    })
}

fn rule(from: Option<Vec<NetworkPolicyPeer>>, port: i32) -> NetworkPolicyIngressRule {
    let port = NetworkPolicyPort {
        port: Some(IntOrString::Int(port)),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    };
    NetworkPolicyIngressRule { from, ports: Some(vec![port]) }
}

/// Every pod of the namespace, unless somebody is named. What is no peer at all becomes one that lets nobody in: the
/// policy must not grow wider than what was written.
fn clients(from: &[RawObject]) -> Vec<NetworkPolicyPeer> {
    if from.is_empty() {
        let everybody = LabelSelector::default();
        return vec![NetworkPolicyPeer { pod_selector: Some(everybody), ..NetworkPolicyPeer::default() }];
    }
    from.iter()
        .map(|peer| serde_json::from_value(Value::Object(peer.0.clone())).unwrap_or_default())
        .collect()
}
