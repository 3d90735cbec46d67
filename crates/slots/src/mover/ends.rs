//! Both ends of a pair: opens, lists and closes many slots with few round trips.
//!
//! The order is that of the cluster specification: IMPORTING at the target before MIGRATING at the source, so that nobody
//! is sent to a node that refuses; NODE at the target before the source, so that the slot always has an owner.
//!
//! A slot without keys is closed only if the source says in the same breath that it is its to give: the word of a master
//! that a failover has made a replica is not that of the clients' master.

use std::time::Duration;

use futures::future::join_all;
use redoubt_redis::{
    Connection, Error, Mismatch, Value,
    cluster::{ClusterNode, ClusterNodes, NodeId, OpenSlotKind},
};
use tokio::time::Instant;

use super::window::{Key, LISTED_KEYS, Work};

/// Sent to a master that has become a replica since it gave away its last slot (cluster-allow-replica-migration).
const ONLY_MASTERS: &str = "only with masters";

/// Names of keys that the source is asked for at one go. It gathers them for some hundred microseconds, and serves nobody
/// else meanwhile: all slots of a window at once made clients wait for 5 ms and more.
const NAMES_AT_ONCE: usize = 1000;
/// For each slot that becomes its own the target tells every node at once, and each of them holds the whole map against its
/// own (`clusterUpdateSlotsConfigWith`, some 0.1 ms), one message after the other: 256 at a time kept the source from its
/// clients for 28 ms.
const CLOSED_AT_ONCE: usize = 32;
/// Valkey 8 and later has the replicas that are online take a change of a slot first, and refuses it after 2 s without their
/// answer (<https://valkey.io/commands/cluster-setslot/>). A replica that has just had its data says so once a second only.
const REPLICAS_LAG: &str = "NOREPLICAS";
/// Tries after that for all slots of a call, as far as its deadline goes: the server waits as long for each.
const LATE_TRIES: usize = 5;
/// One that met nobody who was busy is enough.
const PINGS: usize = 3;
/// Slots whose fill is not known yet.
const SLOTS_AT_FIRST: usize = 4;

/// The connections that change slots.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) source: Connection,
    pub(super) target: Connection,
    /// Masters that are told where a slot went; they would hear of it from the bus as well.
    pub(super) others: Vec<Connection>,
    pub(super) source_id: NodeId,
    pub(super) target_id: NodeId,
}

/// What became of the work.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Slots with keys left at the source.
    pub(super) listed: Vec<(u16, Vec<Key>)>,
    /// Slots that belong to the target now.
    pub(super) closed: Vec<u16>,
}

/// A slot at which it failed, and why.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) slot: u16,
    pub(super) error: Error,
    /// Some slots may have changed their owner at one end only.
    pub(super) while_closing: bool,
}

impl Fault {
    pub(super) fn at(slot: u16, error: Error) -> Self {
        Self { slot, error, while_closing: false }
    }
}

impl Ends {
    /// How long the way to the target and back takes at best.
    pub(super) async fn round_trip(&mut self) -> Result<Duration, Error> {
        let mut least = Duration::MAX;
        for _ in 0..PINGS {
            let begun = Instant::now();
            self.target.call(&["PING"]).await?;
            least = least.min(begun.elapsed());
        }
        Ok(least)
    }

    /// Does it all. A fault leaves slots open, which a later run finishes.
    pub(super) async fn perform(&mut self, work: Work) -> Result<Done, Fault> {
        self.open(&work.open).await?;
        let mut done = Done::default();
        let mut lists = self.list_opened(&work.open).await?;
        let (listed, source) = self.list_and_look(&work).await?;
        lists.extend(listed);
        for (slot, names) in work.open.into_iter().chain(work.list).zip(lists) {
            if names.is_empty() {
                self.is_given(&source, slot)?;
                done.closed.push(slot);
            } else {
                done.listed.push((slot, names));
            }
        }
        self.measure(&mut done.listed).await?;
        match self.close(&done.closed).await {
            Ok(()) => Ok(done),
            Err(fault) => Err(Fault { while_closing: true, ..fault }),
        }
    }

    async fn open(&mut self, slots: &[u16]) -> Result<(), Fault> {
        let (source, target) = (self.source_id.clone(), self.target_id.clone());
        let replies = setslot(&mut self.target, slots, &["IMPORTING", source.as_str()]).await?;
        all_ok(slots, replies)?;
        let replies = setslot(&mut self.source, slots, &["MIGRATING", target.as_str()]).await?;
        all_ok(slots, replies)
    }

    /// A few slots at a time, as many as hold [`NAMES_AT_ONCE`] if they are as full as those before.
    async fn list_opened(&mut self, slots: &[u16]) -> Result<Vec<Vec<Key>>, Fault> {
        let mut lists: Vec<Vec<Key>> = Vec::with_capacity(slots.len());
        let mut at_once = SLOTS_AT_FIRST;
        while let Some(rest) = slots.get(lists.len()..).filter(|rest| !rest.is_empty()) {
            let some = self.list(rest.get(..at_once).unwrap_or(rest)).await?;
            let names: usize = some.iter().map(Vec::len).sum();
            at_once = (NAMES_AT_ONCE * some.len() / names.max(1)).clamp(1, 4 * at_once);
            lists.extend(some);
        }
        Ok(lists)
    }

    async fn list(&mut self, slots: &[u16]) -> Result<Vec<Vec<Key>>, Fault> {
        let replies = pipeline(&mut self.source, slots.first(), &listing(slots)).await?;
        slots.iter().zip(replies).map(|(slot, reply)| names(*slot, reply)).collect()
    }

    /// Lists the slots that were listed before, and has the source say afterwards what it is.
    async fn list_and_look(&mut self, work: &Work) -> Result<(Vec<Vec<Key>>, ClusterNode), Fault> {
        let mut commands = listing(&work.list);
        commands.push(["CLUSTER", "NODES"].map(str::to_owned).to_vec());
        let slot = work.list.first().or(work.open.first()).copied().unwrap_or_default();
        let mut replies = pipeline(&mut self.source, Some(&slot), &commands).await?;
        let said = replies.pop().transpose().map_err(|error| Fault::at(slot, error))?;
        let said = said.unwrap_or(Value::Null);
        let nodes = said.as_str().and_then(ClusterNodes::parse);
        let nodes = nodes.map_err(|mismatch| Fault::at(slot, self.unexpected(mismatch)))?;
        let lists = work.list.iter().zip(replies).map(|(slot, reply)| names(*slot, reply));
        Ok((lists.collect::<Result<_, _>>()?, nodes.myself))
    }

    /// The source still gives this slot to the target, and sends clients there for what it does not have.
    fn is_given(&self, source: &ClusterNode, slot: u16) -> Result<(), Fault> {
        let gives = source.open.iter().any(|open| {
            open.slot == slot && open.kind == OpenSlotKind::Migrating && open.peer == self.target_id
        });
        if source.is_master() && gives {
            return Ok(());
        }
        let found = match &source.master {
            Some(master) => format!("a replica of {}: its slots were taken by a failover", master.short()),
            None => "a master that does not give it, or not to the target".to_owned(),
        };
        let mismatch = Mismatch::new("the master that gives the slot to the target", found);
        Err(Fault::at(slot, self.unexpected(mismatch)))
    }

    fn unexpected(&self, mismatch: Mismatch) -> Error {
        Error::Unexpected { peer: self.source.peer().into(), command: "CLUSTER NODES".to_owned(), mismatch }
    }

    /// Fills in what the keys weigh. One that is gone meanwhile weighs nothing.
    async fn measure(&mut self, listed: &mut [(u16, Vec<Key>)]) -> Result<(), Fault> {
        let keys = || listed.iter().flat_map(|(_, keys)| keys);
        let commands: Vec<Vec<&[u8]>> =
            keys().map(|key| vec![b"MEMORY".as_slice(), b"USAGE", &key.name]).collect();
        let replies = pipeline(&mut self.source, listed.first().map(|(slot, _)| slot), &commands).await?;
        let weights: Vec<u64> = replies
            .into_iter()
            .map(|reply| reply.ok().and_then(|bytes| bytes.as_u64().ok()).unwrap_or(0))
            .collect();
        for (key, bytes) in listed.iter_mut().flat_map(|(_, keys)| keys).zip(weights) {
            key.bytes = bytes;
        }
        Ok(())
    }

    async fn close(&mut self, slots: &[u16]) -> Result<(), Fault> {
        for some in slots.chunks(CLOSED_AT_ONCE) {
            self.close_some(some).await?;
        }
        Ok(())
    }

    /// The source's answer comes when it has taken in what the target broadcast.
    async fn close_some(&mut self, slots: &[u16]) -> Result<(), Fault> {
        let target = self.target_id.clone();
        let words = ["NODE", target.as_str()];
        all_ok(slots, setslot(&mut self.target, slots, &words).await?)?;
        let told = join_all(self.others.iter_mut().map(|other| setslot(other, slots, &words)));
        let (replies, told) = futures::join!(setslot(&mut self.source, slots, &words), told);
        // Who could not be told hears it on the bus; a connection that failed is not used again.
        let well: Vec<bool> = told.iter().map(Result::is_ok).collect();
        let mut well = well.into_iter();
        self.others.retain(|_| well.next().unwrap_or(false));
        for (slot, reply) in slots.iter().zip(replies?) {
            match reply {
                Err(Error::Server { message, .. }) if message.contains(ONLY_MASTERS) => {}
                Err(error) => return Err(Fault::at(*slot, error)),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

/// `CLUSTER GETKEYSINSLOT` for each slot.
fn listing(slots: &[u16]) -> Vec<Vec<String>> {
    let count = LISTED_KEYS.to_string();
    let words =
        |slot: &u16| ["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &count].map(str::to_owned).to_vec();
    slots.iter().map(words).collect()
}

/// What it answered.
fn names(slot: u16, reply: Result<Value, Error>) -> Result<Vec<Key>, Fault> {
    let keys = reply.map_err(|error| Fault::at(slot, error))?.into_array().unwrap_or_default();
    let key = |name: Value| Some(Key { name: name.as_bytes().ok()?.to_vec(), bytes: 0 });
    Ok(keys.into_iter().filter_map(key).collect())
}

/// `CLUSTER SETSLOT slot …` for each slot, again for those whose replicas did not answer in time.
async fn setslot(
    connection: &mut Connection,
    slots: &[u16],
    words: &[&str],
) -> Result<Vec<Result<Value, Error>>, Fault> {
    let command = |slot: &u16| {
        let head = ["CLUSTER", "SETSLOT", &slot.to_string()].map(str::to_owned);
        head.into_iter().chain(words.iter().map(|word| (*word).to_owned())).collect::<Vec<String>>()
    };
    let commands: Vec<_> = slots.iter().map(command).collect();
    let mut replies = pipeline(connection, slots.first(), &commands).await?;
    let late = |reply: &Result<Value, Error>| matches!(reply, Err(Error::Server { code, .. }) if code == REPLICAS_LAG);
    let mut tries = LATE_TRIES;
    for ((slot, command), reply) in slots.iter().zip(&commands).zip(&mut replies) {
        while late(reply) && tries > 0 {
            tries -= 1;
            let again = pipeline(connection, Some(slot), std::slice::from_ref(command)).await?;
            *reply = again.into_iter().next().unwrap_or(Ok(Value::Null));
        }
    }
    Ok(replies)
}

async fn pipeline<A: AsRef<[u8]>>(
    connection: &mut Connection,
    first: Option<&u16>,
    commands: &[Vec<A>],
) -> Result<Vec<Result<Value, Error>>, Fault> {
    let Some(slot) = first.filter(|_| !commands.is_empty()) else { return Ok(Vec::new()) };
    connection.pipeline(commands).await.map_err(|error| Fault::at(*slot, error))
}

fn all_ok(slots: &[u16], replies: Vec<Result<Value, Error>>) -> Result<(), Fault> {
    for (slot, reply) in slots.iter().zip(replies) {
        reply.map_err(|error| Fault::at(*slot, error))?;
    }
    Ok(())
}
