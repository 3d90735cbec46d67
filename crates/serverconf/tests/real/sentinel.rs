//! Sentinels keep what they remember and lose what has left the set.

use crate::{net, server::until, set, whole::Whole};
use redoubt_serverconf::{Memory, Stale, plan_sentinel, refresh_sentinel_conf, stale_entries};
use redoubt_wire::config::{SetConfig, Topology};

fn smaller(set: &SetConfig) -> SetConfig {
    let mut smaller = set.clone();
    smaller.nodes.truncate(2);
    if let Topology::Sentinel(config) = &mut smaller.topology {
        config.sentinels.truncate(1);
        config.quorum = 1;
    }
    smaller
}

#[tokio::test]
async fn who_has_left_is_gone_after_a_refresh_and_the_votes_are_kept() {
    let mut whole = Whole::start(set::set_at(&net(), 3, 2), set::secrets()).await;
    whole.named(&whole.set.nodes[0].server, 2).await;
    // A vote, by which the epochs move on.
    let mut agent = whole.agent(&whole.sentinels[0]).await;
    let candidate = "c".repeat(40);
    let master = whole.set.nodes[0].server.clone();
    agent.sentinel_is_master_down_by_addr(&master, 9, Some(&candidate)).await.unwrap();
    assert_eq!(stale_entries(&whole.sentinel_file(0), &whole.set), []);

    let smaller = smaller(&whole.set);
    whole.nodes.remove(2).kill();
    // As long as the master lists it, a Sentinel would learn of it again.
    whole.in_sync(&whole.nodes[0], 1).await;
    whole.sentinels.remove(1).kill();
    whole.sentinels.remove(0).kill();
    let file = whole.sentinel_file(0);
    let stale = stale_entries(&file, &smaller);
    assert!(matches!(&stale[..], [Stale::Replica(_), Stale::Sentinel { .. }]), "{stale:?}");
    let entry = smaller.sentinel().unwrap().sentinels[0].clone();
    let folder = whole.folder(&entry.name);
    let conf =
        refresh_sentinel_conf(&file, &smaller, &entry, &whole.secrets, &entry.server.host, &folder).unwrap();
    whole.set = smaller;
    let again = whole.start_sentinel(0, &conf);
    whole.sentinels.push(again);
    whole.named(&master, 1).await;
    let mut agent = whole.agent(&whole.sentinels[0]).await;
    let vote = agent.sentinel_is_master_down_by_addr(&master, 9, Some(&"d".repeat(40))).await.unwrap();
    assert_eq!(vote.leader_epoch, 9);
    assert_ne!(vote.leader.as_deref(), Some(&"d".repeat(40)[..]), "no second vote in one epoch");
    let memory = Memory::read(&whole.sentinel_file(0), "mymaster").unwrap();
    assert_eq!((memory.epochs.current, memory.epochs.leader), (9, 9));
    assert_eq!(stale_entries(&whole.sentinel_file(0), &whole.set), []);
}

#[tokio::test]
async fn changed_settings_reach_a_running_sentinel_and_its_file() {
    let whole = Whole::start(set::set_at(&net(), 1, 1), set::secrets()).await;
    let mut agent = whole.agent(&whole.sentinels[0]).await;
    let mut new = whole.set.clone();
    if let Topology::Sentinel(config) = &mut new.topology {
        (config.quorum, config.down_after_ms, config.failover_timeout_ms, config.parallel_syncs) =
            (2, 4000, 7000, 3);
    }
    new.access.admin_commands = true;
    let changes = plan_sentinel((&whole.set, &whole.secrets), (&new, &whole.secrets));
    assert_eq!(changes.live.len(), 5);
    for change in &changes.live {
        agent.call(change.call.arguments()).await.unwrap();
    }
    let view = agent.sentinel_master("mymaster").await.unwrap();
    assert_eq!(view.quorum, 2);
    agent.sentinel_flushconfig().await.unwrap();
    until("the file has it", async || {
        let file = whole.sentinel_file(0);
        [
            "down-after-milliseconds mymaster 4000",
            "failover-timeout mymaster 7000",
            "parallel-syncs mymaster 3",
        ]
        .iter()
        .all(|line| file.contains(line))
    })
    .await;
}
