//! `redoubt logs`.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, IsTerminal as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use notify::{RecursiveMode, Watcher as _};
use redoubt_local::Local;
use tokio::sync::watch;

use crate::{
    args::{DataForm, LogsArgs},
    failure::{Code, Failure},
    print, runtime, say,
};

/// Shows the log of one node or Sentinel.
pub(crate) fn run(args: &LogsArgs) -> Result<(), Failure> {
    let local = Local::open(&args.state.state_dir)?;
    let path = local.member(&args.node)?.log;
    let fitting = if io::stdout().is_terminal() { DataForm::Text } else { DataForm::Json };
    let mut log = Log::open(path, args.output.unwrap_or(fitting))?;
    log.show_rest()?;
    if args.follow { runtime::small(follow(log)) } else { Ok(()) }
}

/// A log that is read line by line, also when it is put aside and begun anew meanwhile.
struct Log {
    path: PathBuf,
    form: DataForm,
    reader: BufReader<File>,
    inode: u64,
    /// A line that is not written to its end yet.
    begun: Vec<u8>,
}

impl Log {
    fn open(path: PathBuf, form: DataForm) -> Result<Self, Failure> {
        let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        let inode = file.metadata().map_err(|error| unreadable(&path, &error))?.ino();
        Ok(Self { path, form, reader: BufReader::new(file), inode, begun: Vec::new() })
    }

    /// Shows whole lines up to the end.
    fn show_rest(&mut self) -> Result<(), Failure> {
        while self.reader.read_until(b'\n', &mut self.begun)? > 0 && self.begun.ends_with(b"\n") {
            let line = String::from_utf8_lossy(&self.begun);
            match self.form {
                DataForm::Json => say::data(&line)?,
                DataForm::Text => say::data(&format!("{}\n", print::log::line(line.trim_end())))?,
            }
            self.begun.clear();
        }
        Ok(())
    }

    /// The old file is read to its end before the new one is begun.
    fn show_new(&mut self) -> Result<(), Failure> {
        self.show_rest()?;
        if fs::metadata(&self.path).is_ok_and(|now| now.ino() != self.inode) {
            *self = Self::open(self.path.clone(), self.form)?;
            self.show_rest()?;
        }
        Ok(())
    }
}

/// Goes on until somebody has seen enough.
async fn follow(mut log: Log) -> Result<(), Failure> {
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
        log.show_new()?;
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
