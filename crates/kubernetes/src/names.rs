//! Every name, label and port, in one place. A `Redis` has names of our own; a `RedisFailover` has those that the old
//! operator gave it, which its users' tools rely on.

use std::collections::BTreeMap;

use redoubt_api::{Key, ResourceKind, Role};
use redoubt_engine::{
    Counts,
    platform::{MemberKind, Seat},
};

/// Ports of pods and Services.
pub mod ports {
    /// A data node's server.
    pub const REDIS: i32 = 6379;
    /// Where the nodes of a cluster talk to each other.
    pub const BUS: i32 = 16379;
    /// A Sentinel.
    pub const SENTINEL: i32 = 26379;
    /// An agent: metrics, health, state.
    pub const AGENT: i32 = redoubt_wire::AGENT_PORT as i32;
    /// The agent beside a server whose exporter has [`EXPORTER`].
    pub const AGENT_BESIDE_EXPORTER: i32 = 9120;
    /// The exporter of a data node.
    pub const EXPORTER: i32 = 9121;
    /// The exporter of a Sentinel.
    pub const SENTINEL_EXPORTER: i32 = 9355;
    /// The operator's own metrics and health.
    pub const OPERATOR: i32 = 8080;
}

/// Labels and annotations.
pub mod labels {
    /// What it is: [`NAME_VALUE`]; for a `RedisFailover` the name of the resource.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// Value of [`NAME`].
    pub const NAME_VALUE: &str = "redis";
    /// Whose it is: the name of the Redis.
    pub const INSTANCE: &str = "app.kubernetes.io/instance";
    /// `node` or `sentinel`; for a `RedisFailover` `redis` or `sentinel`.
    pub const COMPONENT: &str = "app.kubernetes.io/component";
    /// For a `RedisFailover`: always [`PART_OF_VALUE`].
    pub const PART_OF: &str = "app.kubernetes.io/part-of";
    /// Value of [`PART_OF`].
    pub const PART_OF_VALUE: &str = "redis-failover";
    /// Whose it is: the name of the `RedisFailover`.
    pub const FAILOVER: &str = "redisfailovers.databases.spotahome.com/name";
    /// Who made it: always [`MANAGER`].
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// Value of [`MANAGED_BY`], and the one field manager.
    pub const MANAGER: &str = "redoubt";
    /// On pods: `master` or `replica`, as a majority of the Sentinels has it.
    pub const ROLE: &str = "redoubt.dev/role";
    /// The same of a `RedisFailover`: `master` or `slave`.
    pub const FAILOVER_ROLE: &str = "redisfailovers-role";
    /// Which shard of a cluster it belongs to.
    pub const SHARD: &str = "redoubt.dev/shard";
    /// Those that objects are found by.
    pub(crate) const OURS: [&str; 9] =
        [NAME, INSTANCE, COMPONENT, PART_OF, MANAGED_BY, FAILOVER, ROLE, FAILOVER_ROLE, SHARD];
    /// On pods: digest of the template they were started with.
    pub const TEMPLATE: &str = "redoubt.dev/template";
    /// On pods: revision of the configuration they were last told of. A changed annotation has the kubelet look at the
    /// pod's volumes at once; without it a changed `ConfigMap` takes up to a minute and a half.
    pub const CONFIG: &str = "redoubt.dev/config";
}

/// The members of one StatefulSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// All data nodes, where there are no shards.
    Nodes,
    /// The nodes of one shard of a cluster.
    Shard(u32),
    /// All Sentinels.
    Sentinels,
}

impl Group {
    /// Those of so many members.
    pub(crate) fn all(counts: Counts) -> impl Iterator<Item = Self> {
        let whole = (counts.shards == 0).then_some(Self::Nodes);
        let sentinels = (counts.sentinels > 0).then_some(Self::Sentinels);
        whole.into_iter().chain((0..counts.shards).map(Self::Shard)).chain(sentinels)
    }

    /// What its members are.
    #[must_use]
    pub fn kind(self) -> MemberKind {
        match self {
            Self::Nodes | Self::Shard(_) => MemberKind::Node,
            Self::Sentinels => MemberKind::Sentinel,
        }
    }

    /// Where a member belongs, and its place there.
    pub(crate) fn of(kind: MemberKind, ordinal: u32) -> (Self, u32) {
        match (kind, Seat::of(ordinal)) {
            (MemberKind::Sentinel, _) => (Self::Sentinels, ordinal),
            (MemberKind::Node, Some(Seat { shard, index })) => (Self::Shard(shard), index),
            (MemberKind::Node, None) => (Self::Nodes, ordinal),
        }
    }

    /// The ordinal of the member in this place.
    pub(crate) fn ordinal(self, index: u32) -> u32 {
        match self {
            Self::Nodes | Self::Sentinels => index,
            Self::Shard(shard) => Seat { shard, index }.number(),
        }
    }
}

/// The names of everything that is made for one resource.
///
/// No two resources of one kind share a name: those of a `Redis` that end in a number are told from the pods of another
/// by the door, and each name of a `RedisFailover` is a prefix of its own and the name.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    kind: ResourceKind,
    name: &'a str,
}

impl<'a> Names<'a> {
    /// Those of this resource.
    #[must_use]
    pub fn of(key: &'a Key) -> Self {
        Self { kind: key.kind, name: &key.name }
    }

    /// `cart-master` of a `Redis`, `rfrm-cart` of a `RedisFailover`.
    fn made(self, ending: &str, prefix: &str) -> String {
        match self.kind {
            ResourceKind::Redis => format!("{}{ending}", self.name),
            ResourceKind::RedisFailover => format!("{prefix}{}", self.name),
        }
    }

    /// The headless Service of the data nodes, and their StatefulSet where there are no shards.
    #[must_use]
    pub fn nodes(self) -> String {
        self.made("", "rfr-")
    }

    /// The Sentinels' StatefulSet and Service.
    #[must_use]
    pub fn sentinels(self) -> String {
        self.made("-sentinel", "rfs-")
    }

    /// What belongs to all members of this kind: their Service, their NetworkPolicy.
    #[must_use]
    pub fn of_kind(self, kind: MemberKind) -> String {
        match kind {
            MemberKind::Node => self.nodes(),
            MemberKind::Sentinel => self.sentinels(),
        }
    }

    /// The StatefulSet of these members, and their budget: `cart`, `cart-shard-0`, `cart-sentinel`.
    #[must_use]
    pub fn set(self, group: Group) -> String {
        match group {
            Group::Nodes | Group::Sentinels => self.of_kind(group.kind()),
            Group::Shard(shard) => format!("{}-shard-{shard}", self.nodes()),
        }
    }

    /// The Service that leads to the master.
    #[must_use]
    pub fn master(self) -> String {
        self.made("-master", "rfrm-")
    }

    /// The Service that leads to the replicas.
    #[must_use]
    pub fn replicas(self) -> String {
        self.made("-replicas", "rfrs-")
    }

    /// The Secret with all passwords.
    #[must_use]
    pub fn auth(self) -> String {
        self.made("-auth", "rfa-")
    }

    /// The `ConfigMap` that agents read.
    #[must_use]
    pub fn config(self) -> String {
        self.made("-config", "rfc-")
    }

    /// A member, and its pod: `cart-0`, `cart-shard-0-0`, `cart-sentinel-0`.
    #[must_use]
    pub fn member(self, kind: MemberKind, ordinal: u32) -> String {
        let (group, index) = Group::of(kind, ordinal);
        format!("{}-{index}", self.set(group))
    }

    /// The Service that is a member's address: the name of the member for a `Redis`. A `RedisFailover` may be called
    /// `cart-0` beside `cart`, and both have a Service `rfr-cart-0` then.
    #[must_use]
    pub fn address(self, kind: MemberKind, ordinal: u32) -> String {
        match (self.kind, kind) {
            (ResourceKind::Redis, kind) => self.member(kind, ordinal),
            (ResourceKind::RedisFailover, MemberKind::Node) => format!("rfra-{}-{ordinal}", self.name),
            (ResourceKind::RedisFailover, MemberKind::Sentinel) => format!("rfsa-{}-{ordinal}", self.name),
        }
    }

    /// The container with the server.
    #[must_use]
    pub fn container(self, kind: MemberKind) -> &'static str {
        match (self.kind, kind) {
            (ResourceKind::RedisFailover, MemberKind::Sentinel) => "sentinel",
            (ResourceKind::Redis | ResourceKind::RedisFailover, _) => "redis",
        }
    }

    /// The port of the agents.
    #[must_use]
    pub fn agent_port(self) -> i32 {
        match self.kind {
            ResourceKind::Redis => ports::AGENT,
            ResourceKind::RedisFailover => ports::AGENT_BESIDE_EXPORTER,
        }
    }

    /// What the pods of this kind are selected by.
    #[must_use]
    pub fn selector(self, kind: MemberKind) -> BTreeMap<String, String> {
        let mut labels = self.instance();
        labels.insert(labels::COMPONENT.to_owned(), self.component(kind).to_owned());
        labels
    }

    /// What the pods of these members are selected by; never changes, since a StatefulSet's selector cannot.
    #[must_use]
    pub fn selector_of(self, group: Group) -> BTreeMap<String, String> {
        with_shard(self.selector(group.kind()), group)
    }

    /// What all pods of the resource are selected by.
    #[must_use]
    pub fn instance(self) -> BTreeMap<String, String> {
        match self.kind {
            ResourceKind::Redis => pairs([(labels::NAME, labels::NAME_VALUE), (labels::INSTANCE, self.name)]),
            ResourceKind::RedisFailover => {
                pairs([(labels::NAME, self.name), (labels::PART_OF, labels::PART_OF_VALUE)])
            }
        }
    }

    /// Labels of an object that belongs to the whole resource.
    #[must_use]
    pub fn labels(self) -> BTreeMap<String, String> {
        let mut labels = self.instance();
        labels.extend(pairs([(labels::MANAGED_BY, labels::MANAGER)]));
        if self.kind == ResourceKind::RedisFailover {
            labels.extend(pairs([(labels::FAILOVER, self.name)]));
        }
        labels
    }

    /// Labels of an object that belongs to one kind of member.
    #[must_use]
    pub fn labels_of(self, kind: MemberKind) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(labels::COMPONENT.to_owned(), self.component(kind).to_owned());
        labels
    }

    /// Labels of an object that belongs to these members.
    #[must_use]
    pub fn labels_of_group(self, group: Group) -> BTreeMap<String, String> {
        with_shard(self.labels_of(group.kind()), group)
    }

    /// The label of a pod that says which role its node has, and its value.
    #[must_use]
    pub fn role(self, role: Role) -> (&'static str, &'static str) {
        match (self.kind, role) {
            (ResourceKind::Redis, Role::Master) => (labels::ROLE, "master"),
            (ResourceKind::Redis, Role::Replica) => (labels::ROLE, "replica"),
            (ResourceKind::RedisFailover, Role::Master) => (labels::FAILOVER_ROLE, "master"),
            (ResourceKind::RedisFailover, Role::Replica) => (labels::FAILOVER_ROLE, "slave"),
        }
    }

    /// Where a pod belongs and its place there, by its name and its labels.
    pub(crate) fn place_of(self, pod: &str, labels: &BTreeMap<String, String>) -> Option<(Group, u32)> {
        let (_, index) = pod.rsplit_once('-')?;
        Some((self.group_of(labels)?, index.parse().ok()?))
    }

    /// Whose an object with these labels is.
    pub(crate) fn group_of(self, labels: &BTreeMap<String, String>) -> Option<Group> {
        let component = labels.get(labels::COMPONENT)?;
        if component == self.component(MemberKind::Sentinel) {
            return Some(Group::Sentinels);
        }
        if component != self.component(MemberKind::Node) {
            return None;
        }
        match labels.get(labels::SHARD) {
            None => Some(Group::Nodes),
            Some(shard) => shard.parse().ok().map(Group::Shard),
        }
    }

    /// Value of [`labels::COMPONENT`].
    fn component(self, kind: MemberKind) -> &'static str {
        match (self.kind, kind) {
            (ResourceKind::Redis, MemberKind::Node) => "node",
            (ResourceKind::RedisFailover, MemberKind::Node) => "redis",
            (_, MemberKind::Sentinel) => "sentinel",
        }
    }
}

/// Whose an object with these labels is.
pub(crate) fn owner_of(labels: &BTreeMap<String, String>, namespace: String) -> Option<Key> {
    if let Some(name) = labels.get(labels::FAILOVER) {
        return Some(Key::failover(namespace, name));
    }
    labels.get(labels::INSTANCE).map(|name| Key::redis(namespace, name))
}

fn with_shard(mut labels: BTreeMap<String, String>, group: Group) -> BTreeMap<String, String> {
    if let Group::Shard(shard) = group {
        labels.insert(labels::SHARD.to_owned(), shard.to_string());
    }
    labels
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(key: &Key) -> Vec<String> {
        let names = Names::of(key);
        vec![
            names.nodes(),
            names.sentinels(),
            names.master(),
            names.replicas(),
            names.auth(),
            names.config(),
            names.member(MemberKind::Node, 0),
            names.member(MemberKind::Sentinel, 2),
            names.address(MemberKind::Node, 0),
            names.address(MemberKind::Sentinel, 2),
        ]
    }

    #[test]
    fn names_are_those_of_the_design() {
        assert_eq!(
            all(&Key::redis("shop", "cart")),
            [
                "cart",
                "cart-sentinel",
                "cart-master",
                "cart-replicas",
                "cart-auth",
                "cart-config",
                "cart-0",
                "cart-sentinel-2",
                "cart-0",
                "cart-sentinel-2",
            ]
        );
    }

    #[test]
    fn names_of_a_failover_are_those_of_the_old_operator() {
        assert_eq!(
            all(&Key::failover("shop", "cart")),
            [
                "rfr-cart",
                "rfs-cart",
                "rfrm-cart",
                "rfrs-cart",
                "rfa-cart",
                "rfc-cart",
                "rfr-cart-0",
                "rfs-cart-2",
                "rfra-cart-0",
                "rfsa-cart-2",
            ]
        );
    }

    /// The old operator selects by these, and so do its users' tools.
    #[test]
    fn labels_of_a_failover_are_those_of_the_old_operator() {
        let key = Key::failover("shop", "cart");
        let names = Names::of(&key);
        let selector = |component| {
            pairs([
                ("app.kubernetes.io/name", "cart"),
                ("app.kubernetes.io/component", component),
                ("app.kubernetes.io/part-of", "redis-failover"),
            ])
        };
        assert_eq!(names.selector(MemberKind::Node), selector("redis"));
        assert_eq!(names.selector(MemberKind::Sentinel), selector("sentinel"));
        assert_eq!(names.role(Role::Master), ("redisfailovers-role", "master"));
        assert_eq!(names.role(Role::Replica), ("redisfailovers-role", "slave"));
        assert_eq!(names.labels()["redisfailovers.databases.spotahome.com/name"], "cart");
    }

    /// `s-foo` beside `foo`, `foo-0` beside `foo`: what is made for one is never taken for the other's. Pods alone may not
    /// be mixed up with Services, which have names of their own.
    #[test]
    fn no_two_failovers_share_a_name() {
        let names = ["foo", "s-foo", "readiness-foo", "m-foo", "foo-0", "foo-config", "a-foo", "foo-0-0"];
        let services = |name: &str| {
            let key = Key::failover("shop", name);
            let names = Names::of(&key);
            let addresses = (0..3).flat_map(|ordinal| {
                [MemberKind::Node, MemberKind::Sentinel].map(|kind| names.address(kind, ordinal))
            });
            let fixed = [names.nodes(), names.sentinels(), names.master(), names.replicas()];
            let maps = [names.auth(), names.config()];
            fixed.into_iter().chain(maps).chain(addresses).collect::<Vec<_>>()
        };
        let mut seen = std::collections::BTreeSet::new();
        for name in names.iter().flat_map(|name| services(name)) {
            assert!(seen.insert(name.clone()), "{name} is made twice");
        }
    }

    #[test]
    fn a_pod_says_what_it_is() {
        let (redis, failover) = (Key::redis("shop", "cart"), Key::failover("shop", "cart"));
        let of = |key: &Key, pod: &str, component: &str| {
            Names::of(key).place_of(pod, &pairs([(labels::COMPONENT, component)]))
        };
        assert_eq!(of(&redis, "cart-2", "node"), Some((Group::Nodes, 2)));
        assert_eq!(of(&redis, "cart-sentinel-0", "sentinel"), Some((Group::Sentinels, 0)));
        assert_eq!(of(&redis, "cart", "node"), None);
        assert_eq!(of(&failover, "rfr-cart-2", "redis"), Some((Group::Nodes, 2)));
        assert_eq!(of(&failover, "rfr-cart-2", "node"), None);
        assert_eq!(Names::of(&redis).place_of("cart-2", &BTreeMap::new()), None);
    }

    #[test]
    fn a_node_of_a_shard_is_found_by_its_name_and_its_labels() {
        let key = Key::redis("shop", "cart");
        let names = Names::of(&key);
        let ordinal = Group::Shard(2).ordinal(1);
        assert_eq!(names.member(MemberKind::Node, ordinal), "cart-shard-2-1");
        assert_eq!(names.address(MemberKind::Node, ordinal), "cart-shard-2-1");
        assert_eq!(Group::of(MemberKind::Node, ordinal), (Group::Shard(2), 1));
        let labels = names.labels_of_group(Group::Shard(2));
        assert_eq!(names.place_of("cart-shard-2-1", &labels), Some((Group::Shard(2), 1)));
        assert_eq!(names.selector_of(Group::Shard(2))["redoubt.dev/shard"], "2");
        assert!(!names.selector(MemberKind::Node).contains_key("redoubt.dev/shard"));
    }

    #[test]
    fn each_shard_is_a_group_of_its_own() {
        let of =
            |nodes, shards, sentinels| Group::all(Counts { nodes, shards, sentinels }).collect::<Vec<_>>();
        assert_eq!(of(1, 0, 0), [Group::Nodes]);
        assert_eq!(of(3, 0, 3), [Group::Nodes, Group::Sentinels]);
        assert_eq!(of(2, 3, 0), [Group::Shard(0), Group::Shard(1), Group::Shard(2)]);
    }

    /// A label that a user has on the resource and the old operator copied, as Helm's, says nothing.
    #[test]
    fn two_resources_of_one_name_are_told_apart_by_their_objects() {
        for key in [Key::redis("shop", "cart"), Key::failover("shop", "cart")] {
            assert_eq!(owner_of(&Names::of(&key).labels(), "shop".to_owned()), Some(key));
        }
        let mut labels = Names::of(&Key::failover("shop", "cart")).labels();
        labels.insert(labels::INSTANCE.to_owned(), "release".to_owned());
        assert_eq!(owner_of(&labels, "shop".to_owned()), Some(Key::failover("shop", "cart")));
    }
}
