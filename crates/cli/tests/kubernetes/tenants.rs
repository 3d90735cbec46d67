//! Many in one cluster: nobody gets at another's, and a broken one is nobody else's trouble.

use crate::cluster::{Namespace, wait};

const CART: &str = include_str!("../../../../examples/cart.yaml");

#[test]
fn a_tenant_does_not_reach_anothers_redis_with_its_own_password() {
    let test = "a_tenant_does_not_reach_anothers_redis_with_its_own_password";
    let Some(mine) = Namespace::new(test) else { return };
    let other = Namespace::new(test).unwrap();
    for namespace in [&mine, &other] {
        namespace.apply(CART).unwrap();
    }
    for namespace in [&mine, &other] {
        namespace.ready("cart");
    }
    let master = mine.master("cart").unwrap();
    assert_eq!(mine.redis_cli("cart", &master, "SET whose mine").unwrap(), "OK");

    // From a pod of mine, with my password, at the other's servers and Sentinels.
    let at = |service: &str, port: u16, command: &str| {
        mine.redis_cli("cart", &master, &format!("-h {service}.{}.svc -p {port} {command} 2>&1", other.name))
    };
    for (service, port, command) in [
        ("cart-master", 6379, "GET whose"),
        ("cart-replicas", 6379, "GET whose"),
        ("cart-0", 6379, "REPLICAOF NO ONE"),
        ("cart-sentinel-0", 26379, "SENTINEL FAILOVER mymaster"),
        ("cart-sentinel", 26379, "SENTINEL get-master-addr-by-name mymaster"),
    ] {
        // A Service leads nowhere before each machine's proxy has heard of it, which nobody is told of.
        wait("it is refused there", || {
            let said = at(service, port, command);
            let refused =
                said.as_ref().is_ok_and(|said| said.contains("WRONGPASS") && said.contains("NOAUTH"));
            refused.then_some(()).ok_or(format!("{service} {command}: {said:?}"))
        });
    }
    // Nor at an agent: its health is anybody's, its state is not.
    let script = format!("wget -qO- http://cart-0.{}.svc:9121/v1/state; echo $?\n", other.name);
    let said = mine.shell(&master, &script).unwrap();
    assert!(!said.contains("incarnation") && said.trim() != "0", "{said}");
}

#[test]
fn a_broken_redis_keeps_no_other_from_being_made() {
    let Some(namespace) = Namespace::new("a_broken_redis_keeps_no_other_from_being_made") else { return };
    let redis = |name: &str, spec: &str| {
        format!("apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {{name: {name}}}\nspec: {spec}\n")
    };
    for number in 0..3 {
        namespace.apply(&redis(&format!("no-image-{number}"), "{image: nobody/nothing:1}")).unwrap();
        namespace.apply(&redis(&format!("no-secret-{number}"), "{auth: {secretName: nobody}}")).unwrap();
    }
    namespace.apply(CART).unwrap();
    namespace.ready("cart");
    wait("the broken ones say why", || {
        let seen = format!("{:?}", namespace.condition("no-image-1", "Degraded"));
        if seen.contains("nobody/nothing:1") { Ok(()) } else { Err(seen) }
    });
}
