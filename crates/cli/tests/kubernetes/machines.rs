//! Machines that are cut off, stop or die, one or a zone of them.

use crate::{
    cluster::{Namespace, wait},
    fault::{Fault, alone, is_lab, machine_is, machine_of},
};

const NODES: [&str; 3] = ["cart-0", "cart-1", "cart-2"];

/// A Redis whose pods stay where their volumes are, with a key that all have.
struct Cart {
    shop: Namespace,
    master: String,
    machine: String,
}

impl Cart {
    fn new(test: &str, class: &str) -> Option<Self> {
        if !is_lab(test) {
            return None;
        }
        alone();
        let shop = Namespace::new(test)?;
        shop.apply(&format!(
            "apiVersion: redoubt.dev/v1\nkind: Redis\nmetadata: {{name: cart}}\nspec:\n  terminationGracePeriod: 5s\n  persistence: {{volume: {{storageClass: {class}}}}}\n"
        ))
        .unwrap();
        shop.ready("cart");
        let master = shop.greet();
        let machine = machine_of(&shop.name, &master);
        Some(Self { shop, master, machine })
    }

    /// Another leads than before, has the key and takes writes.
    fn another_serves(&self) {
        let next = self.shop.another_leads("cart", &self.master);
        wait("the new master has the key and takes writes", || {
            let had = self.shop.redis_cli("cart", &next, "GET greeting")?;
            let said = self.shop.redis_cli("cart", &next, "SET greeting hello")?;
            if (had.as_str(), said.as_str()) == ("hello", "OK") {
                Ok(())
            } else {
                Err(format!("{had} {said}"))
            }
        });
    }

    /// All is as asked again; nobody lost the key, and one leads.
    fn is_whole(&self) {
        self.shop.ready("cart");
        for pod in NODES {
            wait(&format!("{pod} has the key"), || {
                match self.shop.redis_cli("cart", pod, "GET greeting")? {
                    value if value == "hello" => Ok(()),
                    value => Err(value),
                }
            });
        }
        let masters = || {
            let roles = NODES.map(|pod| self.shop.redis_cli("cart", pod, "INFO replication").unwrap());
            roles.iter().filter(|said| said.contains("role:master")).count()
        };
        wait("one leads", || match masters() {
            1 => Ok(()),
            count => Err(count.to_string()),
        });
    }
}

#[test]
fn a_master_on_a_machine_that_is_cut_off_is_replaced_and_never_deleted_by_force() {
    let name = "a_master_on_a_machine_that_is_cut_off_is_replaced_and_never_deleted_by_force";
    let Some(cart) = Cart::new(name, "local") else { return };
    let uid = cart.shop.uids("cart")[&cart.master].clone();
    let cut = Fault::new("cut", &[&cart.machine], "uncut");
    cart.another_serves();
    machine_is(&cart.machine, "Unknown");
    // As an eviction does after five minutes.
    cart.shop.kubectl(&["delete", "pod", &cart.master, "--wait=false"]);
    let taint = format!("kubectl taint node {} node.kubernetes.io/out-of-service", cart.machine);
    cart.shop.says("cart", "Ready", &taint);
    assert_eq!(cart.shop.uids("cart").get(&cart.master), Some(&uid), "its pod was deleted by force");
    cut.undo();
    machine_is(&cart.machine, "True");
    wait("another pod in its place", || match cart.shop.uids("cart").get(&cart.master) {
        Some(now) if *now != uid => Ok(()),
        other => Err(format!("{other:?}")),
    });
    cart.is_whole();
}

#[test]
fn a_kubelet_that_stops_is_felt_by_nobody() {
    let Some(cart) = Cart::new("a_kubelet_that_stops_is_felt_by_nobody", "local") else { return };
    let before = cart.shop.uids("cart");
    let other = NODES.into_iter().find(|pod| machine_of(&cart.shop.name, pod) != cart.machine).unwrap();
    let stopped = Fault::new("stop-kubelet", &[&cart.machine], "start-kubelet");
    machine_is(&cart.machine, "Unknown");
    // Without its kubelet the master's pod takes no exec, so another asks it by its name.
    let said = cart.shop.redis_cli("cart", other, "-h cart-master SET greeting hello").unwrap();
    assert_eq!(said, "OK");
    assert_eq!(cart.shop.master("cart").as_deref(), Some(cart.master.as_str()));
    stopped.undo();
    machine_is(&cart.machine, "True");
    cart.is_whole();
    assert_eq!(cart.shop.master("cart").as_deref(), Some(cart.master.as_str()));
    assert_eq!(cart.shop.uids("cart"), before);
}

#[test]
fn a_master_whose_machine_dies_is_replaced_and_follows_when_it_is_back() {
    let name = "a_master_whose_machine_dies_is_replaced_and_follows_when_it_is_back";
    let Some(cart) = Cart::new(name, "local") else { return };
    let dead = Fault::new("kill-node", &[&cart.machine], "start-node");
    cart.another_serves();
    dead.undo();
    machine_is(&cart.machine, "True");
    cart.is_whole();
}

#[test]
fn a_zone_that_is_lost_takes_a_third_of_the_nodes_and_nothing_else() {
    let name = "a_zone_that_is_lost_takes_a_third_of_the_nodes_and_nothing_else";
    let Some(cart) = Cart::new(name, "zonal") else { return };
    let zones = NODES.map(|pod| zone_of(&machine_of(&cart.shop.name, pod)));
    assert!(zones[0] != zones[1] && zones[1] != zones[2] && zones[0] != zones[2], "{zones:?}");
    let zone = zone_of(&cart.machine);
    let lost = Fault::new("cut-zone", &[&zone], "uncut-zone");
    cart.another_serves();
    lost.undo();
    machine_is(&cart.machine, "True");
    cart.is_whole();
}

fn zone_of(machine: &str) -> String {
    let path = "jsonpath={.metadata.labels.topology\\.kubernetes\\.io/zone}";
    crate::cluster::kubectl(&["get", "node", machine, "--output", path])
}
