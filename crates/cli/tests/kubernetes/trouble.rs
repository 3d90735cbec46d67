//! What the cluster does not give: the status says so in words, what runs goes on, and it heals once it is given.

use crate::{
    cluster::{Namespace, PATIENT, kubectl, wait},
    fault::{Fault, is_lab},
};

fn cart(spec: &str) -> String {
    format!("apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {{name: cart}}\nspec: {spec}\n")
}

#[test]
fn an_image_that_does_not_exist_stops_a_roll_at_its_first_pod_and_is_named() {
    let name = "an_image_that_does_not_exist_stops_a_roll_at_its_first_pod_and_is_named";
    let Some(shop) = Namespace::new(name) else { return };
    shop.apply(&cart("{}")).unwrap();
    shop.ready("cart");
    let (master, before) = (shop.master("cart").unwrap(), shop.uids("cart"));
    assert_eq!(shop.redis_cli("cart", &master, "SET greeting hello").unwrap(), "OK");
    shop.apply(&cart("{image: 'redis:nobody-has-it'}")).unwrap();
    shop.says("cart", "Ready", "redis:nobody-has-it");
    let now = shop.uids("cart");
    let gone: Vec<_> = before.iter().filter(|(pod, uid)| now.get(*pod) != Some(*uid)).collect();
    assert_eq!(gone.len(), 1, "more than the first is replaced: {gone:?}");
    assert_ne!(gone[0].0, &master);
    assert_eq!(shop.master("cart").unwrap(), master);
    assert_eq!(shop.redis_cli("cart", &master, "SET greeting bye").unwrap(), "OK");
    shop.apply(&cart("{image: 'redis:7.0'}")).unwrap();
    shop.ready("cart");
    let master = shop.master("cart").unwrap();
    assert_eq!(shop.redis_cli("cart", &master, "GET greeting").unwrap(), "bye");
}

/// A storage class that makes no volumes; no part of a namespace.
struct NoStorage(String);

impl NoStorage {
    fn new(shop: &Namespace) -> Self {
        let name = format!("nobody-{}", shop.name);
        shop.apply(&format!(
            "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{name: {name}}}\nprovisioner: example.org/nobody\n"
        ))
        .unwrap();
        Self(name)
    }
}

impl Drop for NoStorage {
    fn drop(&mut self) {
        kubectl(&["delete", "storageclass", &self.0]);
    }
}

#[test]
fn a_volume_that_nobody_provides_is_named() {
    let Some(shop) = Namespace::new("a_volume_that_nobody_provides_is_named") else { return };
    let class = NoStorage::new(&shop);
    shop.apply(&cart(&format!("{{persistence: {{volume: {{storageClass: {}}}}}}}", class.0))).unwrap();
    shop.says("cart", "Ready", "PersistentVolumeClaim");
    shop.kubectl(&["delete", "redis", "cart"]);
    wait("nothing of it is left", || {
        let left = shop.kubectl(&["get", "pods,statefulsets", "--output", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

#[test]
fn a_full_volume_is_named_and_others_take_the_writes() {
    let name = "a_full_volume_is_named_and_others_take_the_writes";
    if !is_lab(name) {
        return;
    }
    let Some(shop) = Namespace::new(name) else { return };
    shop.apply(PATIENT).unwrap();
    shop.ready("cart");
    let master = shop.master("cart").unwrap();
    let set = |n: u32| {
        let now = shop.master("cart").unwrap_or_default();
        match shop.redis_cli("cart", &now, &format!("SET key-{n} {n:0>1000}"))? {
            said if said == "OK" => Ok(()),
            said => Err(said),
        }
    };
    for n in 0..10 {
        wait("a write is taken", || set(n));
    }
    let full = Fault::new("fill", &[&format!("{}/data-{master}", shop.name)], "unfill");
    // What does not fit is noticed when it is written.
    let mut taken = 10;
    wait("the status tells of the disk", || {
        taken += u32::from(set(taken).is_ok());
        let status = shop.get("redis", "cart").unwrap()["status"].to_string();
        if status.contains("No space left") { Ok(()) } else { Err(status) }
    });
    wait("writes are taken", || set(taken));
    full.undo();
    shop.ready("cart");
    let master = shop.master("cart").unwrap();
    for n in 0..=taken {
        assert_eq!(shop.redis_cli("cart", &master, &format!("GET key-{n}")).unwrap(), format!("{n:0>1000}"));
    }
}
