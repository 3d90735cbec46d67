//! A planned change of master: nothing lost, no full copy, and a clear no when it cannot be.

use serde_json::Value;

use crate::{
    bad_input::redis,
    lab::{Lab, kill},
};

fn cart() -> Lab {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    lab.whole("cart");
    lab
}

#[test]
fn a_switchover_goes_to_the_node_that_was_named() {
    let lab = cart();
    let (master, replica) = (lab.master("cart"), lab.replicas("cart")[1].clone());
    let said = lab.run(["switchover", "cart", "--to", &replica]).ok();
    assert!(said.out.contains(&format!("{replica} leads now, {master} follows it")), "{said:?}");
    lab.whole("cart");
    assert_eq!(lab.master("cart"), replica);
    let told =
        lab.until("cart", "the status tells it", |status| status["lastFailover"]["cause"] == "switchover");
    assert_eq!(told["lastFailover"]["newMaster"], replica.as_str(), "{told:#}");
}

#[test]
fn no_client_loses_a_write_in_a_switchover() {
    let lab = cart();
    for client in ["sentinel", "error-only", "role"] {
        let before = full_syncs(&lab);
        let result = lab.run(["drill", "cart", "switchover", "--client", client, "-o", "json"]).ok().json();
        assert_eq!(result["lost"], 0, "{result:#}");
        assert_ne!(result["master_before"], result["master_after"], "{result:#}");
        assert_eq!(full_syncs(&lab), before, "no replica copied everything");
    }
}

#[test]
fn a_switchover_that_cannot_be_is_refused_and_nothing_is_done() {
    let lab = cart();
    let master = lab.master("cart");
    lab.run(["switchover", "cart", "--to", "cart-9"]).failed(3, &["no node of cart \"cart-9\"", "hint: "]);
    lab.run(["switchover", "cart", "--to", &master]).failed(2, &["is the master already", "hint: "]);
    lab.run(["switchover", "crat"]).failed(3, &["no Redis \"crat\"", "did you mean \"cart\"?"]);
    // Without an engine nobody starts a killed agent again.
    let engine = lab.status("cart")["engine"]["pid"].as_i64().unwrap();
    kill(rustix::process::Pid::from_raw(i32::try_from(engine).unwrap()).unwrap());
    let replica = lab.replicas("cart")[0].clone();
    kill(lab.agent("cart", &replica));
    lab.until("cart", "it is seen", |status| status["live"]["nodes"][&replica]["reachable"] == false);
    let said = lab.run(["switchover", "cart", "--to", &replica]).failed(1, &["error: ", "hint: "]);
    assert!(said.err.contains(&replica), "{}", said.err);
    assert_eq!(lab.master("cart"), master);
}

/// Full copies that any server served.
fn full_syncs(lab: &Lab) -> Vec<(String, Value)> {
    let status = lab.whole("cart");
    let nodes = status["live"]["nodes"].as_object().unwrap();
    nodes.iter().map(|(name, node)| (name.clone(), node["fullSyncs"].clone())).collect()
}
