//! A docker-archive: a tar file of one layer, its configuration, and a manifest that names both.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::parts::hex;

/// What is in an image.
#[derive(Debug)]
pub(crate) struct Image {
    /// The names it has in a cluster, each with a tag.
    pub(crate) names: Vec<String>,
    pub(crate) entries: Vec<Entry>,
    /// `Config` of the OCI image specification: `Cmd`, `Env`, `WorkingDir`, …
    pub(crate) config: Value,
}

/// A file of an image, by its path without the leading slash.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A program or a library, copied from this machine.
    File {
        path: String,
        from: PathBuf,
    },
    Text {
        path: String,
        text: String,
    },
    Link {
        path: String,
        to: String,
    },
    /// A folder that everybody may write.
    Open {
        path: String,
    },
}

/// Stands for what an image is made of, without reading all of it.
pub(crate) fn fingerprint(image: &Image) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(include_str!("archive.rs"));
    hash.update(format!("{image:?}"));
    for entry in &image.entries {
        if let Entry::File { from, .. } = entry {
            let file = std::fs::metadata(from).with_context(|| format!("cannot read {}", from.display()))?;
            hash.update(format!("{} {} {}", file.len(), file.ctime(), file.ctime_nsec()));
        }
    }
    Ok(hex(&hash.finalize()))
}

/// Files that are equal make archives that are equal: no times, no owners.
pub(crate) fn write(image: &Image, path: &Path) -> Result<()> {
    let layer = layer(&image.entries)?;
    let digest = hex(&Sha256::digest(&layer));
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": image.config,
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
        "history": [],
    })
    .to_string();
    let config_name = format!("{}.json", hex(&Sha256::digest(&config)));
    let layer_name = format!("{digest}.tar");
    let manifest =
        json!([{ "Config": config_name, "RepoTags": image.names, "Layers": [layer_name] }]).to_string();
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut archive = Builder::new(io::BufWriter::new(file));
    for (name, content) in
        [(&*config_name, config.as_bytes()), (&*layer_name, &*layer), ("manifest.json", manifest.as_bytes())]
    {
        append(&mut archive, name, 0o644, content)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let finish = archive.into_inner().and_then(|mut buffer| buffer.flush());
    finish.with_context(|| format!("cannot write {}", path.display()))
}

fn layer(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut layer = Builder::new(Vec::new());
    for entry in entries {
        let written = match entry {
            Entry::File { path, from } => {
                let content =
                    std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
                append(&mut layer, path, 0o755, &content)
            }
            Entry::Text { path, text } => append(&mut layer, path, 0o644, text.as_bytes()),
            Entry::Link { path, to } => {
                let mut header = header(EntryType::Symlink, 0o777, 0);
                layer.append_link(&mut header, path, to)
            }
            Entry::Open { path } => {
                let mut header = header(EntryType::Directory, 0o1777, 0);
                layer.append_data(&mut header, format!("{path}/"), io::empty())
            }
        };
        written.with_context(|| format!("cannot add {entry:?}"))?;
    }
    layer.into_inner().context("cannot end a layer")
}

fn append(archive: &mut Builder<impl io::Write>, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
    archive.append_data(&mut header(EntryType::Regular, mode, content.len() as u64), path, content)
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}
