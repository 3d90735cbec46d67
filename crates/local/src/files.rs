//! Small files: private, whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::error::{LocalError, io_error};

/// Makes a folder for its owner alone. One that is there is left as it is.
pub(crate) fn private_dir(path: &Path) -> Result<(), LocalError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("make the folder", path))
}

/// What a file is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It must outlive a power failure: on the disk before anybody relies on it.
    Lasting,
    /// After a power failure nobody needs it.
    Passing,
}

/// Replaces a file as a whole, for its owner alone. It is on the disk when this returns.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), LocalError> {
    write_worth(path, content, Worth::Lasting)
}

fn write_worth(path: &Path, content: &[u8], worth: Worth) -> Result<(), LocalError> {
    let beside = beside(path);
    let sync_parent = || if worth == Worth::Lasting { sync_parent(path) } else { Ok(()) };
    write_new(&beside, content, worth)
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| sync_parent())
        .map_err(|source| {
            // Nobody reads a file of this name; one that stays behind takes a little space.
            let _ = fs::remove_file(&beside);
            LocalError::Io { action: "write", path: path.to_path_buf(), source }
        })
}

/// Replaces a file whose content differs. Says whether it did.
pub(crate) fn write_changed(path: &Path, content: &[u8]) -> Result<bool, LocalError> {
    write_changed_worth(path, content, Worth::Lasting)
}

fn write_changed_worth(path: &Path, content: &[u8], worth: Worth) -> Result<bool, LocalError> {
    match fs::read(path) {
        Ok(there) if there == content => Ok(false),
        _ => write_worth(path, content, worth).map(|()| true),
    }
}

/// Reads a file; `None` when it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, LocalError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// Replaces a JSON file whose content differs. Says whether it did.
pub(crate) fn write_json(path: &Path, value: &impl Serialize, worth: Worth) -> Result<bool, LocalError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| LocalError::Malformed { path: path.to_path_buf(), why: error.to_string() })?;
    text.push(b'\n');
    write_changed_worth(path, &text, worth)
}

/// Reads a JSON file; `None` when it is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LocalError> {
    let Some(content) = read(path)? else { return Ok(None) };
    serde_json::from_slice(&content)
        .map(Some)
        .map_err(|error| LocalError::Malformed { path: path.to_path_buf(), why: error.to_string() })
}

/// Removes a file. One that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<(), LocalError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a folder with everything in it. One that is not there is fine.
pub(crate) fn remove_dir(path: &Path) -> Result<(), LocalError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Opens a file for appending, for its owner alone.
pub(crate) fn append(path: &Path) -> Result<File, LocalError> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(io_error("write", path))
}

/// Names of the folders in a folder, in order; none when it is not there. Hidden ones are not ours.
pub(crate) fn names_in(path: &Path) -> Result<Vec<String>, LocalError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", path)(error)),
    };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort_unstable();
    Ok(names)
}

fn write_new(path: &Path, content: &[u8], worth: Worth) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    if worth == Worth::Lasting { file.sync_all() } else { Ok(()) }
}

/// A rename is on the disk when the folder is.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// A hidden name in the same folder, of its own for each writer.
fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{count}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_private_and_replaced_only_when_it_differs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        assert!(write_json(&path, &[1, 2], Worth::Passing).unwrap());
        assert!(!write_json(&path, &[1, 2], Worth::Passing).unwrap());
        assert_eq!(read_json::<Vec<u8>>(&path).unwrap(), Some(vec![1, 2]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_is_not_there_is_none_and_what_is_broken_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        assert_eq!(read_json::<u8>(&path).unwrap(), None);
        fs::write(&path, "{").unwrap();
        assert!(read_json::<u8>(&path).unwrap_err().to_string().contains("a.json"));
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(names_in(&dir.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let error = write(&dir.path().join("none/a"), b"x").unwrap_err();
        assert!(error.to_string().contains("none/a"), "{error}");
    }
}
