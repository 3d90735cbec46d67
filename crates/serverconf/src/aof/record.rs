//! Which files hold the data.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use super::{AofError, Fingerprint};
use crate::files;

/// Name of the record, beside the data.
pub const RECORD: &str = "persistence.json";

/// Version of the record.
const VERSION: u32 = 1;

/// Which files hold the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "holds")]
pub enum Holds {
    /// The RDB, as of its last save.
    Rdb {
        /// An AOF of before is to be removed.
        remove_aof: bool,
    },
    /// The AOF.
    Aof,
    /// The RDB, until there is a whole AOF other than this one.
    TurningOn {
        /// The AOF that was there before, which is old.
        aof_before: Option<Fingerprint>,
    },
    /// The AOF, until there is an RDB other than this one. Written after the AOF was turned off and while no save was
    /// under way: so any later RDB has all that the AOF has.
    TurningOff {
        /// The RDB that was there before, which is old.
        rdb_before: Option<Fingerprint>,
    },
    /// The AOF, and this RDB holds the same: the server wrote both when it ended as planned.
    Saved {
        /// The RDB.
        rdb: Fingerprint,
    },
}

impl Holds {
    /// A server that starts now has to load the AOF. (What [`super::prepare`] gives for a start is settled: `Rdb` or
    /// `Aof`.)
    #[must_use]
    pub fn aof_in_file(&self) -> bool {
        matches!(self, Self::Aof | Self::TurningOff { .. } | Self::Saved { .. })
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    #[serde(flatten)]
    holds: Holds,
}

/// The record of this folder; nothing where there is none yet.
pub(super) fn load(dir: &Path) -> Result<Option<Holds>, AofError> {
    let path = dir.join(RECORD);
    let fault = |why: String| AofError::Record { path: path.clone(), why };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error.to_string())),
    };
    let record: Record = serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
    if record.version > VERSION {
        return Err(fault(format!("it is of version {}, written by a newer Redoubt", record.version)));
    }
    Ok(Some(record.holds))
}

/// Replaces the record of this folder.
pub(super) fn store(dir: &Path, holds: &Holds) -> Result<(), AofError> {
    let path = dir.join(RECORD);
    let fault = |why: String| AofError::Record { path: path.clone(), why };
    let record = Record { version: VERSION, holds: holds.clone() };
    let text = serde_json::to_vec_pretty(&record).map_err(|error| fault(error.to_string()))?;
    files::replace(&path, &text).map_err(|error| fault(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), None);
        let fingerprint = || Some(Fingerprint::of(b"x", 1));
        for holds in [
            Holds::Rdb { remove_aof: false },
            Holds::Rdb { remove_aof: true },
            Holds::Aof,
            Holds::TurningOn { aof_before: None },
            Holds::TurningOn { aof_before: fingerprint() },
            Holds::TurningOff { rdb_before: fingerprint() },
            Holds::Saved { rdb: Fingerprint::of(b"x", 1) },
        ] {
            store(dir.path(), &holds).unwrap();
            assert_eq!(load(dir.path()).unwrap(), Some(holds));
        }
    }

    #[test]
    fn a_record_that_cannot_be_understood_is_never_guessed_at() {
        let dir = tempfile::tempdir().unwrap();
        for text in
            ["", "{}", "{\"version\": 1, \"holds\": \"both\"}", "{\"version\": 2, \"holds\": \"aof\"}"]
        {
            std::fs::write(dir.path().join(RECORD), text).unwrap();
            assert!(load(dir.path()).is_err(), "{text}");
        }
        std::fs::write(dir.path().join(RECORD), "{\"version\": 1, \"holds\": \"aof\", \"later\": 1}")
            .unwrap();
        assert_eq!(load(dir.path()).unwrap(), Some(Holds::Aof), "a field more is no harm");
    }
}
