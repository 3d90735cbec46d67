//! A changed configuration, carried into a running Sentinel.

use std::collections::BTreeSet;

use redoubt_wire::{
    config::{SentinelConfig, SetConfig},
    secrets::Secrets,
};
use secrecy::ExposeSecret as _;

use crate::{acl, call::Call};

/// What a running Sentinel has to be told.
///
/// New nodes and Sentinels need nothing: they make themselves known. Those that left need a refreshed file and a
/// restart, see [`super::stale_entries`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentinelChanges {
    /// To be sent, in this order. The Sentinel writes each into its file by itself.
    pub live: Vec<SentinelChange>,
    /// Directives that take effect only when the Sentinel starts again, with a refreshed file.
    pub restart: BTreeSet<String>,
}

/// One setting that can be changed in a running Sentinel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentinelChange {
    /// Which directive.
    pub directive: String,
    /// How. A Sentinel too old to know it (`loglevel` before 7.0) refuses: then it takes a restart as well.
    pub call: Call,
}

impl SentinelChanges {
    fn call<'a>(&mut self, directive: &str, arguments: impl IntoIterator<Item = &'a str>) {
        let call = Call::new(std::iter::once("SENTINEL").chain(arguments));
        self.live.push(SentinelChange { directive: directive.to_owned(), call });
    }
}

/// What leads from one configuration to another. Equal ones give nothing.
#[must_use]
pub fn plan_sentinel(old: (&SetConfig, &Secrets), new: (&SetConfig, &Secrets)) -> SentinelChanges {
    let mut changes = SentinelChanges::default();
    let (Some(before), Some(after)) = (old.0.sentinel(), new.0.sentinel()) else { return changes };
    if before.master_name != after.master_name {
        changes.restart.insert("monitor".to_owned());
        return changes;
    }
    users(&mut changes, old, new);
    log_in(&mut changes, after, old.1, new.1);
    options(&mut changes, before, after);
    directives(&mut changes, before, after);
    changes
}

fn users(changes: &mut SentinelChanges, old: (&SetConfig, &Secrets), new: (&SetConfig, &Secrets)) {
    let users = |(set, secrets): (&SetConfig, &Secrets)| acl::sentinel_users(&set.access, secrets);
    for user in acl::changed(&users(old), &users(new)) {
        changes
            .live
            .push(SentinelChange { directive: format!("user {}", user.name()), call: user.set_user() });
    }
}

/// With which password it logs in at the nodes and at the other Sentinels.
fn log_in(changes: &mut SentinelChanges, config: &SentinelConfig, old: &Secrets, new: &Secrets) {
    let password = |secrets: &Secrets| secrets.sentinel_at_nodes.current().expose_secret().to_owned();
    let (before, after) = (password(old), password(new));
    if before != after {
        changes.call("auth-pass", ["SET", &config.master_name, "auth-pass", &after]);
        changes.call("sentinel-pass", ["CONFIG", "SET", "sentinel-pass", &after]);
    }
}

fn options(changes: &mut SentinelChanges, before: &SentinelConfig, after: &SentinelConfig) {
    let options = |config: &SentinelConfig| {
        [
            ("quorum", u64::from(config.quorum)),
            ("down-after-milliseconds", config.down_after_ms),
            ("failover-timeout", config.failover_timeout_ms),
            ("parallel-syncs", u64::from(config.parallel_syncs)),
        ]
    };
    for (was, (name, value)) in options(before).into_iter().zip(options(after)) {
        if was.1 != value {
            changes.call(name, ["SET", &after.master_name, name, &value.to_string()]);
        }
    }
}

/// The user's directives; a removed one goes back to the Sentinel's default.
fn directives(changes: &mut SentinelChanges, before: &SentinelConfig, after: &SentinelConfig) {
    let names: BTreeSet<&String> = before.directives.keys().chain(after.directives.keys()).collect();
    for name in names {
        let value = after.directives.get(name);
        if before.directives.get(name) == value {
            continue;
        }
        let value = value.map(String::as_str);
        match name.as_str() {
            "loglevel" => changes.call(name, ["CONFIG", "SET", name, value.unwrap_or("notice")]),
            "master-reboot-down-after-period" => {
                changes.call(name, ["SET", &after.master_name, name, value.unwrap_or("0")]);
            }
            _ => {
                changes.restart.insert(name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{secrets, set};

    fn config(set: &mut SetConfig) -> &mut SentinelConfig {
        match &mut set.topology {
            redoubt_wire::config::Topology::Sentinel(config) => config,
            _ => panic!("no Sentinels"),
        }
    }

    fn planned(change: impl FnOnce(&mut SentinelConfig)) -> SentinelChanges {
        let (before, secrets) = (set(3, 3), secrets());
        let mut after = before.clone();
        change(config(&mut after));
        plan_sentinel((&before, &secrets), (&after, &secrets))
    }

    #[test]
    fn equal_configurations_give_nothing() {
        assert_eq!(planned(|_| {}), SentinelChanges::default());
    }

    #[test]
    fn each_setting_has_its_command() {
        type Change = fn(&mut SentinelConfig);
        let table: [(Change, &str); 5] = [
            (|c| c.quorum = 3, "SENTINEL SET mymaster quorum 3"),
            (|c| c.down_after_ms = 3000, "SENTINEL SET mymaster down-after-milliseconds 3000"),
            (|c| c.failover_timeout_ms = 9, "SENTINEL SET mymaster failover-timeout 9"),
            (|c| c.parallel_syncs = 2, "SENTINEL SET mymaster parallel-syncs 2"),
            (
                |c| drop(c.directives.insert("loglevel".to_owned(), "debug".to_owned())),
                "SENTINEL CONFIG SET loglevel debug",
            ),
        ];
        for (change, command) in table {
            let SentinelChanges { live, restart } = planned(change);
            assert_eq!(live[0].call.arguments().join(" "), command);
            assert_eq!((live.len(), restart.len()), (1, 0), "{command}");
        }
    }

    #[test]
    fn what_a_sentinel_reads_only_at_its_start_is_named() {
        let changes = planned(|c| {
            c.directives.insert("maxclients".to_owned(), "100".to_owned());
            c.directives.insert("notification-script".to_owned(), "/bin/true".to_owned());
        });
        assert!(changes.live.is_empty());
        assert_eq!(changes.restart.into_iter().collect::<Vec<_>>(), ["maxclients", "notification-script"]);
        assert_eq!(planned(|c| c.master_name = "other".to_owned()).restart.len(), 1);
    }

    #[test]
    fn a_rotated_password_is_accepted_before_it_is_used_and_shown_to_nobody() {
        let (set, before) = (set(3, 3), secrets());
        let mut after = before.clone();
        after.sentinel_at_nodes =
            redoubt_wire::secrets::Password::new("hidden").unwrap().with_previous("before").unwrap();
        let changes = plan_sentinel((&set, &before), (&set, &after));
        let order: Vec<&str> = changes.live.iter().map(|change| change.directive.as_str()).collect();
        assert_eq!(order, ["user redoubt-sentinel", "auth-pass", "sentinel-pass"]);
        assert!(!format!("{changes:?}").contains("hidden"));
    }
}
