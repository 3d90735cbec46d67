use std::collections::BTreeMap;

use redoubt_wire::config::*;

use super::*;

fn set(nodes: usize) -> SetConfig {
    let sentinels = (0..3)
        .map(|n| SentinelEntry {
            name: format!("cart-sentinel-{n}"),
            id: sentinel_id("u", &format!("cart-sentinel-{n}")),
            server: Endpoint::new(format!("127.1.0.10{n}"), 26379),
            agent: Endpoint::new(format!("127.1.0.10{n}"), 9121),
        })
        .collect();
    SetConfig {
        api_version: 1,
        name: "cart".into(),
        namespace: "default".into(),
        uid: "u".into(),
        generation: 1,
        topology: Topology::Sentinel(SentinelConfig {
            master_name: "mymaster".into(),
            quorum: 2,
            down_after_ms: 5000,
            failover_timeout_ms: 10000,
            parallel_syncs: 1,
            directives: BTreeMap::new(),
            sentinels,
        }),
        nodes: (0..nodes)
            .map(|n| NodeEntry {
                shard: None,
                name: format!("cart-{n}"),
                server: at(n),
                agent: Endpoint::new(format!("127.1.0.{n}"), 9121),
            })
            .collect(),
        directives: BTreeMap::new(),
        persistence: Persistence { rdb_save: "3600 1".into(), aof: true, aof_fsync: "everysec".into() },
        durability: Durability {
            min_replicas_to_write: 0,
            max_replica_lag_s: 3,
            recovery_deadline_ms: Some(60_000),
            hang_limit_ms: 3000,
        },
        grace_period_ms: 30_000,
        agentless: false,
        bootstrap: None,
        access: Access::usual(true),
    }
}

fn at(n: usize) -> Endpoint {
    Endpoint::new(format!("127.1.0.{n}"), 6379)
}

fn record(epoch: u64, offset: u64) -> Record {
    Record {
        data_set: "d".into(),
        replid: "r".into(),
        previous: None,
        offset,
        epoch,
        master: false,
        link_up: true,
    }
}

fn led(epoch: u64, offset: u64) -> Record {
    Record { master: true, ..record(epoch, offset) }
}

fn node(phase: Phase, replication: Option<Replication>, record: Option<Record>) -> NodeState {
    let joined = replication.is_some();
    let on_disk = record.map_or(OnDisk::Nothing, OnDisk::Data);
    NodeState {
        phase,
        replication,
        ready: false,
        joined,
        on_disk,
        cluster: None,
        disk_fault: None,
        live: None,
    }
}

fn waiting(record: Option<Record>) -> NodeState {
    node(Phase::Waiting { why: String::new(), until: None }, None, record)
}

fn replica(of: usize) -> NodeState {
    let replication = Replication::Replica { master: at(of), link_up: false, syncing: false };
    node(Phase::Running, Some(replication), Some(record(1, 100)))
}

fn master() -> NodeState {
    node(Phase::Running, Some(Replication::Master { replicas: vec![] }), Some(led(1, 100)))
}

struct Case(Survey);

/// A survey of node `me` in a set of three.
fn seen_by(me: usize) -> Case {
    Case(Survey {
        me: format!("cart-{me}"),
        own: OnDisk::Nothing,
        sentinels: vec![SentinelAnswer::Blank; 3],
        peers: (0..3)
            .filter(|n| *n != me)
            .map(|n| PeerAnswer { name: format!("cart-{n}"), state: Some(waiting(None)) })
            .collect(),
        waited: Duration::ZERO,
    })
}

impl Case {
    fn own(mut self, record: Record) -> Self {
        self.0.own = OnDisk::Data(record);
        self
    }
    fn named(mut self, n: usize) -> Self {
        self.0.sentinels = vec![SentinelAnswer::Names(at(n), 1); 3];
        self
    }
    fn sentinels(mut self, answers: [SentinelAnswer; 3]) -> Self {
        self.0.sentinels = answers.into();
        self
    }
    fn peer(mut self, n: usize, state: impl Into<Option<NodeState>>) -> Self {
        self.0.peers.iter_mut().find(|peer| peer.name == format!("cart-{n}")).unwrap().state = state.into();
        self
    }
    fn waited(mut self, seconds: u64) -> Self {
        self.0.waited = Duration::from_secs(seconds);
        self
    }
    fn decision(&self) -> Decision {
        decide(&set(3), &self.0)
    }
    /// What is decided while the resource asks for the set to be filled.
    fn filled(&self) -> Decision {
        decide(&SetConfig { bootstrap: Some(outside()), ..set(3) }, &self.0)
    }
    fn waits(&self) -> bool {
        matches!(self.decision(), Decision::Wait { .. })
    }
    fn leads(&self) -> bool {
        matches!(self.decision(), Decision::Lead { .. })
    }
}

#[test]
fn at_the_very_first_start_only_the_lowest_ordinal_leads() {
    assert!(matches!(seen_by(0).decision(), Decision::Lead { new_data_set: true, .. }));
    assert!(seen_by(1).waits());
    assert!(seen_by(2).waits());
}

#[test]
fn at_the_very_first_start_nobody_leads_before_all_answered() {
    assert!(seen_by(0).peer(2, None).waits());
    assert!(seen_by(0).peer(2, None).waited(3600).waits());
}

#[test]
fn a_returning_node_follows_the_living_master() {
    assert_eq!(seen_by(0).own(led(1, 500)).named(1).peer(1, master()).decision(), Decision::Follow(at(1)));
    assert_eq!(seen_by(0).peer(1, master()).decision(), Decision::Follow(at(1)));
}

#[test]
fn an_empty_node_still_named_master_never_starts_over_living_replicas() {
    let case = seen_by(0).named(0).peer(1, replica(0)).peer(2, replica(0));
    assert_eq!(case.decision(), Decision::Elect(Election::AwayFromMe));
    let with_data = seen_by(0).own(led(1, 100)).named(0).peer(1, replica(0)).peer(2, None);
    assert_eq!(with_data.decision(), Decision::Elect(Election::AwayFromMe));
}

#[test]
fn the_last_master_leads_over_replicas_that_came_back_before_it_and_were_never_in_sync() {
    let strayed = |of| NodeState { joined: false, on_disk: OnDisk::Data(record(1, 90)), ..replica(of) };
    let case = seen_by(0).own(led(1, 100)).named(0).peer(1, strayed(0)).peer(2, strayed(0));
    assert!(case.leads());
    let without_data = seen_by(0).named(0).peer(1, strayed(0)).peer(2, strayed(0));
    assert!(without_data.waits());
    let ahead = seen_by(1).own(record(1, 95)).named(0).peer(0, waiting(None)).peer(2, strayed(0));
    assert_eq!(ahead.decision(), Decision::Elect(Election::ForMe { named: at(0) }));
}

#[test]
fn a_replica_waits_while_its_master_is_dead_and_another_replica_lives() {
    assert!(seen_by(2).own(record(1, 90)).named(0).peer(0, None).peer(1, replica(0)).waits());
}

#[test]
fn a_master_nobody_announced_is_not_followed() {
    assert!(seen_by(2).named(0).peer(0, waiting(None)).peer(1, master()).waits());
}

#[test]
fn the_last_master_of_the_highest_epoch_leads_at_once_after_an_outage() {
    assert!(seen_by(1).own(led(1, 10)).named(1).peer(0, None).peer(2, None).leads());
}

#[test]
fn the_last_master_does_not_lead_over_a_later_epoch() {
    assert!(seen_by(1).own(led(1, 10)).named(1).peer(0, waiting(Some(record(2, 5)))).peer(2, None).waits());
}

#[test]
fn after_an_outage_the_highest_offset_leads_by_a_vote_even_when_it_is_the_last_to_come() {
    let named_lost_its_data = |case: Case| case.named(0);
    let ahead = named_lost_its_data(seen_by(2))
        .own(record(1, 300))
        .peer(0, waiting(None))
        .peer(1, waiting(Some(record(1, 200))));
    assert_eq!(ahead.decision(), Decision::Elect(Election::ForMe { named: at(0) }));
    let behind = named_lost_its_data(seen_by(1))
        .own(record(1, 200))
        .peer(0, waiting(None))
        .peer(2, waiting(Some(record(1, 300))));
    assert!(behind.waits());
    let empty = named_lost_its_data(seen_by(0))
        .peer(1, waiting(Some(record(1, 200))))
        .peer(2, waiting(Some(record(1, 300))));
    assert!(empty.waits());
}

#[test]
fn an_absent_node_is_waited_for_until_the_deadline_and_then_the_best_present_leads() {
    let case =
        || seen_by(1).own(record(1, 200)).named(0).peer(0, None).peer(2, waiting(Some(record(1, 100))));
    assert!(matches!(case().decision(), Decision::Wait { until: Some(_), .. }));
    assert_eq!(case().waited(60).decision(), Decision::Elect(Election::ForMe { named: at(0) }));
}

#[test]
fn without_the_records_of_a_majority_nobody_leads() {
    assert!(seen_by(1).own(record(1, 200)).named(0).peer(0, None).peer(2, None).waited(3600).waits());
}

#[test]
fn a_node_that_has_not_read_its_files_may_hold_the_newest_data() {
    let unread = NodeState { on_disk: OnDisk::Unknown, ..waiting(None) };
    let case = seen_by(1).own(record(1, 200)).named(0).peer(0, waiting(None)).peer(2, unread.clone());
    assert!(matches!(case.decision(), Decision::Wait { until: Some(_), .. }));
    assert!(seen_by(0).peer(2, unread).waits());
}

#[test]
fn a_copy_that_was_never_finished_counts_as_nothing_beside_the_data_it_was_copied_from() {
    let unfinished = || NodeState { on_disk: OnDisk::UnfinishedCopy, ..waiting(None) };
    let case = || seen_by(0).own(led(0, 0)).peer(1, unfinished()).peer(2, unfinished());
    assert!(case().leads());
    assert!(case().named(0).leads());
    let ahead = seen_by(1).own(record(1, 200)).named(0).peer(0, waiting(None)).peer(2, unfinished());
    assert_eq!(ahead.decision(), Decision::Elect(Election::ForMe { named: at(0) }));
}

#[test]
fn nobody_begins_anew_beside_an_unfinished_copy_of_data_that_is_gone() {
    let unfinished = NodeState { on_disk: OnDisk::UnfinishedCopy, ..waiting(None) };
    let case = seen_by(0).named(0).peer(1, unfinished).waited(3600);
    assert!(
        matches!(case.decision(), Decision::Wait { why, .. } if why.contains("empty the data folder of cart-1"))
    );
}

#[test]
fn records_that_cannot_be_compared_stop_the_start() {
    let other = Record { replid: "x".into(), ..record(1, 900) };
    assert!(seen_by(1).own(record(1, 200)).named(0).peer(2, waiting(Some(other))).waited(3600).waits());
    let stranger = Record { data_set: "e".into(), ..record(9, 900) };
    assert!(seen_by(1).own(record(1, 200)).named(0).peer(2, waiting(Some(stranger))).waited(3600).waits());
}

#[test]
fn a_pure_cache_starts_again_under_the_master_that_is_named() {
    assert!(matches!(seen_by(2).named(2).decision(), Decision::Lead { new_data_set: true, .. }));
    assert!(seen_by(0).named(2).waits());
}

#[test]
fn with_data_and_split_sentinels_there_is_no_vote() {
    use SentinelAnswer::{Blank, Names};
    let case = seen_by(1).own(led(1, 10)).sentinels([Names(at(0), 1), Names(at(1), 1), Blank]);
    assert!(case.waits());
}

#[test]
fn data_and_sentinels_that_lost_everything_lead_without_a_vote() {
    assert!(seen_by(1).own(led(1, 10)).leads());
}

#[test]
fn two_unannounced_masters_are_not_followed() {
    assert!(seen_by(2).peer(0, master()).peer(1, master()).waits());
}

#[test]
fn a_longer_history_is_ahead_of_the_one_it_went_on_from() {
    let promoted = Record { replid: "new".into(), previous: Some(("r".into(), 150)), ..record(1, 400) };
    assert_eq!(compare(&promoted, &record(1, 150)), Some(Ordering::Greater));
    assert_eq!(compare(&record(1, 150), &promoted), Some(Ordering::Less));
    assert_eq!(compare(&promoted, &record(1, 151)), None);
}

fn outside() -> Endpoint {
    Endpoint::new("old.shop", 6379)
}

/// Of a node in sync with [`outside`] up to there.
fn copied(offset: u64) -> Record {
    Record { data_set: redoubt_wire::state::copied_data_set(&outside()), ..record(0, offset) }
}

fn filling(record: Option<Record>) -> NodeState {
    let replication = Replication::Replica { master: outside(), link_up: true, syncing: false };
    NodeState { joined: false, ..node(Phase::Running, Some(replication), record) }
}

#[test]
fn a_set_is_filled_from_outside_whoever_else_answers() {
    let follows = Decision::Follow(outside());
    assert_eq!(seen_by(0).filled(), follows);
    assert_eq!(seen_by(2).peer(0, None).peer(1, filling(Some(copied(9)))).filled(), follows);
    assert_eq!(
        seen_by(0).own(copied(5)).sentinels([const { SentinelAnswer::Unreachable }; 3]).filled(),
        follows
    );
}

/// A set that has led takes nothing from outside any more: it would be the end of what was written to it.
#[test]
fn nobody_follows_the_outside_once_the_set_has_data_of_its_own() {
    assert!(seen_by(0).own(led(0, 10)).filled() != Decision::Follow(outside()));
    assert_eq!(seen_by(0).own(copied(5)).peer(1, master()).filled(), Decision::Follow(at(1)));
    assert!(seen_by(0).own(copied(5)).named(1).filled() != Decision::Follow(outside()));
    assert!(seen_by(0).peer(1, waiting(Some(led(0, 10)))).filled() != Decision::Follow(outside()));
}

#[test]
fn the_copy_that_goes_furthest_leads_and_begins_a_data_set() {
    let case = |me: usize, own| seen_by(me).own(copied(own));
    let ahead = case(2, 300).peer(0, waiting(Some(copied(200)))).peer(1, waiting(None));
    assert!(matches!(ahead.decision(), Decision::Lead { new_data_set: true, .. }));
    assert!(case(0, 200).peer(2, waiting(Some(copied(300)))).waits());
    // Equal: the lowest ordinal alone.
    let equal = |me: usize| {
        (0..3).filter(|n| *n != me).fold(case(me, 300), |case, n| case.peer(n, waiting(Some(copied(300)))))
    };
    assert_eq!([0, 1, 2].map(|me| equal(me).leads()), [true, false, false]);
}

#[test]
fn nobody_leads_while_another_copy_still_grows() {
    let case = |peer| seen_by(0).own(copied(300)).peer(1, peer).peer(2, waiting(Some(copied(300))));
    assert!(case(filling(Some(copied(300)))).waits());
    assert!(case(filling(Some(copied(300)))).waited(3600).waits());
    // One that was never whole is no candidate, and joins whoever leads.
    let unfinished = NodeState { on_disk: OnDisk::UnfinishedCopy, ..filling(None) };
    assert!(case(unfinished).leads());
}

#[test]
fn copies_of_two_different_servers_stop_the_start() {
    let other = Record { data_set: redoubt_wire::state::copied_data_set(&at(9)), ..copied(900) };
    assert!(seen_by(0).own(copied(300)).peer(1, waiting(Some(other))).waited(3600).waits());
}

/// It died before anybody could follow it.
#[test]
fn who_led_already_is_ahead_of_every_copy() {
    assert!(seen_by(2).own(led(0, 0)).peer(0, waiting(Some(copied(900)))).leads());
    assert!(seen_by(0).own(copied(900)).peer(2, waiting(Some(led(0, 0)))).waits());
}

#[test]
fn a_set_that_was_never_filled_does_not_begin_empty() {
    let unfinished = || NodeState { on_disk: OnDisk::UnfinishedCopy, ..waiting(None) };
    let mut case = seen_by(0).peer(1, unfinished()).peer(2, unfinished()).waited(3600);
    case.0.own = OnDisk::UnfinishedCopy;
    assert!(case.waits());
}
