//! `sentinel.conf`: what is ours in it, and what the Sentinel itself remembers there.

mod live;
mod memory;

use std::path::PathBuf;

pub use live::{SentinelChange, SentinelChanges, plan_sentinel};
pub use memory::{Memory, Stale, refresh_sentinel_conf, stale_entries};
use redoubt_redis::{Endpoint, conf::ConfFile};
use redoubt_wire::{
    config::{SentinelConfig, SentinelEntry, SetConfig},
    secrets::{SENTINEL_USER, Secrets},
};
use secrecy::ExposeSecret as _;

use crate::{acl, directive::add_written, node::words};

/// What only the agent knows when it starts its Sentinel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentinelLaunch {
    /// Addresses to listen on, separated by blanks.
    pub bind: String,
    /// Folder of the Sentinel.
    pub data_dir: PathBuf,
    /// Who leads.
    pub master: Endpoint,
    /// The epochs: what the Sentinel remembered, or what its peers know when it lost its file.
    pub epochs: Epochs,
}

/// The epochs of a Sentinel. One that forgot them would vote twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Epochs {
    /// `current-epoch`: the highest it has seen.
    pub current: u64,
    /// `config-epoch`: that of the master it names.
    pub config: u64,
    /// `leader-epoch`: the last one it voted in.
    pub leader: u64,
}

/// Options of `sentinel.conf` that belong to one master.
const PER_MASTER: [&str; 3] =
    ["client-reconfig-script", "master-reboot-down-after-period", "notification-script"];

/// The whole `sentinel.conf`: everybody in it is known from the start, so that nothing has to be discovered. It holds
/// passwords in clear, so it belongs in a file that only its owner reads; the Sentinel writes to it.
///
/// Nothing in a set without Sentinels.
#[must_use]
pub fn sentinel_conf(
    set: &SetConfig,
    entry: &SentinelEntry,
    secrets: &Secrets,
    launch: &SentinelLaunch,
) -> Option<String> {
    let config = set.sentinel()?;
    let mut file = ConfFile::default();
    file.comment(&format!("Written by Redoubt for {}. Change the resource instead.", entry.name));
    process(&mut file, entry, launch);
    for user in acl::sentinel_users(&set.access, secrets) {
        file.add(&["user"], &user.directive());
    }
    itself(&mut file, set, entry, secrets, launch);
    master(&mut file, config, secrets, launch);
    others(&mut file, set, config, entry, launch);
    users(&mut file, config);
    Some(file.to_string())
}

/// The user's part.
pub(crate) fn users(file: &mut ConfFile, config: &SentinelConfig) {
    for (name, value) in &config.directives {
        if PER_MASTER.contains(&name.as_str()) {
            add_written(file, &["sentinel", name, &config.master_name], value);
        } else {
            add_written(file, &[name], value);
        }
    }
}

/// What the process is and where it listens.
fn process(file: &mut ConfFile, entry: &SentinelEntry, launch: &SentinelLaunch) {
    file.add(&["bind"], &words(&launch.bind));
    file.add(&["port"], &[entry.server.port.to_string()]);
    file.add(&["dir"], &[launch.data_dir.to_string_lossy()]);
    for (name, value) in [
        ("protected-mode", "no"),
        ("daemonize", "no"),
        ("supervised", "no"),
        ("pidfile", ""),
        ("logfile", ""),
    ] {
        file.add(&[name], &[value]);
    }
}

/// Who it is to the others, and how it logs in at them.
fn itself(
    file: &mut ConfFile,
    set: &SetConfig,
    entry: &SentinelEntry,
    secrets: &Secrets,
    launch: &SentinelLaunch,
) {
    file.add(&["sentinel", "myid"], &[&entry.id]);
    file.add(&["sentinel", "deny-scripts-reconfig"], &["yes"]);
    if has_names(set) {
        file.add(&["sentinel", "resolve-hostnames"], &["yes"]);
        file.add(&["sentinel", "announce-hostnames"], &["yes"]);
    }
    file.add(&["sentinel", "announce-ip"], &[&entry.server.host]);
    file.add(&["sentinel", "announce-port"], &[entry.server.port.to_string()]);
    file.add(&["sentinel", "sentinel-user"], &[SENTINEL_USER]);
    file.add(&["sentinel", "sentinel-pass"], &[secrets.sentinel_at_nodes.current().expose_secret()]);
    file.add(&["sentinel", "current-epoch"], &[launch.epochs.current.to_string()]);
}

/// A Sentinel takes addresses only, unless it is told otherwise.
fn has_names(set: &SetConfig) -> bool {
    let nodes = set.nodes.iter().map(|node| &node.server);
    let sentinels =
        set.sentinel().into_iter().flat_map(|config| &config.sentinels).map(|entry| &entry.server);
    nodes.chain(sentinels).any(|server| server.host.parse::<std::net::IpAddr>().is_err())
}

/// Whom it watches, and when it acts.
fn master(file: &mut ConfFile, config: &SentinelConfig, secrets: &Secrets, launch: &SentinelLaunch) {
    let master = &launch.master;
    let mut option = |name: &str, value: &[&str]| {
        file.add(&["sentinel", name, &config.master_name], value);
    };
    option("monitor", &[&master.host, &master.port.to_string(), &config.quorum.to_string()]);
    option("down-after-milliseconds", &[&config.down_after_ms.to_string()]);
    option("failover-timeout", &[&config.failover_timeout_ms.to_string()]);
    option("parallel-syncs", &[&config.parallel_syncs.to_string()]);
    option("auth-user", &[SENTINEL_USER]);
    option("auth-pass", &[secrets.sentinel_at_nodes.current().expose_secret()]);
    option("config-epoch", &[&launch.epochs.config.to_string()]);
    option("leader-epoch", &[&launch.epochs.leader.to_string()]);
}

/// Everybody else: the replicas and the other Sentinels.
fn others(
    file: &mut ConfFile,
    set: &SetConfig,
    config: &SentinelConfig,
    entry: &SentinelEntry,
    launch: &SentinelLaunch,
) {
    let name = &config.master_name;
    for node in set.nodes.iter().filter(|node| node.server != launch.master) {
        file.add(&["sentinel", "known-replica"], &[name, &node.server.host, &node.server.port.to_string()]);
    }
    for other in config.sentinels.iter().filter(|other| other.id != entry.id) {
        let port = other.server.port.to_string();
        file.add(&["sentinel", "known-sentinel"], &[name, &other.server.host, &port, &other.id]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{secrets, sentinel_launch, set};

    fn conf(set: &SetConfig) -> ConfFile {
        let entry = &set.sentinel().unwrap().sentinels[0];
        sentinel_conf(set, entry, &secrets(), &sentinel_launch()).unwrap().parse().unwrap()
    }

    #[test]
    fn everybody_is_known_and_the_id_is_fixed() {
        let set = set(3, 5);
        let file = conf(&set);
        let mine = |option| file.get(&["sentinel", option, "mymaster"]).unwrap().join(" ");
        assert_eq!(mine("monitor"), "127.0.0.1 6379 3");
        assert_eq!(mine("down-after-milliseconds"), "5000");
        assert_eq!(mine("config-epoch"), "6");
        assert_eq!(mine("auth-user"), "redoubt-sentinel");
        assert_eq!(file.all(&["sentinel", "known-replica", "mymaster"]).count(), 2);
        assert_eq!(file.all(&["sentinel", "known-sentinel", "mymaster"]).count(), 4);
        assert_eq!(
            file.get(&["sentinel", "myid"]).unwrap(),
            [set.sentinel().unwrap().sentinels[0].id.clone()]
        );
        assert_eq!(file.get(&["sentinel", "current-epoch"]).unwrap(), ["7"]);
        assert!(file.get(&["sentinel", "resolve-hostnames"]).is_none());
    }

    #[test]
    fn names_have_to_be_allowed() {
        let mut set = set(3, 3);
        set.nodes[1].server.host = "cart-1.cart".to_owned();
        assert_eq!(conf(&set).get(&["sentinel", "resolve-hostnames"]).unwrap(), ["yes"]);
    }

    #[test]
    fn the_users_options_go_to_the_master_and_the_rest_to_the_server() {
        let mut set = set(3, 3);
        if let redoubt_wire::config::Topology::Sentinel(config) = &mut set.topology {
            config.directives.insert("notification-script".to_owned(), "/bin/true".to_owned());
            config.directives.insert("loglevel".to_owned(), "debug".to_owned());
        }
        let file = conf(&set);
        assert_eq!(file.get(&["sentinel", "notification-script", "mymaster"]).unwrap(), ["/bin/true"]);
        assert_eq!(file.get(&["loglevel"]).unwrap(), ["debug"]);
    }

    #[test]
    fn a_set_without_sentinels_has_no_file() {
        let with = set(1, 1);
        let mut without = set(1, 0);
        without.topology = redoubt_wire::config::Topology::Standalone;
        let entry = &with.sentinel().unwrap().sentinels[0];
        assert_eq!(sentinel_conf(&without, entry, &secrets(), &sentinel_launch()), None);
    }
}
