//! What lies in a data folder.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use redoubt_redis::rdb::RdbHeader;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The RDB.
const RDB: &str = "dump.rdb";
/// The AOF of servers before 7.0: one file.
const AOF: &str = "appendonly.aof";
/// The AOF from 7.0 on: a folder of files.
const AOF_DIR: &str = "appendonlydir";
/// Lists them.
const MANIFEST: &str = "appendonly.aof.manifest";

/// How much of its two ends tells one RDB from another: the head has time and replication offset, the tail a checksum.
const ENDS: u64 = 1024;

/// Largest manifest that is read; it lists three files at rest.
const MAX_MANIFEST: u64 = 1 << 20;

/// Tells one content from another, also after the files were copied elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    pub(super) fn of(content: &[u8], length: u64) -> Self {
        let digest = Sha256::digest(content);
        let text = digest[..16].iter().fold(format!("{length}:"), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self(text)
    }
}

/// What lies in a data folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disk {
    /// The RDB.
    pub rdb: Option<RdbFile>,
    /// The AOF that the server would load.
    pub aof: Option<AofFiles>,
    /// An AOF of 7.0 or later is there, and the server is older and would not see it.
    pub aof_too_new: bool,
}

/// An RDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdbFile {
    /// Which one.
    pub fingerprint: Fingerprint,
    /// When its save began, Unix seconds by the clock of that machine, if the file says so.
    pub saved_at: Option<u64>,
}

/// An AOF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AofFiles {
    /// Which one. From 7.0 on it changes with each rewrite, before that with each write.
    pub fingerprint: Fingerprint,
    /// It holds a whole data set. (6.2 makes an empty file and fills it when its first rewrite has ended.)
    pub whole: bool,
    /// When it was last written, Unix seconds by the clock of this machine.
    pub written_at: Option<u64>,
}

impl Disk {
    /// Looks at a folder with the eyes of a server: `multi_part` is true from 7.0 on.
    pub fn look(dir: &Path, multi_part: bool) -> io::Result<Self> {
        let newer = multi_part_aof(&dir.join(AOF_DIR))?;
        let older = single_file_aof(&dir.join(AOF))?;
        Ok(Self {
            rdb: rdb(&dir.join(RDB))?,
            aof_too_new: !multi_part && newer.is_some(),
            // A server from 7.0 on takes a single file over when it finds no manifest.
            aof: if multi_part { newer.or(older) } else { older },
        })
    }

    /// No data of any kind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rdb.is_none() && self.aof.is_none() && !self.aof_too_new
    }
}

fn rdb(path: &Path) -> io::Result<Option<RdbFile>> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    let fingerprint = fingerprint(&mut file)?;
    file.rewind()?;
    let saved_at = RdbHeader::read(&file).ok().and_then(|header| header.ctime);
    Ok(Some(RdbFile { fingerprint, saved_at }))
}

fn single_file_aof(path: &Path) -> io::Result<Option<AofFiles>> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    let whole = file.metadata()?.len() > 0;
    let written_at = written_at(&file)?;
    Ok(Some(AofFiles { fingerprint: fingerprint(&mut file)?, whole, written_at }))
}

/// The manifest is replaced when a rewrite has ended: while there is one, it lists a whole data set.
fn multi_part_aof(dir: &Path) -> io::Result<Option<AofFiles>> {
    let Some(manifest) = open(&dir.join(MANIFEST))? else { return Ok(None) };
    let mut text = Vec::new();
    manifest.take(MAX_MANIFEST).read_to_end(&mut text)?;
    let mut last = None;
    for path in parts(dir)? {
        last = last.max(open(&path)?.map(|file| written_at(&file)).transpose()?.flatten());
    }
    let whole = !text.is_empty();
    Ok(Some(AofFiles { fingerprint: Fingerprint::of(&text, text.len() as u64), whole, written_at: last }))
}

/// Every file of an AOF in its folder.
fn parts(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut parts = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(AOF) {
            parts.push(entry.path());
        }
    }
    Ok(parts)
}

/// Removes an AOF, of whatever kind; nothing else. The manifest goes first: without it the rest means nothing.
pub(super) fn remove_aof(dir: &Path) -> io::Result<()> {
    let folder = dir.join(AOF_DIR);
    let others = parts(&folder)?;
    for path in [folder.join(MANIFEST), dir.join(AOF)].iter().chain(&others) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // Stays when somebody keeps something else in it.
    let _ = fs::remove_dir(&folder);
    Ok(())
}

/// Removes what a server that was killed had not yet put in place (rdb.c and aof.c: `temp-…`).
pub(super) fn remove_temporary(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_temporary = name.starts_with("temp-") && (name.ends_with(".rdb") || name.ends_with(".aof"));
        if is_temporary {
            tracing::info!(file = %entry.path().display(), "removed what a killed server left behind");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn fingerprint(file: &mut File) -> io::Result<Fingerprint> {
    let length = file.metadata()?.len();
    let mut ends = Vec::new();
    file.take(ENDS).read_to_end(&mut ends)?;
    file.seek(SeekFrom::Start(length.saturating_sub(ENDS)))?;
    file.take(ENDS).read_to_end(&mut ends)?;
    Ok(Fingerprint::of(&ends, length))
}

fn written_at(file: &File) -> io::Result<Option<u64>> {
    let modified = file.metadata()?.modified()?;
    Ok(modified.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    #[test]
    fn each_server_sees_its_own_kind_of_aof() {
        let newer = folder(&[("appendonlydir/appendonly.aof.manifest", "file x seq 1 type b\n")]);
        let older = folder(&[("appendonly.aof", "x")]);
        let look = |dir: &tempfile::TempDir, multi_part| Disk::look(dir.path(), multi_part).unwrap();
        assert!(look(&newer, true).aof.unwrap().whole);
        assert!(look(&newer, false).aof.is_none() && look(&newer, false).aof_too_new);
        assert!(look(&older, true).aof.unwrap().whole);
        assert!(look(&older, false).aof.unwrap().whole);
    }

    #[test]
    fn what_is_not_whole_is_told() {
        let look = |files| Disk::look(folder(files).path(), true).unwrap();
        assert!(look(&[]).is_empty());
        assert!(!look(&[("appendonly.aof", "")]).aof.unwrap().whole);
        assert_eq!(look(&[("appendonlydir/appendonly.aof.1.base.rdb", "x")]).aof, None);
        assert_eq!(look(&[("dump.rdb", "torn")]).rdb.unwrap().saved_at, None);
    }

    #[test]
    fn another_content_has_another_fingerprint() {
        let long = "x".repeat(5000);
        let of = |text: &str| {
            Disk::look(folder(&[("dump.rdb", text)]).path(), true).unwrap().rdb.unwrap().fingerprint
        };
        let contents = ["", "a", "b", &long, &format!("{long}x"), &format!("{long}y"), &format!("y{long}")];
        for (number, content) in contents.iter().enumerate() {
            assert_eq!(of(content), of(content));
            assert!(contents[..number].iter().all(|other| of(other) != of(content)));
        }
    }

    #[test]
    fn only_the_aof_is_removed() {
        let dir = folder(&[
            ("dump.rdb", "x"),
            ("appendonly.aof", "x"),
            ("appendonlydir/appendonly.aof.manifest", "x"),
            ("appendonlydir/appendonly.aof.1.incr.aof", "x"),
            ("appendonlydir/note", "x"),
        ]);
        remove_aof(dir.path()).unwrap();
        remove_aof(dir.path()).unwrap();
        let disk = Disk::look(dir.path(), true).unwrap();
        assert!(disk.rdb.is_some() && disk.aof.is_none());
        assert_eq!(fs::read_dir(dir.path().join(AOF_DIR)).unwrap().count(), 1);
        remove_aof(folder(&[]).path()).unwrap();
    }
}
