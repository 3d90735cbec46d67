//! `redis.conf` of a data node.

use std::path::PathBuf;

use redoubt_redis::{Endpoint, conf::ConfFile};
use redoubt_wire::{
    config::{NodeEntry, SetConfig},
    secrets::{Password, REPLICATION_USER, Secrets},
};
use secrecy::ExposeSecret as _;

use crate::{acl, directive};

/// What only the agent knows when it starts its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLaunch {
    /// Addresses to listen on, separated by blanks.
    pub bind: String,
    /// Folder of the data.
    pub data_dir: PathBuf,
    /// As what it starts.
    pub start: Start,
    /// The data is in the AOF; see [`crate::aof`], which knows when that is so.
    pub aof_in_file: bool,
    /// The fence: replicas that must be in sync for a master to take writes.
    pub min_replicas_to_write: u32,
}

/// As what a server starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// As master.
    Master,
    /// As replica of the server announced here.
    ReplicaOf(Endpoint),
    /// As replica of a server outside of the set, which knows none of its users.
    CopyOf(Endpoint),
    /// As its own memory of the cluster (`nodes.conf`) says.
    Member {
        /// What its files hold may be voted for: it leads by them.
        electable: bool,
    },
}

impl Start {
    fn follows(&self) -> Option<&Endpoint> {
        match self {
            Self::ReplicaOf(master) | Self::CopyOf(master) => Some(master),
            Self::Master | Self::Member { .. } => None,
        }
    }

    fn login(&self) -> Login {
        match self {
            Self::CopyOf(_) => Login::Outside,
            Self::Master | Self::ReplicaOf(_) | Self::Member { .. } => Login::Set,
        }
    }
}

/// As whom a server logs in at the one it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// At a node of its set: as the user that is there for this.
    Set,
    /// At a server outside of the set: by the application's password, or by none where the application has none.
    Outside,
}

impl Login {
    /// The directives that say so; an empty value says nothing.
    #[must_use]
    pub fn directives(self, set: &SetConfig, secrets: &Secrets) -> [(&'static str, String); 2] {
        let clear = |password: &Password| password.current().expose_secret().to_owned();
        let (user, password) = match self {
            Self::Set => (REPLICATION_USER, clear(&secrets.replication)),
            Self::Outside if set.access.auth => ("", clear(&secrets.application)),
            Self::Outside => ("", String::new()),
        };
        [("masteruser", user.to_owned()), ("masterauth", password)]
    }
}

/// Where a server in a cluster keeps what it knows of it: its id, its slots, the others, its votes.
pub const CLUSTER_MEMORY: &str = "nodes.conf";
/// The bus is so far above the server's port.
const BUS_OFFSET: u16 = 10_000;

/// The whole `redis.conf` of a node. It holds `masterauth` in clear, so it belongs in a file that only its owner reads.
///
/// The file is made anew at each start and whenever the configuration changes; what CONFIG REWRITE put into it in
/// between is not kept.
#[must_use]
pub fn node_conf(set: &SetConfig, node: &NodeEntry, secrets: &Secrets, launch: &NodeLaunch) -> String {
    let mut file = ConfFile::default();
    file.comment(&format!(
        "Written by Redoubt for {}, again at each start. Change the resource instead.",
        node.name
    ));
    process(&mut file, node, launch);
    replication(&mut file, set, node, secrets, launch);
    cluster(&mut file, set, node, launch);
    for user in acl::node_users(set, secrets) {
        file.add(&["user"], &user.directive());
    }
    persistence(&mut file, set, launch);
    for (name, value) in directive::chosen(&set.directives) {
        directive::add_written(&mut file, &[name], value);
    }
    file.to_string()
}

/// What the process is and where it listens.
fn process(file: &mut ConfFile, node: &NodeEntry, launch: &NodeLaunch) {
    file.add(&["bind"], &words(&launch.bind));
    file.add(&["port"], &[node.server.port.to_string()]);
    // Everybody logs in; with `auth` off the resource says that nobody has to.
    file.add(&["protected-mode"], &["no"]);
    file.add(&["dir"], &[launch.data_dir.to_string_lossy()]);
    for (name, value) in [("daemonize", "no"), ("supervised", "no"), ("pidfile", ""), ("logfile", "")] {
        file.add(&[name], &[value]);
    }
}

/// `replica-priority` of a replica that must not be elected.
pub const NOT_ELECTABLE: &str = "0";
/// `replica-priority` of one that may; the servers' own default.
pub const ELECTABLE: &str = "100";

/// Who it is to the others, whom it follows, and the fence.
fn replication(
    file: &mut ConfFile,
    set: &SetConfig,
    node: &NodeEntry,
    secrets: &Secrets,
    launch: &NodeLaunch,
) {
    file.add(&["replica-announce-ip"], &[&node.server.host]);
    file.add(&["replica-announce-port"], &[node.server.port.to_string()]);
    // A replica holds what its files held until it is in sync: nobody may elect it before its agent raises this.
    let follows = launch.start.follows();
    file.add(&["replica-priority"], &[if follows.is_some() { NOT_ELECTABLE } else { ELECTABLE }]);
    for (name, value) in
        launch.start.login().directives(set, secrets).iter().filter(|(_, value)| !value.is_empty())
    {
        file.add(&[name], &[value]);
    }
    if let Some(master) = follows {
        file.add(&["replicaof"], &[master.host.clone(), master.port.to_string()]);
    }
    file.add(&["min-replicas-to-write"], &[launch.min_replicas_to_write.to_string()]);
    file.add(&["min-replicas-max-lag"], &[set.durability.max_replica_lag_s.to_string()]);
}

/// Who it is on the bus, and how it votes.
fn cluster(file: &mut ConfFile, set: &SetConfig, node: &NodeEntry, launch: &NodeLaunch) {
    let Some(config) = set.cluster() else { return };
    file.add(&["cluster-enabled"], &["yes"]);
    file.add(&["cluster-config-file"], &[CLUSTER_MEMORY]);
    file.add(&["cluster-node-timeout"], &[config.node_timeout_ms.to_string()]);
    file.add(&["cluster-announce-ip"], &[&node.server.host]);
    file.add(&["cluster-announce-port"], &[node.server.port.to_string()]);
    let bus = node.server.port.saturating_add(BUS_OFFSET);
    file.add(&["cluster-announce-bus-port"], &[bus.to_string()]);
    // A shard that is down is no reason for the others to refuse their slots.
    file.add(&["cluster-require-full-coverage"], &["no"]);
    // Which node belongs to which shard is the resource's to say.
    file.add(&["cluster-allow-replica-migration"], &["no"]);
    // A replica holds what its files held until it is in sync: it stands for no election before its agent says so.
    let electable = matches!(launch.start, Start::Member { electable: true });
    file.add(&[NO_FAILOVER], &[if electable { "no" } else { "yes" }]);
}

/// Keeps a replica from standing for election by itself.
pub const NO_FAILOVER: &str = "cluster-replica-no-failover";

/// What is kept on disk, under names that never change: [`crate::aof`] looks for them.
fn persistence(file: &mut ConfFile, set: &SetConfig, launch: &NodeLaunch) {
    file.add(&["dbfilename"], &["dump.rdb"]);
    file.add(&["appendfilename"], &["appendonly.aof"]);
    // Redis 6.2 takes one save point a line.
    let points = words(&set.persistence.rdb_save);
    if points.is_empty() {
        file.add(&["save"], &[""]);
    }
    for point in points.chunks(2) {
        file.add(&["save"], point);
    }
    file.add(&["appendonly"], &[if launch.aof_in_file { "yes" } else { "no" }]);
    file.add(&["appendfsync"], &[&set.persistence.aof_fsync]);
}

pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use redoubt_wire::config::{ClusterConfig, Topology};

    use super::*;
    use crate::fixture::{node_launch, secrets, set};

    fn conf(set: &SetConfig, launch: &NodeLaunch) -> ConfFile {
        node_conf(set, &set.nodes[0], &secrets(), launch).parse().unwrap()
    }

    #[test]
    fn the_file_says_all_that_is_wanted() {
        let mut set = set(3, 3);
        set.directives.insert("maxmemory".to_owned(), "1gb".to_owned());
        let launch = NodeLaunch { start: Start::ReplicaOf(set.nodes[2].server.clone()), ..node_launch() };
        let file = conf(&set, &launch);
        for (name, values) in [
            ("bind", &["127.0.0.1"][..]),
            ("port", &["6379"]),
            ("dir", &["/srv/data"]),
            ("logfile", &[""]),
            ("replica-announce-ip", &["127.0.0.1"]),
            ("replicaof", &["127.0.0.3", "6379"]),
            ("masteruser", &["redoubt-replication"]),
            ("masterauth", &["replication-password"]),
            ("min-replicas-to-write", &["1"]),
            ("min-replicas-max-lag", &["3"]),
            ("appendonly", &["yes"]),
            ("repl-diskless-sync-delay", &["0"]),
            ("maxmemory", &["1gb"]),
        ] {
            assert_eq!(file.get(&[name]).unwrap(), values, "{name}");
        }
        assert_eq!(file.all(&["save"]).collect::<Vec<_>>(), [["3600", "1"], ["300", "100"]]);
        assert_eq!(file.all(&["user"]).count(), 4);
        assert!(conf(&set, &node_launch()).get(&["replicaof"]).is_none());
    }

    /// It knows none of the set's users, and what it wants is the password of the application.
    #[test]
    fn a_server_outside_of_the_set_is_followed_with_the_password_of_the_application() {
        let mut set = set(3, 3);
        let launch = NodeLaunch { start: Start::CopyOf(Endpoint::new("old.shop", 6380)), ..node_launch() };
        for (auth, password) in [(true, Some("password")), (false, None)] {
            set.access.auth = auth;
            let file = conf(&set, &launch);
            assert_eq!(file.get(&["replicaof"]).unwrap(), ["old.shop", "6380"]);
            assert_eq!(file.get(&["replica-priority"]).unwrap(), [NOT_ELECTABLE]);
            assert!(file.get(&["masteruser"]).is_none());
            let said = file.get(&["masterauth"]).map(|words| words[0].clone());
            assert_eq!(said.as_deref(), password);
        }
    }

    #[test]
    fn no_save_points_turn_saving_off_and_the_aof_follows_the_launch_alone() {
        let mut set = set(1, 0);
        set.persistence.rdb_save = " ".to_owned();
        let file = conf(&set, &NodeLaunch { aof_in_file: false, ..node_launch() });
        assert_eq!(file.get(&["save"]).unwrap(), [""]);
        assert_eq!(file.get(&["appendonly"]).unwrap(), ["no"]);
    }

    #[test]
    fn one_password_alone_stands_in_clear() {
        let set = set(1, 0);
        let text = node_conf(&set, &set.nodes[0], &secrets(), &node_launch());
        let clear = text.split_whitespace().filter(|word| word.ends_with("password"));
        assert_eq!(clear.collect::<Vec<_>>(), ["replication-password"]);
    }

    #[test]
    fn a_node_of_a_cluster_says_where_it_is_and_is_not_elected_before_its_agent_says_so() {
        let mut set = set(3, 0);
        set.topology = Topology::Cluster(ClusterConfig { shards: 3, node_timeout_ms: 5000 });
        for (electable, no_failover) in [(true, "no"), (false, "yes")] {
            let file = conf(&set, &NodeLaunch { start: Start::Member { electable }, ..node_launch() });
            for (name, value) in [
                ("cluster-enabled", "yes"),
                ("cluster-config-file", "nodes.conf"),
                ("cluster-node-timeout", "5000"),
                ("cluster-announce-ip", "127.0.0.1"),
                ("cluster-announce-port", "6379"),
                ("cluster-announce-bus-port", "16379"),
                ("cluster-allow-replica-migration", "no"),
                (NO_FAILOVER, no_failover),
            ] {
                assert_eq!(file.get(&[name]).unwrap(), [value], "{name}");
            }
            // A server in a cluster refuses to start with it.
            assert!(file.get(&["replicaof"]).is_none());
        }
    }

    /// What is ours is refused where the resource is read; else a user's line behind it would overrule it.
    #[test]
    fn directives_of_ours_are_no_ones_to_write() {
        let set = set(2, 0);
        let launch = NodeLaunch { start: Start::ReplicaOf(set.nodes[1].server.clone()), ..node_launch() };
        let free = directive::chosen(&set.directives);
        let file = conf(&set, &launch);
        for name in file.directives().map(|words| &words[0]).filter(|name| !free.contains_key(name.as_str()))
        {
            let resource = format!(
                "apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {{name: cart}}\nspec: {{config: {{{name}: x}}}}\n"
            );
            let batch = redoubt_api::read(&[redoubt_api::Source { file: "cart.yaml", text: &resource }]);
            assert!(batch.accepted.is_empty(), "{name} is accepted");
        }
    }
}
