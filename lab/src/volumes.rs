//! Volumes that are full.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

use crate::{kubectl::Kubectl, layout::Lab, sandbox::Sandbox};

const FILLER: &str = ".lab-fill";
const BLOCK: usize = 4096;

/// Takes all space that is free.
pub(crate) async fn fill(lab: Lab, room: &Sandbox, kubectl: &Kubectl, volume: &str) -> Result<()> {
    let path = folder(lab, room, kubectl, volume).await?.join(FILLER);
    take_all(&path).with_context(|| format!("cannot fill {volume}"))
}

/// Gives it back.
pub(crate) async fn unfill(lab: Lab, room: &Sandbox, kubectl: &Kubectl, volume: &str) -> Result<()> {
    let path = folder(lab, room, kubectl, volume).await?.join(FILLER);
    fs::remove_file(&path).with_context(|| format!("{volume} has not been filled, or cannot be emptied"))
}

/// Where this machine sees the volume: it is mounted in the room only.
async fn folder(lab: Lab, room: &Sandbox, kubectl: &Kubectl, volume: &str) -> Result<PathBuf> {
    let name = match volume.split_once('/') {
        Some((namespace, claim)) => {
            let claim = kubectl.get(&["persistentvolumeclaim", "--namespace", namespace, claim]).await?;
            claim["spec"]["volumeName"]
                .as_str()
                .with_context(|| format!("{volume} has no volume yet"))?
                .to_owned()
        }
        None => volume.to_owned(),
    };
    let outside = PathBuf::from(format!("/proc/{}/root", room.init.pid));
    let path =
        outside.join(lab.volumes().join(&name).strip_prefix("/").context("a path that is not absolute")?);
    anyhow::ensure!(path.is_dir(), "no volume is called {name}: kubectl get persistentvolumes lists them");
    Ok(path)
}

/// Reserves what is free, in a few steps, then writes until not even a byte fits.
fn take_all(path: &Path) -> Result<()> {
    let mut file =
        File::options().create(true).append(true).open(path).context("cannot make the file that fills it")?;
    reserve(&file)?;
    let mut piece = BLOCK;
    while piece > 0 {
        match file.write(&[0; BLOCK][..piece]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => piece /= 2,
            Err(error) => return Err(error).context("cannot write"),
        }
    }
    Ok(())
}

/// A file system keeps a part of what it says is free for itself, so all of it at once may be refused.
fn reserve(file: &File) -> Result<()> {
    let space = fstatvfs(file).context("cannot ask how much is free")?;
    let mut end = file.metadata().context("cannot look at the file that fills it")?.len();
    let mut piece = space.f_bavail * space.f_frsize;
    while piece >= BLOCK as u64 {
        match fallocate(file, FallocateFlags::empty(), end, piece) {
            Ok(()) => end += piece,
            Err(rustix::io::Errno::NOSPC) => piece /= 2,
            Err(error) => return Err(error).context("cannot reserve what is free"),
        }
    }
    Ok(())
}
