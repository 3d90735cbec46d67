//! The operator that made `RedisFailover` before. Two that look after one resource would undo each other's work: as long
//! as it works, or something of its making is there, nothing is made.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    coordination::v1::Lease,
};
use kube::{Api, ResourceExt as _, api::ListParams};
use redoubt_api::Key;
use redoubt_engine::platform::PlatformError;

use crate::{
    access::{Cluster, Kind},
    error::refused,
    names::{Names, labels},
};

/// The Lease of the old operator and of its forks, in whatever namespace they are.
const LEASE: &str = "redis-failover-lease";
/// It is renewed every few seconds. Clocks of machines differ by less than this.
const FRESH: SignedDuration = SignedDuration::from_mins(1);

/// Refuses as long as the old operator works, or something that it made of this resource is there.
pub(crate) async fn is_away(cluster: &Cluster, key: &Key) -> Result<(), PlatformError> {
    let leases: Api<Lease> = Api::all(cluster.client());
    let named = ListParams::default().fields(&format!("metadata.name={LEASE}"));
    let listed = leases.list(&named).await;
    let listed = listed.map_err(|error| {
        refused(format!("cannot see whether the old operator still works (Leases called {LEASE})"), &error)
    })?;
    if let Some(held) = listed.items.iter().find(|lease| is_held(lease, Timestamp::now())) {
        let holder = held.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
        let namespace = held.namespace().unwrap_or_default();
        return Err(PlatformError {
            what: format!("nothing of the RedisFailover {} was made", key.name),
            why: format!(
                "the old operator still works: {holder} holds the Lease {LEASE} in namespace {namespace}"
            ),
            next: "scale its Deployment to 0; a minute later this goes on".to_owned(),
        });
    }
    let made = Names::of(key);
    refuse_made::<StatefulSet>(cluster, key, &made.nodes()).await?;
    refuse_made::<Deployment>(cluster, key, &made.sentinels()).await
}

async fn refuse_made<K: Kind>(cluster: &Cluster, key: &Key, name: &str) -> Result<(), PlatformError> {
    match cluster.get::<K>(&key.namespace, name).await? {
        Some(found) if is_of_the_old(found.labels()) => Err(PlatformError {
            what: format!("nothing of the RedisFailover {} was made", key.name),
            why: format!("the {} {name} of the old operator is there, perhaps with data", K::kind(&())),
            next: "have the old operator look after it: taking over what it made is not available yet; or, if nothing of it is \
                   needed any more, delete the RedisFailover and create it again"
                .to_owned(),
        }),
        _ => Ok(()),
    }
}

fn is_of_the_old(found: &std::collections::BTreeMap<String, String>) -> bool {
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
