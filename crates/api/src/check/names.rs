//! Names, and what is made of them.

use super::Findings;
use crate::Metadata;

/// Longest name of a resource: Kubernetes labels the pods of a StatefulSet with `<set>-<hash>`, where a label has at most 63
/// characters and the hash 10; the longest name that is made here is `<name>-sentinel`.
const MAX_NAME: usize = 63 - "-".len() - 10 - "-sentinel".len();
/// Longest DNS label (RFC 1123).
const MAX_LABEL: usize = 63;
/// Longest DNS name (RFC 1123).
const MAX_SUBDOMAIN: usize = 253;

/// Endings of the names that are made for a Redis: `cart-sentinel` would be taken for the Sentinels of `cart`.
const RESERVED: [&str; 3] = ["-sentinel", "-master", "-replicas"];

pub(super) fn check(metadata: &Metadata, findings: &mut Findings) {
    const PATH: &str = "metadata.name";
    let name = &metadata.name;
    if let Some(why) = not_a_label(name) {
        findings.fault(PATH, format!("{name:?} is not a DNS label: {why}"), LABEL_HINT);
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        let message = format!("{name:?} begins with a digit, and Kubernetes names no Service so");
        findings.fault(PATH, message, "begin it with a letter");
    } else if name.len() > MAX_NAME {
        let message = format!(
            "{name:?} has {} characters; at most {MAX_NAME} leave room for {name}-sentinel-0",
            name.len()
        );
        findings.fault(PATH, message, "shorten it");
    } else if let Some(ending) = RESERVED.iter().find(|ending| name.ends_with(**ending)) {
        let message = format!("{name:?} ends in {ending}, as names that are made for another Redis do");
        findings.fault(PATH, message, "choose another name");
    }
    if let Some(namespace) = &metadata.namespace
        && let Some(why) = not_a_label(namespace)
    {
        findings.fault("metadata.namespace", format!("{namespace:?} is not a DNS label: {why}"), LABEL_HINT);
    }
}

const LABEL_HINT: &str = "use small letters, digits and '-', as cart or cart-2";

/// Why this is no DNS label (RFC 1123).
pub(crate) fn not_a_label(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match name {
        "" => Some("it is empty".to_owned()),
        _ if name.len() > MAX_LABEL => Some(format!("it is longer than {MAX_LABEL} characters")),
        _ if name.starts_with('-') || name.ends_with('-') => Some("it begins or ends with '-'".to_owned()),
        _ => name.chars().find(|c| !allowed(*c)).map(|c| format!("it contains {c:?}")),
    }
}

/// The name of a Secret: DNS labels with dots between them.
pub(super) fn subdomain(path: &str, name: &str, findings: &mut Findings) {
    let long = (name.len() > MAX_SUBDOMAIN).then(|| format!("it is longer than {MAX_SUBDOMAIN} characters"));
    if let Some(why) = long.or_else(|| name.split('.').find_map(not_a_label)) {
        findings.fault(path, format!("{name:?} is not the name of a Secret: {why}"), LABEL_HINT);
    }
}
