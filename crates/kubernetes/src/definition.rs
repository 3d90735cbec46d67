//! Whether the cluster knows what a `RedisFailover` is: it does once somebody has installed its definition, and need not.

use futures::StreamExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    runtime::{WatchStreamExt as _, watcher, watcher::watch_object},
};
use redoubt_api::ResourceKind;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    access::{Cluster, resource_of},
    error::is_forbidden,
};

/// What the cluster knows of a `RedisFailover`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Definition {
    /// There is no such thing.
    Absent,
    /// There is, as the old operator installed it: with no place for a status.
    WithoutStatus,
    /// There is, and its status can be written.
    WithStatus,
}

impl Definition {
    pub(crate) fn of(found: Option<&CustomResourceDefinition>, version: &str) -> Self {
        let Some(found) = found else { return Self::Absent };
        let served = found.spec.versions.iter().find(|served| served.name == version);
        let has_status = |served: &&_| {
            let served: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion = served;
            served.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some())
        };
        match served {
            None => Self::Absent,
            Some(served) if has_status(&served) => Self::WithStatus,
            Some(_) => Self::WithoutStatus,
        }
    }
}

/// Tells how it is, for ever; an operator that may not look leaves it at that.
pub(crate) async fn follow(cluster: Cluster, told: watch::Sender<Definition>) {
    let resource = resource_of(ResourceKind::RedisFailover);
    let name = format!("{}.{}", resource.plural, resource.group);
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client());
    let mut events = std::pin::pin!(watch_object(api, &name).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(found) => {
                let now = Definition::of(found.as_ref(), &resource.version);
                if told.send_replace(now) != now {
                    info!(definition = name, ?now, "the cluster knows RedisFailover otherwise than before");
                }
            }
            Err(error) if may_not(&error) => {
                warn!(%error, "this operator may not look at definitions and runs no RedisFailover; `redoubt manifests` prints the rules");
                return;
            }
            Err(error) => warn!(%error, "the watch of a definition broke off and is begun anew"),
        }
    }
}

fn may_not(error: &watcher::Error) -> bool {
    matches!(
        error,
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) if is_forbidden(error)
    )
}

#[cfg(test)]
mod tests {
    use redoubt_api::failover_crd;
    use serde_json::{Value, json};

    use super::*;

    fn of(crd: Value) -> Definition {
        Definition::of(Some(&serde_json::from_value(crd).unwrap()), "v1")
    }

    #[test]
    fn a_definition_says_whether_it_has_a_status() {
        assert_eq!(of(failover_crd()), Definition::WithStatus);
        let mut old = failover_crd();
        old["spec"]["versions"][0]["subresources"] = json!({});
        assert_eq!(of(old), Definition::WithoutStatus);
        let mut other = failover_crd();
        other["spec"]["versions"][0]["name"] = json!("v2");
        assert_eq!(of(other), Definition::Absent);
        assert_eq!(Definition::of(None, "v1"), Definition::Absent);
    }
}
