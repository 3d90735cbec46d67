//! What a Redis would take of its namespace's quotas, before anything of it is made. The API server judges each object
//! for itself; that all of them together fit has to be counted.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec, ResourceQuota},
    apimachinery::pkg::api::resource::Quantity as Amount,
};
use redoubt_api::raw::Quantity;
use redoubt_engine::platform::PlatformError;

/// Amounts by the names of `ResourceQuota`, in thousandths.
pub(crate) type Need = BTreeMap<String, u128>;

/// One whole thing.
const ONE: u128 = 1_000;

/// So many pods like this one.
pub(crate) fn add_pods(need: &mut Need, pod: &Pod, count: u32) {
    let Some(spec) = &pod.spec else { return };
    let count = u128::from(count);
    for name in ["pods", "count/pods"] {
        add(need, name, count * ONE);
    }
    for (kind, amounts) in [("requests", amounts(spec, requests)), ("limits", amounts(spec, limits))] {
        for (name, amount) in amounts {
            add(need, &format!("{kind}.{name}"), count * amount);
            if kind == "requests" {
                add(need, &name, count * amount);
            }
        }
    }
}

/// So many volume claims of this size and class.
pub(crate) fn add_claims(need: &mut Need, bytes: u64, class: Option<&str>, count: u32) {
    let (count, bytes) = (u128::from(count), u128::from(bytes) * ONE);
    for prefix in [
        String::new(),
        class.map_or_else(String::new, |class| format!("{class}.storageclass.storage.k8s.io/")),
    ] {
        need.insert(format!("{prefix}requests.storage"), count * bytes);
        need.insert(format!("{prefix}persistentvolumeclaims"), count * ONE);
    }
    need.insert("count/persistentvolumeclaims".to_owned(), count * ONE);
}

/// So many objects of this kind, by its plural and API group.
pub(crate) fn add_objects(need: &mut Need, plural: &str, group: &str, count: usize) {
    let amount = u128::try_from(count).unwrap_or_default() * ONE;
    let dotted = if group.is_empty() { String::new() } else { format!(".{group}") };
    add(need, &format!("count/{plural}{dotted}"), amount);
    if group.is_empty() {
        add(need, plural, amount);
    }
}

fn add(need: &mut Need, name: &str, amount: u128) {
    *need.entry(name.to_owned()).or_default() += amount;
}

type Part = fn(&Container) -> Option<&BTreeMap<String, Amount>>;

fn requests(container: &Container) -> Option<&BTreeMap<String, Amount>> {
    // What has a limit and no request has a request of the same size.
    let resources = container.resources.as_ref()?;
    resources.requests.as_ref().or(resources.limits.as_ref())
}

fn limits(container: &Container) -> Option<&BTreeMap<String, Amount>> {
    container.resources.as_ref()?.limits.as_ref()
}

/// A pod takes the sum of its containers, or what the largest of those that run first takes, if that is more.
fn amounts(spec: &PodSpec, part: Part) -> Need {
    let mut sum = Need::new();
    for (name, amount) in spec.containers.iter().filter_map(part).flatten() {
        add(&mut sum, name, thousandths(amount));
    }
    for (name, amount) in spec.init_containers.iter().flatten().filter_map(part).flatten() {
        let there = sum.entry(name.clone()).or_default();
        *there = (*there).max(thousandths(amount));
    }
    sum
}

fn thousandths(amount: &Amount) -> u128 {
    amount.0.parse::<Quantity>().map(|quantity| quantity.thousandths()).unwrap_or_default()
}

/// The first quota that would be exceeded.
pub(crate) fn judge(quotas: &[ResourceQuota], need: &Need) -> Result<(), PlatformError> {
    // Which pods a scoped quota counts depends on more than what is known here.
    let counts_all = |quota: &&ResourceQuota| {
        quota.spec.as_ref().is_none_or(|spec| {
            spec.scope_selector.is_none() && spec.scopes.as_ref().is_none_or(Vec::is_empty)
        })
    };
    for quota in quotas.iter().filter(counts_all) {
        let Some(status) = &quota.status else { continue };
        for (name, hard) in status.hard.iter().flatten() {
            let used = status.used.as_ref().and_then(|used| used.get(name)).map_or(0, thousandths);
            let (hard, wanted) = (thousandths(hard), need.get(name).copied().unwrap_or_default());
            if wanted > 0 && used + wanted > hard {
                return Err(exceeded(quota, name, hard, used, wanted));
            }
        }
    }
    Ok(())
}

fn exceeded(quota: &ResourceQuota, name: &str, hard: u128, used: u128, wanted: u128) -> PlatformError {
    let quota = quota.metadata.name.as_deref().unwrap_or_default();
    let show = |amount: u128| {
        if amount.is_multiple_of(ONE) { (amount / ONE).to_string() } else { format!("{amount}m") }
    };
    PlatformError {
        what: "nothing of it was made".to_owned(),
        why: format!(
            "all of it takes {} of {name}, and of the {} that the quota {quota} allows {} are used",
            show(wanted),
            show(hard),
            show(used)
        ),
        next: "raise the quota of the namespace, or ask for less".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ResourceQuotaStatus, ResourceRequirements};

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, Amount> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Amount((*value).to_owned()))).collect()
    }

    fn quota(hard: &[(&str, &str)], used: &[(&str, &str)]) -> ResourceQuota {
        let status = ResourceQuotaStatus { hard: Some(map(hard)), used: Some(map(used)) };
        ResourceQuota { status: Some(status), ..ResourceQuota::default() }
    }

    fn pod(limits: &[(&str, &str)]) -> Pod {
        let resources = ResourceRequirements { limits: Some(map(limits)), ..ResourceRequirements::default() };
        let container = Container { resources: Some(resources), ..Container::default() };
        let spec = PodSpec {
            containers: vec![container.clone()],
            init_containers: Some(vec![container]),
            ..PodSpec::default()
        };
        Pod { spec: Some(spec), ..Pod::default() }
    }

    #[test]
    fn half_of_a_redis_is_never_made() {
        let mut need = Need::new();
        add_pods(&mut need, &pod(&[("memory", "1Gi")]), 6);
        assert!(judge(&[quota(&[("pods", "6")], &[("pods", "0")])], &need).is_ok());
        let why = judge(&[quota(&[("pods", "6")], &[("pods", "1")])], &need).unwrap_err().to_string();
        assert!(why.contains("all of it takes 6 of pods") && why.contains("the 6 that"), "{why}");
        assert!(judge(&[quota(&[("limits.memory", "6Gi")], &[])], &need).is_ok());
        assert!(judge(&[quota(&[("requests.memory", "5Gi")], &[])], &need).is_err());
    }

    #[test]
    fn claims_count_for_their_class_too() {
        let mut need = Need::new();
        add_claims(&mut need, 1 << 30, Some("fast"), 3);
        assert!(judge(&[quota(&[("requests.storage", "3Gi")], &[])], &need).is_ok());
        let of_class = "fast.storageclass.storage.k8s.io/persistentvolumeclaims";
        assert!(judge(&[quota(&[(of_class, "2")], &[])], &need).is_err());
    }
}
