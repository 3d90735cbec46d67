//! Who may lead, by table.

use super::*;
use crate::machine::{model, sight::SentinelSight};

fn server(node: usize) -> Endpoint {
    model::set(4, 3).nodes[node].server.clone()
}

fn master(offset: u64) -> NodeSight {
    NodeSight {
        role: NodeRole::Master,
        replid: "a".to_owned(),
        replid2: None,
        offset,
        priority: 100,
        incomplete: false,
        unwritable: false,
        attached: 0,
    }
}

fn replica(offset: u64) -> NodeSight {
    NodeSight { role: NodeRole::Replica { of: server(0), link_up: true }, ..master(offset) }
}

fn cut_off(offset: u64) -> NodeSight {
    NodeSight { role: NodeRole::Replica { of: server(0), link_up: false }, ..master(offset) }
}

fn of_history(replid: &str, sight: NodeSight) -> NodeSight {
    NodeSight { replid: replid.to_owned(), ..sight }
}

fn sentinel(names: usize) -> SentinelSight {
    SentinelSight {
        names: server(names),
        config_epoch: 1,
        quorum: 2,
        failing_over: false,
        peers: Vec::new(),
        promoted: Vec::new(),
    }
}

/// One look around: who answers what, and whom each Sentinel names.
struct Seen {
    cause: Cause,
    to: Option<&'static str>,
    history: Option<&'static str>,
    sentinels: Vec<SentinelSight>,
    nodes: Vec<(usize, NodeSight)>,
}

fn seen(cause: Cause, nodes: Vec<(usize, NodeSight)>) -> Seen {
    Seen { cause, to: None, history: None, sentinels: vec![sentinel(0), sentinel(0)], nodes }
}

fn judge(seen: Seen) -> Result<usize, Halt> {
    let set = model::set(4, 3);
    let request = Request {
        id: "0".repeat(12),
        cause: seen.cause,
        replaces: server(0),
        to: seen.to.map(str::to_owned),
        old_offset: None,
        history: seen.history.map(str::to_owned),
        epoch_heard: 0,
    };
    let look = Look {
        sentinels: seen.sentinels.into_iter().enumerate().collect(),
        nodes: seen.nodes.into_iter().collect(),
    };
    let mode = if request.is_hand_over() { Mode::HandOver } else { Mode::TakeOver };
    Case { set: &set, request: &request, mode, look: &look, quorum: Quorum::of(&set, &look) }.judge()
}

fn refusal(seen: Seen) -> String {
    match judge(seen).unwrap_err() {
        Halt::Named(master) => format!("named {master}"),
        Halt::Lives => "lives".to_owned(),
        Halt::Over(why) | Halt::Nobody(why) | Halt::NotNow(why) => why,
    }
}

#[test]
fn the_most_data_leads_whatever_its_link_says() {
    let ahead = vec![(1, cut_off(900)), (2, replica(800)), (3, replica(899))];
    assert_eq!(judge(seen(Cause::Crash, ahead)), Ok(1));
    let alike = vec![(3, cut_off(900)), (2, cut_off(900))];
    assert_eq!(judge(seen(Cause::Crash, alike)), Ok(2), "the smallest name");
    let promoted =
        vec![(2, cut_off(900)), (3, NodeSight { replid2: Some("a".into()), ..of_history("b", master(900)) })];
    assert_eq!(judge(seen(Cause::Rescue, promoted)), Ok(3), "who leads already");
}

/// Writes went on while one after the other was asked.
#[test]
fn who_leads_without_being_named_is_ahead_of_all_it_feeds() {
    let follows = |of, offset| NodeSight {
        role: NodeRole::Replica { of: server(of), link_up: true },
        ..master(offset)
    };
    let fed = |of| vec![(0, follows(3, 899)), (2, follows(of, 900)), (3, master(890))];
    assert_eq!(judge(seen(Cause::Rescue, fed(3))), Ok(3));
    assert_eq!(judge(seen(Cause::Rescue, fed(0))), Ok(3), "through the old master");
    let cut_off = vec![(0, follows(3, 880)), (2, cut_off(900)), (3, master(890))];
    assert_eq!(judge(seen(Cause::Rescue, cut_off)), Ok(2), "what it has came from another");
    let circle = vec![(0, follows(2, 900)), (2, follows(0, 900)), (3, follows(0, 890))];
    assert_eq!(judge(seen(Cause::Rescue, circle)), Ok(0));
    let unwilling = NodeSight { priority: 0, ..master(890) };
    assert_eq!(judge(seen(Cause::Rescue, vec![(2, follows(3, 900)), (3, unwilling)])), Ok(2));
}

#[test]
fn a_node_that_must_not_lead_is_never_chosen() {
    let unwilling = NodeSight { priority: 0, ..cut_off(999) };
    let half_copied = NodeSight { incomplete: true, ..cut_off(999) };
    for better in [unwilling, half_copied] {
        assert_eq!(judge(seen(Cause::Crash, vec![(1, better.clone()), (2, cut_off(5))])), Ok(2));
        assert_eq!(refusal(seen(Cause::Crash, vec![(1, better)])), "no replica in reach can lead");
    }
    let stranger = vec![(1, of_history("x", cut_off(999))), (2, cut_off(5))];
    assert_eq!(judge(Seen { history: Some("a"), ..seen(Cause::Crash, stranger) }), Ok(2));
}

#[test]
fn offsets_of_different_histories_are_not_compared() {
    let strangers = vec![(1, of_history("x", cut_off(999))), (2, cut_off(500))];
    assert_eq!(refusal(seen(Cause::Crash, strangers)), "n1 and n2 hold data of different histories");
    let newborn = vec![(1, of_history("x", cut_off(0))), (2, cut_off(500)), (3, of_history("y", cut_off(1)))];
    assert_eq!(judge(seen(Cause::Crash, newborn)), Ok(2), "who never had data does not matter");
}

#[test]
fn the_sentinels_come_first() {
    let nodes = || vec![(1, cut_off(900))];
    let with = |sentinels: Vec<SentinelSight>| refusal(Seen { sentinels, ..seen(Cause::Crash, nodes()) });
    assert!(with(vec![sentinel(0)]).starts_with("1 of 3 Sentinels are in reach, 2 are needed"));
    assert_eq!(
        with(vec![sentinel(0), sentinel(0), sentinel(2)]),
        format!("1 of 3 Sentinels name {} master", server(2))
    );
    assert_eq!(with(vec![sentinel(0), sentinel(2), sentinel(2)]), format!("named {}", server(2)));
    let demanding = SentinelSight { quorum: 3, ..sentinel(0) };
    assert!(with(vec![sentinel(0), demanding]).contains("3 are needed"));
}

#[test]
fn what_sentinel_has_chosen_is_taken_over() {
    let chosen = SentinelSight { promoted: vec![server(2)], failing_over: true, ..sentinel(0) };
    let with = |cause, nodes| Seen { sentinels: vec![sentinel(0), chosen.clone()], ..seen(cause, nodes) };
    let both = || vec![(1, cut_off(900)), (2, cut_off(800))];
    assert_eq!(judge(with(Cause::Crash, both())), Ok(2));
    assert!(refusal(with(Cause::Crash, vec![(1, cut_off(900))])).contains("does not answer"));
    let outage = Seen { to: Some("n1"), ..with(Cause::Outage, both()) };
    assert_eq!(judge(outage), Ok(1), "the records of all nodes have decided");
    let hand_over = with(Cause::Switchover, vec![(0, master(900)), (1, replica(900)), (2, replica(900))]);
    assert!(refusal(hand_over).contains("failover of its own"));
}

#[test]
fn a_master_that_lives_is_not_taken_over() {
    assert_eq!(refusal(seen(Cause::Rescue, vec![(0, master(900)), (1, replica(900))])), "lives");
    let heard = vec![(1, cut_off(900)), (2, replica(900))];
    let refused = "n2 still hears from n0, which does not answer here";
    assert_eq!(refusal(seen(Cause::Rescue, heard.clone())), refused);
    assert_eq!(refusal(seen(Cause::Return, heard)), refused, "it may be another pod of the same name");
    let known_dead = vec![(1, replica(900)), (2, replica(890))];
    assert_eq!(judge(seen(Cause::Crash, known_dead)), Ok(1), "the links have not noticed yet");
}

#[test]
fn a_hand_over_goes_to_a_replica_in_sync() {
    let with = |to, nodes| Seen { to, ..seen(Cause::Switchover, nodes) };
    let all = || vec![(0, master(900)), (1, replica(890)), (2, replica(900)), (3, cut_off(900))];
    assert_eq!(judge(with(None, all())), Ok(2));
    assert_eq!(judge(with(Some("n1"), all())), Ok(1));
    let cases = [
        (Some("n0"), all(), "n0 is the master already"),
        (Some("n9"), all(), "there is no node n9"),
        (Some("n3"), all(), "n3 cannot lead: it is not in sync with the master"),
        (Some("n1"), vec![(0, master(900)), (2, replica(900))], "n1 cannot lead: it does not answer"),
        (None, vec![(1, replica(900))], "the master 127.0.0.0:6379 does not answer"),
        (
            None,
            vec![(0, replica(900)), (1, replica(900))],
            "127.0.0.0:6379 is named master, and reports replica",
        ),
    ];
    for (to, nodes, why) in cases {
        assert_eq!(refusal(with(to, nodes)), why);
    }
}

#[test]
fn a_node_that_cannot_write_its_files_is_handed_over_to_only_by_who_must_leave() {
    let full = || NodeSight { unwritable: true, ..replica(100) };
    let two = |cause, second| judge(seen(cause, vec![(0, full_master()), (1, full()), (2, second)]));
    // All data is waited for: the one that can write is taken, though it is behind.
    for cause in [Cause::Disk, Cause::Switchover, Cause::Stop] {
        assert_eq!(two(cause, replica(90)), Ok(2), "{cause:?}");
    }
    assert!(two(Cause::Disk, full()).is_err());
    assert!(two(Cause::Switchover, full()).is_err());
    assert_eq!(two(Cause::Stop, full()), Ok(1));
    // After a death nothing is waited for: the most data counts, and nothing else.
    assert_eq!(judge(seen(Cause::Crash, vec![(1, full()), (2, replica(90))])), Ok(1));
}

fn full_master() -> NodeSight {
    NodeSight { unwritable: true, ..master(100) }
}
