//! The directives of `redis.conf` and `sentinel.conf` that Redoubt sets itself, and why.

use std::collections::BTreeMap;

use super::Findings;
use crate::raw::Directive;

/// Why a directive is not the user's, and what to write instead.
struct Reason {
    why: &'static str,
    instead: &'static str,
}

/// Directives (a trailing `-*` stands for all that begin so) and the reason they share.
type Rule = (&'static [&'static str], Reason);

/// Directives of `redis.conf` that are refused.
const SERVER: [Rule; 13] = [
    (
        &["port", "bind", "bind-source-addr", "protected-mode", "unixsocket", "unixsocketperm"],
        Reason { why: "Redoubt decides where a node listens", instead: REMOVE },
    ),
    (
        &["dir", "dbfilename", "appendfilename", "appenddirname"],
        Reason { why: "the agent looks for the data where it put it", instead: REMOVE },
    ),
    (
        &["daemonize", "supervised", "pidfile", "shutdown-on-sigterm", "shutdown-timeout"],
        Reason {
            why: "the agent runs the server as its child and stops it",
            instead: "use spec.terminationGracePeriod",
        },
    ),
    (
        &["logfile", "syslog-*"],
        Reason { why: "the agent reads the server's log from its output", instead: "use redoubt logs" },
    ),
    (
        &["include"],
        Reason { why: "what a file brings in is not checked", instead: "write the directives here" },
    ),
    (
        &[
            "replicaof",
            "slaveof",
            "replica-announce-*",
            "slave-announce-*",
            "replica-announced",
            "slave-announced",
        ],
        Reason { why: "who follows whom is decided by election", instead: REMOVE },
    ),
    (
        &["replica-priority", "slave-priority", "replica-read-only", "slave-read-only"],
        Reason {
            why: "a replica must be electable when it has the data, and hold nothing else",
            instead: REMOVE,
        },
    ),
    (
        &[
            "requirepass",
            "masterauth",
            "masteruser",
            "user",
            "aclfile",
            "acl-pubsub-default",
            "rename-command",
        ],
        Reason { why: "Redoubt makes the users and their rights", instead: "use spec.auth" },
    ),
    (&["loadmodule"], Reason { why: "modules are not available yet", instead: REMOVE }),
    (
        &["appendonly", "appendfsync", "save"],
        Reason {
            why: "turning it on or off takes steps in an order that keeps the data",
            instead: "use spec.persistence",
        },
    ),
    (
        &["min-replicas-*", "min-slaves-*"],
        Reason { why: "it fences a master that was cut off", instead: "use spec.durability" },
    ),
    (&["cluster-*"], Reason { why: "the mode decides it", instead: "use spec.mode" }),
    (&["tls-*"], Reason { why: "certificates are Redoubt's to set up", instead: "use spec.tls" }),
];

/// Directives of `sentinel.conf` that are refused, without the word `sentinel`.
const SENTINEL: [Rule; 10] = [
    (
        &["port", "bind", "protected-mode", "unixsocket", "unixsocketperm", "announce-ip", "announce-port"],
        Reason { why: "Redoubt decides where a Sentinel listens", instead: REMOVE },
    ),
    (
        &["resolve-hostnames", "announce-hostnames"],
        Reason { why: "a Sentinel that waits for a name to resolve elects nobody", instead: REMOVE },
    ),
    (
        &["dir", "daemonize", "supervised", "pidfile", "logfile", "syslog-*", "include"],
        Reason { why: "the agent runs the Sentinel as its child", instead: REMOVE },
    ),
    (
        &[
            "requirepass",
            "user",
            "aclfile",
            "auth-pass",
            "auth-user",
            "sentinel-user",
            "sentinel-pass",
            "rename-command",
        ],
        Reason { why: "Redoubt makes the users and their rights", instead: "use spec.auth" },
    ),
    (
        &["monitor", "quorum", "myid", "known-*", "current-epoch", "config-epoch", "leader-epoch"],
        Reason { why: "it is the Sentinels' memory of who leads", instead: "use spec.sentinel" },
    ),
    (
        &["deny-scripts-reconfig"],
        Reason { why: "whoever has the password could run programs", instead: REMOVE },
    ),
    (
        &["down-after", "down-after-milliseconds"],
        Reason { why: "it has a field of its own", instead: "use spec.sentinel.downAfter" },
    ),
    (
        &["failover-timeout"],
        Reason { why: "it has a field of its own", instead: "use spec.sentinel.failoverTimeout" },
    ),
    (
        &["parallel-syncs"],
        Reason { why: "it has a field of its own", instead: "use spec.sentinel.parallelSyncs" },
    ),
    (&["tls-*"], Reason { why: "certificates are Redoubt's to set up", instead: "use spec.tls" }),
];

const REMOVE: &str = "remove it";

/// Judges `spec.config`.
pub(super) fn server(
    path: &str,
    config: &BTreeMap<String, Directive>,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let sentinel = Reason { why: "it belongs into sentinel.conf", instead: "use spec.sentinel" };
    let others = |name: &str| name.starts_with("sentinel").then_some(&sentinel);
    check(path, config, |name| refusal(&SERVER, name).or_else(|| others(name)), findings)
}

/// Judges `spec.sentinel.config`.
pub(super) fn sentinel(
    path: &str,
    config: &BTreeMap<String, Directive>,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    check(path, config, |name| refusal(&SENTINEL, name.strip_prefix("sentinel ").unwrap_or(name)), findings)
}

/// Why a directive of `redis.conf` is not the user's, and what to write instead.
pub(crate) fn server_refusal(name: &str) -> Option<(&'static str, &'static str)> {
    refusal(&SERVER, name).map(|reason| (reason.why, reason.instead))
}

/// The same for one of `sentinel.conf`.
pub(crate) fn sentinel_refusal(name: &str) -> Option<(&'static str, &'static str)> {
    refusal(&SENTINEL, name).map(|reason| (reason.why, reason.instead))
}

fn refusal<'a>(rules: &'a [Rule], name: &str) -> Option<&'a Reason> {
    let matches = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == *pattern,
    };
    rules.iter().find(|(patterns, _)| patterns.iter().any(&matches)).map(|(_, reason)| reason)
}

/// Servers do not tell capital letters in directives; here they are made small.
fn check<'a>(
    path: &str,
    config: &BTreeMap<String, Directive>,
    refusal: impl Fn(&str) -> Option<&'a Reason>,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let mut checked = BTreeMap::new();
    for (written, Directive(value)) in config {
        let (path, name) = (format!("{path}.{written}"), written.to_ascii_lowercase());
        if let Some(Reason { why, instead }) = refusal(&name) {
            findings.fault(&path, format!("{name} is set by Redoubt: {why}"), *instead);
        }
        malformed(&path, &name, value, findings);
        if checked.insert(name.clone(), value.clone()).is_some() {
            findings.fault(&path, format!("{name} is there twice, in other letters"), "remove one of them");
        }
    }
    checked
}

/// What would break out of its line in the file.
fn malformed(path: &str, name: &str, value: &str, findings: &mut Findings) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        findings.fault(
            path,
            format!("{name:?} is not the name of a directive"),
            "write one name, as maxmemory-policy",
        );
    }
    if value.contains(|c: char| c.is_control()) {
        findings.fault(path, "contains a line end or a control character", "write one line");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fault;

    type Judge = fn(&str, &BTreeMap<String, Directive>, &mut Findings) -> BTreeMap<String, String>;

    fn faults(judge: Judge, name: &str, value: &str) -> Vec<Fault> {
        let mut findings = Findings::default();
        judge("c", &BTreeMap::from([(name.to_owned(), Directive(value.to_owned()))]), &mut findings);
        findings.faults
    }

    #[test]
    fn a_directive_of_ours_is_refused_by_name_and_reason() {
        for (name, instead) in [
            ("dir", "remove it"),
            ("PORT", "remove it"),
            ("replica-announce-ip", "remove it"),
            ("requirepass", "use spec.auth"),
            ("appendonly", "use spec.persistence"),
            ("save", "use spec.persistence"),
            ("min-slaves-max-lag", "use spec.durability"),
            ("cluster-enabled", "use spec.mode"),
            ("tls-port", "use spec.tls"),
            ("sentinel", "use spec.sentinel"),
        ] {
            let [fault] = &faults(server, name, "x")[..] else { panic!("{name}: not one fault") };
            assert!(
                fault.message.starts_with(&format!("{} is set by Redoubt: ", name.to_ascii_lowercase())),
                "{fault}"
            );
            assert_eq!(fault.hint.as_deref(), Some(instead), "{name}");
        }
        for name in ["monitor", "known-replica", "down-after-milliseconds", "resolve-hostnames"] {
            assert_eq!(faults(sentinel, name, "x").len(), 1, "{name}");
        }
    }

    #[test]
    fn directives_of_the_user_pass() {
        for name in
            ["maxmemory", "maxmemory-policy", "hz", "io-threads", "client-output-buffer-limit", "databases"]
        {
            assert_eq!(faults(server, name, "replica 256mb 64mb 60"), [], "{name}");
        }
        for name in ["loglevel", "notification-script", "master-reboot-down-after-period"] {
            assert_eq!(faults(sentinel, name, "x"), [], "{name}");
        }
    }

    #[test]
    fn no_value_breaks_out_of_its_line() {
        assert_eq!(faults(server, "hz", "10\nreplicaof 10.0.0.1 6379").len(), 1);
        assert_eq!(faults(server, "hz 10\nport", "1").len(), 1);
        assert_eq!(faults(server, "", "1").len(), 1);
    }
}
