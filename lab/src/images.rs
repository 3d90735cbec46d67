//! Images, made from files of this machine, without a registry.

mod archive;
mod closure;
mod contents;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{parts::Parts, run, sandbox::Sandbox};

pub(crate) use contents::{PAUSE, REDOUBT, build, build_redoubt};

impl Parts {
    /// The archives of all images.
    pub(crate) fn images(&self) -> Result<Vec<PathBuf>> {
        let folder = self.image_folder();
        let mut images = Vec::new();
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
            if path.extension().is_some_and(|extension| extension == "tar") {
                images.push(path);
            }
        }
        Ok(images)
    }

    pub(crate) fn image_folder(&self) -> PathBuf {
        self.cache().join("images")
    }
}

/// Loads archives into a node's containerd.
pub(crate) async fn load(node: &Sandbox, archives: &[PathBuf]) -> Result<()> {
    for archive in archives {
        load_one(node, archive).await?;
    }
    Ok(())
}

/// The archive may be where a node's own folders hide it, so it goes through a pipe.
async fn load_one(node: &Sandbox, archive: &Path) -> Result<()> {
    let file = std::fs::File::open(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    let mut command = node.command("ctr");
    command.args([
        "--address",
        "/run/containerd/containerd.sock",
        "--namespace",
        "k8s.io",
        "images",
        "import",
        "-",
    ]);
    run::output_from(&mut command, file).await.map(drop)
}
