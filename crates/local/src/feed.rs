//! The files of `redoubt up -f FILE`: applied again when they change.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use redoubt_api::{Fault, Source, Warning};

use crate::{
    error::{LocalError, io_error},
    local::Local,
    store::Applied,
};

/// Stands for standard input, which never changes afterwards.
const STDIN: &str = "-";

/// What became of a changed file.
#[derive(Debug)]
pub enum FileReport {
    /// It was applied: what that came to for each resource, and what deserves a second look.
    Applied(Vec<(String, Applied)>, Vec<Warning>),
    /// Something is wrong in it; nothing of it was applied.
    Refused(Vec<Fault>),
    /// It cannot be read, or not be applied.
    Failed(LocalError),
}

/// Some files that are applied when they change.
#[derive(Debug)]
pub(crate) struct Feed {
    local: Local,
    files: Vec<PathBuf>,
    last: Vec<Option<String>>,
}

impl Feed {
    /// Takes the files as they are now for applied.
    pub(crate) fn new(local: Local, files: &[PathBuf]) -> Self {
        let files: Vec<_> = files.iter().filter(|file| **file != Path::new(STDIN)).cloned().collect();
        let last = files.iter().map(|file| std::fs::read_to_string(file).ok()).collect();
        Self { local, files, last }
    }

    /// Names of the files, for a filter.
    pub(crate) fn names(&self) -> Vec<OsString> {
        self.files.iter().filter_map(|file| file.file_name().map(ToOwned::to_owned)).collect()
    }

    /// Folders of the files: those are to be watched, since editors replace files.
    pub(crate) fn folders(&self) -> Result<Vec<PathBuf>, LocalError> {
        let folder = |file: &PathBuf| {
            let absolute = std::path::absolute(file).map_err(io_error("find", file))?;
            Ok(absolute.parent().unwrap_or(&absolute).to_path_buf())
        };
        self.files.iter().map(folder).collect()
    }

    /// What became of the files that changed since the last look; `None` when none did.
    pub(crate) fn look(&mut self) -> Option<FileReport> {
        match self.read() {
            Ok(true) => Some(self.apply()),
            Ok(false) => None,
            Err(error) => Some(FileReport::Failed(error)),
        }
    }

    /// Whether a file holds something else than before. A file that is not there is being replaced, or was removed on
    /// purpose: either way nothing is deleted by that.
    fn read(&mut self) -> Result<bool, LocalError> {
        let mut changed = false;
        for (file, last) in self.files.iter().zip(&mut self.last) {
            match std::fs::read_to_string(file) {
                Ok(text) if last.as_ref() == Some(&text) => {}
                Ok(text) => {
                    *last = Some(text);
                    changed = true;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("read", file)(error)),
            }
        }
        Ok(changed)
    }

    fn apply(&self) -> FileReport {
        let named: Vec<_> = self.files.iter().map(|file| file.to_string_lossy()).collect();
        let sources: Vec<_> = named
            .iter()
            .zip(&self.last)
            .filter_map(|(file, text)| Some(Source { file, text: text.as_deref()? }))
            .collect();
        let batch = redoubt_api::read(&sources);
        if !batch.faults.is_empty() {
            return FileReport::Refused(batch.faults);
        }
        match self.local.apply(&batch) {
            Ok(applied) => FileReport::Applied(applied, batch.warnings),
            Err(error) => FileReport::Failed(error),
        }
    }
}
