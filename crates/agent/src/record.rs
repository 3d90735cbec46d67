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
use redoubt_wire::state::Record;
use serde::{Deserialize, Serialize};

/// Name of the file in the data folder.
const FILE: &str = "redoubt-record.json";

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
}

/// The record could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the record {path} cannot be {doing}: {source}; check the data folder's disk and permissions")]
pub(crate) struct RecordError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

/// Reads what the files in `dir` hold. `None`: nothing, so the record is void.
pub(crate) fn load(dir: &Path, held: Held) -> Result<Option<Record>, RecordError> {
    let path = dir.join(FILE);
    let fault = |source| RecordError { path: path.clone(), doing: "read", source };
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    let stored: Stored = serde_json::from_slice(&text).map_err(|error| fault(error.into()))?;
    match held {
        Held::Nothing => Ok(None),
        Held::Aof => {
            let appended = aof_bytes(dir).map_err(fault)?.saturating_sub(stored.aof_bytes);
            Ok(Some(Record { offset: stored.record.offset + appended, ..stored.record }))
        }
        Held::Rdb => rdb_record(dir, stored.record),
    }
}

/// What a snapshot holds, it says itself: the replication id and offset at which it was taken.
fn rdb_record(dir: &Path, record: Record) -> Result<Option<Record>, RecordError> {
    let path = dir.join("dump.rdb");
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RecordError { path, doing: "compared with dump.rdb", source }),
    };
    let header = RdbHeader::read(file).map_err(|fault| RecordError {
        path,
        doing: "compared with dump.rdb",
        source: io::Error::other(fault),
    })?;
    Ok(Some(match (header.repl_id, header.repl_offset) {
        (Some(replid), Some(offset)) => Record { previous: None, replid, offset, ..record },
        // A master that never had a replica takes its snapshots without them.
        _ => Record { offset: 0, ..record },
    }))
}

/// Writes the record, whole or not at all.
pub(crate) fn store(dir: &Path, record: &Record) -> Result<(), RecordError> {
    let path = dir.join(FILE);
    let fault = |source| RecordError { path: path.clone(), doing: "written", source };
    let stored = Stored { record: record.clone(), aof_bytes: aof_bytes(dir).map_err(fault)? };
    let text = serde_json::to_vec(&stored).map_err(|error| fault(error.into()))?;
    let new = dir.join(format!("{FILE}.new"));
    fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).map_err(fault)
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

/// This node has held data before.
pub(crate) fn exists(dir: &Path) -> bool {
    dir.join(FILE).exists()
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
        assert_eq!(load(dir.path(), Held::Aof).unwrap(), Some(Record { offset: 1030, ..record() }));
    }

    #[test]
    fn without_files_the_record_is_void() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path(), Held::Aof).unwrap(), None);
        store(dir.path(), &record()).unwrap();
        assert_eq!(load(dir.path(), Held::Nothing).unwrap(), None);
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
