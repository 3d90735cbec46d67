//! What any cluster has to do for us.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::Stdio,
};

use crate::{
    cluster::{apply, calm, eventually, get, is_lab, kubectl, lab, run},
    shop::Shop,
};

#[test]
fn three_nodes_in_three_zones_are_ready() {
    if !is_lab("three_nodes_in_three_zones_are_ready") {
        return;
    }
    let _calm = calm();
    let nodes = get(&["nodes"]);
    let nodes = nodes["items"].as_array().unwrap();
    let zones: BTreeSet<_> = nodes
        .iter()
        .map(|node| node["metadata"]["labels"]["topology.kubernetes.io/zone"].as_str().unwrap())
        .collect();
    assert_eq!((nodes.len(), zones.len()), (3, 3));
}

#[test]
fn a_stateful_set_runs_restricted_and_spread_over_zones_with_its_volumes() {
    let _calm = calm();
    let shop = Shop::open("spread", "");
    let zones: BTreeSet<String> =
        ["cart-0", "cart-1", "cart-2"].iter().map(|pod| shop.zone_of(pod)).collect();
    assert_eq!(zones.len(), 3, "{zones:?}");
    assert_eq!(shop.redis("cart-0", &["set", "key", "kept"]), Ok("OK".to_owned()));
    shop.run(&["delete", "pod", "cart-0"]).unwrap();
    shop.is_whole();
    eventually("the data of the pod before", || match shop.redis("cart-0", &["get", "key"])?.as_str() {
        "kept" => Ok(()),
        other => Err(format!("got {other:?}")),
    });
    let refused = shop.run(&["run", "root", "--image=redis:7.0", "--restart=Never"]).unwrap_err();
    assert!(refused.contains("violates PodSecurity"), "{refused}");
}

#[test]
fn names_and_service_addresses_lead_to_pods() {
    let _calm = calm();
    let shop = Shop::open("names", "");
    let domain = format!("{}.svc.cluster.local", shop.namespace);
    let ask = |pod: &str, host: &str| {
        eventually(&format!("an answer of {host}"), || {
            match shop.redis(pod, &["-h", host, "ping"])?.as_str() {
                "PONG" => Ok(()),
                other => Err(other.to_owned()),
            }
        });
    };
    for pod in ["cart-0", "cart-1", "cart-2"] {
        ask("cart-0", &format!("{pod}.cart.{domain}"));
        ask(pod, &format!("cart-any.{domain}"));
    }
    let address = shop.run(&["get", "service", "cart-any", "-o", "jsonpath={.spec.clusterIP}"]).unwrap();
    ask("cart-2", &address);
}

#[test]
fn logs_exec_and_port_forward_reach_a_pod() {
    let _calm = calm();
    let shop = Shop::open("reach", "");
    assert!(shop.run(&["logs", "cart-1"]).unwrap().contains("Ready to accept connections"));
    assert_eq!(shop.run(&["exec", "cart-1", "--", "hostname"]).unwrap(), "cart-1");
    let mut forward = kubectl(&["--namespace", &shop.namespace, "port-forward", "pod/cart-1", ":6379"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept to the end: kubectl writes a second line, and ends where nobody reads.
    let mut said = BufReader::new(forward.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    // `Forwarding from 127.0.0.1:40001 -> 6379`
    let address = line.split_whitespace().nth(2).unwrap_or_default();
    let mut redis = TcpStream::connect(address).unwrap_or_else(|error| panic!("{line}: {error}"));
    redis.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    redis.read_exact(&mut answer).unwrap();
    forward.kill().unwrap();
    forward.wait().unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn a_volume_grows_while_it_is_used() {
    let _calm = calm();
    let shop = Shop::open("grow", "");
    let size = || -> Result<u64, String> {
        let table = shop.run(&["exec", "cart-0", "--", "df", "-m", "/data"])?;
        let size = table.lines().nth(1).and_then(|line| line.split_whitespace().nth(1));
        size.and_then(|size| size.parse().ok()).ok_or(table)
    };
    let before = size().unwrap();
    let patch = r#"{"spec":{"resources":{"requests":{"storage":"256Mi"}}}}"#;
    shop.run(&["patch", "persistentvolumeclaim", "data-cart-0", "--patch", patch]).unwrap();
    eventually("a larger volume", || {
        let now = size()?;
        if now > before + 100 { Ok(()) } else { Err(format!("{before} MB before, {now} MB now")) }
    });
    eventually("a claim that says so", || {
        let field = "jsonpath={.status.capacity.storage}";
        let said = shop.run(&["get", "persistentvolumeclaim", "data-cart-0", "-o", field])?;
        if said == "256Mi" { Ok(()) } else { Err(said) }
    });
}

#[test]
fn servers_of_other_versions_start_from_their_images() {
    if !is_lab("servers_of_other_versions_start_from_their_images") {
        return;
    }
    let _calm = calm();
    run(&mut lab(&["image", "servers"]));
    let shop = Shop::open("servers", "");
    for (name, image, server, wanted) in [
        ("redis-6", "redis:6.2", "redis-server", "v=6.2."),
        ("redis-8", "redis:8.0", "redis-server", "v=8.0."),
        ("valkey-8", "valkey/valkey:8.1", "valkey-server", "v=8.1."),
        ("valkey-9", "valkey/valkey:9.1", "valkey-server", "v=9.1."),
    ] {
        // Beside the pod that stands for all: what it says of itself, and that a server answers its client.
        apply(&POD.replace("NAMESPACE", &shop.namespace).replace("NAME", name).replace("IMAGE", image));
        let ask = |command: &[&str]| shop.run(&[&["exec", name, "--"], command].concat());
        eventually(&format!("an answer of {image}"), || match ask(&["redis-cli", "ping"])?.as_str() {
            "PONG" => Ok(()),
            other => Err(other.to_owned()),
        });
        let version = ask(&[server, "--version"]).unwrap();
        assert!(version.contains(wanted), "{image}: {version}");
    }
}

/// A server as its image starts it.
const POD: &str = "
apiVersion: v1
kind: Pod
metadata: { name: NAME, namespace: NAMESPACE }
spec:
  terminationGracePeriodSeconds: 1
  securityContext: { runAsNonRoot: true, runAsUser: 999, seccompProfile: { type: RuntimeDefault } }
  containers:
    - name: server
      image: IMAGE
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
";
