//! Operators that look after one namespace each, with rights in no other.

use crate::{
    cluster::{Namespace, SYSTEM, install, kubectl, operates, run},
    fault::alone,
};

const CART: &str = "
apiVersion: redoubt.dev/v1
kind: Redis
metadata: {name: cart}
spec: {mode: Standalone}
";

/// The operator of all namespaces is away for as long as this lives.
struct Away;

impl Away {
    fn begin() -> Self {
        scale(0);
        kubectl(&["wait", "--for=delete", "pods", "--all", "--namespace", SYSTEM, "--timeout=180s"]);
        Self
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        scale(2);
        operates(SYSTEM);
    }
}

fn scale(replicas: u32) {
    let replicas = format!("--replicas={replicas}");
    kubectl(&["scale", "deployment/redoubt-operator", &replicas, "--namespace", SYSTEM]);
}

/// An operator for one namespace, in it.
struct Installation<'a>(&'a Namespace);

impl<'a> Installation<'a> {
    fn begin(namespace: &'a Namespace) -> Self {
        install(&namespace.name, &["--watch", &namespace.name, "--without-crds"]);
        operates(&namespace.name);
        Self(namespace)
    }

    /// Who holds its Lease.
    fn holder(&self) -> String {
        let lease = self.0.get("lease", "redoubt-operator").expect("its Lease");
        lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Installation<'_> {
    /// All else goes with the namespace.
    fn drop(&mut self) {
        kubectl(&["delete", "clusterrolebinding", &format!("redoubt-operator-cluster-{}", self.0.name)]);
    }
}

/// Whether the operator of one namespace may do something in another.
fn may(operator: &Namespace, verb: &str, resource: &str, namespace: &Namespace) -> bool {
    let user = format!("system:serviceaccount:{}:redoubt-operator", operator.name);
    let asked = ["auth", "can-i", verb, resource, "--as", &user, "--namespace", &namespace.name];
    run(&asked, "").status.success()
}

#[test]
fn two_installations_look_after_a_namespace_each_and_may_nothing_in_the_others() {
    alone();
    let test = "two_installations_look_after_a_namespace_each_and_may_nothing_in_the_others";
    let (Some(shop), Some(bank)) = (Namespace::new(test), Namespace::new(test)) else { return };
    let _away = Away::begin();

    let of_shop = Installation::begin(&shop);
    shop.apply(CART).unwrap();
    bank.apply(CART).unwrap();
    shop.ready("cart");
    assert_eq!(bank.get("redis", "cart").unwrap().get("status"), None, "nobody looks after it");
    for (verb, resource) in
        [("list", "redises"), ("get", "secrets"), ("delete", "pods"), ("create", "leases")]
    {
        assert!(may(&shop, verb, resource, &shop), "{verb} {resource}");
        assert!(!may(&shop, verb, resource, &bank), "{verb} {resource}");
    }

    let of_bank = Installation::begin(&bank);
    bank.ready("cart");
    for (namespace, installation) in [(&shop, of_shop), (&bank, of_bank)] {
        let holder = installation.holder();
        assert!(namespace.get("pod", &holder).is_some(), "{holder} leads in {}", namespace.name);
    }
}
