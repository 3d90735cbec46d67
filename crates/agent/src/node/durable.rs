//! What this node knows to outlive its server: the record, kept while the server runs, read before it starts.

use std::path::PathBuf;

use redoubt_redis::Endpoint;
use redoubt_wire::state::{Record, Replication};

use serde::{Deserialize, Serialize};

use super::look::Seen;
use crate::{
    boot::{SentinelAnswer, Survey},
    ids,
    record::{self, Held, RecordError},
};

/// What a newer version of the agent has to know about a server that runs on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Memory {
    data_set: Option<String>,
    epoch: u64,
    bootstrapped: bool,
    persistent: bool,
    joined: bool,
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
    record: Option<Record>,
    written: Option<Record>,
    /// The files do not hold what the memory does: a copy is under way, or the append-only file that will hold it is
    /// still being written.
    copying: bool,
    persistent: bool,
    bootstrapped: bool,
    joined: bool,
}

impl Durable {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            data_set: None,
            data_set_of: None,
            epoch: 0,
            record: None,
            written: None,
            copying: true,
            persistent: false,
            bootstrapped: false,
            joined: false,
        }
    }

    /// Before a start: what the files hold.
    pub(super) fn reload(&mut self, held: Held) -> Result<Option<Record>, RecordError> {
        let record = record::load(&self.dir, held)?;
        if let Some(record) = &record {
            self.epoch = self.epoch.max(record.epoch);
            self.data_set = Some(record.data_set.clone());
        }
        self.record.clone_from(&record);
        self.written = None;
        self.copying = true;
        Ok(record)
    }

    /// There are files, and no record of them: a data set of its own, which cannot be compared with any other.
    pub(super) fn found(&mut self, node: &str) -> Option<Record> {
        let data_set = format!("found-at-{node}");
        self.data_set = Some(data_set.clone());
        self.record = Some(Record {
            data_set,
            replid: String::new(),
            previous: None,
            offset: 0,
            epoch: 0,
            master: false,
            link_up: false,
        });
        self.record.clone()
    }

    /// The server starts; what it will hold is kept in files, or not.
    pub(super) fn begin(&mut self, new_data_set: bool, follows: bool, persistent: bool) {
        self.persistent = persistent;
        self.joined = !follows;
        self.bootstrapped |= follows || self.record.is_some();
        if new_data_set {
            self.data_set = Some(ids::data_set());
        }
    }

    /// What the successor has to know.
    pub(super) fn memory(&self, persistent: bool) -> Memory {
        Memory {
            data_set: self.data_set.clone(),
            epoch: self.epoch,
            bootstrapped: self.bootstrapped,
            persistent,
            joined: self.joined,
        }
    }

    /// Goes on where the predecessor was.
    pub(super) fn resume(&mut self, memory: Memory) {
        self.data_set = memory.data_set;
        self.epoch = self.epoch.max(memory.epoch);
        self.bootstrapped = memory.bootstrapped;
        self.persistent = memory.persistent;
        self.joined = memory.joined;
    }

    /// The server has been in sync since it started.
    pub(super) fn is_joined(&self) -> bool {
        self.joined
    }

    /// The server is in sync.
    pub(super) fn set_joined(&mut self) {
        self.joined = true;
    }

    /// The record as others may see it.
    pub(super) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
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
        self.copying = syncing || (self.copying && seen.rewriting);
        let Some(data_set) = self.data_set.clone() else { return };
        if self.copying || self.unknown_master(seen).is_some() {
            return;
        }
        let master = matches!(seen.replication, Replication::Master { .. });
        if master {
            self.data_set_of = None;
        }
        self.record = Some(Record {
            data_set,
            replid: seen.replid.clone(),
            previous: seen.previous.clone(),
            offset: seen.offset,
            epoch: self.epoch,
            master,
            link_up: seen.link_up(),
        });
    }

    /// Writes the record when it is another than the one written last.
    pub(super) fn keep(&mut self) -> Result<(), RecordError> {
        if !self.persistent || self.copying || self.record == self.written {
            return Ok(());
        }
        if let Some(record) = &self.record {
            record::store(&self.dir, record)?;
            self.written.clone_from(&self.record);
        }
        Ok(())
    }
}
