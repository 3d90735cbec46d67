//! What this node knows to outlive its server: the record, kept while the server runs, read before it starts.

use std::path::PathBuf;

use redoubt_redis::Endpoint;
use redoubt_serverconf::files::off_thread;
use redoubt_wire::state::{OnDisk, Record, Replication, found_data_set};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::look::Seen;
use crate::{
    boot::{SentinelAnswer, Survey},
    ids,
    record::{self, Held, RecordError},
};

/// What a newer version of the agent has to know about a server that runs on.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; no two make a state together")]
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Memory {
    data_set: Option<String>,
    epoch: u64,
    bootstrapped: bool,
    persistent: bool,
    joined: bool,
    #[serde(default)]
    aof_to_come: bool,
    #[serde(default)]
    outside: Option<Endpoint>,
}

/// How a server begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Beginning {
    /// As master of the data it has.
    #[default]
    Lead,
    /// As master of a data set that begins with it.
    LeadAnew,
    /// As replica, of a master of this data set if that is known.
    Follow {
        /// The data set.
        data_set: Option<String>,
    },
}

/// A record on its way to the disk, which may take seconds: nothing else is to wait for it.
#[derive(Debug)]
struct Writing {
    record: Record,
    done: JoinHandle<Result<(), RecordError>>,
}

/// The record of this node and what it is made of.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; no two make a state together")]
#[derive(Debug)]
pub(super) struct Durable {
    dir: PathBuf,
    data_set: Option<String>,
    /// Whose data set it is: asked again when another leads.
    data_set_of: Option<Endpoint>,
    epoch: u64,
    on_disk: OnDisk,
    written: Option<Record>,
    writing: Option<Writing>,
    /// The files do not hold what the memory does: a copy is under way, or the append-only file that will hold it is
    /// still being written.
    copying: bool,
    /// The append-only file that will hold the data is not begun yet.
    aof_to_come: bool,
    persistent: bool,
    bootstrapped: bool,
    joined: bool,
    /// The Redis outside of the set that the server follows, or stopped following to be compared with the others.
    outside: Option<Endpoint>,
}

impl Durable {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            data_set: None,
            data_set_of: None,
            epoch: 0,
            on_disk: OnDisk::Unknown,
            written: None,
            writing: None,
            copying: true,
            aof_to_come: false,
            persistent: false,
            bootstrapped: false,
            joined: false,
            outside: None,
        }
    }

    /// Before a start: what the files hold.
    pub(super) async fn reload(&mut self, held: Held) -> Result<OnDisk, RecordError> {
        if let Err(error) = self.finish_writing().await {
            tracing::warn!(%error, "the record may be older than the data");
        }
        let dir = self.dir.clone();
        self.on_disk = off_thread(move || record::load(&dir, held)).await?;
        if let OnDisk::Data(record) = &self.on_disk {
            self.epoch = self.epoch.max(record.epoch);
            self.data_set = Some(record.data_set.clone());
        }
        self.written = None;
        self.copying = true;
        Ok(self.on_disk.clone())
    }

    /// There are files, and no record of them: a data set of its own, which cannot be compared with any other.
    pub(super) fn found(&mut self, node: &str) -> OnDisk {
        let data_set = found_data_set(node);
        self.data_set = Some(data_set.clone());
        self.on_disk = OnDisk::Data(first_record(data_set, 0, false));
        self.on_disk.clone()
    }

    /// The server starts as `beginning` says. What that means for the files is written down before there is anything
    /// in them, so that they can be judged whenever the server dies.
    pub(super) async fn begin(
        &mut self,
        beginning: &Beginning,
        persistent: bool,
        aof_to_come: bool,
    ) -> Result<(), RecordError> {
        self.persistent = persistent;
        self.aof_to_come = aof_to_come;
        self.joined = !matches!(beginning, Beginning::Follow { .. });
        self.bootstrapped |= !self.joined || self.on_disk.record().is_some();
        match beginning {
            Beginning::LeadAnew => {
                let data_set = ids::data_set();
                let record = first_record(data_set.clone(), self.epoch, true);
                if persistent {
                    let (dir, record) = (self.dir.clone(), record.clone());
                    off_thread(move || record::store(&dir, &record)).await?;
                }
                self.data_set = Some(data_set);
                self.on_disk = OnDisk::Data(record);
            }
            Beginning::Follow { data_set } if self.on_disk.record().is_none() => {
                if persistent {
                    let record = first_record(data_set.clone().unwrap_or_default(), self.epoch, false);
                    let dir = self.dir.clone();
                    off_thread(move || record::store_unfinished(&dir, &record)).await?;
                    self.on_disk = OnDisk::UnfinishedCopy;
                }
            }
            Beginning::Follow { .. } | Beginning::Lead => {}
        }
        Ok(())
    }

    /// The data set of a shard begins with this node, whose server runs already.
    pub(super) async fn begin_data_set(&mut self) -> Result<(), RecordError> {
        let data_set = ids::data_set();
        let record = first_record(data_set.clone(), self.epoch, true);
        if self.persistent {
            let (dir, record) = (self.dir.clone(), record.clone());
            off_thread(move || record::store(&dir, &record)).await?;
        }
        self.data_set = Some(data_set);
        self.on_disk = OnDisk::Data(record);
        self.joined = true;
        Ok(())
    }

    /// The server leads. Where nobody has said which data set it holds, that is one of its own from now on; true if so.
    pub(super) fn led_unnamed(&mut self, seen: &Seen) -> bool {
        let unnamed = self.data_set.is_none();
        if unnamed {
            self.data_set = Some(ids::data_set());
            self.saw(seen);
        }
        unnamed
    }

    /// What the successor has to know.
    pub(super) fn memory(&self, persistent: bool) -> Memory {
        Memory {
            data_set: self.data_set.clone(),
            epoch: self.epoch,
            bootstrapped: self.bootstrapped,
            persistent,
            joined: self.joined,
            aof_to_come: self.aof_to_come,
            outside: self.outside.clone(),
        }
    }

    /// Goes on where the predecessor was.
    pub(super) fn resume(&mut self, memory: Memory) {
        self.data_set = memory.data_set;
        self.epoch = self.epoch.max(memory.epoch);
        self.bootstrapped = memory.bootstrapped;
        self.persistent = memory.persistent;
        self.joined = memory.joined;
        self.aof_to_come = memory.aof_to_come;
        self.outside = memory.outside;
    }

    /// Whom the server follows outside of the set; nobody once it has a place in it.
    pub(super) fn outside(&self) -> Option<&Endpoint> {
        self.outside.as_ref()
    }

    /// From now on the server follows this one outside of the set, or nobody outside.
    pub(super) fn set_outside(&mut self, outside: Option<Endpoint>) {
        if self.outside != outside {
            self.data_set_of = None;
            self.outside = outside;
        }
    }

    /// What this node holds was copied from outside of the set, and was whole at some time.
    pub(super) fn holds_copied(&self) -> bool {
        self.on_disk.record().is_some_and(Record::is_copied)
    }

    /// The server follows nobody any more who could have it grow: this is how far its data goes. A copy that was begun
    /// anew, and is not whole, is no part of it.
    pub(super) fn freeze(&mut self, seen: &Seen) {
        if let OnDisk::Data(record) = &mut self.on_disk
            && record.replid == seen.replid
        {
            record.offset = record.offset.max(seen.offset);
        }
    }

    /// The server has been in sync since it started.
    pub(super) fn is_joined(&self) -> bool {
        self.joined
    }

    /// The server is in sync.
    pub(super) fn set_joined(&mut self) {
        self.joined = true;
    }

    /// What the files hold, as others may see it.
    pub(super) fn on_disk(&self) -> &OnDisk {
        &self.on_disk
    }

    /// The files are behind the memory, and will catch up without anybody saying so.
    pub(super) fn is_copying(&self) -> bool {
        self.persistent && self.copying
    }

    /// There has been a master with a replica, so there is something to fence.
    pub(super) fn is_bootstrapped(&self) -> bool {
        self.bootstrapped
    }

    /// Highest epoch heard of.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes in an epoch.
    pub(super) fn heard_epoch(&mut self, epoch: u64) {
        self.epoch = self.epoch.max(epoch);
    }

    /// Takes in the epochs of a survey.
    pub(super) fn heard_survey(&mut self, survey: &Survey) {
        for answer in &survey.sentinels {
            if let SentinelAnswer::Names(_, epoch) = answer {
                self.heard_epoch(*epoch);
            }
        }
    }

    /// The master whose data set is still to be asked for.
    pub(super) fn unknown_master<'a>(&self, seen: &'a Seen) -> Option<&'a Endpoint> {
        match &seen.replication {
            Replication::Replica { master, link_up: true, syncing: false }
                if self.data_set_of.as_ref() != Some(master) =>
            {
                Some(master)
            }
            Replication::Replica { .. } | Replication::Master { .. } => None,
        }
    }

    /// This node is in sync with that master, so it holds that data set.
    pub(super) fn joined(&mut self, data_set: String, master: Endpoint) {
        self.data_set = Some(data_set);
        self.data_set_of = Some(master);
    }

    /// Takes in what the server holds.
    pub(super) fn saw(&mut self, seen: &Seen) {
        let replicas = matches!(&seen.replication, Replication::Master { replicas } if !replicas.is_empty());
        self.bootstrapped |= replicas;
        let syncing = !seen.link_up();
        self.aof_to_come &= !seen.aof_enabled;
        self.copying = syncing || (self.copying && (seen.rewriting || self.aof_to_come));
        let Some(data_set) = self.data_set.clone() else { return };
        if self.copying || self.unknown_master(seen).is_some() {
            return;
        }
        let master = matches!(seen.replication, Replication::Master { .. });
        if master {
            self.data_set_of = None;
        }
        self.on_disk = OnDisk::Data(Record {
            data_set,
            replid: seen.replid.clone(),
            previous: seen.previous.clone(),
            offset: seen.offset,
            epoch: self.epoch,
            master,
            link_up: seen.link_up(),
        });
    }

    /// Has the record written when it is another than the one written last; tells what became of the last try. One that
    /// is under way is not waited for: the next call writes what is true by then.
    pub(super) async fn keep(&mut self) -> Result<(), RecordError> {
        if self.writing.as_ref().is_some_and(|writing| !writing.done.is_finished()) {
            return Ok(());
        }
        self.finish_writing().await?;
        if !self.persistent || self.copying || self.on_disk.record() == self.written.as_ref() {
            return Ok(());
        }
        if let OnDisk::Data(record) = &self.on_disk {
            let page = record::page(&self.dir, record)?;
            let done = tokio::task::spawn_blocking(|| page.write());
            self.writing = Some(Writing { record: record.clone(), done });
        }
        Ok(())
    }

    /// Writes the record and waits until it is on its way.
    pub(super) async fn keep_now(&mut self) -> Result<(), RecordError> {
        self.finish_writing().await?;
        self.keep().await?;
        self.finish_writing().await
    }

    async fn finish_writing(&mut self) -> Result<(), RecordError> {
        let Some(Writing { record, done }) = self.writing.take() else { return Ok(()) };
        done.await.map_err(|error| record::lost(&self.dir, error.into())).flatten()?;
        self.written = Some(record);
        Ok(())
    }
}

/// A record of data that no server has been asked about yet.
fn first_record(data_set: String, epoch: u64, master: bool) -> Record {
    Record { data_set, replid: String::new(), previous: None, offset: 0, epoch, master, link_up: false }
}
