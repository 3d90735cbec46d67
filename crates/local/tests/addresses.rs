//! Where members are: kept for ever, shared with nobody.

mod common;

use std::{collections::BTreeSet, net::TcpListener};

use common::*;
use futures::future::join_all;
use redoubt_engine::platform::{Identity, Platform as _};
use redoubt_local::{LocalPlatform, PlatformOptions};

fn endpoints(identity: &Identity) -> Vec<String> {
    let nodes = identity.nodes.iter().flat_map(|node| [&node.server, &node.agent]);
    let sentinels = identity.sentinels.iter().flat_map(|entry| [&entry.server, &entry.agent]);
    nodes.chain(sentinels).map(ToString::to_string).collect()
}

#[tokio::test]
async fn addresses_outlive_restarts_scaling_and_deletion_with_kept_data() {
    let machine = Machine::new();
    let cart = redis("cart", "replicas: 3");
    let platform = machine.platform();
    let first = platform.identify(&cart).await.unwrap();
    let scaled = platform.identify(&redis("cart", "replicas: 5")).await.unwrap();
    assert_eq!(scaled.nodes[..3], first.nodes[..]);
    assert_eq!(scaled.sentinels, first.sentinels);
    apply(&platform, &cart).await;
    drop(platform);
    let platform = machine.platform();
    assert_eq!(platform.identify(&cart).await.unwrap(), first);
    platform.delete(&cart.key).await.unwrap();
    assert!(machine.processes().is_empty());
    assert_eq!(platform.identify(&cart).await.unwrap(), first, "kept with the data");
    let volatile = redis("cart", "replicas: 3, persistence: {volume: {keepAfterDeletion: false}}");
    assert_eq!(platform.identify(&volatile).await.unwrap(), first);
    platform.delete(&cart.key).await.unwrap();
    assert!(!machine.state().set("cart").root().exists());
    assert_ne!(platform.identify(&cart).await.unwrap().uid, first.uid, "nothing was kept");
}

#[tokio::test]
async fn engines_side_by_side_never_share_an_address() {
    let machines = [Machine::new(), Machine::new(), Machine::new()];
    let platforms: Vec<LocalPlatform> = machines.iter().map(Machine::platform).collect();
    let sets: Vec<_> = (0..8).map(|n| redis(&format!("set-{n}"), "replicas: 3")).collect();
    let asked = platforms.iter().flat_map(|platform| sets.iter().map(move |set| platform.identify(set)));
    let all: Vec<String> =
        join_all(asked).await.into_iter().flat_map(|identity| endpoints(&identity.unwrap())).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 3 * 8 * 12);
}

#[tokio::test]
async fn one_address_serves_where_there_are_no_more() {
    let machine = Machine::new();
    let options = PlatformOptions { single_address: true, ..Machine::options() };
    let platform = LocalPlatform::open(machine.state(), options.clone()).unwrap();
    let sets: Vec<_> = (0..3).map(|n| redis(&format!("set-{n}"), "replicas: 3")).collect();
    let identities: Vec<_> = join_all(sets.iter().map(|set| platform.identify(set)))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let all: Vec<String> = identities.iter().flat_map(endpoints).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 3 * 12);
    assert!(all.iter().all(|endpoint| endpoint.starts_with("127.0.0.1:")));
    for set in &sets {
        apply(&platform, set).await;
        assert!(all_run(&members_until(&platform, &set.key, all_run).await));
    }
    let many = redis("set-0", "replicas: 17");
    let error = platform.identify(&many).await.unwrap_err();
    assert!(error.why.contains("17 nodes") && error.next.contains("16"), "{error}");
    drop(platform);
    let platform = machine.platform();
    assert_eq!(platform.identify(&sets[0]).await.unwrap(), identities[0], "kept without the option too");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_and_used_as_soon_as_it_is_free() {
    let machine = Machine::new();
    let platform = machine.platform();
    let cart = redis("cart", "replicas: 3");
    let wanted = workload(&platform, &cart).await;
    let place = wanted.config.nodes[1].server.to_string();
    let stranger = TcpListener::bind(&place).unwrap();
    let error = platform.apply(&wanted).await.unwrap_err();
    assert!(error.why.contains(&place) && error.why.contains("cart-1"), "{error}");
    assert!(error.why.contains(&format!("process {}", std::process::id())), "{error}");
    assert!(error.next.contains(&place), "{error}");
    let members = platform.observe(&cart.key).await.unwrap();
    assert_eq!(members.iter().filter(|member| member.running).count(), 5, "the others run");
    assert!(members[1].trouble.as_ref().unwrap().contains(&place));
    drop(stranger);
    let members = members_until(&platform, &cart.key, all_run).await;
    assert!(members.iter().all(|member| member.trouble.is_none()));
}

#[tokio::test]
async fn a_copy_of_a_state_folder_does_not_run_beside_the_original() {
    let machine = Machine::new();
    let cart = redis("cart", "replicas: 3");
    let platform = machine.platform();
    platform.identify(&cart).await.unwrap();
    let copy = Machine::new();
    let identity = |machine: &Machine| machine.state().set("cart").identity();
    write(identity(&copy), &std::fs::read_to_string(identity(&machine)).unwrap());
    let error = copy.platform().identify(&cart).await.unwrap_err();
    assert!(error.why.contains("another engine"), "{error}");
    drop(platform);
    copy.platform().identify(&cart).await.unwrap();
}
