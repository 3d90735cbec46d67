//! The cgroups below which a lab's containers are: in one tree (version 2), or in one for each controller (version 1).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

const ROOT: &str = "/sys/fs/cgroup";

/// The trees of this machine.
pub(crate) fn trees() -> Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![root.to_owned()]);
    }
    let mut trees = Vec::new();
    for entry in fs::read_dir(root).with_context(|| format!("cannot read {ROOT}"))? {
        let path = entry.with_context(|| format!("cannot read {ROOT}"))?.path();
        // `cpu,cpuacct` is a tree, `cpu` a link to it.
        if path.is_dir() && !path.is_symlink() && path.join("cgroup.procs").exists() {
            trees.push(path);
        }
    }
    Ok(trees)
}

/// Makes it in every tree.
pub(crate) fn create(cgroup: &str) -> Result<()> {
    for tree in trees()? {
        let path = tree.join(cgroup.trim_start_matches('/'));
        fs::create_dir_all(&path).with_context(|| format!("cannot make the cgroup {}", path.display()))?;
    }
    Ok(())
}

/// Removes it, with all below it, from every tree. Nothing runs in it any more.
pub(crate) fn remove(cgroup: &str) -> Result<()> {
    for tree in trees()? {
        let path = tree.join(cgroup.trim_start_matches('/'));
        remove_tree(&path).with_context(|| format!("cannot remove the cgroup {}", path.display()))?;
    }
    Ok(())
}

/// The files of a cgroup are the kernel's: only the folders are removed, innermost first.
fn remove_tree(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}
