//! What a running server was told by CONFIG SET, or by its command line, and nobody wrote down: it ends with the process.

use std::collections::BTreeMap;

use super::same::same;

/// Names and values of the tested versions when nobody sets them, one to a line. Some have two defaults: one for each
/// generation of servers. Made of `CONFIG GET *` in `crates/redis/tests/corpus`.
const USUAL: &str = include_str!("usual.txt");

/// Directives with an older name, which a server shows as well.
const OLDER_NAMES: [(&str, &str); 18] = [
    ("aof_rewrite_cpulist", "aof-rewrite-cpulist"),
    ("bgsave_cpulist", "bgsave-cpulist"),
    ("bio_cpulist", "bio-cpulist"),
    ("hash-max-ziplist-entries", "hash-max-listpack-entries"),
    ("hash-max-ziplist-value", "hash-max-listpack-value"),
    ("list-max-ziplist-size", "list-max-listpack-size"),
    ("lua-time-limit", "busy-reply-threshold"),
    ("min-slaves-max-lag", "min-replicas-max-lag"),
    ("min-slaves-to-write", "min-replicas-to-write"),
    ("repl-ping-slave-period", "repl-ping-replica-period"),
    ("server_cpulist", "server-cpulist"),
    ("slave-ignore-maxmemory", "replica-ignore-maxmemory"),
    ("slave-lazy-flush", "replica-lazy-flush"),
    ("slave-serve-stale-data", "replica-serve-stale-data"),
    ("slowlog-log-slower-than", "commandlog-execution-slower-than"),
    ("slowlog-max-len", "commandlog-slow-execution-max-len"),
    ("zset-max-ziplist-entries", "zset-max-listpack-entries"),
    ("zset-max-ziplist-value", "zset-max-listpack-value"),
];

/// What a server runs with beside what is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unwritten {
    /// Neither written nor the default.
    pub set: BTreeMap<String, String>,
    /// Written otherwise than the server runs with.
    pub overruled: Vec<Overruled>,
    /// Not known to any tested version: whether somebody set them cannot be said.
    pub unknown: Vec<String>,
}

/// A directive that the server runs with otherwise than it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overruled {
    /// The directive.
    pub name: String,
    /// What is written.
    pub written: String,
    /// What the server runs with.
    pub running: String,
}

/// Compares what a server runs with (`CONFIG GET *`) with what is `written`, and with what it would have all the same
/// (`implied`, before the defaults); of directives that are `free` to choose. In doubt two values differ, so that nothing
/// is lost.
#[must_use]
pub fn unwritten(
    running: &BTreeMap<String, String>,
    written: &BTreeMap<String, String>,
    implied: &BTreeMap<String, String>,
    free: impl Fn(&str) -> bool,
) -> Unwritten {
    let mut found = Unwritten::default();
    let shown_as_well =
        |name: &str| OLDER_NAMES.iter().any(|(older, newer)| *older == name && running.contains_key(*newer));
    for (name, value) in running.iter().filter(|(name, _)| free(name) && !shown_as_well(name)) {
        let (name, value) = (name.clone(), value.clone());
        let is_implied = implied.get(&name).map(|implied| same(&name, implied, &value));
        match (written.get(&name), is_implied.or_else(|| is_usual(&name, &value))) {
            (Some(written), _) if same(&name, written, &value) => {}
            (Some(written), _) => {
                found.overruled.push(Overruled { name, written: written.clone(), running: value });
            }
            (None, Some(true)) => {}
            (None, Some(false)) => drop(found.set.insert(name, value)),
            (None, None) => found.unknown.push(name),
        }
    }
    found
}

/// A server has this value when nobody sets one; `None`: no tested version has such a directive.
fn is_usual(name: &str, value: &str) -> Option<bool> {
    let mut usual = usual(name).peekable();
    usual.peek()?;
    Some(usual.any(|usual| same(name, usual, value)))
}

fn usual(name: &str) -> impl Iterator<Item = &'static str> {
    USUAL.lines().filter_map(move |line| match line.split_once(' ') {
        Some((known, value)) => (known == name).then_some(value),
        None => (line == name).then_some(""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn found(running: &[(&str, &str)], written: &[(&str, &str)]) -> Unwritten {
        let implied = map(&[("save", "900 1 300 10"), ("tcp-keepalive", "60")]);
        unwritten(&map(running), &map(written), &implied, |name| name != "port")
    }

    #[test]
    fn what_lives_in_memory_alone_is_found() {
        let found = found(
            &[
                ("maxmemory", "104857600"),
                ("hz", "10"),
                ("timeout", "60"),
                ("port", "7000"),
                ("save", "900 1"),
            ],
            &[("timeout", "60"), ("save", "900 1")],
        );
        assert_eq!(found, Unwritten { set: map(&[("maxmemory", "104857600")]), ..Unwritten::default() });
    }

    /// Redoubt would write what is implied: a default of the server is then somebody's choice.
    #[test]
    fn what_is_implied_comes_before_the_defaults() {
        let running = |save, keepalive| found(&[("save", save), ("tcp-keepalive", keepalive)], &[]).set;
        assert_eq!(running("900 1 300 10", "60"), map(&[]));
        assert_eq!(running("", "300"), map(&[("save", ""), ("tcp-keepalive", "300")]));
    }

    #[test]
    fn what_is_written_otherwise_is_named() {
        let found = found(&[("maxmemory", "200")], &[("maxmemory", "100mb")]);
        let overruled =
            Overruled { name: "maxmemory".into(), written: "100mb".into(), running: "200".into() };
        assert_eq!(found, Unwritten { overruled: vec![overruled], ..Unwritten::default() });
    }

    #[test]
    fn a_default_of_either_generation_is_nobodys_choice() {
        for value in ["yes", "no"] {
            assert_eq!(found(&[("lazyfree-lazy-eviction", value)], &[]), Unwritten::default());
        }
        assert_eq!(found(&[("notify-keyspace-events", "")], &[]), Unwritten::default());
    }

    #[test]
    fn one_directive_of_two_names_is_found_once() {
        let one = found(&[("hash-max-ziplist-entries", "9")], &[]);
        assert_eq!(one.set, map(&[("hash-max-ziplist-entries", "9")]));
        let both = found(&[("hash-max-ziplist-entries", "9"), ("hash-max-listpack-entries", "9")], &[]);
        assert_eq!(both.set, map(&[("hash-max-listpack-entries", "9")]));
    }

    /// Redis 6.2 and 7.0 show no other.
    #[test]
    fn an_older_name_alone_is_known_as_well() {
        for name in OLDER_NAMES.map(|(older, _)| older).into_iter().filter(|name| name.ends_with("_cpulist"))
        {
            assert_eq!(found(&[(name, "")], &[]), Unwritten::default());
            assert_eq!(found(&[(name, "0-1")], &[]).set, map(&[(name, "0-1")]));
        }
    }

    #[test]
    fn what_no_tested_version_has_is_said_and_not_guessed() {
        assert_eq!(found(&[("bf-error-rate", "0.01")], &[]).unknown, ["bf-error-rate"]);
    }
}
