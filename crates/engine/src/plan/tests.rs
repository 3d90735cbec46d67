use redoubt_wire::state::{ConfigFault, Phase, Replication};

use super::*;
use crate::{
    scene::{Scene, node_endpoint, now},
    world::Counts,
};

fn apply(nodes: u32, sentinels: u32) -> String {
    format!("apply {nodes}+{sentinels}")
}

/// One line for a plan, without its prose.
fn said(plan: &Plan) -> String {
    match (&plan.step, &plan.waiting) {
        (Some(Step::Apply { counts, .. }), None) => apply(counts.nodes, counts.sentinels),
        (Some(Step::Confirm { counts }), None) => format!("confirm {}+{}", counts.nodes, counts.sentinels),
        (Some(Step::Leave { member, counts, .. }), None) => {
            format!("leave {member} for {}+{}", counts.nodes, counts.sentinels)
        }
        (Some(Step::Handover { from, to, .. }), None) => {
            format!("handover {from} to {}", to.as_deref().unwrap_or("anyone"))
        }
        (Some(Step::Replace { member, .. }), None) => format!("replace {member}"),
        (Some(Step::Rebalance { mover, .. }), None) => format!("rebalance by {mover}"),
        (Some(Step::Prune { sentinel, .. }), None) => format!("prune {sentinel}"),
        (None, Some(waiting)) => format!("wait {}", waiting.reason),
        (None, None) => "nothing".to_owned(),
        (Some(step), Some(waiting)) => panic!("{step} and {}", waiting.why),
    }
}

#[track_caller]
fn assert_plan(scene: &Scene, want: &str) {
    let plan = scene.plan();
    assert_eq!(said(&plan), want, "{plan:#?}");
}

#[test]
fn a_converged_world_gives_no_steps() {
    assert_plan(&Scene::sentinel(), "nothing");
    assert_plan(&Scene::sentinel().nodes(5).sentinels(5).master_at(4), "nothing");
    assert_plan(&Scene::sentinel().nodes(1).sentinels(1), "nothing");
    assert_plan(&Scene::standalone(), "nothing");
}

#[test]
fn a_paused_resource_is_left_alone() {
    assert_plan(
        &Scene::sentinel().wants_nodes(5).outdated("cart-1").spec(|spec| spec.paused = true),
        "nothing",
    );
}

#[test]
fn an_engine_that_has_just_started_has_the_platform_compare() {
    let scene = Scene::sentinel();
    let plan = plan(scene.redis(), &scene.world(), &Memory::default());
    assert_eq!(said(&plan), "confirm 3+3");
}

#[test]
fn members_that_are_missing_or_ended_are_asked_for() {
    assert_plan(&Scene::sentinel().wants_nodes(5).wants_sentinels(5), &apply(5, 5));
    assert_plan(&Scene::sentinel().ended("cart-1"), &apply(3, 3));
    assert_plan(&Scene::sentinel().ended("cart-sentinel-2"), &apply(3, 3));
}

#[test]
fn growing_takes_nobody_away() {
    assert_plan(&Scene::sentinel().nodes(5).wants_nodes(3).wants_sentinels(5), &apply(5, 5));
}

#[test]
fn agents_are_waited_for_to_apply_the_configuration() {
    assert_plan(&Scene::sentinel().agent("cart-1", |agent| agent.config = None), "wait ConfigPending");
}

#[test]
fn a_refused_directive_is_named() {
    let scene = Scene::sentinel();
    let revision = scene.world().members[0].agent().unwrap().config.clone().unwrap();
    let scene = scene.agent("cart-1", move |agent| {
        agent.config = Some("older".to_owned());
        agent.config_fault = Some(ConfigFault {
            revision: revision.clone(),
            directive: Some("maxmemory-policy".to_owned()),
            message: "argument must be one of …".to_owned(),
        });
    });
    assert_plan(&scene, "wait ConfigRefused");
    assert!(scene.plan().waiting.unwrap().why.starts_with("spec.config.maxmemory-policy: argument"));
    // A new process would have no older configuration to fall back on.
    assert_plan(&scene.outdated("cart-1").outdated("cart-2"), "wait ConfigRefused");
}

#[test]
fn a_member_that_comes_up_is_waited_for() {
    assert_plan(&Scene::sentinel().syncing("cart-2"), "wait MembersNotReady");
    assert_plan(&Scene::sentinel().silent("cart-2"), "wait MembersNotReady");
    assert_plan(
        &Scene::sentinel().voter("cart-sentinel-1", |sentinel| sentinel.quorum_ok = false),
        "wait MembersNotReady",
    );
}

#[test]
fn nothing_is_taken_down_while_it_is_not_clear_who_leads() {
    let roll = || Scene::sentinel().outdated("cart-2");
    let other = |scene: Scene, name| scene.voter(name, |sentinel| sentinel.master = Some(node_endpoint(1)));
    assert_plan(&other(roll(), "cart-sentinel-0"), "wait SentinelsDisagree");
    assert_plan(&roll().silent("cart-sentinel-0").silent("cart-sentinel-1"), "wait NoMaster");
    assert_plan(&roll().silent("cart-0"), "wait MasterUnknown");
    assert_plan(&roll().node("cart-0", |node| node.phase = Phase::Loading), "wait MasterNotServing");
    let demoted = roll().node("cart-0", |node| {
        node.replication =
            Some(Replication::Replica { master: node_endpoint(1), link_up: true, syncing: false });
    });
    assert_plan(&demoted, "wait MasterIsReplica");
}

#[test]
fn what_runs_is_looked_after_also_when_there_are_no_addresses_for_more() {
    let scene = |scene: Scene| {
        let mut world = scene.wants_nodes(3).world();
        world.identity.nodes.truncate(3);
        world.shortage = Some("the range is exhausted".to_owned());
        let redis = Scene::sentinel().wants_nodes(5).redis().clone();
        let look = Look::new(&redis, &world);
        let config = look.revision.clone();
        let memory = Memory { applied: Some(Box::new(look.workload(look.counts))), ..Memory::default() };
        for view in &mut world.members {
            view.state.as_mut().expect("an agent").value.config = Some(config.clone());
        }
        plan(&redis, &world, &memory)
    };
    assert_eq!(said(&scene(Scene::sentinel())), "wait NoAddresses");
    assert_eq!(said(&scene(Scene::sentinel().outdated("cart-2"))), "replace cart-2");
}

#[test]
fn nodes_leave_from_the_top_one_at_a_time() {
    let scene = || Scene::sentinel().nodes(5).wants_nodes(2);
    assert_plan(&scene(), "leave cart-4 for 4+3");
    assert_plan(&scene().leaving("cart-4"), "wait Leaving");
}

#[test]
fn a_master_that_would_leave_hands_over_first_to_a_node_that_stays() {
    let scene = || Scene::sentinel().nodes(5).wants_nodes(2);
    assert_plan(&scene().master_at(3), "handover cart-3 to cart-0");
    assert_plan(&scene().master_at(3).syncing("cart-0"), "handover cart-3 to cart-1");
    assert_plan(&scene().master_at(3).syncing("cart-0").silent("cart-1"), "wait NoReplicaInSync");
}

#[test]
fn a_single_sentinel_is_not_told_whom_to_choose() {
    let single = |nodes| Scene::sentinel().nodes(nodes).sentinels(1);
    assert_plan(&single(3).master_at(2).wants_nodes(2), "handover cart-2 to anyone");
    assert_plan(&single(3).master_at(2).wants_nodes(1), "wait SingleSentinel");
    assert_plan(&single(3).master_at(2).outdated("cart-2"), "handover cart-2 to anyone");
    // As long as there are more of them, nodes go first.
    let both = Scene::sentinel().nodes(3).master_at(2).wants_nodes(1).wants_sentinels(1);
    assert_plan(&both, "handover cart-2 to cart-0");
}

#[test]
fn the_last_copy_in_sync_does_not_leave() {
    let scene = || Scene::sentinel().nodes(5).wants_nodes(2);
    assert_plan(&scene().syncing("cart-1"), "leave cart-4 for 4+3");
    assert_plan(&scene().syncing("cart-1").syncing("cart-2").syncing("cart-3"), "wait LastCopyInSync");
    assert_plan(&Scene::sentinel().nodes(3).wants_nodes(2).silent("cart-1"), "wait LastCopyInSync");
    assert_plan(&Scene::sentinel().nodes(3).wants_nodes(1).silent("cart-1"), "leave cart-2 for 2+3");
}

#[test]
fn stale_entries_go_one_sentinel_at_a_time() {
    assert_plan(
        &Scene::sentinel().stale("cart-sentinel-1").stale("cart-sentinel-2"),
        "prune cart-sentinel-1",
    );
    let four = Scene::sentinel().sentinels(4).stale("cart-sentinel-1").silent("cart-sentinel-2");
    assert_plan(&four, "wait SentinelsNotReady");
    assert_plan(&Scene::sentinel().sentinels(1).stale("cart-sentinel-0"), "prune cart-sentinel-0");
    let trouble = |view: &mut MemberView| view.member.trouble = Some("no such image".to_owned());
    let hopeless = four.ended("cart-sentinel-2").member("cart-sentinel-2", trouble);
    let apply = Step::Apply { counts: Counts { nodes: 3, sentinels: 4, shards: 0 }, why: String::new() };
    let mut memory = hopeless.memory();
    memory.tried(apply, None, now(), jiff::SignedDuration::from_secs(4));
    assert_eq!(said(&plan(hopeless.redis(), &hopeless.world(), &memory)), "prune cart-sentinel-1");
}

#[test]
fn a_master_that_died_before_its_sentinels_forgot_does_not_stop_them_from_forgetting() {
    let dead = |scene: Scene| {
        scene.node("cart-0", |node| node.phase = Phase::Waiting { why: "data".to_owned(), until: None })
    };
    let mute = |scene: Scene, name| scene.stale(name).voter(name, |sentinel| sentinel.quorum_ok = false);
    let single = || Scene::sentinel().sentinels(1);
    assert_plan(&dead(mute(single(), "cart-sentinel-0")), "prune cart-sentinel-0");
    // As long as they can elect, they do.
    assert_plan(&dead(single().stale("cart-sentinel-0")), "wait MasterNotServing");
}

#[test]
fn sentinels_leave_one_at_a_time_and_are_forgotten_before_the_next() {
    let scene = || Scene::sentinel().sentinels(5).wants_sentinels(3);
    assert_plan(&scene(), "leave cart-sentinel-4 for 3+4");
    assert_plan(&scene().stale("cart-sentinel-0"), "prune cart-sentinel-0");
    assert_plan(&Scene::sentinel().sentinels(2).wants_sentinels(1), "leave cart-sentinel-1 for 3+1");
}

#[test]
fn sentinels_that_never_came_up_leave_whoever_leads() {
    let never = |scene: Scene| {
        let scene = scene.ended("cart-sentinel-3").ended("cart-sentinel-4");
        ["cart-sentinel-0", "cart-sentinel-1", "cart-sentinel-2"]
            .into_iter()
            .fold(scene, |scene, name| scene.voter(name, |sentinel| sentinel.known_sentinels.truncate(2)))
    };
    let mut memory = Memory::default();
    let planned = |scene: Scene, memory: &Memory| said(&plan(scene.redis(), &scene.world(), memory));
    let scene = || never(Scene::sentinel().sentinels(5).wants_sentinels(3));
    memory.applied = scene().memory().applied;
    let apply = Step::Apply { counts: Counts { nodes: 3, sentinels: 5, shards: 0 }, why: String::new() };
    memory.tried(apply, None, now(), jiff::SignedDuration::from_secs(4));
    assert_eq!(planned(scene(), &memory), "leave cart-sentinel-4 for 3+4");
    let lost = |scene: Scene, name| scene.voter(name, |sentinel| sentinel.master = None);
    let scene = lost(lost(scene(), "cart-sentinel-0"), "cart-sentinel-1");
    assert_eq!(planned(scene, &memory), "leave cart-sentinel-4 for 3+4");
}

#[test]
fn those_that_stay_are_a_majority_of_those_that_are_known() {
    let scene = || Scene::sentinel().sentinels(5).wants_sentinels(3);
    assert_plan(&scene().silent("cart-sentinel-0"), "leave cart-sentinel-4 for 3+4");
    let scene = Scene::sentinel().sentinels(4).wants_sentinels(3).silent("cart-sentinel-0");
    assert_plan(&scene, "wait SentinelsNotReady");
}

#[test]
fn a_roll_takes_sentinels_then_replicas_then_hands_over_then_the_old_master() {
    let names = ["cart-sentinel-0", "cart-sentinel-1", "cart-sentinel-2", "cart-0", "cart-1", "cart-2"];
    let old = |count: usize| {
        names.iter().take(count).fold(Scene::sentinel().master_at(1), |scene, name| scene.outdated(name))
    };
    assert_plan(&old(6), "replace cart-sentinel-2");
    assert_plan(&old(2), "replace cart-sentinel-1");
    let nodes = |names: &[&'static str], master| {
        names.iter().fold(Scene::sentinel().master_at(master), |scene, name| scene.outdated(name))
    };
    assert_plan(&nodes(&["cart-0", "cart-1", "cart-2"], 1), "replace cart-2");
    assert_plan(&nodes(&["cart-0", "cart-1"], 1), "replace cart-0");
    assert_plan(&nodes(&["cart-1"], 1), "handover cart-1 to cart-0");
    assert_plan(&nodes(&["cart-1"], 0), "replace cart-1");
}

#[test]
fn a_roll_stops_at_what_is_not_well() {
    let scene = || Scene::sentinel().outdated("cart-0").outdated("cart-1");
    assert_plan(&scene().syncing("cart-2"), "wait WaitingForMember");
    assert_plan(&Scene::sentinel().outdated("cart-0").syncing("cart-2"), "wait WaitingForMember");
    let sentinels = || Scene::sentinel().outdated("cart-sentinel-0").outdated("cart-sentinel-1");
    assert_plan(&sentinels().silent("cart-sentinel-2"), "wait WaitingForMember");
    assert_plan(&scene().silent("cart-sentinel-0").silent("cart-sentinel-1"), "wait NoMaster");
}

#[test]
fn who_cannot_run_is_named_while_nobody_leads() {
    let stuck = |view: &mut MemberView| view.member.trouble = Some("no machine takes its pod".to_owned());
    let nobody = |scene: Scene, name| scene.voter(name, |sentinel| sentinel.master = None);
    let scene = ["cart-0", "cart-1"]
        .into_iter()
        .fold(Scene::sentinel(), |scene, name| scene.silent(name).member(name, stuck));
    let scene = ["cart-sentinel-0", "cart-sentinel-1", "cart-sentinel-2"].into_iter().fold(scene, nobody);
    let waiting = scene.plan().waiting.unwrap();
    assert_eq!(waiting.reason, "NoMaster");
    assert!(waiting.why.ends_with("; cart-0, cart-1: no machine takes its pod"), "{}", waiting.why);
}

#[test]
fn what_serves_nothing_gets_the_corrected_template_first() {
    let scene = || Scene::sentinel().outdated("cart-0").outdated("cart-1").outdated("cart-2");
    let backoff = |node: &mut redoubt_wire::state::NodeState| {
        node.phase = Phase::Backoff { why: "exit 1".to_owned() };
        node.replication = None;
    };
    assert_plan(&scene().node("cart-1", backoff), "replace cart-1");
    assert_plan(&scene().silent("cart-1"), "replace cart-1");
    assert_plan(&scene().syncing("cart-1"), "wait WaitingForMember");
}

#[test]
fn the_only_node_whose_server_keeps_ending_gets_the_corrected_template() {
    let ends = |node: &mut redoubt_wire::state::NodeState| {
        (node.phase, node.replication) = (Phase::Backoff { why: "exit 1".to_owned() }, None);
    };
    for scene in [Scene::standalone(), Scene::sentinel().nodes(1)] {
        assert_plan(&scene.outdated("cart-0").node("cart-0", ends), "replace cart-0");
    }
    assert_plan(&Scene::sentinel().outdated("cart-0").node("cart-0", ends), "wait MasterNotServing");
}

#[test]
fn a_set_that_never_came_up_gets_the_corrected_template() {
    let scene = ["cart-0", "cart-1", "cart-2", "cart-sentinel-0", "cart-sentinel-1", "cart-sentinel-2"]
        .into_iter()
        .fold(Scene::sentinel(), |scene, name| scene.ended(name).outdated(name));
    let mut memory = scene.memory();
    memory.attempts.push(Attempt {
        step: Step::Apply { counts: Counts { nodes: 3, sentinels: 3, shards: 0 }, why: String::new() },
        tries: 3,
        due: now() + jiff::SignedDuration::from_secs(4),
        failure: None,
    });
    assert_eq!(said(&plan(scene.redis(), &scene.world(), &memory)), "replace cart-0");
}

#[test]
fn a_directive_that_needs_a_start_rolls_only_those_that_need_it() {
    let scene =
        Scene::sentinel().agent("cart-1", |agent| agent.restart_needed = vec!["databases".to_owned()]);
    assert_plan(&scene, "replace cart-1");
}

#[test]
fn the_only_copy_is_restarted_when_its_files_hold_it_or_somebody_asked() {
    assert_plan(&Scene::standalone().outdated("cart-0"), "replace cart-0");
    let cache = || {
        Scene::standalone().outdated("cart-0").spec(|spec| {
            spec.persistence.aof = false;
            spec.persistence.rdb_save = String::new();
        })
    };
    assert_plan(&cache(), "wait LastCopyInSync");
    assert_plan(&cache().spec(|spec| spec.restarted_at = Some("now".to_owned())), "replace cart-0");
}

#[test]
fn the_same_step_again_waits_for_its_turn() {
    let scene = Scene::sentinel().outdated("cart-2");
    let attempt = |seconds| Attempt {
        step: Step::Replace { member: "cart-2".to_owned(), why: "as before".to_owned() },
        tries: 1,
        due: now() + jiff::SignedDuration::from_secs(seconds),
        failure: Some("no room".to_owned()),
    };
    let planned = |seconds| {
        let memory = Memory { attempts: vec![attempt(seconds)], ..scene.memory() };
        plan(scene.redis(), &scene.world(), &memory)
    };
    assert_eq!(said(&planned(0)), "replace cart-2");
    let waiting = planned(2).waiting.unwrap();
    assert_eq!(waiting.until, Some(attempt(2).due));
    assert!(waiting.why.contains("no room"), "{}", waiting.why);
}

#[test]
fn a_member_that_does_not_come_up_does_not_hold_up_the_rest() {
    let scene = Scene::sentinel().nodes(5).wants_nodes(3).ended("cart-4");
    let mut memory = scene.memory();
    memory.attempts.push(Attempt {
        step: Step::Apply { counts: Counts { nodes: 5, sentinels: 3, shards: 0 }, why: String::new() },
        tries: 3,
        due: now() + jiff::SignedDuration::from_secs(4),
        failure: None,
    });
    assert_eq!(said(&plan(scene.redis(), &scene.world(), &memory)), "leave cart-4 for 4+3");
}
