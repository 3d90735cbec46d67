//! What people see of a set: its status as a file, its events as lines.

use std::{fs, io::Write as _};

use redoubt_engine::platform::Publication;

use crate::{
    error::{LocalError, io_error},
    files::{self, Worth},
    paths::SetDir,
};

/// Events beyond this are put aside, bytes: some ten thousand.
const MAX_EVENTS_FILE: u64 = 2 << 20;

/// Writes what differs, and appends what is new.
pub(crate) fn publish(dir: &SetDir, publication: &Publication) -> Result<(), LocalError> {
    files::private_dir(dir.root())?;
    append_events(dir, publication)?;
    files::write_json(&dir.status(), &publication.status, Worth::Passing)?;
    Ok(())
}

fn append_events(dir: &SetDir, publication: &Publication) -> Result<(), LocalError> {
    if publication.events.is_empty() {
        return Ok(());
    }
    let path = dir.events();
    let mut lines = Vec::new();
    for event in &publication.events {
        serde_json::to_writer(&mut lines, event)
            .map_err(|error| LocalError::Malformed { path: path.clone(), why: error.to_string() })?;
        lines.push(b'\n');
    }
    if fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_EVENTS_FILE) {
        fs::rename(&path, dir.old_events()).map_err(io_error("put aside", &path))?;
    }
    files::append(&path)?.write_all(&lines).map_err(io_error("write", &path))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use redoubt_api::{Event, RedisStatus};

    use super::*;
    use crate::paths::StateDir;

    #[test]
    fn events_are_lines_and_a_long_file_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::create(folder.path()).unwrap().set("cart");
        let event = Event {
            at: Timestamp::UNIX_EPOCH,
            source: "cart-0".to_owned(),
            reason: "Seen".to_owned(),
            message: "two\nlines".to_owned(),
            warning: false,
        };
        let publication = Publication { status: RedisStatus::default(), events: vec![event.clone(), event] };
        publish(&dir, &publication).unwrap();
        publish(&dir, &publication).unwrap();
        assert_eq!(fs::read_to_string(dir.events()).unwrap().lines().count(), 4);
        files::append(&dir.events()).unwrap().set_len(MAX_EVENTS_FILE + 1).unwrap();
        publish(&dir, &publication).unwrap();
        assert_eq!(fs::read_to_string(dir.events()).unwrap().lines().count(), 2);
        assert!(dir.old_events().exists());
        assert_eq!(files::read_json::<RedisStatus>(&dir.status()).unwrap(), Some(RedisStatus::default()));
    }
}
