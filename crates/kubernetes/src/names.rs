//! Every name, label and port, in one place.

use std::collections::BTreeMap;

use redoubt_engine::platform::MemberKind;

/// Ports of pods and Services.
pub mod ports {
    /// A data node's server.
    pub const REDIS: i32 = 6379;
    /// A Sentinel.
    pub const SENTINEL: i32 = 26379;
    /// An agent: metrics, health, state.
    pub const AGENT: i32 = redoubt_wire::AGENT_PORT as i32;
    /// The operator's own metrics and health.
    pub const OPERATOR: i32 = 8080;
}

/// Labels and annotations.
pub mod labels {
    /// What it is: always [`NAME_VALUE`].
    pub const NAME: &str = "app.kubernetes.io/name";
    /// Value of [`NAME`].
    pub const NAME_VALUE: &str = "redis";
    /// Whose it is: the name of the Redis.
    pub const INSTANCE: &str = "app.kubernetes.io/instance";
    /// `node` or `sentinel`.
    pub const COMPONENT: &str = "app.kubernetes.io/component";
    /// Who made it: always [`MANAGER`].
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// Value of [`MANAGED_BY`], and the one field manager.
    pub const MANAGER: &str = "redoubt";
    /// On pods: `master` or `replica`, as a majority of the Sentinels has it.
    pub const ROLE: &str = "redoubt.dev/role";
    /// Value of [`ROLE`].
    pub const MASTER: &str = "master";
    /// Value of [`ROLE`].
    pub const REPLICA: &str = "replica";
    /// On pods: digest of the template they were started with.
    pub const TEMPLATE: &str = "redoubt.dev/template";
    /// On pods: revision of the configuration they were last told of. A changed annotation has the kubelet look at the
    /// pod's volumes at once; without it a changed `ConfigMap` takes up to a minute and a half.
    pub const CONFIG: &str = "redoubt.dev/config";
}

/// The names of everything that is made for one Redis.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a>(pub &'a str);

impl Names<'_> {
    /// The data nodes' StatefulSet, their headless Service.
    #[must_use]
    pub fn nodes(self) -> String {
        self.0.to_owned()
    }

    /// The Sentinels' StatefulSet and Service.
    #[must_use]
    pub fn sentinels(self) -> String {
        format!("{}-sentinel", self.0)
    }

    /// The StatefulSet of this kind of member.
    #[must_use]
    pub fn set(self, kind: MemberKind) -> String {
        match kind {
            MemberKind::Node => self.nodes(),
            MemberKind::Sentinel => self.sentinels(),
        }
    }

    /// The Service that leads to the master.
    #[must_use]
    pub fn master(self) -> String {
        format!("{}-master", self.0)
    }

    /// The Service that leads to the replicas.
    #[must_use]
    pub fn replicas(self) -> String {
        format!("{}-replicas", self.0)
    }

    /// The Secret with all passwords.
    #[must_use]
    pub fn auth(self) -> String {
        format!("{}-auth", self.0)
    }

    /// The `ConfigMap` that agents read.
    #[must_use]
    pub fn config(self) -> String {
        format!("{}-config", self.0)
    }

    /// A member's pod and the Service that is its address: `cart-0`, `cart-sentinel-0`.
    #[must_use]
    pub fn member(self, kind: MemberKind, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.set(kind))
    }

    /// What the pods of this kind are selected by; never changes, since a StatefulSet's selector cannot.
    #[must_use]
    pub fn selector(self, kind: MemberKind) -> BTreeMap<String, String> {
        let mut labels = self.instance();
        labels.insert(labels::COMPONENT.to_owned(), component(kind).to_owned());
        labels
    }

    /// What all pods of the Redis are selected by.
    #[must_use]
    pub fn instance(self) -> BTreeMap<String, String> {
        [(labels::NAME, labels::NAME_VALUE), (labels::INSTANCE, self.0)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    /// Labels of an object that belongs to the whole Redis.
    #[must_use]
    pub fn labels(self) -> BTreeMap<String, String> {
        let mut labels = self.instance();
        labels.insert(labels::MANAGED_BY.to_owned(), labels::MANAGER.to_owned());
        labels
    }

    /// Labels of an object that belongs to one kind of member.
    #[must_use]
    pub fn labels_of(self, kind: MemberKind) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(labels::COMPONENT.to_owned(), component(kind).to_owned());
        labels
    }
}

/// Value of [`labels::COMPONENT`].
pub(crate) fn component(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::Node => "node",
        MemberKind::Sentinel => "sentinel",
    }
}

/// What a pod is, by its name and its component label.
pub(crate) fn parse_pod(name: &str, component_label: Option<&str>) -> Option<(MemberKind, u32)> {
    let kind = [MemberKind::Node, MemberKind::Sentinel]
        .into_iter()
        .find(|kind| component_label == Some(component(*kind)))?;
    let (_, ordinal) = name.rsplit_once('-')?;
    Some((kind, ordinal.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_design() {
        let names = Names("cart");
        assert_eq!(names.member(MemberKind::Node, 0), "cart-0");
        assert_eq!(names.member(MemberKind::Sentinel, 2), "cart-sentinel-2");
        assert_eq!(
            [
                names.nodes(),
                names.master(),
                names.replicas(),
                names.sentinels(),
                names.auth(),
                names.config()
            ],
            ["cart", "cart-master", "cart-replicas", "cart-sentinel", "cart-auth", "cart-config"]
        );
    }

    #[test]
    fn a_pod_says_what_it_is() {
        assert_eq!(parse_pod("cart-2", Some("node")), Some((MemberKind::Node, 2)));
        assert_eq!(parse_pod("cart-sentinel-0", Some("sentinel")), Some((MemberKind::Sentinel, 0)));
        assert_eq!(parse_pod("cart-2", None), None);
        assert_eq!(parse_pod("cart", Some("node")), None);
    }
}
