//! Members as processes: started, adopted, started again, replaced, ended.

mod common;

use std::time::Duration;

use common::*;
use redoubt_engine::platform::Platform as _;

#[tokio::test]
async fn an_engine_that_comes_back_adopts_what_runs_and_starts_what_ended() {
    let machine = Machine::new();
    let cart = redis("cart", "replicas: 3");
    let platform = machine.platform();
    apply(&platform, &cart).await;
    let before = pids(&machine, "cart");
    assert_eq!(before.len(), 6);
    drop(platform);
    let killed = pid_of(&machine, "cart", "cart-1");
    kill(killed);
    while machine.processes().contains(&killed) {
        tokio::task::yield_now().await;
    }

    std::fs::write(machine.state().resource("cart"), resource("cart", "replicas: 3")).unwrap();
    let platform = machine.platform();
    members_until(&platform, &cart.key, all_run).await;
    let after = pids(&machine, "cart");
    for (was, is) in before.iter().zip(&after) {
        assert_eq!(was.0, is.0);
        assert_eq!(was.1 == is.1, was.0 != "cart-1", "only what ended is another process: {was:?} {is:?}");
    }
    apply(&platform, &cart).await;
    assert_eq!(pids(&machine, "cart"), after, "nothing is started twice");
    machine.processes_become(6).await;
    kill(pid_of(&machine, "cart", "cart-0"));
    let killed = after[0].1;
    members_until(&platform, &cart.key, |_| pids(&machine, "cart").iter().all(|(_, pid)| *pid != killed))
        .await;
    members_until(&platform, &cart.key, all_run).await;
}

#[tokio::test]
async fn an_agent_whose_process_was_not_noted_down_is_found_and_not_started_twice() {
    let machine = Machine::new();
    let cart = redis("cart", "mode: Standalone");
    apply(&machine.platform(), &cart).await;
    answering(&machine, "cart").await;
    let pid = pid_of(&machine, "cart", "cart-0");
    let note = machine.state().set("cart").member("cart-0").agent();
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&note).unwrap()).unwrap();
    json["process"] = serde_json::Value::Null;
    std::fs::write(&note, json.to_string()).unwrap();

    let platform = machine.platform();
    apply(&platform, &cart).await;
    assert_eq!(machine.processes(), [pid]);
    kill(pid);
    members_until(&platform, &cart.key, |_| machine.processes().iter().any(|other| *other != pid)).await;
}

#[tokio::test]
async fn a_killed_agent_runs_again_at_once_and_the_engine_is_told() {
    let machine = Machine::new();
    let platform = machine.platform();
    let cart = redis("cart", "replicas: 3");
    apply(&platform, &cart).await;
    members_until(&platform, &cart.key, all_run).await;
    let pid = pid_of(&machine, "cart", "cart-2");
    let begin = std::time::Instant::now();
    kill(pid);
    members_until(&platform, &cart.key, |_| {
        pids(&machine, "cart").iter().any(|(name, now)| name == "cart-2" && *now != pid)
    })
    .await;
    let members = members_until(&platform, &cart.key, all_run).await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert!(members.iter().all(|member| member.trouble.is_none()), "one death is no trouble");
}

#[tokio::test]
async fn an_agent_that_keeps_ending_is_told_with_its_last_words() {
    let machine = Machine::new();
    let platform = machine.platform();
    let cart = redis("cart", "replicas: 3");
    machine.behave("cart", "cart-1", "crash");
    apply(&platform, &cart).await;
    let troubled = |members: &[redoubt_engine::platform::Member]| {
        members.iter().any(|member| {
            member.name == "cart-1"
                && member.trouble.as_ref().is_some_and(|text| text.contains("times in a row"))
        })
    };
    let members = members_until(&platform, &cart.key, troubled).await;
    let trouble = members[1].trouble.clone().unwrap();
    assert!(
        trouble.contains("cannot go on: told to crash") && trouble.contains("exit status: 1"),
        "{trouble}"
    );
    assert!(members.iter().filter(|member| member.name != "cart-1").all(|member| member.running));
    machine.behave("cart", "cart-1", "");
    members_until(&platform, &cart.key, all_run).await;
}

#[tokio::test]
async fn a_replaced_member_ends_with_a_hand_over_and_has_the_new_template() {
    let machine = Machine::new();
    let platform = machine.platform();
    let cart = redis("cart", "replicas: 3");
    apply(&platform, &cart).await;
    answering(&machine, "cart").await;
    let before = pids(&machine, "cart");
    let mut next = workload(&platform, &cart).await;
    next.template = "next".to_owned();
    platform.apply(&next).await.unwrap();
    assert_eq!(pids(&machine, "cart"), before, "a new template alone replaces nobody");
    let members = platform.observe(&cart.key).await.unwrap();
    assert!(members.iter().all(|member| member.template != "next"));
    platform.replace(&next, "cart-1").await.unwrap();
    let members = platform.observe(&cart.key).await.unwrap();
    let templates: Vec<bool> = members.iter().map(|member| member.template == "next").collect();
    assert_eq!(templates, [false, true, false, false, false, false]);
    assert_eq!(machine.journal("cart"), ["cart-1 SIGTERM"]);
    let changed: Vec<_> = before
        .iter()
        .zip(pids(&machine, "cart"))
        .filter(|(was, is)| was.1 != is.1)
        .map(|(was, _)| &was.0)
        .collect();
    assert_eq!(changed, ["cart-1"]);
    let error = platform.replace(&next, "cart-7").await.unwrap_err();
    assert!(error.next.contains("cart-0"), "{error}");
}

#[tokio::test]
async fn members_above_the_counts_leave_and_their_data_stays() {
    let machine = Machine::new();
    let platform = machine.platform();
    apply(&platform, &redis("cart", "replicas: 5, sentinel: {replicas: 5}")).await;
    answering(&machine, "cart").await;
    std::fs::write(machine.state().set("cart").member("cart-4").data().join("dump.rdb"), "data").unwrap();
    let small = redis("cart", "replicas: 2, sentinel: {replicas: 3}");
    let wanted = workload(&platform, &small).await;
    platform.apply(&wanted).await.unwrap();
    let leaving = platform.observe(&small.key).await.unwrap();
    assert!(leaving.iter().all(|member| member.leaving == (member.ordinal >= [2, 3][member.kind as usize])));
    let members = members_until(&platform, &small.key, |members| kinds(members) == (2, 3)).await;
    assert!(members.iter().all(|member| member.running && !member.leaving));
    let mut ended = machine.journal("cart");
    ended.sort();
    assert_eq!(
        ended,
        [
            "cart-2 SIGTERM",
            "cart-3 SIGTERM",
            "cart-4 SIGTERM",
            "cart-sentinel-3 SIGTERM",
            "cart-sentinel-4 SIGTERM"
        ]
    );
    assert!(machine.state().set("cart").member("cart-4").data().join("dump.rdb").exists());
    assert_eq!(pids(&machine, "cart").len(), 5);
    drop(platform);
    let again = machine.platform();
    assert_eq!(kinds(&again.observe(&small.key).await.unwrap()), (2, 3), "they do not come back");
    apply(&again, &redis("cart", "replicas: 3, sentinel: {replicas: 3}")).await;
    assert_eq!(kinds(&members_until(&again, &small.key, all_run).await), (3, 3));
}

#[tokio::test]
async fn a_member_that_does_not_end_is_killed_after_its_grace_period() {
    let machine = Machine::new();
    let platform = machine.platform();
    let mut cart = redis("cart", "replicas: 3");
    cart.spec.termination_grace_period = Duration::from_millis(50);
    machine.behave("cart", "cart-2", "deaf");
    apply(&platform, &cart).await;
    answering(&machine, "cart").await;
    let pid = pid_of(&machine, "cart", "cart-2");
    let wanted = workload(&platform, &cart).await;
    tokio::time::timeout(PATIENCE, platform.replace(&wanted, "cart-2")).await.unwrap().unwrap();
    assert_ne!(pid_of(&machine, "cart", "cart-2"), pid);
    assert!(machine.journal("cart").is_empty(), "it was never told");
}
