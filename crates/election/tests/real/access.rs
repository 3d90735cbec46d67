//! Passwords everywhere, and users who may do no more than they need.

use std::time::Duration;

use redoubt_election::{Verdict, change_master};
use redoubt_redis::Credentials;
use redoubt_wire::failover::Cause;

use crate::{
    agents::Agents,
    harness::{Lab, Shape},
    writers::Writers,
};

/// What the agents' user needs at a node.
const AGENT_AT_NODE: &str = "user agent on >agent-secret ~* resetchannels &__sentinel__:hello +ping +info +role \
                             +replicaof +client|pause +client|unpause +client|kill +config|get +config|set +publish \
                             +set +exists";
/// And at a Sentinel.
const AGENT_AT_SENTINEL: &str = "user agent on >agent-secret resetchannels &__sentinel__:hello &+switch-master &+vote-for-leader &+new-epoch \
     +ping +sentinel|master +sentinel|myid +sentinel|sentinels +sentinel|replicas +sentinel|get-master-addr-by-name \
     +sentinel|is-master-down-by-addr +sentinel|ckquorum +publish +subscribe";
const SENTINEL_AT_NODE: &str = "user sentinel on >sentinel-secret resetchannels &__sentinel__:hello +multi +exec +slaveof +ping +subscribe +publish \
     +info +role +config|rewrite +client|setname +client|kill +script|kill";
const REPLICATION_AT_NODE: &str = "user replication on >replication-secret +psync +replconf +ping";

fn shape() -> Shape {
    let agent = || Some(Credentials { user: Some("agent".to_owned()), password: "agent-secret".into() });
    Shape {
        node_lines: format!(
            "user default off\n{AGENT_AT_NODE}\n{SENTINEL_AT_NODE}\n{REPLICATION_AT_NODE}\nmasteruser replication\n\
             masterauth replication-secret"
        ),
        sentinel_lines: format!(
            "requirepass sentinel-password\nsentinel sentinel-pass sentinel-password\n{AGENT_AT_SENTINEL}\n\
             sentinel auth-user mymaster sentinel\nsentinel auth-pass mymaster sentinel-secret"
        ),
        credentials: [agent(), agent()],
        ..Shape::default()
    }
}

#[tokio::test]
async fn users_with_the_least_rights_crash_and_hand_over() {
    let mut lab = Lab::shaped(shape()).await;
    let writers = Writers::start(&lab, 2).await;
    let report = change_master(&lab.context(0), lab.request(Cause::Switchover, 0)).await;
    assert_eq!(report.verdict, Verdict::Done, "{report:?}");
    let first = lab.index_of(report.failover.new_master.as_ref().unwrap());
    lab.whole(first).await;

    let request = lab.request(Cause::Crash, first);
    lab.nodes[first].kill();
    let report = change_master(&lab.context(first), request).await;
    assert_eq!(report.verdict, Verdict::Done, "{report:?}");
    let second = lab.index_of(report.failover.new_master.as_ref().unwrap());
    writers.go_on(Duration::from_millis(200)).await;
    lab.start_node(first, Some(second));
    lab.whole(second).await;
    let outcome = writers.finish(&lab, second).await;
    outcome.lost_no_more_than_a_kill_does();
}

#[tokio::test]
async fn users_with_the_least_rights_can_listen_and_rescue() {
    let mut lab = Lab::shaped(shape()).await;
    let _agents = Agents::start(&lab, &[1, 2]);
    // They must have begun to listen.
    tokio::time::sleep(Duration::from_millis(300)).await;
    lab.nodes[0].kill();
    let began = std::time::Instant::now();
    while lab.named_by_all().await.is_none_or(|named| named == 0) {
        assert!(began.elapsed() < Duration::from_secs(5), "nobody came to the rescue before Sentinel");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("a master gone together with its agent: {:?}", began.elapsed());
}
