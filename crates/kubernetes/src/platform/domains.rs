//! What takes pods down together: a zone or, where the machines are in none, a machine.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, ResourceExt as _};
use redoubt_engine::platform::PlatformError;

use crate::{
    access::Cluster,
    error::{is_forbidden, refused},
};

/// The zone of a machine, by the well-known labels of Kubernetes.
const ZONE: &str = "topology.kubernetes.io/zone";

/// The domains of machines by their names. A machine that moves to another zone is a new one: each is asked for once.
#[derive(Debug, Default)]
pub(super) struct Domains {
    known: Mutex<BTreeMap<String, String>>,
}

impl Domains {
    /// Asks for the machines of these pods that nobody has asked for yet.
    pub(super) async fn learn(&self, cluster: &Cluster, pods: &[Arc<Pod>]) -> Result<(), PlatformError> {
        for machine in pods.iter().filter_map(|pod| machine(pod)) {
            if !self.known().contains_key(machine) {
                let domain = domain(cluster, machine).await?;
                self.known().insert(machine.to_owned(), domain);
            }
        }
        Ok(())
    }

    /// Where this pod is.
    pub(super) fn of(&self, pod: &Pod) -> Option<String> {
        self.known().get(machine(pod)?).cloned()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn machine(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

async fn domain(cluster: &Cluster, machine: &str) -> Result<String, PlatformError> {
    let api: Api<Node> = Api::all(cluster.client());
    match api.get_opt(machine).await {
        Ok(node) => {
            let zone = node.and_then(|node| node.labels().get(ZONE).cloned());
            Ok(zone.unwrap_or_else(|| machine.to_owned()))
        }
        // An operator of one namespace may not look at machines.
        Err(error) if is_forbidden(&error) => Ok(machine.to_owned()),
        Err(error) => Err(refused(format!("cannot see in which zone {machine} is"), &error)),
    }
}
