use redoubt_redis::cluster::{ClusterInfo, ClusterNodes};
use redoubt_wire::state::{Live, NodeState, Replication};

use super::*;
use crate::cluster::fixture::{ID, at, blank, leader, record, replica, set, waiting};

/// One line of CLUSTER NODES.
fn line(id: &str, place: (u32, u32), flags: &str, master: &str, slots: &str) -> String {
    let host = at(place.0, place.1).host;
    format!("{id} {host}:6379@16379 {flags} {master} 0 0 1 connected {slots}\n")
}

fn seen(text: &str) -> ClusterSeen {
    let info = ClusterInfo { is_ok: Some(true), ..ClusterInfo::default() };
    ClusterSeen::new(ClusterNodes::parse(text).unwrap(), &info)
}

struct Case {
    set: SetConfig,
    me: usize,
    seen: ClusterSeen,
    on_disk: OnDisk,
    keys: u64,
    joined: bool,
    offset: u64,
    unled_for: Option<Duration>,
    forming: bool,
    peers: Vec<PeerAnswer>,
}

/// Node `me` of two in each of three shards (`0-0`, `0-1`, `1-0`, …), whose server says this.
fn case(me: usize, text: &str) -> Case {
    Case {
        set: set(3, 2),
        me,
        seen: seen(text),
        on_disk: OnDisk::Nothing,
        keys: 0,
        joined: false,
        offset: 0,
        unled_for: None,
        forming: false,
        peers: Vec::new(),
    }
}

impl Case {
    /// What the agent of this node says.
    fn peer(mut self, node: usize, state: NodeState) -> Self {
        self.peers.push(PeerAnswer { name: self.set.nodes[node].name.clone(), state: Some(state) });
        self
    }

    /// All others say that they know nobody.
    fn all_blank(self) -> Self {
        let me = self.me;
        (0..6).filter(|node| *node != me).fold(self, |case, node| case.peer(node, blank(ID[1])))
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            set: &self.set,
            me: &self.set.nodes[self.me],
            seen: &self.seen,
            on_disk: &self.on_disk,
            keys: self.keys,
            offset: self.offset,
            joined: self.joined,
            unled_for: self.unled_for,
            forming: self.forming,
        }
    }

    fn next(&self) -> Option<Tend> {
        next(&self.situation(), &self.peers)
    }

    fn is_amiss(&self) -> bool {
        is_amiss(&self.situation())
    }
}

/// A whole cluster as `0-1`, a replica of `0-0`, sees it; `0-0` has these flags.
fn as_replica(master: &str) -> String {
    [
        line(ID[3], (0, 1), "myself,slave", ID[0], ""),
        line(ID[0], (0, 0), master, "-", "0-5460"),
        line(ID[1], (1, 0), "master", "-", "5461-10922"),
        line(ID[2], (2, 0), "master", "-", "10923-16383"),
        line(&ID[1].replace('b', "e"), (1, 1), "slave", ID[1], ""),
        line(&ID[2].replace('c', "f"), (2, 1), "slave", ID[2], ""),
    ]
    .concat()
}

fn alone(me: (u32, u32)) -> String {
    line(ID[0], me, "myself,master", "-", "")
}

#[test]
fn only_the_first_node_forms_the_cluster_and_only_when_all_are_empty() {
    let first = || case(0, &alone((0, 0)));
    assert_eq!(first().all_blank().next(), Some(Tend::Form));
    assert_eq!(case(2, &alone((1, 0))).all_blank().next(), None);
    assert_eq!(first().next(), None, "nobody has answered");
    let mut one_holds = first().all_blank();
    one_holds.peers[3].state = Some(waiting(OnDisk::Data(record(7))));
    assert_eq!(one_holds.next(), None);
    let mut one_is_down = first().all_blank();
    one_is_down.peers[3].state = None;
    assert_eq!(one_is_down.next(), None);
    let mut own = first().all_blank();
    own.on_disk = OnDisk::Data(record(7));
    assert_eq!(own.next(), None);
    let mut one_is_elsewhere = first().all_blank();
    one_is_elsewhere.peers[3].state = Some(leader(ID[2], "0-100"));
    assert_ne!(one_is_elsewhere.next(), Some(Tend::Form));
}

#[test]
fn what_was_cut_off_is_taken_up_again_until_every_slot_has_an_owner() {
    let mut cut_off = case(0, &line(ID[0], (0, 0), "myself,master", "-", "0-5460"));
    cut_off.forming = true;
    assert_eq!(cut_off.next(), Some(Tend::Form));
    let mut whole = case(1, &as_replica("master"));
    whole.forming = true;
    assert_eq!(whole.next(), Some(Tend::Formed));
}

#[test]
fn a_node_that_knows_nobody_joins_the_cluster_of_its_set_and_follows_its_shard() {
    let mut newcomer = case(1, &alone((0, 1))).peer(0, leader(ID[1], "0-5460"));
    assert_eq!(newcomer.next(), Some(Tend::Meet(at(0, 0))));
    // It knows them now: the shard it belongs to decides whom it follows, not the number of replicas.
    let others = as_replica("master").replace(" myself,slave", " myself,master").replacen(ID[0], "-", 1);
    newcomer.seen = seen(&others);
    newcomer.peers =
        vec![PeerAnswer { name: "cart-shard-0-0".to_owned(), state: Some(leader(ID[0], "0-5460")) }];
    assert_eq!(newcomer.next(), Some(Tend::Follow(ID[0].parse().unwrap())));
}

#[test]
fn a_cluster_at_rest_asks_nobody() {
    assert!(!case(1, &as_replica("master")).is_amiss());
    assert_eq!(case(1, &as_replica("master")).next(), None);
    assert!(case(1, &alone((0, 1))).is_amiss());
}

/// A fourth shard without slots, as its second node (`3-1`) sees it.
fn in_a_new_shard(first: &str) -> Case {
    let [d, e] = ["8", "9"].map(|digit| digit.repeat(40));
    let others = as_replica("master").replace("myself,", "");
    let text = others + &line(&d, (3, 0), first, "-", "") + &line(&e, (3, 1), "myself,master", "-", "");
    let mut case = case(1, &text);
    case.set = set(4, 2);
    case.me = 7;
    let mut state = leader(&d, "");
    state.joined = false;
    case.peer(6, state)
}

#[test]
fn in_a_shard_without_slots_the_others_follow_its_first_node_and_take_no_harm_from_it() {
    let first = "8".repeat(40);
    let newcomer = in_a_new_shard("master");
    assert!(newcomer.is_amiss());
    assert_eq!(newcomer.next(), Some(Tend::Follow(first.parse().unwrap())));
    assert_eq!(in_a_new_shard("master,fail").next(), None);
    let mut itself = in_a_new_shard("master");
    itself.me = 6;
    itself.peers.clear();
    assert_eq!(itself.next(), None);
    // Nobody knows yet whose the slots are.
    let mut early = in_a_new_shard("master");
    early.seen.view.covered -= 1;
    assert_eq!(early.next(), None);
    let mut holds = in_a_new_shard("master");
    holds.keys = 5;
    assert_eq!(holds.next(), None);
}

#[test]
fn a_replica_stays_with_a_master_without_slots_until_another_one_leads_its_shard() {
    let (first, other) = ("8".repeat(40), "7".repeat(40));
    let text = |other: &str| {
        let others = as_replica("master").replace("myself,", "");
        others
            + &line(&first, (3, 0), "master", "-", "")
            + &line(&"9".repeat(40), (3, 1), "myself,slave", &first, "")
            + other
    };
    let follower = |text: &str| {
        let mut case = case(1, text);
        case.set = set(4, 3);
        // Three nodes in each shard now.
        case.me = 10;
        case
    };
    let alone = follower(&text("")).peer(9, leader(&first, ""));
    assert!(alone.is_amiss());
    assert_eq!(alone.next(), None);
    let elsewhere = text(&line(&other, (3, 2), "master", "-", "7"));
    let led = follower(&elsewhere).peer(9, leader(&first, "")).peer(11, leader(&other, "7"));
    assert_eq!(led.next(), Some(Tend::Follow(other.parse().unwrap())));
}

#[test]
fn a_replica_of_another_shard_comes_home() {
    let strayed = as_replica("master").replacen(
        &format!("myself,slave {}", ID[0]),
        &format!("myself,slave {}", ID[1]),
        1,
    );
    let strayed = case(1, &strayed).peer(0, leader(ID[0], "0-5460"));
    assert!(strayed.is_amiss());
    assert_eq!(strayed.next(), Some(Tend::Follow(ID[0].parse().unwrap())));
}

#[test]
fn a_node_that_was_forgotten_is_met_again_if_it_is_a_member_of_the_cluster() {
    let without = as_replica("master")
        .lines()
        .filter(|line| !line.contains("127.1.2.0"))
        .fold(String::new(), |text, line| text + line + "\n");
    let forgot = || case(1, &without).peer(0, leader(ID[0], "0-5460"));
    assert_eq!(forgot().peer(4, leader(ID[2], "10923-16383")).next(), Some(Tend::Meet(at(2, 0))));
    assert_eq!(forgot().peer(4, blank(ID[2])).next(), None);
    assert_eq!(forgot().next(), None);
}

#[test]
fn a_node_that_is_no_more_is_forgotten_and_one_that_is_down_is_not() {
    let stranger = line(&ID[0].replace('a', "9"), (8, 8), "master,fail", "-", "");
    let gone = case(1, &(as_replica("master") + &stranger));
    assert!(matches!(gone.next(), Some(Tend::Forget(_))));
    // With slots it is no trifle, whoever it is.
    let owner = stranger.replace("connected ", "connected 7");
    assert_eq!(case(1, &(as_replica("master") + &owner)).next(), None);
    let down = as_replica("master").replace("slave b", "slave,fail b").replace(" slave e", " slave,fail e");
    assert_eq!(case(1, &down).next(), None);
    // Its place is another's now.
    let old = line(&ID[2].replace('c', "8"), (2, 1), "slave,fail", ID[2], "");
    assert!(matches!(case(1, &(as_replica("master") + &old)).next(), Some(Tend::Forget(_))));
}

/// The replica of a dead master, whose agent says so.
fn unled(joined: bool, for_s: u64, other: NodeState) -> Case {
    let mut case = case(1, &as_replica("master,fail")).peer(0, other);
    case.joined = joined;
    case.on_disk = OnDisk::Data(record(500));
    case.offset = 500;
    case.unled_for = Some(Duration::from_secs(for_s));
    case
}

#[test]
fn after_an_outage_the_most_advanced_copy_stands_for_election() {
    assert_eq!(unled(false, 2, waiting(OnDisk::Nothing)).next(), Some(Tend::StandForElection));
    assert_eq!(unled(false, 2, waiting(OnDisk::Data(record(400)))).next(), Some(Tend::StandForElection));
    assert_eq!(unled(false, 2, waiting(OnDisk::Data(record(600)))).next(), None, "the other one leads");
    let master = Record { master: true, ..record(400) };
    assert_eq!(unled(false, 2, waiting(OnDisk::Data(master))).next(), None, "the last master is ahead");
    let foreign = Record { data_set: "other".to_owned(), ..record(400) };
    let told = unled(false, 2, waiting(OnDisk::Data(foreign))).next();
    assert!(matches!(told, Some(Tend::Tell(why)) if why.contains("cannot be compared")));
}

#[test]
fn nobody_stands_for_election_while_a_node_that_does_not_tell_may_hold_more() {
    let mut silent = unled(false, 2, waiting(OnDisk::Unknown));
    assert!(
        matches!(silent.next(), Some(Tend::Tell(why)) if why.contains("cart-shard-0-0 may hold newer data"))
    );
    silent.unled_for = Some(Duration::from_secs(61));
    assert!(
        matches!(silent.next(), Some(Tend::Tell(why)) if why.contains("too few records")),
        "one of two is no majority"
    );
}

#[test]
fn a_replica_in_sync_leaves_its_master_to_the_bus_first_and_never_deposes_a_living_one() {
    assert_eq!(unled(true, 9, waiting(OnDisk::Nothing)).next(), None);
    assert_eq!(unled(true, 10, waiting(OnDisk::Nothing)).next(), Some(Tend::StandForElection));
    let mut cut_off = unled(true, 60, leader(ID[0], "0-5460"));
    cut_off.seen = seen(&as_replica("master"));
    assert_eq!(cut_off.next(), None, "its master leads, this one is cut off from it");
}

#[test]
fn of_two_replicas_in_sync_the_one_that_received_more_stands() {
    let mut set_of_three = unled(true, 10, waiting(OnDisk::Nothing));
    set_of_three.set = set(3, 3);
    let sibling = |offset| {
        let mut state = replica(at(0, 0), ID[0]);
        state.live = Some(Live { offset, ..Live::default() });
        state.replication = Some(Replication::Replica { master: at(0, 0), link_up: false, syncing: false });
        state
    };
    let with = |offset| {
        let mut peers = set_of_three.peers.clone();
        peers.push(PeerAnswer { name: "cart-shard-0-2".to_owned(), state: Some(sibling(offset)) });
        next(&set_of_three.situation(), &peers)
    };
    assert_ne!(with(501), Some(Tend::StandForElection));
    assert_eq!(with(499), Some(Tend::StandForElection));
    assert_eq!(with(500), Some(Tend::StandForElection), "the first of two that are equal");
}
