//! All or none: before the first object of a Redis is made, everything is asked for in a dry run.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::{
        core::v1::{ResourceQuota, Secret},
        storage::v1::StorageClass,
    },
};
use kube::{Api, ResourceExt, api::ListParams};
use redoubt_api::ResourceKind;
use redoubt_engine::platform::{MemberKind, PlatformError};
use redoubt_wire::secrets::ALL;

use crate::{
    access::Cluster,
    error::{is_forbidden, refused},
    objects::{self, Objects, Wanted},
    quota::{self, Need},
    secrets,
};

/// Marks the class that claims without one get.
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// Would all of it be accepted? The first refusal is the answer.
pub(crate) async fn preflight(cluster: &Cluster, wanted: Wanted<'_>) -> Result<(), PlatformError> {
    secrets::given(cluster, wanted.redis()).await?;
    let (pods, claims) = objects::probes(wanted);
    if !claims.is_empty() {
        storage_class(cluster, wanted).await?;
    }
    quotas(cluster, wanted).await?;
    for claim in &claims {
        cluster.could_create(claim).await?;
    }
    for (_, pod) in &pods {
        cluster.could_create(pod).await?;
    }
    for service in member_services(wanted) {
        cluster.could_create(&service).await?;
    }
    let Objects { config, services, network_policies, budgets, stateful_sets } = Objects::new(wanted);
    let there = cluster.get::<Secret>(&wanted.redis().key.namespace, &wanted.names().auth()).await?;
    if there.is_none() {
        cluster.could_create(&empty_secret(wanted)).await?;
    }
    cluster.could_create(&config).await?;
    for service in &services {
        cluster.could_create(service).await?;
    }
    for policy in &network_policies {
        cluster.could_create(policy).await?;
    }
    for budget in &budgets {
        cluster.could_create(budget).await?;
    }
    for set in &stateful_sets {
        cluster.could_create(set).await?;
    }
    Ok(())
}

fn member_services(wanted: Wanted<'_>) -> Vec<k8s_openapi::api::core::v1::Service> {
    objects::member_services(wanted.redis(), &wanted.workload.config.uid, wanted.workload.counts())
}

fn empty_secret(wanted: Wanted<'_>) -> Secret {
    let data: BTreeMap<String, ByteString> = ALL.map(|name| (name.to_owned(), ByteString::default())).into();
    objects::secret(wanted.redis(), &wanted.workload.config.uid, data)
}

async fn storage_class(cluster: &Cluster, wanted: Wanted<'_>) -> Result<(), PlatformError> {
    let api: Api<StorageClass> = Api::all(cluster.client());
    let listed = match api.list(&ListParams::default()).await {
        Ok(listed) => listed.items,
        // An operator of one namespace may not look; a claim that stays pending is reported by its pod.
        Err(error) if is_forbidden(&error) => return Ok(()),
        Err(error) => return Err(refused("cannot look for storage classes".to_owned(), &error)),
    };
    let names = || listed.iter().map(ResourceExt::name_any).collect::<Vec<_>>().join(", ");
    let field = match wanted.redis().key.kind {
        ResourceKind::Redis => "spec.persistence.volume.storageClass",
        ResourceKind::RedisFailover => "spec.redis.storage.persistentVolumeClaim.spec.storageClassName",
    };
    let refuse = |why: String| PlatformError {
        what: format!("{field}: nothing of it was made"),
        why,
        next: format!("name one that is there ({})", names()),
    };
    match &wanted.redis().spec.persistence.volume.storage_class {
        Some(name) if listed.iter().any(|class| class.name_any() == *name) => Ok(()),
        Some(name) => Err(refuse(format!("there is no storage class {name}"))),
        None if listed.iter().any(is_default) => Ok(()),
        None => Err(refuse("no storage class is named, and none of the cluster's is the default".to_owned())),
    }
}

fn is_default(class: &StorageClass) -> bool {
    class.annotations().get(DEFAULT_CLASS).is_some_and(|value| value == "true")
}

async fn quotas(cluster: &Cluster, wanted: Wanted<'_>) -> Result<(), PlatformError> {
    let api: Api<ResourceQuota> = cluster.api(&wanted.redis().key.namespace);
    let quotas = api.list(&ListParams::default()).await;
    let quotas =
        quotas.map_err(|error| refused("cannot look at the quotas of the namespace".to_owned(), &error))?;
    if quotas.items.is_empty() {
        return Ok(());
    }
    quota::judge(&quotas.items, &need(wanted))
}

/// Taken apart without `..`: a new kind of object is counted or does not compile.
fn need(wanted: Wanted<'_>) -> Need {
    let mut need = Need::new();
    let (pods, claims) = objects::probes(wanted);
    let counts = wanted.workload.counts();
    for (kind, pod) in &pods {
        quota::add_pods(&mut need, pod, counts.total(*kind));
    }
    let volume = &wanted.redis().spec.persistence.volume;
    if !claims.is_empty() {
        quota::add_claims(
            &mut need,
            volume.size,
            volume.storage_class.as_deref(),
            counts.total(MemberKind::Node),
        );
    }
    let Objects { config: _, services, network_policies, budgets, stateful_sets } = Objects::new(wanted);
    quota::add_objects(&mut need, "configmaps", "", 1);
    quota::add_objects(&mut need, "secrets", "", 1);
    quota::add_objects(&mut need, "services", "", services.len() + member_services(wanted).len());
    quota::add_objects(&mut need, "networkpolicies", "networking.k8s.io", network_policies.len());
    quota::add_objects(&mut need, "poddisruptionbudgets", "policy", budgets.len());
    quota::add_objects(&mut need, "statefulsets", "apps", stateful_sets.len());
    need
}
