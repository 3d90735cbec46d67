//! The ACL users of a set: who may log in at a data node and at a Sentinel, and what each may do there.
//!
//! The rules hold for Redis 6.2, where a subcommand can be allowed (`+config|get`) but not taken away
//! (`-config|set`): so a command is taken away whole and its harmless subcommands are given back. Passwords travel as
//! SHA-256 hashes. The previous password of a rotation is accepted too.

use std::fmt;

use redoubt_wire::{
    config::{Access, SetConfig},
    secrets::{AGENT_USER, Password, REPLICATION_USER, SENTINEL_USER, Secrets},
};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::call::Call;

/// What the application may not do at a data node: change the topology or the server's life. Client libraries ask
/// CONFIG GET, ACL WHOAMI and MODULE LIST.
/// It also asks a cluster what is where, and changes nothing there.
const APPLICATION: &str = "+@all -replicaof -slaveof -failover -shutdown -debug \
     -cluster +cluster|info +cluster|nodes +cluster|slots +cluster|shards +cluster|replicas +cluster|myid +cluster|keyslot \
     +cluster|countkeysinslot +cluster|getkeysinslot +cluster|help \
     -module +module|list +module|help \
     -acl +acl|whoami +acl|cat +acl|help \
     -config +config|get +config|resetstat +config|help";

/// All channels.
const ALL_CHANNELS: &str = "&*";

/// All channels but those that begin with `__s`, that is `__sentinel__:hello`: there are no negative rules. PSUBSCRIBE
/// takes only patterns that stand here literally.
const ALL_BUT_HELLO: &str = "&[^_]* &_ &_[^_]* &__ &__[^s]*";

/// What the agent does at its own server and at those of its peers: look, elect, hand over, configure, rotate
/// passwords, save, stop; form a cluster, join it, have a replica stand for election. It announces a new master through
/// the nodes as well.
const AGENT_AT_NODES: &str = "resetchannels &__sentinel__:hello \
     +ping +info +role +dbsize +lastsave +time +wait +publish +replicaof +shutdown +bgsave +bgrewriteaof \
     +client|id +client|setname +client|getname +client|list +client|kill +client|pause +client|unpause +client|no-evict \
     +config|get +config|set +config|rewrite \
     +acl|setuser +acl|deluser +acl|getuser +acl|list +acl|users +acl|whoami +acl|log \
     +cluster \
     +slowlog|len +slowlog|get +latency|latest +memory|stats +memory|doctor +command|info";

/// In a cluster it also moves slots: MIGRATE at the node that gives a key has it log in at the one that takes it, as itself.
/// Of a key that a death has left at both, it compares the copies and drops one.
const AGENT_IN_CLUSTER: &str = "~* +migrate +restore-asking +select +memory|usage \
     +dump +pttl +asking +watch +unwatch +multi +exec +del";

/// What a replica sends to its master. Dual-channel replication of Valkey asks for SYNC as well.
const REPLICATION_AT_NODES: &str = "resetchannels +ping +replconf +psync +sync";

/// What a Sentinel sends to a data node, coordinated failovers of Valkey 9 (FAILOVER) included.
const SENTINEL_AT_NODES: &str = "resetchannels &__sentinel__:hello \
     +ping +info +role +publish +subscribe +multi +exec +slaveof +replicaof +failover \
     +config|rewrite +client|setname +client|kill +script|kill";

/// What the application may do at a Sentinel: ask and listen. Whoever may publish there could move the master.
const APPLICATION_AT_SENTINELS: &str = "+@all -publish -shutdown -acl +acl|whoami +acl|cat +acl|help \
     -sentinel +sentinel|masters +sentinel|master +sentinel|replicas +sentinel|slaves +sentinel|sentinels \
     +sentinel|get-master-addr-by-name +sentinel|is-master-down-by-addr +sentinel|ckquorum +sentinel|myid \
     +sentinel|info-cache +sentinel|help";

/// What a Sentinel asks another one.
const SENTINEL_AT_SENTINELS: &str = "resetchannels &__sentinel__:hello \
     +ping +publish +client|setname +sentinel|is-master-down-by-addr";

/// What an agent does at a Sentinel: look, listen to its events (all begin with `+` or `-`), collect votes, announce,
/// configure, rotate passwords, stop. REMOVE and MONITOR are the way where there is one Sentinel only.
const AGENT_AT_SENTINELS: &str = "resetchannels &__sentinel__:hello &+* &-* \
     +ping +info +role +publish +subscribe +psubscribe +unsubscribe +punsubscribe +shutdown \
     +client|id +client|setname +client|list +client|kill \
     +sentinel|masters +sentinel|master +sentinel|myid +sentinel|sentinels +sentinel|replicas \
     +sentinel|get-master-addr-by-name +sentinel|is-master-down-by-addr +sentinel|ckquorum +sentinel|info-cache \
     +sentinel|set +sentinel|config +sentinel|flushconfig +sentinel|failover +sentinel|monitor +sentinel|remove \
     +acl|setuser +acl|deluser +acl|getuser +acl|list +acl|users +acl|whoami +acl|log";

/// One ACL user with all its rules. `Debug` shows the name only.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    name: &'static str,
    rules: Vec<String>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

impl User {
    fn new(name: &'static str, key: &Key<'_>, rules: &[&str]) -> Self {
        let mut all = vec!["on".to_owned()];
        match key {
            Key::Password(password) => all.extend(password.accepted().map(|text| hash(text.expose_secret()))),
            Key::NoPassword => all.push("nopass".to_owned()),
        }
        all.extend(rules.iter().flat_map(|part| part.split_whitespace()).map(str::to_owned));
        Self { name, rules: all }
    }

    /// Who.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Arguments of the `user` directive.
    pub(crate) fn directive(&self) -> Vec<&str> {
        std::iter::once(self.name).chain(self.rules.iter().map(String::as_str)).collect()
    }

    /// The `ACL SETUSER` that makes this user what it should be, whatever it was. The server applies it as a whole;
    /// connections that are logged in stay.
    #[must_use]
    pub fn set_user(&self) -> Call {
        let head = ["ACL", "SETUSER", self.name, "reset"];
        Call::new(head.into_iter().chain(self.rules.iter().map(String::as_str)))
    }
}

enum Key<'a> {
    Password(&'a Password),
    NoPassword,
}

/// The users at a data node.
#[must_use]
pub fn node_users(set: &SetConfig, secrets: &Secrets) -> Vec<User> {
    let access = &set.access;
    let in_cluster = if set.cluster().is_some() { AGENT_IN_CLUSTER } else { "" };
    let channels = if access.protect_sentinel_channel { ALL_BUT_HELLO } else { ALL_CHANNELS };
    let commands = if access.admin_commands { "+@all" } else { APPLICATION };
    let denied = access.denied_commands.iter().fold(String::new(), |rules, name| rules + " -" + name);
    vec![
        User::new(
            "default",
            &application(access.auth, &secrets.application),
            &["~* resetchannels", channels, commands, &denied],
        ),
        User::new(AGENT_USER, &Key::Password(&secrets.agent), &[AGENT_AT_NODES, in_cluster]),
        User::new(REPLICATION_USER, &Key::Password(&secrets.replication), &[REPLICATION_AT_NODES]),
        User::new(SENTINEL_USER, &Key::Password(&secrets.sentinel_at_nodes), &[SENTINEL_AT_NODES]),
    ]
}

/// The users at a Sentinel. The Sentinels log in at each other as they do at the nodes, so that the application's
/// password there opens nothing that could move the master.
#[must_use]
pub fn sentinel_users(access: &Access, secrets: &Secrets) -> Vec<User> {
    let commands = if access.admin_commands { "+@all" } else { APPLICATION_AT_SENTINELS };
    vec![
        User::new(
            "default",
            &application(access.asks_at_sentinels(), &secrets.sentinel),
            &["~* resetchannels &*", commands],
        ),
        User::new(AGENT_USER, &Key::Password(&secrets.agent), &[AGENT_AT_SENTINELS]),
        User::new(SENTINEL_USER, &Key::Password(&secrets.sentinel_at_nodes), &[SENTINEL_AT_SENTINELS]),
    ]
}

/// The users of `new` that are not so in `old`: what has to be told to a running server.
#[must_use]
pub fn changed(old: &[User], new: &[User]) -> Vec<User> {
    new.iter().filter(|user| !old.contains(user)).cloned().collect()
}

fn application(asked: bool, password: &Password) -> Key<'_> {
    if asked { Key::Password(password) } else { Key::NoPassword }
}

fn hash(password: &str) -> String {
    use fmt::Write as _;
    Sha256::digest(password.as_bytes()).iter().fold("#".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use redoubt_wire::config::SentinelDoor;

    use super::*;
    use crate::fixture::{secrets, set};

    #[test]
    fn passwords_travel_as_hashes_the_previous_one_too() {
        let mut secrets = secrets();
        secrets.agent = Password::new("abc").unwrap().with_previous("password").unwrap();
        let users = node_users(&set(1, 0), &secrets);
        let agent = users[1].directive().join(" ");
        // FIPS 180-2, appendix B.1.
        let abc = "#ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let password = "#5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
        assert!(agent.starts_with(&format!("redoubt-agent on {abc} {password} resetchannels ")), "{agent}");
        assert!(!format!("{users:?}").contains("ba7816"));
    }

    #[test]
    fn everybody_has_a_password_but_the_application_without_auth() {
        let mut set = set(1, 0);
        set.access.auth = false;
        for users in [node_users(&set, &secrets()), sentinel_users(&set.access, &secrets())] {
            for user in users {
                let rules = user.directive();
                assert_eq!(rules.contains(&"nopass"), user.name() == "default", "{user:?}");
                assert_ne!(
                    rules.contains(&"nopass"),
                    rules.iter().any(|rule| rule.starts_with('#')),
                    "{user:?}"
                );
            }
        }
    }

    #[test]
    fn sentinels_that_are_open_ask_nobody_but_their_own() {
        let mut set = set(1, 0);
        set.access.sentinel_door = SentinelDoor::Open;
        for user in sentinel_users(&set.access, &secrets()) {
            assert_eq!(user.directive().contains(&"nopass"), user.name() == "default", "{user:?}");
        }
        assert!(node_users(&set, &secrets()).iter().all(|user| !user.directive().contains(&"nopass")));
    }

    #[test]
    fn a_command_that_is_denied_is_taken_from_the_application_alone() {
        let mut set = set(1, 0);
        (set.access.admin_commands, set.access.denied_commands) = (true, vec!["config".to_owned()]);
        for user in node_users(&set, &secrets()) {
            assert_eq!(user.directive().contains(&"-config"), user.name() == "default", "{user:?}");
        }
    }

    #[test]
    fn only_who_differs_has_changed() {
        let set = set(1, 0);
        let (old, mut secrets) = (node_users(&set, &secrets()), secrets());
        assert!(changed(&old, &node_users(&set, &secrets)).is_empty());
        secrets.replication = Password::new("other").unwrap();
        let changed = changed(&old, &node_users(&set, &secrets));
        assert_eq!(changed.iter().map(User::name).collect::<Vec<_>>(), [REPLICATION_USER]);
        assert_eq!(changed[0].set_user().arguments()[..4], ["ACL", "SETUSER", REPLICATION_USER, "reset"]);
    }
}
