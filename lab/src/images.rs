//! Images, made from files of this machine, without a registry.

mod archive;
mod closure;
mod contents;
mod servers;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use self::archive::Image;
use crate::{
    parts::{self, Parts},
    run,
    sandbox::Sandbox,
};

pub(crate) use contents::{PAUSE, build, build_redoubt};
pub(crate) use servers::build as build_servers;

/// An image that is there.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) name: String,
    pub(crate) archive: PathBuf,
}

impl Parts {
    /// The archives of all images: those of this machine, and those of this tree.
    pub(crate) fn images(&self) -> Result<Vec<PathBuf>> {
        let mut images = Vec::new();
        for folder in [self.image_folder(), of_this_tree()].iter().filter(|folder| folder.exists()) {
            for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
                let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
                if path.extension().is_some_and(|extension| extension == "tar") {
                    images.push(path);
                }
            }
        }
        Ok(images)
    }

    fn image_folder(&self) -> PathBuf {
        self.cache().join("images")
    }
}

/// Where cargo builds.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| parts::source("../target"), PathBuf::from)
}

/// Where images are kept that belong to this tree: another's labs must not get them.
fn of_this_tree() -> PathBuf {
    target().join("lab-images")
}

/// Writes the archive of an image, unless it was made from the same files before.
fn save(folder: &Path, file: &str, image: &Image) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let of_kind = |kind: &str| folder.join(format!("{file}.{kind}"));
    let (path, made_from) = (of_kind("tar"), of_kind("made-from"));
    let fingerprint = archive::fingerprint(image)?;
    if path.exists() && fs::read_to_string(&made_from).is_ok_and(|before| before == fingerprint) {
        return Ok(path);
    }
    let partial = of_kind(&format!("partial-{}", std::process::id()));
    archive::write(image, &partial).with_context(|| format!("cannot make the image {file}"))?;
    fs::rename(&partial, &path).with_context(|| format!("cannot make {}", path.display()))?;
    fs::write(&made_from, fingerprint).with_context(|| format!("cannot write {}", made_from.display()))?;
    Ok(path)
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
    let file = fs::File::open(archive).with_context(|| format!("cannot read {}", archive.display()))?;
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
