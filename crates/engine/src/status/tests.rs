use jiff::{SignedDuration, Timestamp};
use redoubt_api::{Finding, MAX_EVENTS, Role};
use redoubt_wire::{
    failover::{Cause, Failover, Outcome, StepTime},
    state::{DiskFault, Notice, Phase, Replication},
};

use super::*;
use crate::{
    plan::{Attempt, Step},
    scene::{Scene, node_endpoint, now},
};

use ConditionStatus::{False, True, Unknown};
use ConditionType::{Available, Degraded, Honoured, Progressing, Questionable, Ready, SentinelQuorum};

impl Scene {
    fn status_after(&self, previous: &RedisStatus) -> RedisStatus {
        status(self.redis(), &self.world(), &self.memory(), previous)
    }

    fn status(&self) -> RedisStatus {
        self.status_after(&RedisStatus::default())
    }
}

fn condition(status: &RedisStatus, kind: ConditionType) -> &Condition {
    status.conditions.iter().find(|condition| condition.kind == kind).expect("the condition")
}

#[track_caller]
fn assert_is(scene: &Scene, kind: ConditionType, want: ConditionStatus, reason: &str) {
    let status = scene.status();
    let condition = condition(&status, kind);
    assert_eq!((condition.status, condition.reason.as_str()), (want, reason), "{condition:#?}");
}

/// A record that cannot be written is no reason to say that writes are refused.
#[test]
fn a_master_that_cannot_write_its_files_is_degraded_and_available_as_long_as_it_takes_writes() {
    let with = |refuses_writes| {
        Scene::sentinel().node("cart-0", move |node| {
            node.disk_fault = Some(DiskFault { why: "no space".to_owned(), refuses_writes });
        })
    };
    for (refuses_writes, available, reason) in
        [(false, True, "MasterServes"), (true, False, "MasterNotServing")]
    {
        assert_is(&with(refuses_writes), Degraded, True, "CannotWrite");
        assert_is(&with(refuses_writes), Available, available, reason);
    }
}

#[test]
fn a_failover_names_every_field_that_is_not_honoured_and_what_deserves_a_second_look() {
    let of = |path: &str| vec![Finding::at(path, "is so").hint("do that")];
    let said = Scene::sentinel().failover(of("spec.redis.command"), of("spec.auth.secretPath")).status();
    let (honoured, questionable) = (condition(&said, Honoured), condition(&said, Questionable));
    assert_eq!((honoured.status, honoured.reason.as_str()), (False, "NotHonoured"));
    assert_eq!(honoured.message, "spec.redis.command: is so; do that");
    assert_eq!((questionable.status, questionable.reason.as_str()), (True, "SecondLook"));
    assert_eq!(condition(&said, Ready).status, True, "what is said keeps nobody from being ready");

    let quiet = Scene::sentinel().failover(Vec::new(), Vec::new());
    assert_is(&quiet, Honoured, True, "EveryField");
    assert_is(&quiet, Questionable, False, "NothingToSay");
    let redis = Scene::sentinel().status();
    assert!(!redis.conditions.iter().any(|condition| [Honoured, Questionable].contains(&condition.kind)));
}

#[test]
fn a_set_that_is_filled_from_outside_says_how_far_it_is_and_takes_nothing_down() {
    let filled = || Scene::sentinel().filled();
    assert_is(&filled(), Ready, False, "Bootstrapping");
    assert_is(&filled(), Available, False, "Bootstrapping");
    assert_is(&filled(), Degraded, False, "AllWell");
    assert_is(&filled(), Honoured, True, "EveryField");
    let said = |scene: Scene| condition(&scene.status(), Ready).message.clone();
    assert!(said(filled()).starts_with("all nodes hold what old.shop:6379 has"), "{}", said(filled()));
    let copying = said(filled().syncing("cart-1"));
    assert!(copying.contains("leave spec.bootstrapNode") && copying.contains("cart-1: "), "{copying}");
    for scene in [filled(), filled().outdated("cart-1"), filled().outdated("cart-1").syncing("cart-2")] {
        assert_eq!(scene.plan().step, None);
    }
}

#[test]
fn a_set_that_has_a_master_says_that_it_follows_nobody_outside() {
    let scene = Scene::sentinel().asks_to_be_filled();
    assert_is(&scene, Ready, True, "AsAsked");
    assert_is(&scene, Honoured, False, "NotHonoured");
    let said = scene.status();
    assert!(condition(&said, Honoured).message.starts_with("spec.bootstrapNode: is not honoured"));
}

#[test]
fn a_converged_set_is_ready_and_says_so() {
    let status = Scene::sentinel().master_at(1).status();
    let told: Vec<_> = status.conditions.iter().map(|c| (c.kind, c.status, c.reason.as_str())).collect();
    assert_eq!(
        told,
        [
            (Ready, True, "AsAsked"),
            (Available, True, "MasterServes"),
            (Progressing, False, "NothingToDo"),
            (Degraded, False, "AllWell"),
            (SentinelQuorum, True, "Enough"),
        ]
    );
    assert_eq!(status.master.as_deref(), Some("cart-1"));
    let roles: Vec<_> =
        status.nodes.iter().map(|node| (node.role, node.ready, node.state.as_str())).collect();
    let replica = (Some(Role::Replica), true, "in sync");
    assert_eq!(roles, [replica, (Some(Role::Master), true, "running"), replica]);
    assert!(status.sentinels.iter().all(|sentinel| sentinel.ready && sentinel.state == "running"));
}

#[test]
fn a_standalone_has_no_quorum_to_speak_of() {
    let status = Scene::standalone().status();
    assert_eq!(status.conditions.len(), 4);
    assert_eq!(status.master.as_deref(), Some("cart-0"));
    assert_is(&Scene::standalone(), Ready, True, "AsAsked");
}

#[test]
fn the_same_world_gives_the_same_status_also_later() {
    let scene = Scene::sentinel().syncing("cart-2");
    let first = scene.status();
    let mut later = scene.world();
    later.at += SignedDuration::from_mins(5);
    assert_eq!(status(scene.redis(), &later, &scene.memory(), &first), first);
}

#[test]
fn a_transition_has_its_time_and_the_others_keep_theirs() {
    let first = Scene::sentinel().status();
    let scene = Scene::sentinel().syncing("cart-2");
    let mut world = scene.world();
    world.at += SignedDuration::from_secs(9);
    let second = status(scene.redis(), &world, &scene.memory(), &first);
    assert_eq!(condition(&second, Ready).last_transition_time, world.at);
    assert_eq!(condition(&second, Available).last_transition_time, now());
}

#[test]
fn the_master_is_whom_the_sentinels_name_never_who_says_so() {
    let usurper = Scene::sentinel().node("cart-2", |node| {
        node.replication = Some(Replication::Master { replicas: Vec::new() });
    });
    let status = usurper.status();
    assert_eq!(status.master.as_deref(), Some("cart-0"));
    assert_eq!((status.nodes[2].role, status.nodes[2].state.as_str()), (None, "not announced"));
    assert_is(&usurper, Degraded, True, "SecondMaster");
}

#[test]
fn what_contradicts_is_named() {
    let follows = |to| {
        move |node: &mut redoubt_wire::state::NodeState| {
            node.replication =
                Some(Replication::Replica { master: node_endpoint(to), link_up: true, syncing: false });
        }
    };
    assert_is(&Scene::sentinel().node("cart-0", follows(1)), Degraded, True, "MasterIsReplica");
    assert_is(&Scene::sentinel().node("cart-1", follows(2)), Degraded, True, "FollowsAnother");
    let other =
        Scene::sentinel().voter("cart-sentinel-2", |sentinel| sentinel.master = Some(node_endpoint(2)));
    assert_is(&other, Degraded, True, "SentinelsDisagree");
    let none = Scene::sentinel().voter("cart-sentinel-2", |sentinel| sentinel.master = None);
    assert_is(&none, Degraded, True, "SentinelWithoutMaster");
}

#[test]
fn available_is_about_the_master_alone() {
    assert_is(&Scene::sentinel().silent("cart-1").silent("cart-2"), Available, True, "MasterServes");
    assert_is(&Scene::sentinel().silent("cart-0"), Available, Unknown, "MasterUnknown");
    assert_is(&Scene::sentinel().ended("cart-0"), Available, False, "MasterNotServing");
    assert_is(
        &Scene::sentinel().node("cart-0", |node| node.phase = Phase::Loading),
        Available,
        False,
        "MasterNotServing",
    );
}

#[test]
fn no_takes_a_majority_that_could_have_said_yes() {
    let two = Scene::sentinel().silent("cart-sentinel-0").silent("cart-sentinel-1");
    assert_is(&two, Available, Unknown, "NoMaster");
    let lost = |scene: Scene, name| scene.voter(name, |sentinel| sentinel.master = None);
    assert_is(
        &lost(lost(Scene::sentinel(), "cart-sentinel-0"), "cart-sentinel-1"),
        Available,
        False,
        "NoMaster",
    );
}

#[test]
fn a_quorum_is_counted_among_all_that_exist() {
    assert_is(&Scene::sentinel().ended("cart-sentinel-0"), SentinelQuorum, True, "Enough");
    assert_is(
        &Scene::sentinel().ended("cart-sentinel-0").ended("cart-sentinel-1"),
        SentinelQuorum,
        False,
        "TooFew",
    );
    let silent = Scene::sentinel().ended("cart-sentinel-0").silent("cart-sentinel-1");
    assert_is(&silent, SentinelQuorum, Unknown, "SentinelsSilent");
}

#[test]
fn what_the_nodes_wait_for_is_said() {
    let scene = ["cart-0", "cart-1"].iter().fold(Scene::sentinel(), |scene, name| {
        scene.node(name, |node| {
            node.phase = Phase::Waiting {
                why: "cart-2 may hold newer data".to_owned(),
                until: Some(now() + SignedDuration::from_mins(1)),
            };
        })
    });
    let lost = |scene: Scene, name| scene.voter(name, |sentinel| sentinel.master = None);
    let status = lost(lost(scene, "cart-sentinel-0"), "cart-sentinel-1").status();
    let message = &condition(&status, Available).message;
    assert!(
        message.contains("cart-0: cart-2 may hold newer data; goes on at 2027-01-15T08:01:00Z"),
        "{message}"
    );
}

#[test]
fn a_resource_that_was_refused_leaves_the_old_one_in_force() {
    let scene = Scene::sentinel();
    let world = scene.world();
    let look = Look::new(scene.redis(), &world);
    let activity =
        Activity { refused: vec!["spec.replicas: must be at least 1".to_owned()], ..Activity::default() };
    let status = status_for(&look, &activity, &RedisStatus::default());
    assert_eq!(condition(&status, Ready).status, True);
    let progressing = condition(&status, Progressing);
    assert_eq!(progressing.reason, "SpecRefused");
    assert!(progressing.message.ends_with("spec.replicas: must be at least 1"), "{}", progressing.message);
}

#[test]
fn a_paused_resource_says_so_and_hides_nothing() {
    let scene = || Scene::sentinel().spec(|spec| spec.paused = true);
    assert_is(&scene(), Progressing, False, "Paused");
    assert_is(&scene().silent("cart-2"), Ready, False, "MembersNotReady");
}

#[test]
fn ready_is_not_said_while_a_member_runs_otherwise_than_asked() {
    let paused = || Scene::sentinel().spec(|spec| spec.paused = true);
    let restart =
        |agent: &mut redoubt_wire::state::AgentState| agent.restart_needed.push("io-threads".to_owned());
    let behind: [(Scene, &str); 7] = [
        (Scene::sentinel().outdated("cart-1"), "Replacing"),
        (Scene::sentinel().outdated("cart-sentinel-2"), "Replacing"),
        (Scene::sentinel().agent("cart-1", restart), "Replacing"),
        (paused().outdated("cart-1"), "NotAsAsked"),
        (paused().agent("cart-1", restart), "NotAsAsked"),
        (paused().agent("cart-1", |agent| agent.config = Some("before".to_owned())), "NotAsAsked"),
        (paused().wants_nodes(2), "NotAsAsked"),
    ];
    for (scene, reason) in &behind {
        assert_is(scene, Ready, False, reason);
    }
    assert_is(&paused(), Ready, True, "AsAsked");
}

/// The status while this step was tried and refused; it is due again after so many seconds.
fn refused(scene: &Scene, step: Step, seconds: i64) -> RedisStatus {
    let due = now() + SignedDuration::from_secs(seconds);
    let attempt = Attempt { step, tries: 1, due, failure: Some("no room".to_owned()) };
    let memory = Memory { attempts: vec![attempt], ..scene.memory() };
    status(scene.redis(), &scene.world(), &memory, &RedisStatus::default())
}

#[test]
fn what_the_platform_refused_is_said_by_ready_whatever_is_waited_for() {
    let replace = Step::Replace { member: "cart-2".to_owned(), why: "as before".to_owned() };
    let outdated = Scene::sentinel().outdated("cart-2");
    let late = Scene::sentinel().ended("cart-2").agent("cart-1", |agent| agent.config = None);
    let counts = crate::world::Counts { nodes: 3, sentinels: 3, shards: 0 };
    let apply = Step::Apply { counts, why: "as before".to_owned() };
    let rows = [
        (&outdated, replace.clone(), 5, "StepFailed"),
        (&outdated, replace, 0, "Replacing"),
        (&late, apply.clone(), 5, "ConfigPending"),
        (&late, apply, 0, "Applying"),
    ];
    for (scene, step, seconds, reason) in rows {
        let status = refused(scene, step, seconds);
        for kind in [Ready, Progressing] {
            let condition = condition(&status, kind);
            assert_eq!(condition.reason, reason, "{condition:#?}");
            assert!(condition.message.contains("failed: no room"), "{condition:#?}");
        }
    }
}

#[test]
fn what_the_resource_refers_to_and_cannot_be_used_is_said_and_what_runs_goes_on() {
    for paused in [false, true] {
        let scene = Scene::sentinel().spec(|spec| spec.paused = paused);
        let mut world = scene.world();
        world.unfit.push("the password is empty; write one".to_owned());
        let status = status(scene.redis(), &world, &scene.memory(), &RedisStatus::default());
        let ready = condition(&status, Ready);
        assert_eq!((ready.status, ready.message.as_str()), (False, "the password is empty; write one"));
        assert_eq!(condition(&status, Progressing).status, False);
        assert_eq!(condition(&status, Available).status, True);
        assert!(status.nodes.iter().all(|node| node.ready));
    }
}

#[test]
fn members_that_do_not_exist_yet_are_listed() {
    let status = Scene::sentinel().wants_nodes(4).status();
    assert_eq!((status.nodes[3].name.as_str(), status.nodes[3].state.as_str()), ("cart-3", "not created"));
    assert!(!status.nodes[3].ready);
}

#[test]
fn what_cannot_be_seen_keeps_what_was_known() {
    let first = Scene::sentinel().status();
    let unseen = unobserved(&first, "PlatformError", "no answer", &[], now() + SignedDuration::from_secs(1));
    assert_eq!(unseen.nodes, first.nodes);
    assert_eq!(condition(&unseen, Progressing).reason, "PlatformError");
    assert_eq!(condition(&unseen, Ready), condition(&first, Ready));
    assert_eq!(unobserved(&unseen, "PlatformError", "no answer", &[], now()), unseen);
}

#[test]
fn what_was_never_seen_is_not_ready_and_says_why() {
    let refused = unobserved(&RedisStatus::default(), "SpecRefused", "spec.mode: no", &[], now());
    let ready = condition(&refused, Ready);
    assert_eq!((ready.status, ready.reason.as_str()), (False, "SpecRefused"));
    let later = unobserved(&refused, "PlatformError", "no answer", &[], now());
    assert_eq!(condition(&later, Ready).reason, "PlatformError");
}

fn notice(seq: u64, seconds: i64) -> Notice {
    Notice {
        seq,
        at: now() + SignedDuration::from_secs(seconds),
        reason: "ServerExited".to_owned(),
        message: format!("exit {seq}"),
        warning: true,
    }
}

fn messages(status: &RedisStatus, reason: &str) -> Vec<String> {
    status.events.iter().filter(|event| event.reason == reason).map(|event| event.message.clone()).collect()
}

#[test]
fn a_notice_becomes_one_event_however_often_it_is_told() {
    let scene = |count: u64| {
        Scene::sentinel().agent("cart-1", move |agent| {
            agent.notices = (0..count).map(|seq| notice(seq, seq.cast_signed())).collect();
        })
    };
    let first = scene(2).status();
    let second = scene(3).status_after(&first);
    assert_eq!(messages(&second, "ServerExited"), ["exit 0", "exit 1", "exit 2"]);
    assert_eq!(scene(3).status_after(&second), second);
}

#[test]
fn events_that_fell_off_the_list_do_not_come_back() {
    let scene = Scene::sentinel().agent("cart-1", |agent| {
        agent.notices = (0..32).map(|seq| notice(seq, seq.cast_signed())).collect();
    });
    let first = scene.status();
    assert_eq!(first.events.len(), MAX_EVENTS);
    assert_eq!(first.events.last().unwrap().message, "exit 31");
    assert_eq!(scene.status_after(&first), first);
}

#[test]
fn turns_of_the_conditions_are_events() {
    let first = Scene::sentinel().status();
    assert_eq!(messages(&first, "Available"), ["cart-0 takes writes at 127.0.1.0:6379"]);
    let lost = Scene::sentinel().ended("cart-0").status_after(&first);
    let event = lost.events.iter().find(|event| event.reason == "NotAvailable").unwrap();
    assert!(event.warning && event.message.contains("cart-0"), "{event:?}");
    let back = Scene::sentinel().status_after(&lost);
    assert_eq!(messages(&back, "Available").len(), 1, "at the same moment, the same event");
}

fn failover(id: &str, epoch: u64, seconds: i64) -> Failover {
    Failover {
        id: id.to_owned(),
        cause: Cause::Crash,
        led_by: None,
        epoch: Some(epoch),
        votes: Vec::new(),
        old_master: Some(node_endpoint(0)),
        new_master: Some(node_endpoint(1)),
        old_offset: Some(1000),
        new_offset: Some(940),
        started_at: at(seconds),
        duration_ms: 17,
        steps: Vec::new(),
        outcome: Outcome::Done,
    }
}

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn with(scene: Scene, name: &'static str, failover: Failover) -> Scene {
    scene.agent(name, move |agent| agent.last_failover = Some(failover.clone()))
}

#[test]
fn the_fullest_account_of_the_newest_failover_is_told() {
    let led = Failover {
        led_by: Some("cart-0".to_owned()),
        votes: vec!["cart-sentinel-1".to_owned()],
        steps: vec![StepTime { step: "vote".to_owned(), at_us: 900 }],
        ..failover("led", 7, 10)
    };
    let scene = with(
        with(with(Scene::sentinel(), "cart-0", led), "cart-1", failover("seen", 7, 11)),
        "cart-2",
        failover("old", 6, 5),
    );
    let status = scene.status();
    let last = status.last_failover.as_ref().unwrap();
    assert_eq!(
        (last.id.as_str(), last.bytes_behind, last.new_master.as_deref()),
        ("led", Some(60), Some("cart-1"))
    );
    assert_eq!(scene.status_after(&status), status);
    // The agents that knew of it restart; the status remembers.
    assert_eq!(Scene::sentinel().status_after(&status).last_failover, status.last_failover);
}

#[test]
fn an_attempt_that_was_given_up_does_not_hide_a_change_of_master() {
    let given_up =
        Failover { outcome: Outcome::Stopped { why: "no majority".to_owned() }, ..failover("tried", 8, 20) };
    let scene = with(Scene::sentinel(), "cart-1", given_up.clone());
    assert_eq!(scene.status().last_failover.unwrap().outcome, "no majority");
    let scene = with(with(Scene::sentinel(), "cart-1", given_up), "cart-2", failover("done", 7, 10));
    assert_eq!(scene.status().last_failover.unwrap().id, "done");
}

#[test]
fn what_never_was_does_not_end_and_a_gap_in_knowledge_is_no_news() {
    let nobody = ["cart-sentinel-0", "cart-sentinel-1", "cart-sentinel-2"]
        .into_iter()
        .fold(Scene::sentinel(), |scene, name| {
            scene.voter(name, |sentinel| (sentinel.master, sentinel.quorum_ok) = (None, false))
        });
    let first = nobody.status();
    assert_eq!(condition(&first, Available).status, False);
    assert_eq!(first.events, []);
    let up = Scene::sentinel().status_after(&first);
    let unknown = Scene::sentinel().silent("cart-0").status_after(&up);
    assert_eq!(condition(&unknown, Available).status, Unknown);
    let mut again = Scene::sentinel().world();
    again.at += SignedDuration::from_secs(5);
    let again = status(Scene::sentinel().redis(), &again, &Scene::sentinel().memory(), &unknown);
    assert_eq!(messages(&again, "Available").len(), 1);
    let lost = Scene::sentinel().ended("cart-0").status_after(&unknown);
    assert_eq!(messages(&lost, "NotAvailable").len(), 1);
}
