//! The commands to Sentinels, and an election through to the announcement.

use redoubt_redis::{
    Connection, Endpoint,
    role::Role,
    sentinel::{CHANNELS, Event, Hello},
};

use crate::{
    commands::linked,
    server::{Server, until},
};

const CANDIDATE: &str = "cccccccccccccccccccccccccccccccccccccccc";

/// A master, a replica and two Sentinels that know each other.
struct Set {
    master: Server,
    replica: Server,
    sentinels: [Server; 2],
}

impl Set {
    async fn start() -> Self {
        let master = Server::start(&["--save", "", "--repl-diskless-sync-delay", "0"]);
        let replica = master.replica();
        linked(&replica).await;
        let sentinels = [master.sentinel(2), master.sentinel(2)];
        for sentinel in &sentinels {
            until("the Sentinel knows everybody", async || {
                let view = sentinel.connect().await.sentinel_master("mymaster").await.unwrap();
                (view.num_other_sentinels, view.num_replicas) == (1, 1)
            })
            .await;
        }
        Self { master, replica, sentinels }
    }

    async fn sentinel(&self, number: usize) -> Connection {
        self.sentinels[number].connect().await
    }
}

#[tokio::test]
async fn a_sentinel_tells_what_it_knows() {
    let set = Set::start().await;
    let mut sentinel = set.sentinel(0).await;
    assert_eq!(
        sentinel.sentinel_get_master_addr("mymaster").await.unwrap(),
        Some(set.master.endpoint.clone())
    );
    assert_eq!(sentinel.sentinel_get_master_addr("nobody").await.unwrap(), None);
    assert!(sentinel.sentinel_master("nobody").await.unwrap_err().is_answer());

    assert_eq!(sentinel.sentinel_masters().await.unwrap().len(), 1);
    let replicas = sentinel.sentinel_replicas("mymaster").await.unwrap();
    assert_eq!(replicas[0].endpoint, set.replica.endpoint);
    let others = sentinel.sentinel_sentinels("mymaster").await.unwrap();
    assert_eq!(others[0].endpoint, set.sentinels[1].endpoint);
    assert_eq!(others[0].id, Some(set.sentinel(1).await.sentinel_myid().await.unwrap()));

    assert!(sentinel.sentinel_ckquorum("mymaster").await.unwrap().ok);
    sentinel.sentinel_set("mymaster", &[("quorum", "3")]).await.unwrap();
    let too_few = sentinel.sentinel_ckquorum("mymaster").await.unwrap();
    assert!(!too_few.ok && too_few.message.contains("usable"), "{}", too_few.message);
    assert_eq!(sentinel.role().await.unwrap(), Role::Sentinel { masters: vec!["mymaster".to_owned()] });
    assert!(sentinel.info(None).await.unwrap().replication().is_err());
    sentinel.sentinel_flushconfig().await.unwrap();
}

#[tokio::test]
async fn a_master_can_be_forgotten_and_watched_again() {
    let master = Server::start(&["--save", ""]);
    let sentinel = master.sentinel(1);
    let mut connection = sentinel.connect().await;
    connection.sentinel_remove("mymaster").await.unwrap();
    assert_eq!(connection.sentinel_masters().await.unwrap().len(), 0);
    connection.sentinel_monitor("mymaster", &master.endpoint, 1).await.unwrap();
    assert_eq!(connection.sentinel_master("mymaster").await.unwrap().votes_needed(), 1);
}

#[tokio::test]
async fn a_vote_is_given_once_an_epoch_and_an_announcement_moves_the_master() {
    let set = Set::start().await;
    let mut listener = set.sentinel(0).await.subscribe(&CHANNELS).await.unwrap();
    let mut connections = [set.sentinel(0).await, set.sentinel(1).await];
    let mut ids = Vec::new();
    for connection in &mut connections {
        let ask = Some(CANDIDATE);
        let vote = connection.sentinel_is_master_down_by_addr(&set.master.endpoint, 1, ask).await.unwrap();
        assert_eq!((vote.down, vote.leader.as_deref(), vote.leader_epoch), (false, Some(CANDIDATE), 1));
        ids.push(connection.sentinel_myid().await.unwrap());
    }
    let late = Some("dddddddddddddddddddddddddddddddddddddddd");
    let vote = connections[0].sentinel_is_master_down_by_addr(&set.master.endpoint, 1, late).await.unwrap();
    assert_eq!(vote.leader.as_deref(), Some(CANDIDATE));

    set.replica.connect().await.replicaof(None).await.unwrap();
    for number in [0, 1] {
        let hello = hello(&set.sentinels[1 - number].endpoint, &ids[1 - number], &set.replica.endpoint);
        connections[number].sentinel_hello(&hello).await.unwrap();
        let named = connections[number].sentinel_get_master_addr("mymaster").await.unwrap();
        assert_eq!(named, Some(set.replica.endpoint.clone()));
    }
    let mut events = Vec::new();
    while !matches!(events.last(), Some(Event::SwitchMaster { .. })) {
        events.extend(Event::read(&listener.next().await.unwrap()).unwrap());
    }
    let (from, to) = (set.master.endpoint.clone(), set.replica.endpoint.clone());
    assert_eq!(
        events,
        [
            Event::NewEpoch { epoch: 1 },
            Event::VoteForLeader { id: CANDIDATE.to_owned(), epoch: 1 },
            Event::SwitchMaster { name: "mymaster".to_owned(), from, to },
        ]
    );
}

fn hello(sentinel: &Endpoint, id: &str, master: &Endpoint) -> Hello {
    Hello {
        sentinel: sentinel.clone(),
        id: id.to_owned(),
        epoch: 1,
        master_name: "mymaster".to_owned(),
        master: master.clone(),
        config_epoch: 1,
    }
}
