//! The record beside the data: what the files of this node hold, for the comparison after a total outage.
//!
//! A server that loads an append-only file comes back with offset 0 and a new replication id, so it cannot say itself
//! how far its data goes. The agent writes that down once a second while it moves, together with the size of the
//! append-only file at that moment: bytes appended later are replication stream that the record had not seen.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use redoubt_redis::rdb::RdbHeader;
use redoubt_wire::state::{OnDisk, Record};
use serde::{Deserialize, Serialize};

/// Name of the file in the data folder.
const FILE: &str = "redoubt-record.json";

/// What makes the data of a node, the record included.
pub(crate) const FILES: [&str; 4] = ["dump.rdb", "appendonly.aof", "appendonlydir", FILE];

/// Which files a server will load when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// The append-only file.
    Aof,
    /// The snapshot.
    Rdb,
    /// Neither: the data is gone when the process is.
    Nothing,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    record: Record,
    /// Size of the append-only file when the offset was read, bytes.
    aof_bytes: u64,
    /// The record is of a copy that was about to begin.
    #[serde(default)]
    unfinished: bool,
}

/// The record could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the record {path} cannot be {doing}: {source}; check the data folder's disk and permissions")]
pub(crate) struct RecordError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

/// Reads what the files in `dir` hold. A record whose files are missing is void.
pub(crate) fn load(dir: &Path, held: Held) -> Result<OnDisk, RecordError> {
    let Some(stored) = read(dir)? else { return Ok(OnDisk::Nothing) };
    match held {
        Held::Nothing => Ok(OnDisk::Nothing),
        Held::Aof if stored.unfinished => Ok(OnDisk::UnfinishedCopy),
        Held::Aof => aof_record(dir, stored),
        Held::Rdb => rdb_record(dir, stored),
    }
}

fn read(dir: &Path) -> Result<Option<Stored>, RecordError> {
    let path = dir.join(FILE);
    let fault = |source| RecordError { path: path.clone(), doing: "read", source };
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| fault(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(error)),
    }
}

fn aof_record(dir: &Path, stored: Stored) -> Result<OnDisk, RecordError> {
    if !has_aof(dir) {
        return Ok(OnDisk::Nothing);
    }
    let now = aof_bytes(dir).map_err(|source| RecordError {
        path: dir.join(FILE),
        doing: "compared with the append-only file",
        source,
    })?;
    let appended = now.saturating_sub(stored.aof_bytes);
    Ok(OnDisk::Data(Record { offset: stored.record.offset + appended, ..stored.record }))
}

/// What a snapshot holds, it says itself: the replication id and offset at which it was taken. It is put in place as a
/// whole, so the one of a copy that ended before anybody saw it is as good as any other.
fn rdb_record(dir: &Path, stored: Stored) -> Result<OnDisk, RecordError> {
    let Stored { record, unfinished, .. } = stored;
    let path = dir.join("dump.rdb");
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        // What was never saved is lost with the process: those who keep snapshots only have chosen that.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(OnDisk::Nothing),
        Err(source) => return Err(RecordError { path, doing: "compared with dump.rdb", source }),
    };
    let header = RdbHeader::read(file).map_err(|fault| RecordError {
        path,
        doing: "compared with dump.rdb",
        source: io::Error::other(fault),
    })?;
    Ok(match (header.repl_id, header.repl_offset) {
        _ if unfinished && record.data_set.is_empty() => OnDisk::UnfinishedCopy,
        (Some(replid), Some(offset)) => OnDisk::Data(Record { previous: None, replid, offset, ..record }),
        // A master that never had a replica takes its snapshots without them.
        _ => OnDisk::Data(Record { offset: 0, ..record }),
    })
}

/// Writes the record, whole or not at all.
pub(crate) fn store(dir: &Path, record: &Record) -> Result<(), RecordError> {
    page(dir, record)?.write()
}

/// A record as it stands now beside the files it goes with, to be written when the disk has time.
pub(crate) fn page(dir: &Path, record: &Record) -> Result<Page, RecordError> {
    Page::new(dir, record, false)
}

/// Writes that a folder without data is about to get a copy of the data set in `record`. Until [`store`] replaces it,
/// what an append-only file holds is nothing anybody could count on.
pub(crate) fn store_unfinished(dir: &Path, record: &Record) -> Result<(), RecordError> {
    Page::new(dir, record, true)?.write()
}

/// The thread that wrote the record ended without a word.
pub(crate) fn lost(dir: &Path, source: io::Error) -> RecordError {
    RecordError { path: dir.join(FILE), doing: "written", source }
}

/// What is to be written.
pub(crate) struct Page {
    path: PathBuf,
    text: Vec<u8>,
}

impl Page {
    fn new(dir: &Path, record: &Record, unfinished: bool) -> Result<Self, RecordError> {
        let path = dir.join(FILE);
        let fault = |source| RecordError { path: path.clone(), doing: "written", source };
        let stored = Stored { record: record.clone(), aof_bytes: aof_bytes(dir).map_err(fault)?, unfinished };
        let text = serde_json::to_vec(&stored).map_err(|error| fault(error.into()))?;
        Ok(Self { path, text })
    }

    /// Writes it, whole or not at all; takes as long as the disk does.
    pub(crate) fn write(self) -> Result<(), RecordError> {
        let new = self.path.with_extension("json.new");
        let written = fs::write(&new, self.text).and_then(|()| fs::rename(&new, &self.path));
        written.map_err(|source| RecordError { path: self.path, doing: "written", source })
    }
}

/// Bytes of the append-only file: one file up to Redis 6.2, the increments of a folder since 7.0.
fn aof_bytes(dir: &Path) -> io::Result<u64> {
    let mut bytes = size(&dir.join("appendonly.aof"))?;
    let folder = match fs::read_dir(dir.join("appendonlydir")) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(bytes),
        Err(error) => return Err(error),
    };
    for entry in folder {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".incr.aof") {
            bytes += size(&entry.path())?;
        }
    }
    Ok(bytes)
}

/// This node has held data before: its server was seen with some.
pub(crate) fn held_data(dir: &Path) -> Result<bool, RecordError> {
    Ok(read(dir)?.is_some_and(|stored| !stored.record.replid.is_empty()))
}

/// There is an append-only file of either kind, be it empty.
fn has_aof(dir: &Path) -> bool {
    dir.join("appendonly.aof").exists() || dir.join("appendonlydir").join("appendonly.aof.manifest").exists()
}

/// There are files that hold something.
pub(crate) fn has_data(dir: &Path) -> bool {
    has_snapshot(dir) || aof_bytes(dir).is_ok_and(|bytes| bytes > 0)
}

/// There is a snapshot that may hold something.
pub(crate) fn has_snapshot(dir: &Path) -> bool {
    size(&dir.join("dump.rdb")).is_ok_and(|bytes| bytes > 0)
}

fn size(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(data) => Ok(data.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            data_set: "d".into(),
            replid: "r".into(),
            previous: None,
            offset: 1000,
            epoch: 3,
            master: true,
            link_up: false,
        }
    }

    #[test]
    fn what_was_appended_after_the_record_counts() {
        let dir = tempfile::tempdir().unwrap();
        let aof = dir.path().join("appendonlydir");
        fs::create_dir(&aof).unwrap();
        fs::write(aof.join("appendonly.aof.1.incr.aof"), [0; 50]).unwrap();
        store(dir.path(), &record()).unwrap();
        fs::write(aof.join("appendonly.aof.1.incr.aof"), [0; 80]).unwrap();
        fs::write(aof.join("appendonly.aof.manifest"), "file").unwrap();
        let expected = Record { offset: 1030, ..record() };
        assert_eq!(load(dir.path(), Held::Aof).unwrap(), OnDisk::Data(expected));
    }

    #[test]
    fn without_files_the_record_is_void() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path(), Held::Aof).unwrap(), OnDisk::Nothing);
        store(dir.path(), &record()).unwrap();
        for held in [Held::Nothing, Held::Aof, Held::Rdb] {
            assert_eq!(load(dir.path(), held).unwrap(), OnDisk::Nothing);
        }
    }

    #[test]
    fn a_copy_that_was_cut_off_is_not_taken_for_data() {
        let dir = tempfile::tempdir().unwrap();
        store_unfinished(dir.path(), &Record { replid: String::new(), ..record() }).unwrap();
        fs::write(dir.path().join("appendonly.aof"), [0; 50]).unwrap();
        assert_eq!(load(dir.path(), Held::Aof).unwrap(), OnDisk::UnfinishedCopy);
        assert_eq!(load(dir.path(), Held::Rdb).unwrap(), OnDisk::Nothing);
        assert!(!held_data(dir.path()).unwrap());
        store(dir.path(), &record()).unwrap();
        assert_eq!(load(dir.path(), Held::Aof).unwrap(), OnDisk::Data(record()));
        assert!(held_data(dir.path()).unwrap());
    }

    #[test]
    fn an_empty_folder_and_an_untouched_append_only_file_hold_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!has_data(dir.path()));
        let aof = dir.path().join("appendonlydir");
        fs::create_dir(&aof).unwrap();
        fs::write(aof.join("appendonly.aof.1.base.rdb"), [0; 90]).unwrap();
        fs::write(aof.join("appendonly.aof.1.incr.aof"), []).unwrap();
        assert!(!has_data(dir.path()));
        fs::write(aof.join("appendonly.aof.1.incr.aof"), [0]).unwrap();
        assert!(has_data(dir.path()));
    }

    #[test]
    fn a_damaged_record_is_an_error_and_not_a_blank() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(load(dir.path(), Held::Aof).is_err());
    }
}
