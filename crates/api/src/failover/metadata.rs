//! Name, labels and annotations.

use std::collections::BTreeMap;

use super::translate::{Purpose, Translator};
use crate::{ADOPT, Key, Metadata, PAUSED, check, defaults, failover::FailoverMetadata};

/// Longest name the old operator takes.
const MAX_NAME: usize = 48;
/// Saremox: leaves the resource alone.
const SKIP: &str = "redisfailovers.databases.spotahome.com/skip-reconcile";
/// Labels and annotations by which other tools hold an object for theirs: on a copy they would have it removed as one
/// that is not in their source.
const OWNERS: [&str; 9] = [
    "kubectl.kubernetes.io/",
    "helm.sh/",
    "meta.helm.sh/",
    "argocd.argoproj.io/",
    "helm.toolkit.fluxcd.io/",
    "kustomize.toolkit.fluxcd.io/",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/instance",
    "olm.",
];

impl FailoverMetadata {
    /// Which resource this is.
    #[must_use]
    pub fn key(&self) -> Key {
        let namespace = self.namespace.as_deref().unwrap_or(defaults::NAMESPACE);
        Key::failover(namespace, &self.name)
    }

    /// Counts the changes of the spec.
    pub(super) fn generation(&self) -> i64 {
        self.others.get("generation").and_then(|generation| generation.0.as_i64()).unwrap_or(1)
    }
}

pub(super) fn translate(metadata: &FailoverMetadata, to: &mut Translator) -> Metadata {
    if metadata.name.len() > MAX_NAME {
        let message =
            format!("{:?} has {} characters; at most {MAX_NAME}", metadata.name, metadata.name.len());
        to.fault("metadata.name", message, "shorten it");
    } else if to.purpose == Purpose::Run
        && let Some(why) = check::not_a_label(&metadata.name)
    {
        let message = format!("{:?} is not a DNS label: {why}", metadata.name);
        to.fault("metadata.name", message, "use small letters, digits and '-'");
    }
    let mut annotations = the_users(&metadata.annotations);
    if annotations.remove(SKIP).is_some_and(|value| value == "true") {
        annotations.insert(PAUSED.to_owned(), "true".to_owned());
    }
    // Of this resource only; a Redis has no such annotation.
    if let Some(value) = annotations.remove(ADOPT).filter(|value| !matches!(value.as_str(), "true" | "false"))
    {
        let message = format!("must be \"true\" or \"false\", not {value:?}");
        to.fault(&format!("metadata.annotations.{ADOPT}"), message, "write \"true\"");
    }
    Metadata {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        labels: the_users(&metadata.labels),
        annotations,
        ..Metadata::default()
    }
}

fn the_users(pairs: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    pairs
        .iter()
        .filter(|(name, _)| is_the_users(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

pub(super) fn is_the_users(name: &str) -> bool {
    !OWNERS.iter().any(|owner| name.starts_with(owner))
}
