use redoubt_redis::Endpoint;
use redoubt_wire::state::{Live, found_data_set};

use super::*;
use crate::cluster::fixture::{ID, at, blank, leader, record, replica, set, waiting};

fn memory(slots: &str) -> Memory {
    let mut set = SlotSet::default();
    if !slots.is_empty() {
        set.insert_range(slots).unwrap();
    }
    Memory { id: ID[0].to_owned(), slots: set, follows: slots.is_empty(), whole: true }
}

/// `cart-shard-0-0` before its start, with one or two other nodes in its shard.
fn survey(own: OnDisk, memory: impl Into<Option<Memory>>, others: Vec<Option<NodeState>>) -> Survey {
    let shard = others
        .into_iter()
        .enumerate()
        .map(|(n, state)| PeerAnswer { name: format!("cart-shard-0-{}", n + 1), state })
        .collect();
    Survey {
        me: "cart-shard-0-0".to_owned(),
        own,
        memory: memory.into(),
        shard,
        forgotten: false,
        persistent: true,
        loss_accepted: false,
        forming: false,
    }
}

fn decided(survey: &Survey) -> Decision {
    decide(&set(3, 3), survey)
}

fn data(offset: u64) -> OnDisk {
    OnDisk::Data(record(offset))
}

/// In sync with `cart-shard-0-0`, having received so much.
fn copy(offset: u64) -> NodeState {
    let mut state = replica(at(0, 0), ID[0]);
    state.on_disk = data(offset);
    state.live = Some(Live { offset, ..Live::default() });
    state
}

#[test]
fn a_first_start_knows_nobody_and_owns_nothing() {
    let fresh = survey(OnDisk::Nothing, None, vec![Some(waiting(OnDisk::Nothing)), None]);
    assert_eq!(decided(&fresh), Decision::Start(StartAs::Blank));
}

#[test]
fn a_master_without_its_data_never_starts_before_a_replica_has_its_slots() {
    for own in [OnDisk::Nothing, OnDisk::UnfinishedCopy] {
        let gone = survey(own, memory("0-5460"), vec![Some(copy(900)), None]);
        assert!(matches!(decided(&gone), Decision::Ask { .. }), "{gone:?}");
    }
    let taken = leader(ID[1], "0-5460");
    let taken = survey(OnDisk::Nothing, memory("0-5460"), vec![Some(taken), None]);
    assert_eq!(decided(&taken), Decision::Start(StartAs::Follower { led: true }));
    // Somebody of the shard leads, but not with all that this one had.
    let less = survey(OnDisk::Nothing, memory("0-5460"), vec![Some(leader(ID[1], "0-5000")), None]);
    assert!(matches!(decided(&less), Decision::Wait { .. }));
}

#[test]
fn a_master_without_its_data_waits_for_whoever_may_have_a_copy() {
    for other in [None, Some(waiting(data(900))), Some(waiting(OnDisk::Unknown))] {
        let gone = survey(OnDisk::Nothing, memory("0-5460"), vec![other, Some(waiting(OnDisk::Nothing))]);
        let Decision::Wait { why } = decided(&gone) else { panic!("{gone:?}") };
        assert!(why.contains("cart-shard-0-1 may hold a copy"), "{why}");
    }
}

#[test]
fn a_shard_whose_every_copy_is_gone_begins_anew_only_when_somebody_says_so() {
    let void = || vec![Some(waiting(OnDisk::Nothing)), Some(waiting(OnDisk::UnfinishedCopy))];
    let gone = survey(OnDisk::Nothing, memory("0-5460"), void());
    let Decision::Wait { why } = decided(&gone) else { panic!("{gone:?}") };
    assert!(why.contains("every copy") && why.contains(ACCEPT_LOSS), "{why}");
    let said = Survey { loss_accepted: true, ..gone.clone() };
    assert_eq!(decided(&said), Decision::Start(StartAs::LeaderAnew));
    let cut_off = Survey { forming: true, ..gone.clone() };
    assert_eq!(decided(&cut_off), Decision::Start(StartAs::LeaderAnew));
    let never_began = survey(OnDisk::UnfinishedCopy, memory("0-5460"), void());
    assert_eq!(decided(&never_began), Decision::Start(StartAs::LeaderAnew));
    let cache = Survey { persistent: false, ..gone };
    assert_eq!(decided(&cache), Decision::Start(StartAs::LeaderAnew));
}

#[test]
fn a_master_with_all_its_data_leads_again_and_one_with_older_data_does_not() {
    let back = |copies| survey(data(1000), memory("0-5460"), copies);
    for copies in
        [vec![None, None], vec![Some(copy(1000)), Some(copy(400))], vec![Some(waiting(data(2000))), None]]
    {
        let back = back(copies);
        assert_eq!(decided(&back), Decision::Start(StartAs::Leader), "{back:?}");
    }
    for copies in [vec![Some(copy(1001)), None], vec![Some(copy(10)), Some(copy(1001))]] {
        assert!(matches!(decided(&back(copies)), Decision::Ask { .. }));
    }
    let mut other_history = copy(10);
    other_history.on_disk = OnDisk::Data(Record { replid: "another".to_owned(), ..record(10) });
    assert!(matches!(decided(&back(vec![Some(other_history), None])), Decision::Ask { .. }));
}

#[test]
fn a_master_leads_with_files_of_unknown_origin_only_where_nobody_else_may_hold_data() {
    let unread = Record { data_set: found_data_set("cart-shard-0-0"), replid: String::new(), ..record(0) };
    let found = |others| survey(OnDisk::Data(unread.clone()), memory("0-5460"), others);
    for other in [None, Some(waiting(data(900))), Some(waiting(OnDisk::Unknown))] {
        let Decision::Wait { why } = decided(&found(vec![other])) else { panic!() };
        assert!(why.contains("cart-shard-0-1 may hold"), "{why}");
    }
    assert!(matches!(decided(&found(vec![Some(copy(900)), None])), Decision::Ask { .. }));
    for others in [vec![], vec![Some(waiting(OnDisk::Nothing)), Some(waiting(OnDisk::UnfinishedCopy))]] {
        assert_eq!(decided(&found(others)), Decision::Start(StartAs::Leader));
    }
}

#[test]
fn without_its_memory_a_node_joins_anew_and_throws_nothing_away() {
    let led = || vec![Some(leader(ID[1], "0-5460")), None];
    assert_eq!(decided(&survey(OnDisk::Nothing, None, led())), Decision::Start(StartAs::Blank));
    assert!(matches!(decided(&survey(data(1000), None, led())), Decision::SetAside { .. }));
    for own in [OnDisk::Nothing, data(1000)] {
        let first = survey(own, None, vec![Some(copy(900)), None]);
        assert!(matches!(decided(&first), Decision::Ask { .. }), "a replica takes the slots first");
    }
    let alone = survey(data(1000), None, vec![None, Some(blank(ID[2]))]);
    assert!(matches!(decided(&alone), Decision::Wait { .. }));
}

#[test]
fn a_replica_starts_whoever_leads() {
    for others in [vec![None, None], vec![Some(copy(1)), None], vec![Some(waiting(data(9))), None]] {
        let back = survey(data(1000), memory(""), others);
        assert_eq!(decided(&back), Decision::Start(StartAs::Follower { led: false }), "{back:?}");
    }
}

#[test]
fn data_of_slots_that_a_node_does_not_own_is_not_served() {
    let idle = Some(Memory::default());
    let spare = Some(Memory { whole: true, ..Memory::default() });
    let spare = survey(data(5), spare, vec![None, None]);
    assert_eq!(decided(&spare), Decision::Start(StartAs::Leader), "all slots are others'");
    assert!(matches!(decided(&survey(data(5), idle.clone(), vec![None, None])), Decision::Wait { .. }));
    let cut_off = Survey { forming: true, ..survey(data(0), idle.clone(), vec![None, None]) };
    assert_eq!(decided(&cut_off), Decision::Start(StartAs::Blank));
    assert_eq!(decided(&survey(OnDisk::Nothing, idle, vec![None, None])), Decision::Start(StartAs::Blank));
}

#[test]
fn who_left_the_set_comes_back_without_what_it_had() {
    let idle = Memory { whole: true, ..Memory::default() };
    for (own, memory) in [
        (data(5), idle.clone()),
        (OnDisk::Nothing, idle),
        (data(5), memory("")),
        (OnDisk::Nothing, memory("")),
    ] {
        let back = Survey { forgotten: true, ..survey(own, memory, vec![Some(waiting(data(9))), None]) };
        assert!(matches!(decided(&back), Decision::SetAside { .. }), "{back:?}");
    }
    // Its shard lives: a copy is brought up to date. And who owns slots has left nothing.
    let led = vec![Some(leader(ID[1], "0-5460")), None];
    let led = Survey { forgotten: true, ..survey(data(5), memory(""), led) };
    assert_eq!(decided(&led), Decision::Start(StartAs::Follower { led: true }));
    let owner = Survey { forgotten: true, ..survey(data(5), memory("0-5460"), vec![None, None]) };
    assert_eq!(decided(&owner), Decision::Start(StartAs::Leader));
}

#[test]
fn only_a_whole_cluster_of_which_nobody_knows_a_node_has_forgotten_it() {
    let me = Memory { id: ID[0].to_owned(), ..Memory::default() };
    let said = |slots: &str, known: &str| {
        let line = |id: &str, flags: &str, slots: &str| {
            format!("{id} 127.1.1.1:6379@16379 {flags} - 0 0 1 connected {slots}\n")
        };
        let text = line(ID[1], "myself,master", slots) + &line(known, "master,fail", "");
        ClusterNodes::parse(&text).unwrap()
    };
    let (forgets, knows) = (said("0-16383", ID[2]), said("0-16383", ID[0]));
    assert!(is_forgotten(&me, &[forgets.clone(), forgets.clone()]));
    assert!(!is_forgotten(&me, &[]) && !is_forgotten(&me, &[forgets.clone(), knows]));
    assert!(!is_forgotten(&me, &[forgets, said("0-16382", ID[2])]));
}

#[test]
fn the_replica_that_received_most_is_asked_and_only_one_in_sync() {
    let survey = survey(OnDisk::Nothing, memory("0-5460"), vec![Some(copy(10)), Some(copy(30))]);
    let names = |shard: &[PeerAnswer]| -> Vec<String> {
        candidates(&set(3, 3), "cart-shard-0-0", shard).into_iter().map(|one| one.name).collect()
    };
    assert_eq!(names(&survey.shard), ["cart-shard-0-2", "cart-shard-0-1"]);
    let mut strayed = survey.shard.clone();
    if let Some(state) = &mut strayed[1].state {
        state.replication = Some(Replication::Replica {
            master: Endpoint::new("127.1.9.9", 6379),
            link_up: true,
            syncing: false,
        });
    }
    assert_eq!(names(&strayed), ["cart-shard-0-1"]);
    if let Some(state) = &mut strayed[0].state {
        state.joined = false;
    }
    assert!(names(&strayed).is_empty());
}
