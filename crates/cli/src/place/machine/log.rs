//! The log of a member of this machine, from its file.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use notify::{RecursiveMode, Watcher as _};
use redoubt_local::Local;
use tokio::sync::watch;

use crate::{
    failure::{Code, Failure},
    place::ShowLine,
    runtime,
};

/// Shows the log of one node or Sentinel, and goes on with new lines if wanted.
pub(crate) async fn show(
    local: &Local,
    member: &str,
    follow: bool,
    show: ShowLine<'_>,
) -> Result<(), Failure> {
    let mut log = Log::open(local.member(member)?.log)?;
    log.show_rest(show)?;
    if follow { followed(log, show).await } else { Ok(()) }
}

/// A log that is read line by line, also when it is put aside and begun anew meanwhile.
struct Log {
    path: PathBuf,
    reader: BufReader<File>,
    inode: u64,
    /// A line that is not written to its end yet.
    begun: Vec<u8>,
}

impl Log {
    fn open(path: PathBuf) -> Result<Self, Failure> {
        let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        let inode = file.metadata().map_err(|error| unreadable(&path, &error))?.ino();
        Ok(Self { path, reader: BufReader::new(file), inode, begun: Vec::new() })
    }

    /// Shows whole lines up to the end.
    fn show_rest(&mut self, show: ShowLine<'_>) -> Result<(), Failure> {
        while self.reader.read_until(b'\n', &mut self.begun)? > 0 && self.begun.ends_with(b"\n") {
            show(String::from_utf8_lossy(&self.begun).trim_end())?;
            self.begun.clear();
        }
        Ok(())
    }

    /// The old file is read to its end before the new one is begun.
    fn show_new(&mut self, show: ShowLine<'_>) -> Result<(), Failure> {
        self.show_rest(show)?;
        if fs::metadata(&self.path).is_ok_and(|now| now.ino() != self.inode) {
            *self = Self::open(self.path.clone())?;
            self.show_rest(show)?;
        }
        Ok(())
    }
}

/// Goes on until somebody has seen enough.
async fn followed(mut log: Log, show: ShowLine<'_>) -> Result<(), Failure> {
    let (sender, mut changes) = watch::channel(());
    let mut watcher = notify::recommended_watcher(move |_| {
        sender.send_replace(());
    })
    .map_err(|error| unwatched(&log.path, &error))?;
    let folder = log.path.parent().unwrap_or(Path::new(".")).to_path_buf();
    watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(|error| unwatched(&log.path, &error))?;
    let end = runtime::asked_to_end();
    tokio::pin!(end);
    loop {
        log.show_new(show)?;
        tokio::select! {
            more = changes.changed() => if more.is_err() { return Ok(()) },
            () = &mut end => return Ok(()),
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::Failed, format_args!("cannot read {}: {error}", path.display()))
        .hint("it is written as soon as the agent was started; see `redoubt status`")
}

fn unwatched(path: &Path, error: &notify::Error) -> Failure {
    Failure::new(Code::Failed, format_args!("cannot watch {}: {error}", path.display()))
        .hint("raise fs.inotify.max_user_watches and fs.inotify.max_user_instances")
}
