//! Everything is gone at once, and the data is not.

use std::collections::BTreeMap;

use crate::cluster::{Namespace, PATIENT, wait};

const NODES: [&str; 3] = ["cart-0", "cart-1", "cart-2"];

/// Writes as many keys, in the slices that a server does not notice.
fn write(shop: &Namespace, master: &str, from: u32, count: u32) {
    for slice in (from..from + count).step_by(10_000) {
        let last = (slice + 10_000).min(from + count) - 1;
        let script = format!("for i={slice},{last} do redis.call('SET','key-'..i,i) end return 'done'");
        wait("the keys are taken", || {
            match shop.redis_cli("cart", master, &format!("EVAL \"{script}\" 0"))? {
                done if done == "done" => Ok(()),
                other => Err(other),
            }
        });
    }
}

/// What a pod has; `None` while nobody answers there.
fn keys(shop: &Namespace, pod: &str) -> Result<u32, String> {
    let said = shop.redis_cli("cart", pod, "DBSIZE")?;
    said.parse().map_err(|_| said)
}

fn everybody_has(shop: &Namespace, count: u32) {
    for pod in NODES {
        wait(&format!("{pod} has {count} keys"), || match keys(shop, pod)? {
            keys if keys == count => Ok(()),
            keys => Err(format!("{keys} keys")),
        });
    }
    let master = shop.master("cart").unwrap();
    for key in [0, count / 2, count - 1] {
        assert_eq!(shop.redis_cli("cart", &master, &format!("GET key-{key}")).unwrap(), key.to_string());
    }
}

/// All pods of before are gone, and as many others are there.
fn all_are_new(shop: &Namespace, before: &BTreeMap<String, String>) {
    wait("all pods are new", || {
        let now = shop.uids("cart");
        let is_new = now.len() == before.len() && now.iter().all(|(name, uid)| before.get(name) != Some(uid));
        if is_new { Ok(()) } else { Err(format!("{now:?}")) }
    });
}

fn delete_all(shop: &Namespace, how: &[&str]) {
    let before = shop.uids("cart");
    let delete = ["delete", "pods", "--selector", "app.kubernetes.io/instance=cart"];
    shop.kubectl(&[&delete, how].concat());
    all_are_new(shop, &before);
    shop.ready("cart");
}

#[test]
fn all_pods_deleted_at_once_come_back_with_every_key() {
    let Some(shop) = Namespace::new("all_pods_deleted_at_once_come_back_with_every_key") else { return };
    shop.apply(PATIENT).unwrap();
    shop.ready("cart");
    write(&shop, &shop.master("cart").unwrap(), 0, 100_000);
    everybody_has(&shop, 100_000);
    delete_all(&shop, &[]);
    everybody_has(&shop, 100_000);
    delete_all(&shop, &["--force", "--grace-period=0"]);
    everybody_has(&shop, 100_000);
}

#[test]
fn the_newest_data_leads_after_all_pods_were_deleted_by_force() {
    let Some(shop) = Namespace::new("the_newest_data_leads_after_all_pods_were_deleted_by_force") else {
        return;
    };
    // Servers may stand still for as long as the test has them do so.
    shop.apply(&PATIENT.replace("30s", "3m").replace("20s", "2m")).unwrap();
    shop.ready("cart");
    let master = shop.master("cart").unwrap();
    let replicas: Vec<&str> = NODES.into_iter().filter(|pod| *pod != master).collect();
    write(&shop, &master, 0, 100_000);
    everybody_has(&shop, 100_000);
    // One after another stands still and misses what is written from then on.
    let freeze = |pod: &str| shop.shell(pod, "kill -STOP $(pidof redis-server)").unwrap();
    freeze(replicas[0]);
    write(&shop, &master, 100_000, 1_000);
    wait("the other replica has it", || match keys(&shop, replicas[1])? {
        101_000 => Ok(()),
        keys => Err(keys.to_string()),
    });
    freeze(replicas[1]);
    write(&shop, &master, 101_000, 1_000);
    // On the disk, as far as a second of `everysec` goes.
    wait("it is on the disk", || {
        let said = shop.redis_cli("cart", &master, "INFO persistence")?;
        if said.contains("aof_pending_bio_fsync:0") && said.contains("aof_buffer_length:0") {
            Ok(())
        } else {
            Err(said)
        }
    });
    delete_all(&shop, &["--force", "--grace-period=0"]);
    everybody_has(&shop, 102_000);
}
