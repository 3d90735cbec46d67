//! CPU and memory.

use std::collections::BTreeMap;

use super::Findings;
use crate::{
    Resources,
    raw::{Quantity, RedisSpec},
};

pub(super) fn check(spec: &RedisSpec, findings: &mut Findings) -> Resources {
    let resources = spec.resources.clone().unwrap_or_default();
    for (part, quantities) in [("requests", &resources.requests), ("limits", &resources.limits)] {
        slips(part, quantities, findings);
    }
    for (name, request) in &resources.requests {
        if resources.limits.get(name).is_some_and(|limit| request.thousandths() > limit.thousandths()) {
            let path = format!("spec.resources.requests.{name}");
            findings.fault(
                &path,
                format!("{request} is more than the limit"),
                "lower it, or raise the limit",
            );
        }
    }
    max_memory(spec, resources.limits.get("memory"), findings);
    Resources { requests: as_text(&resources.requests), limits: as_text(&resources.limits) }
}

/// `memory: 512m` is half a byte.
fn slips(part: &str, quantities: &BTreeMap<String, Quantity>, findings: &mut Findings) {
    let Some(memory) = quantities.get("memory") else { return };
    if memory.as_str().ends_with('m') {
        let number = memory.as_str().trim_end_matches('m');
        let message = format!("{memory} is {number} thousandths of a byte");
        findings.fault(
            &format!("spec.resources.{part}.memory"),
            message,
            format!("write {number}Mi or {number}M"),
        );
    }
}

/// A server that may fill more memory than it gets is ended by the kernel, together with its agent.
fn max_memory(spec: &RedisSpec, limit: Option<&Quantity>, findings: &mut Findings) {
    let (Some(limit), Some(max_memory)) = (limit, spec.config.get("maxmemory")) else { return };
    if server_bytes(&max_memory.0).is_some_and(|bytes| bytes >= limit.units()) {
        let message =
            format!("{} leaves nothing of the memory limit ({limit}) for buffers and copies", max_memory.0);
        findings.warn("spec.config.maxmemory", message, "write about three quarters of the limit");
    }
}

/// Bytes as `redis.conf` writes them: `1gb` is 2³⁰ and `1g` is 10⁹.
fn server_bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[end..] {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    text[..end].parse::<u64>().ok()?.checked_mul(factor)
}

fn as_text(quantities: &BTreeMap<String, Quantity>) -> BTreeMap<String, String> {
    quantities.iter().map(|(name, quantity)| (name.clone(), quantity.to_string())).collect()
}
