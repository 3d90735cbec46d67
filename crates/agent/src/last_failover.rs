//! The last change of master, kept beside the data: whoever led it may be gone before anybody has asked, as a pod that
//! is deleted hands over and ends within milliseconds.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use redoubt_wire::failover::Failover;

/// Name of the file in the data folder.
const FILE: &str = "redoubt-last-failover.json";

/// It could not be read or written. Only people miss it.
#[derive(Debug, thiserror::Error)]
#[error(
    "the last failover in {path} cannot be {doing}: {source}; check the data folder's disk and permissions"
)]
pub(crate) struct LastFailoverError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

/// What the agent before this one kept.
pub(crate) fn load(dir: &Path) -> Result<Option<Failover>, LastFailoverError> {
    let path = dir.join(FILE);
    let read = match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    read.map_err(|source| LastFailoverError { path, doing: "read", source })
}

/// Keeps it, whole or not at all.
pub(crate) fn store(dir: &Path, failover: &Failover) -> Result<(), LastFailoverError> {
    let (path, new) = (dir.join(FILE), dir.join(format!("{FILE}.new")));
    let written = serde_json::to_vec(failover)
        .map_err(io::Error::from)
        .and_then(|text| fs::write(&new, text))
        .and_then(|()| fs::rename(&new, &path));
    written.map_err(|source| LastFailoverError { path, doing: "written", source })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use redoubt_wire::failover::{Cause, Outcome};

    use super::*;

    #[test]
    fn the_next_agent_knows_what_the_one_before_it_did() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), None);
        let failover = Failover {
            id: "0123456789ab".to_owned(),
            cause: Cause::Stop,
            led_by: Some("cart-0".to_owned()),
            epoch: Some(2),
            votes: Vec::new(),
            old_master: None,
            new_master: None,
            old_offset: None,
            new_offset: None,
            started_at: Timestamp::UNIX_EPOCH,
            duration_ms: 17,
            steps: Vec::new(),
            outcome: Outcome::Done,
        };
        store(dir.path(), &failover).unwrap();
        assert_eq!(load(dir.path()).unwrap(), Some(failover));
    }

    #[test]
    fn a_file_that_is_no_failover_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(load(dir.path()).unwrap_err().to_string().contains(FILE));
    }
}
