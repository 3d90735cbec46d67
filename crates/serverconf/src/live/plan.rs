//! Which settings a running server has to be told.

use std::collections::{BTreeMap, BTreeSet};

use redoubt_redis::conf::split;
use redoubt_wire::config::SetConfig;

use super::same::same;
use crate::directive;

/// What has to happen for one directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// CONFIG SET.
    Set {
        /// Which directive.
        name: String,
        /// What it shall be.
        value: String,
        /// What it is.
        before: String,
    },
    /// The server does not show this one, so it is read from the file only.
    RestartNeeded(String),
}

/// What leads from what a server runs with to what it should run with. Equal values, however they are written, give
/// nothing; so a plan made again after it was carried out is empty, but for what takes a restart.
///
/// `running` is the answer to `CONFIG GET *`; `old` tells which directives the user took out, and `defaults` where
/// these go back to ([`crate::defaults`]).
#[must_use]
pub fn plan_live(
    running: &BTreeMap<String, String>,
    old: &SetConfig,
    new: &SetConfig,
    defaults: &BTreeMap<String, String>,
) -> Vec<Change> {
    let (before, after) = (wanted(old), wanted(new));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| {
        let value = after.get(name).or_else(|| defaults.get(name));
        match (running.get(name), value) {
            (Some(now), Some(value)) if same(name, value, now) => None,
            (Some(now), Some(value)) => {
                Some(Change::Set { name: name.clone(), value: value.clone(), before: now.clone() })
            }
            _ if before.get(name) == after.get(name) => None,
            _ => Some(Change::RestartNeeded(name.clone())),
        }
    };
    names.into_iter().filter_map(change).collect()
}

/// The user's directives that `new` has no more: whose defaults a plan needs.
#[must_use]
pub fn removed<'a>(old: &'a SetConfig, new: &SetConfig) -> Vec<&'a str> {
    let after = wanted(new);
    old.directives.keys().map(String::as_str).filter(|name| !after.contains_key(*name)).collect()
}

/// All that can be changed while a server runs, as the arguments of CONFIG SET.
fn wanted(set: &SetConfig) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = directive::chosen(&set.directives)
        .into_iter()
        .map(|(name, written)| (name.to_owned(), argument(written)))
        .collect();
    all.insert("save".to_owned(), set.persistence.rdb_save.clone());
    all.insert("appendfsync".to_owned(), set.persistence.aof_fsync.clone());
    all.insert("min-replicas-max-lag".to_owned(), set.durability.max_replica_lag_s.to_string());
    all
}

/// CONFIG SET takes the words of a line as one argument.
fn argument(written: &str) -> String {
    split(written).map_or_else(|_| written.to_owned(), |words| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::set;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn with(directives: &[(&str, &str)]) -> SetConfig {
        SetConfig { directives: map(directives), ..set(3, 3) }
    }

    /// What a server shows that was started with the plain set.
    fn running(directives: &[(&str, &str)]) -> BTreeMap<String, String> {
        let ours = [
            ("save", "3600 1 300 100"),
            ("appendfsync", "everysec"),
            ("min-replicas-max-lag", "3"),
            ("repl-diskless-sync", "no"),
            ("repl-diskless-sync-delay", "0"),
            ("rdb-del-sync-files", "yes"),
            ("repl-backlog-size", "16777216"),
            ("aof-load-truncated", "yes"),
            ("maxmemory", "0"),
            ("hz", "10"),
        ];
        ours.iter().chain(directives).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn set_to(name: &str, value: &str, before: &str) -> Change {
        Change::Set { name: name.to_owned(), value: value.to_owned(), before: before.to_owned() }
    }

    #[test]
    fn nothing_changed_is_no_change() {
        assert_eq!(plan_live(&running(&[]), &with(&[]), &with(&[]), &map(&[])), []);
        let maxmemory = with(&[("maxmemory", "100mb")]);
        assert_eq!(plan_live(&running(&[("maxmemory", "104857600")]), &maxmemory, &maxmemory, &map(&[])), []);
    }

    #[test]
    fn a_new_value_is_set() {
        let plan = plan_live(&running(&[]), &with(&[]), &with(&[("maxmemory", "100mb")]), &map(&[]));
        assert_eq!(plan, [set_to("maxmemory", "100mb", "0")]);
    }

    #[test]
    fn a_removed_directive_goes_back_to_its_default_or_to_ours() {
        let old = with(&[("hz", "50"), ("repl-backlog-size", "1gb")]);
        assert_eq!(removed(&old, &with(&[])), ["hz"]);
        let running = running(&[("hz", "50"), ("repl-backlog-size", "1073741824")]);
        let plan = plan_live(&running, &old, &with(&[]), &map(&[("hz", "10")]));
        assert_eq!(plan, [set_to("hz", "10", "50"), set_to("repl-backlog-size", "16mb", "1073741824")]);
    }

    #[test]
    fn what_drifted_is_set_again() {
        let hz = with(&[("hz", "50")]);
        assert_eq!(plan_live(&running(&[]), &hz, &hz, &map(&[])), [set_to("hz", "50", "10")]);
    }

    #[test]
    fn what_the_server_does_not_show_takes_a_restart_once_it_changed() {
        let hidden = with(&[("hidden", "1")]);
        assert_eq!(plan_live(&running(&[]), &hidden, &hidden, &map(&[])), []);
        let restart = [Change::RestartNeeded("hidden".to_owned())];
        assert_eq!(plan_live(&running(&[]), &with(&[]), &hidden, &map(&[])), restart);
        assert_eq!(plan_live(&running(&[]), &hidden, &with(&[]), &map(&[])), restart);
    }

    #[test]
    fn persistence_and_durability_are_carried_over_but_not_what_others_look_after() {
        let mut new = with(&[]);
        new.persistence.rdb_save = String::new();
        new.persistence.aof_fsync = "always".to_owned();
        new.persistence.aof = false;
        new.durability.max_replica_lag_s = 9;
        new.durability.min_replicas_to_write = 2;
        let plan = plan_live(&running(&[]), &with(&[]), &new, &map(&[]));
        let expected = [
            set_to("appendfsync", "always", "everysec"),
            set_to("min-replicas-max-lag", "9", "3"),
            set_to("save", "", "3600 1 300 100"),
        ];
        assert_eq!(plan, expected);
    }
}
