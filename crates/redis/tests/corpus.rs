//! The views against what real servers of every supported version answered; see `corpus/README.md`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::{fs, path::PathBuf};

use redoubt_redis::{
    Endpoint, Message, Mismatch, Value,
    codec::Decoder,
    conf::ConfFile,
    info::{Info, NodeRole},
    rdb::RdbHeader,
    role::{LinkState, Role},
    sentinel::{Event, Hello, MasterView, ReplicaView, SentinelView, Vote},
    version::{Engine, ServerVersion},
};

const VERSIONS: [(&str, Engine, [u32; 3]); 6] = [
    ("redis-6.2.14", Engine::Redis, [6, 2, 14]),
    ("redis-7.0.15", Engine::Redis, [7, 0, 15]),
    ("redis-8.0.2", Engine::Redis, [8, 0, 2]),
    ("valkey-8.1.1", Engine::Valkey, [8, 1, 1]),
    ("valkey-9.0.0", Engine::Valkey, [9, 0, 0]),
    ("valkey-9.1.2", Engine::Valkey, [9, 1, 2]),
];

/// The answers of one version.
struct Corpus {
    folder: PathBuf,
    version: ServerVersion,
}

fn corpora() -> impl Iterator<Item = Corpus> {
    VERSIONS.into_iter().map(|(folder, engine, [major, minor, patch])| Corpus {
        folder: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder),
        version: ServerVersion::new(engine, major, minor, patch),
    })
}

impl Corpus {
    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap()
    }

    fn info(&self, name: &str) -> Info {
        Info::parse(self.text(name))
    }

    fn values(&self, name: &str) -> Vec<Value> {
        let mut decoder = Decoder::default();
        decoder.buffer_mut().extend_from_slice(&fs::read(self.folder.join(name)).unwrap());
        std::iter::from_fn(|| decoder.next_value().unwrap()).collect()
    }

    fn one(&self, name: &str) -> Value {
        let mut values = self.values(name);
        assert_eq!(values.len(), 1, "{}/{name}", self.folder.display());
        values.remove(0)
    }

    fn list<T>(&self, name: &str, read: impl Fn(Value) -> Result<T, Mismatch>) -> Vec<T> {
        self.one(name).into_array().unwrap().into_iter().map(|item| read(item).unwrap()).collect()
    }
}

fn node(number: u8) -> Endpoint {
    Endpoint::new(format!("127.0.0.{number}"), 6379)
}

#[test]
fn every_server_says_its_version_twice_alike() {
    for corpus in corpora() {
        assert_eq!(ServerVersion::from_version_output(&corpus.text("version.txt")), Ok(corpus.version));
        for name in ["info-master.txt", "info-default.txt", "info-replica.txt", "info-sentinel.txt"] {
            assert_eq!(corpus.info(name).version(), Some(corpus.version), "{name}");
        }
        let server = corpus.info("info-master.txt").server();
        assert_eq!(server.mode.as_deref(), Some("standalone"), "{}", corpus.version);
        assert!(server.run_id.is_some_and(|id| id.len() == 40) && server.uptime_s.is_some());
    }
}

#[test]
fn a_master_names_its_replicas_and_its_history() {
    for corpus in corpora() {
        let master = corpus.info("info-master.txt").replication().unwrap();
        assert_eq!((master.role, &master.master, master.link_up), (NodeRole::Master, &None, None));
        assert!(master.replicas.iter().all(|replica| replica.is_online() && replica.lag.is_some()));
        let mut endpoints: Vec<_> = master.replicas.into_iter().map(|replica| replica.endpoint).collect();
        endpoints.sort();
        assert_eq!(endpoints, [node(2), node(3)], "{}", corpus.version);
        assert_eq!((master.master_replid2, master.second_repl_offset), (None, None));
    }
}

#[test]
fn a_replica_tells_a_link_that_is_up_from_one_that_is_down() {
    for corpus in corpora() {
        let replica = corpus.info("info-replica.txt").replication().unwrap();
        assert_eq!((replica.role, replica.master.as_ref()), (NodeRole::Replica, Some(&node(1))));
        assert_eq!(
            (replica.link_up, replica.syncing, replica.priority),
            (Some(true), Some(false), Some(100))
        );
        assert!(replica.last_io_s.is_some() && replica.slave_repl_offset.is_some_and(|offset| offset > 0));

        let down = corpus.info("info-replica-down.txt").replication().unwrap();
        assert_eq!((down.link_up, down.last_io_s), (Some(false), None), "{}", corpus.version);
        assert!(down.link_down_since_s.is_some() && down.offset() >= replica.offset());
    }
}

#[test]
fn a_promoted_replica_keeps_the_history_before() {
    for corpus in corpora() {
        let before = corpus.info("info-replica.txt").replication().unwrap();
        let promoted = corpus.info("info-promoted.txt").replication().unwrap();
        assert_eq!(promoted.master_replid2, Some(before.master_replid), "{}", corpus.version);
        assert!(promoted.second_repl_offset.unwrap() <= promoted.master_repl_offset + 1);
    }
}

#[test]
fn persistence_usage_and_keys_are_read_from_every_version() {
    for corpus in corpora() {
        let info = corpus.info("info-master.txt");
        let persistence = info.persistence();
        assert_eq!((persistence.loading, persistence.aof_enabled), (Some(false), Some(true)));
        assert_eq!(
            (persistence.rdb_last_bgsave_ok, persistence.aof_last_bgrewrite_ok),
            (Some(true), Some(true))
        );
        assert_eq!(persistence.rdb_saves.is_some(), corpus.version.has_redis(7, 0), "{}", corpus.version);
        assert_eq!(info.keys(), 2);
        assert_eq!(info.databases()[0].expires, 1);
        assert_eq!(info.stats().sync_full, Some(2));
        assert_eq!(info.memory().max, Some(0));
        assert!(info.clients().connected.is_some_and(|connected| connected > 0));
    }
}

#[test]
fn role_is_read_from_every_version() {
    for corpus in corpora() {
        let Role::Master { offset, replicas } = Role::from_value(corpus.one("role-master.resp")).unwrap()
        else {
            panic!("{} is no master", corpus.version)
        };
        assert!(offset > 0 && replicas.len() == 2 && replicas[0].offset > 0);
        let connected = Role::from_value(corpus.one("role-replica.resp")).unwrap();
        assert!(matches!(
            &connected,
            Role::Replica { state: LinkState::Connected, offset: Some(1..), .. } if connected.master() == Some(&node(1))
        ));
        let down = Role::from_value(corpus.one("role-replica-down.resp")).unwrap();
        assert!(!matches!(down, Role::Replica { state: LinkState::Connected, .. }), "{down:?}");
        let sentinel = Role::from_value(corpus.one("role-sentinel.resp")).unwrap();
        assert_eq!(sentinel, Role::Sentinel { masters: vec!["mymaster".to_owned()] });
    }
}

#[test]
fn a_sentinels_view_of_its_master_is_read_from_every_version() {
    for corpus in corpora() {
        let master = MasterView::from_value(corpus.one("sentinel-master.resp")).unwrap();
        assert_eq!((master.name.as_str(), &master.endpoint), ("mymaster", &node(1)));
        assert_eq!((master.quorum, master.num_replicas, master.num_other_sentinels), (2, 2, 1));
        assert_eq!((master.votes_needed(), master.config_epoch), (2, 0));
        assert_eq!(master.role_reported.as_deref(), Some("master"));
        assert!(!master.flags.s_down() && !master.flags.o_down());
        assert_eq!(corpus.list("sentinel-masters.resp", MasterView::from_value).len(), 1);

        let down = MasterView::from_value(corpus.one("sentinel-master-down.resp")).unwrap();
        assert!(down.flags.s_down() && down.flags.o_down(), "{}: {}", corpus.version, down.flags);
    }
}

#[test]
fn a_sentinels_view_of_replicas_and_peers_is_read_from_every_version() {
    for corpus in corpora() {
        let replicas = corpus.list("sentinel-replicas.resp", ReplicaView::from_value);
        let mut endpoints: Vec<_> = replicas.iter().map(|replica| replica.endpoint.clone()).collect();
        endpoints.sort();
        assert_eq!(endpoints, [node(2), node(3)]);
        assert!(replicas.iter().all(|replica| replica.priority == Some(100)));
        assert!(replicas.iter().any(|replica| replica.master_link_up && replica.master == Some(node(1))));

        let after = corpus.list("sentinel-replicas-after.resp", ReplicaView::from_value);
        assert_eq!(after.len(), 2);

        let peers = corpus.list("sentinel-sentinels.resp", SentinelView::from_value);
        assert_eq!(peers.len(), 1);
        assert_eq!(peers[0].endpoint, Endpoint::new("127.0.0.12", 26379));
        assert!(peers[0].id.as_ref().is_some_and(|id| id.len() == 40) && peers[0].last_hello.is_some());
    }
}

#[test]
fn a_vote_names_its_candidate_and_a_mere_question_none() {
    for corpus in corpora() {
        let asked = Vote::from_value(&corpus.one("is-master-down.resp")).unwrap();
        assert_eq!(asked, Vote { down: false, leader: None, leader_epoch: 0 });
        let vote = Vote::from_value(&corpus.one("is-master-down-vote.resp")).unwrap();
        assert_eq!((vote.leader, vote.leader_epoch), (Some("a".repeat(40)), 9), "{}", corpus.version);
    }
}

#[test]
fn what_sentinels_publish_during_a_failover_tells_epoch_vote_and_new_master() {
    for corpus in corpora() {
        let messages: Vec<Message> = corpus.values("messages.resp").into_iter().filter_map(message).collect();
        let hello: Hello = messages[0].text().parse().unwrap();
        assert_eq!((&hello.master, hello.master_name.as_str()), (&node(1), "mymaster"));
        assert_eq!(hello.to_string(), messages[0].text());

        let events: Vec<Event> =
            messages.iter().filter_map(|message| Event::read(message).unwrap()).collect();
        assert!(events.contains(&Event::NewEpoch { epoch: 1 }), "{}: {events:?}", corpus.version);
        assert!(events.iter().any(|event| matches!(event, Event::VoteForLeader { epoch: 1, .. })));
        let switch = events.last().unwrap();
        assert!(
            matches!(switch, Event::SwitchMaster { name, from, to } if name == "mymaster" && *from == node(1) && to != from)
        );
    }
}

/// The published message in a `message` or `pmessage` reply.
fn message(value: Value) -> Option<Message> {
    let items = value.into_array().unwrap();
    let text = |index: usize| items[items.len() - index].as_str().unwrap().to_owned();
    let published = items[0].as_str().unwrap().ends_with("message");
    published.then(|| Message { channel: text(2), payload: text(1).into() })
}

#[test]
fn a_protocol_3_conversation_is_read_to_its_end() {
    for corpus in corpora() {
        let values = corpus.values("resp3.resp");
        let [Value::Map(hello), Value::Map(save), Value::Null, Value::Array(command), keyspace] = &values[..]
        else {
            panic!("{}: {values:?}", corpus.version)
        };
        assert!(hello.contains(&(Value::bulk("proto"), Value::Integer(3))));
        assert_eq!(save[..], [(Value::bulk("save"), Value::bulk("3600 1"))]);
        assert_eq!(command.len(), 1);
        assert_eq!(Info::parse(keyspace.as_str().unwrap()).keys(), 2);
    }
}

#[test]
fn all_directives_come_as_pairs() {
    for corpus in corpora() {
        let pairs = corpus.one("config-get.resp").into_pairs().unwrap();
        assert!(pairs.len() > 100);
        assert!(pairs.contains(&(Value::bulk("appendonly"), Value::bulk("yes"))), "{}", corpus.version);
    }
}

#[test]
fn the_head_of_an_rdb_file_says_whose_data_it_is() {
    for corpus in corpora() {
        let before = corpus.info("info-replica.txt").replication().unwrap();
        for name in ["master.rdb", "replica.rdb"] {
            let header = RdbHeader::read(fs::File::open(corpus.folder.join(name)).unwrap()).unwrap();
            let numbers = header
                .server_version
                .and_then(|text| ServerVersion::from_numbers(corpus.version.engine, &text));
            assert_eq!(numbers, Some(corpus.version));
            assert_eq!(header.repl_id.as_ref(), Some(&before.master_replid), "{} {name}", corpus.version);
            assert!(
                header.repl_offset.is_some_and(|offset| offset > 0)
                    && header.ctime.is_some()
                    && !header.aof_base
            );
        }
    }
}

#[test]
fn files_that_servers_wrote_are_read_and_come_back_as_they_were() {
    for corpus in corpora() {
        for name in ["redis.conf", "sentinel.conf"] {
            let text = corpus.text(name);
            let file: ConfFile = text.parse().unwrap();
            assert_eq!(file.to_string(), text, "{} {name}", corpus.version);
        }
        let file: ConfFile = corpus.text("sentinel.conf").parse().unwrap();
        assert_eq!(file.all(&["sentinel", "known-replica", "mymaster"]).count(), 2);
        let [host, port, id] = file.get(&["sentinel", "known-sentinel", "mymaster"]).unwrap() else {
            panic!()
        };
        assert_eq!((host.as_str(), port.as_str(), id.len()), ("127.0.0.12", "26379", 40));
        assert_eq!(file.get(&["sentinel", "auth-pass", "mymaster"]).unwrap(), ["hidden"]);
    }
}
