//! A planned change of master: nothing lost, no full copy, and a clear no when it cannot be.

use std::{fs, thread};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::{
    bad_input::redis,
    lab::{Lab, Said, kill, wait_for},
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
        assert_eq!(full_syncs(&lab), before, "a replica copied everything:\n{}", lab.copies("cart"));
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

/// A replica that copies the whole data set holds nothing yet that it could lead with.
#[test]
fn a_switchover_to_a_node_that_is_not_in_sync_is_refused() {
    let lab = cart();
    let (master, replica) = (lab.master("cart"), lab.replicas("cart")[0].clone());
    // A frozen server keeps its agent, and loses its link: with its agent frozen too, nobody ends it for that.
    let (agent, server) = (lab.agent("cart", &replica), lab.server("cart", &replica));
    for pid in [agent, server] {
        kill_process(pid, Signal::STOP).unwrap();
    }
    let mut connection = lab.connect("cart", &master);
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("replica").exec(&mut connection).unwrap();
    let said = lab.run(["switchover", "cart", "--to", &replica]).failed(1, &["error: ", "hint: ", &replica]);
    assert!(said.out.is_empty(), "{said:?}");
    for pid in [agent, server] {
        kill_process(pid, Signal::CONT).unwrap();
    }
    lab.whole("cart");
    assert_eq!(lab.master("cart"), master);
}

#[test]
fn of_two_switchovers_at_once_one_is_carried_out_and_the_other_answered() {
    let lab = cart();
    let (master, replicas) = (lab.master("cart"), lab.replicas("cart"));
    let said: Vec<Said> = thread::scope(|scope| {
        let ask = |to: &str| Said::from(lab.command(["switchover", "cart", "--to", to]).output().unwrap());
        let asked: Vec<_> = replicas.iter().map(|to| scope.spawn(move || ask(to))).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    lab.whole("cart");
    let done: Vec<usize> = (0..2).filter(|asked| said[*asked].code == 0).collect();
    let leads = lab.master("cart");
    assert!(done.iter().any(|asked| replicas[*asked] == leads), "{leads} leads: {said:#?}");
    assert_ne!(leads, master);
    for refused in said.iter().filter(|one| one.code != 0) {
        assert!(refused.code == 1 || refused.code == 2, "{refused:#?}");
        assert!(refused.err.contains("error: ") && refused.err.contains("hint: "), "{refused:#?}");
    }
}

/// Whoever looks into what happened finds it by one id: where it was asked for, at the agent that led it, in the status,
/// its events and the logs.
#[test]
fn one_id_follows_a_failover_through_everything_that_tells_of_it() {
    let lab = cart();
    let switched = lab.run(["switchover", "cart", "-o", "json"]).ok().json();
    let asked = switched["id"].as_str().unwrap().to_owned();
    is_told_everywhere(&lab, "switchover", |told| told["id"] == asked.as_str());
    lab.whole("cart");
    kill(lab.server("cart", &lab.master("cart")));
    is_told_everywhere(&lab, "crash", |told| told["id"] != asked.as_str());
}

#[track_caller]
fn is_told_everywhere(lab: &Lab, cause: &str, is_it: impl Fn(&Value) -> bool) {
    let status = lab.until("cart", &format!("the status tells of the {cause}"), |status| {
        let told = &status["lastFailover"];
        let message = format!("failover {}", told["id"].as_str().unwrap_or("none"));
        let mut events = status["events"].as_array().unwrap().iter();
        told["cause"] == cause
            && is_it(told)
            && events.any(|event| event["message"].as_str().unwrap().contains(&message))
    });
    let told = &status["lastFailover"];
    let id = told["id"].as_str().unwrap();
    assert!(told["votes"].as_array().unwrap().len() >= 2, "{told:#}");
    assert!(
        told["epoch"].is_u64() && told["bytesBehind"].is_u64() && told["durationMs"].is_u64(),
        "{told:#}"
    );
    let steps: Vec<&str> =
        told["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    for step in ["vote", "promote", "announce"] {
        assert!(steps.contains(&step), "{told:#}");
    }
    // The agent that led it logs it, and so does the engine.
    let leader = told["oldMaster"].as_str().unwrap();
    wait_for(&format!("the log of {leader} tells of {id}"), 30, || lab.log("cart", leader).contains(id));
    wait_for(&format!("the engine's log tells of {id}"), 30, || {
        fs::read_to_string(lab.state().join("engine.log")).unwrap().contains(id)
    });
}

/// Full copies that any server served, once every agent has been heard.
fn full_syncs(lab: &Lab) -> Vec<(String, Value)> {
    let counts = |status: &Value| -> Vec<(String, Value)> {
        let nodes = status["live"]["nodes"].as_object().unwrap();
        nodes.iter().map(|(name, node)| (name.clone(), node["fullSyncs"].clone())).collect()
    };
    lab.whole("cart");
    let told = |status: &Value| counts(status).iter().all(|(_, count)| count.is_u64());
    counts(&lab.until("cart", "every node tells its copies", told))
}
