//! The operator that made `RedisFailover` before. Two that look after one resource would undo each other's work: as long
//! as it works, or something of its making is there, nothing is made.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    coordination::v1::Lease,
};
use kube::{Api, Client, ResourceExt as _, api::ListParams};
use redoubt_api::Key;
use redoubt_engine::platform::PlatformError;

use crate::{
    access::{Cluster, Kind},
    error::refused,
    names::{Names, labels},
};

/// The Lease of the old operator and of its forks, in whatever namespace they are.
const LEASE: &str = "redis-failover-lease";
/// Who makes another operator whose image is called like the old one's.
const OTHERS: [&str; 2] = ["opstree", "ot-container-kit"];
/// It is renewed every few seconds. Clocks of machines differ by less than this.
const FRESH: SignedDuration = SignedDuration::from_mins(1);

/// Refuses as long as the old operator works, or something that it made of this resource is there.
pub(crate) async fn is_away(cluster: &Cluster, key: &Key) -> Result<(), PlatformError> {
    let held = holders(&cluster.client()).await.map_err(|error| {
        refused(format!("cannot see whether the old operator still works (Leases called {LEASE})"), &error)
    })?;
    if let Some(held) = held.first() {
        return Err(PlatformError {
            what: format!("nothing of the RedisFailover {} was made", key.name),
            why: format!("the old operator still works: {held}"),
            next: "scale its Deployment to 0; a minute later this goes on".to_owned(),
        });
    }
    let made = Names::of(key);
    refuse_made::<StatefulSet>(cluster, key, &made.nodes()).await?;
    refuse_made::<Deployment>(cluster, key, &made.sentinels()).await
}

/// What shows that the old operator works, in words: Leases that are held, and Deployments that are not scaled to 0,
/// wherever they are.
pub(crate) async fn at_work(client: &Client) -> Result<Vec<String>, kube::Error> {
    let deployments: Api<Deployment> = Api::all(client.clone());
    let deployments = deployments.list(&ListParams::default()).await?;
    let mut at_work = holders(client).await?;
    at_work.extend(deployments.items.iter().filter_map(operator));
    Ok(at_work)
}

/// Leases that are held.
async fn holders(client: &Client) -> Result<Vec<String>, kube::Error> {
    let leases: Api<Lease> = Api::all(client.clone());
    let named = ListParams::default().fields(&format!("metadata.name={LEASE}"));
    let now = Timestamp::now();
    let listed = leases.list(&named).await?;
    let holder = |lease: &Lease| {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
        format!("{holder} holds the Lease {LEASE} in namespace {}", lease.namespace().unwrap_or_default())
    };
    Ok(listed.items.iter().filter(|lease| is_held(lease, now)).map(holder).collect())
}

/// A Deployment that runs the old operator, or a fork of it. Another operator's image, which knows no `RedisFailover`, has
/// the same last name.
fn operator(deployment: &Deployment) -> Option<String> {
    let spec = deployment.spec.as_ref().filter(|spec| spec.replicas != Some(0))?;
    let images = spec.template.spec.iter().flat_map(|pod| &pod.containers);
    let image = images.filter_map(|container| container.image.as_deref()).find(|image| is_operator(image))?;
    let (name, namespace) = (deployment.name_any(), deployment.namespace().unwrap_or_default());
    Some(format!("the Deployment {name} in namespace {namespace} runs {image}"))
}

fn is_operator(image: &str) -> bool {
    let path = image.split('@').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default().split(':').next();
    name == Some("redis-operator") && !OTHERS.iter().any(|other| path.contains(other))
}

async fn refuse_made<K: Kind>(cluster: &Cluster, key: &Key, name: &str) -> Result<(), PlatformError> {
    match cluster.get::<K>(&key.namespace, name).await? {
        Some(found) if is_of_the_old(found.labels()) => Err(PlatformError {
            what: format!("nothing of the RedisFailover {} was made", key.name),
            why: format!("the {} {name} of the old operator is there, perhaps with data", K::kind(&())),
            next: format!(
                "`redoubt adopt redisfailover/{} --dry-run` says what taking it over would change; or have the old operator \
                 look after it",
                key.name
            ),
        }),
        _ => Ok(()),
    }
}

pub(crate) fn is_of_the_old(found: &std::collections::BTreeMap<String, String>) -> bool {
    found.contains_key(labels::FAILOVER)
        && found.get(labels::MANAGED_BY).map(String::as_str) != Some(labels::MANAGER)
}

fn is_held(lease: &Lease, now: Timestamp) -> bool {
    let Some(spec) = &lease.spec else { return false };
    let holder = spec.holder_identity.as_deref().is_some_and(|holder| !holder.is_empty());
    holder && spec.renew_time.as_ref().is_some_and(|renewed| now.duration_since(renewed.0) < FRESH)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn held(spec: &Value) -> bool {
        let lease: Lease = serde_json::from_value(json!({ "spec": spec })).unwrap();
        is_held(&lease, "2026-11-28T10:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_lease_is_held_by_whoever_renewed_it_a_moment_ago() {
        let by =
            |holder: &str, renewed: &str| held(&json!({ "holderIdentity": holder, "renewTime": renewed }));
        assert!(by("old-1", "2026-11-28T09:59:50.000000Z"));
        // A clock that runs ahead.
        assert!(by("old-1", "2026-11-28T10:00:20.000000Z"));
        assert!(!by("old-1", "2026-11-28T09:58:00.000000Z"), "nobody renewed it since");
        assert!(!by("", "2026-11-28T09:59:50.000000Z"), "it was released");
        assert!(!held(&json!({})));
    }

    #[test]
    fn the_old_operator_and_its_forks_are_known_by_their_image() {
        for image in [
            "quay.io/spotahome/redis-operator:v1.2.4",
            "ghcr.io/saremox/redis-operator:v4.3.0",
            "registry.local:5000/mirror/redis-operator@sha256:0",
            "redis-operator",
        ] {
            assert!(is_operator(image), "{image}");
        }
        for image in
            ["quay.io/opstree/redis-operator:v0.18", "redis:7.0", "x/redis-operator-ui:1", "redoubt:1"]
        {
            assert!(!is_operator(image), "{image}");
        }
        let deployment = |replicas: i32| -> Deployment {
            serde_json::from_value(json!({
                "metadata": { "name": "redisoperator", "namespace": "ops" },
                "spec": { "replicas": replicas, "selector": {}, "template": { "spec": { "containers": [
                    { "name": "app", "image": "quay.io/spotahome/redis-operator:latest" },
                ] } } },
            }))
            .unwrap()
        };
        assert_eq!(operator(&deployment(0)), None);
        assert!(operator(&deployment(1)).unwrap().contains("redisoperator in namespace ops"));
    }

    #[test]
    fn what_the_old_operator_made_is_told_from_our_own() {
        let key = Key::failover("shop", "cart");
        let ours = Names::of(&key).labels();
        assert!(!is_of_the_old(&ours));
        let mut old = ours;
        old.insert(labels::MANAGED_BY.to_owned(), "redis-operator".to_owned());
        assert!(is_of_the_old(&old));
        assert!(
            !is_of_the_old(&Names::of(&Key::redis("shop", "rfr-cart")).labels()),
            "a Redis called rfr-cart"
        );
    }
}
