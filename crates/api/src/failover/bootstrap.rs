//! `spec.bootstrapNode`: a Redis elsewhere from which the nodes are filled, as long as the field is there.

use serde_json::Value;

use super::{
    raw::{BootstrapSettings, Open, RedisFailover},
    translate::{Purpose, Translator},
};
use crate::{FailoverSource, raw::Mode};

const FIELD: &str = "spec.bootstrapNode";
const HOST: &str = "spec.bootstrapNode.host";
const PORT: &str = "spec.bootstrapNode.port";
const DEFAULT_PORT: u16 = 6379;
/// Longest name of a host (RFC 1123).
const LONGEST_HOST: usize = 253;

/// From whom the nodes are filled. A `Redis` has no field for it.
pub(super) fn translate(failover: &RedisFailover, to: &mut Translator) -> Option<FailoverSource> {
    let node = failover.spec.bootstrap_node.as_ref().filter(|node| node.enabled != Some(false))?;
    let source = source(node, to)?;
    if to.purpose == Purpose::Convert {
        to.not_honoured(
            FIELD,
            "a Redis is not filled from another: the new one would start empty",
            "keep the RedisFailover until it is filled, and remove the field there",
        );
        return None;
    }
    if to.redis.spec.mode == Some(Mode::Standalone) {
        to.fault(
            FIELD,
            "a single node without Sentinels is not filled from elsewhere, and without that data it is not started",
            "remove spec.sentinel.enabled",
        );
        return None;
    }
    if node.allow_sentinels {
        to.not_honoured(
            "spec.bootstrapNode.allowSentinels",
            "Sentinels watch nobody outside; they wait until the nodes have a master among them",
            "remove it",
        );
    }
    to.warn(
        FIELD,
        format!(
            "all nodes follow {}:{}, and take no writes, as long as it is there",
            source.host, source.port
        ),
        "stop the writers there, then remove the field: the node that is ahead leads",
    );
    Some(source)
}

fn source(node: &BootstrapSettings, to: &mut Translator) -> Option<FailoverSource> {
    if node.host.is_empty() {
        to.fault(HOST, "is missing: nobody can be followed", "name the host, or remove spec.bootstrapNode");
        return None;
    }
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if node.host.len() > LONGEST_HOST || !node.host.chars().all(is_host) {
        to.fault(HOST, format!("{:?} is no name or address of a host", node.host), "write one, as 10.0.0.1");
        return None;
    }
    let Some(port) = node.port.as_ref().map_or(Some(DEFAULT_PORT), port) else {
        to.fault(PORT, "is no port", "write one from 1 to 65535, as 6379");
        return None;
    };
    Some(FailoverSource { host: node.host.clone(), port })
}

/// A number, or a text as the old operator has it; an empty one is the default, as there.
fn port(written: &Open) -> Option<u16> {
    let port = match &written.0 {
        Value::Null => Some(DEFAULT_PORT),
        Value::String(text) if text.is_empty() => Some(DEFAULT_PORT),
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => u16::try_from(number.as_u64()?).ok(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    port.filter(|port| *port > 0)
}
