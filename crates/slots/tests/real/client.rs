//! A small client that follows MOVED and ASK, as the cluster specification asks of clients, and goes on with the node that
//! has answered: after a slot has changed its owner at once (Valkey's own migration, a failover) the old one answers reads
//! for some milliseconds more.

use std::{collections::BTreeMap, time::Duration};

use redoubt_redis::{Connection, Endpoint, Error, Value, cluster::key_slot};
use redoubt_slots::Access;
use tokio::time::{Instant, sleep};

use crate::harness::PATIENCE;

pub(crate) struct Client {
    access: Access,
    entries: Vec<Endpoint>,
    connections: BTreeMap<Endpoint, Connection>,
    owners: BTreeMap<u16, Endpoint>,
    turn: usize,
}

impl Client {
    pub(crate) fn new(access: &Access, entries: Vec<Endpoint>) -> Self {
        Self {
            access: access.clone(),
            entries,
            connections: BTreeMap::new(),
            owners: BTreeMap::new(),
            turn: 0,
        }
    }

    /// The answer, after as many redirections and tries as it takes. Whether any try may have been carried out without
    /// an answer is told as well: then nobody knows what the server did.
    pub(crate) async fn call(&mut self, words: &[&str]) -> (Value, bool) {
        let slot = key_slot(words[1].as_bytes());
        let end = Instant::now() + PATIENCE;
        let (mut asking, mut unsure) = (None, false);
        loop {
            assert!(Instant::now() < end, "no answer to {words:?}");
            let at = asking.clone().or_else(|| self.owners.get(&slot).cloned()).unwrap_or_else(|| {
                self.turn += 1;
                self.entries[self.turn % self.entries.len()].clone()
            });
            let asked = asking.take().is_some();
            let answer = self.once(&at, asked, words).await;
            match answer {
                Ok(value) => {
                    if !asked {
                        self.owners.insert(slot, at);
                    }
                    return (value, unsure);
                }
                Err(Error::Server { code, message, .. }) if code == "MOVED" || code == "ASK" => {
                    let to: Endpoint = message.split_once(' ').unwrap().1.parse().unwrap();
                    if code == "ASK" {
                        asking = Some(to);
                    } else {
                        self.owners.insert(slot, to);
                    }
                }
                Err(Error::Server { code, .. })
                    if ["TRYAGAIN", "CLUSTERDOWN", "LOADING"].contains(&code.as_str()) =>
                {
                    self.owners.remove(&slot);
                    sleep(Duration::from_millis(5)).await;
                }
                Err(error @ Error::Server { .. }) => panic!("{words:?}: {error}"),
                Err(error) => {
                    unsure |= !matches!(error, Error::Connect { .. });
                    self.connections.remove(&at);
                    self.owners.remove(&slot);
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    async fn once(&mut self, at: &Endpoint, asking: bool, words: &[&str]) -> Result<Value, Error> {
        if !self.connections.contains_key(at) {
            let connection = self.access.connect(at).await?;
            self.connections.insert(at.clone(), connection);
        }
        let connection = self.connections.get_mut(at).unwrap();
        if asking {
            let commands = [vec!["ASKING"], words.to_vec()];
            return connection.pipeline(&commands).await?.pop().unwrap();
        }
        connection.call(words).await
    }
}
