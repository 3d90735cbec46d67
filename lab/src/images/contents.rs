//! Which images there are, and what is in them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    archive::{self, Entry, Image},
    closure,
};
use crate::{
    parts::{self, Parts},
    run,
};

/// The image of a pod's own namespaces.
pub(crate) const PAUSE: &str = "docker.io/library/lab-pause:1";
/// The image of this repository's own program.
pub(crate) const REDOUBT: &str = "docker.io/library/redoubt:lab";

const BUSYBOX: &str = "/bin/busybox";
/// Programs of busybox that people and probes expect beside a server.
const APPLETS: [&str; 30] = [
    "sh", "cat", "chmod", "cp", "cut", "date", "dd", "df", "du", "echo", "env", "find", "grep", "head",
    "hostname", "id", "kill", "ls", "mkdir", "mv", "nc", "nslookup", "ps", "rm", "sed", "sleep", "stat",
    "tail", "touch", "wget",
];
/// Names of Debian's Redis, which are one program and the client.
const REDIS: [&str; 3] = ["redis-server", "redis-cli", "redis-check-rdb"];
const TARGET: &str = "x86_64-unknown-linux-musl";

/// Builds the images that are missing, all but that of this repository.
pub(crate) async fn build(parts: &Parts) -> Result<()> {
    fs::create_dir_all(parts.image_folder()).context("cannot make the folder of images")?;
    let pause = parts.program("pause");
    let pause = fs::canonicalize(&pause).with_context(|| format!("{} is missing", pause.display()))?;
    save(parts, "pause", &pause_image(&pause))?;
    save(parts, "redis", &redis().await?)
}

/// Builds this repository's program, without any library, and its image.
pub(crate) async fn build_redoubt(parts: &Parts) -> Result<PathBuf> {
    run::watched(Command::new("rustup").args(["target", "add", TARGET])).await?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--profile=lab", "--package", "redoubt-cli", "--target", TARGET]);
    // ring compiles C that needs no C library, so the machine's compiler serves.
    cargo.env("CC_x86_64_unknown_linux_musl", "gcc").current_dir(parts::source(".."));
    run::watched(&mut cargo).await.context("cannot build redoubt")?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| parts::source("../target"), PathBuf::from);
    let program = target.join(TARGET).join("lab/redoubt");
    fs::create_dir_all(parts.image_folder()).context("cannot make the folder of images")?;
    save(parts, "redoubt", &redoubt_image(program))?;
    Ok(archive_path(parts, "redoubt"))
}

fn save(parts: &Parts, name: &str, image: &Image) -> Result<()> {
    let file = |kind: &str| parts.image_folder().join(format!("{name}.{kind}"));
    let (path, partial, made_from) =
        (archive_path(parts, name), file(&format!("partial-{}", std::process::id())), file("made-from"));
    let fingerprint = archive::fingerprint(image)?;
    if path.exists() && fs::read_to_string(&made_from).is_ok_and(|before| before == fingerprint) {
        return Ok(());
    }
    archive::write(image, &partial).with_context(|| format!("cannot make the image {name}"))?;
    fs::rename(&partial, &path).with_context(|| format!("cannot make {}", path.display()))?;
    fs::write(&made_from, fingerprint).with_context(|| format!("cannot write {}", made_from.display()))
}

fn archive_path(parts: &Parts, name: &str) -> PathBuf {
    parts.image_folder().join(format!("{name}.tar"))
}

fn pause_image(program: &Path) -> Image {
    Image {
        names: vec![PAUSE.to_owned()],
        entries: vec![Entry::File { path: "pause".to_owned(), from: program.to_owned() }],
        config: json!({ "Entrypoint": ["/pause"], "User": "65535:65535" }),
    }
}

fn redoubt_image(program: PathBuf) -> Image {
    let mut entries = system();
    entries.push(Entry::File { path: "usr/local/bin/redoubt".to_owned(), from: program });
    Image {
        names: vec![REDOUBT.to_owned()],
        entries,
        config: config(&json!({ "Entrypoint": ["redoubt"], "User": "65532:65532" })),
    }
}

async fn redis() -> Result<Image> {
    let mut entries = system();
    let mut libraries = BTreeSet::new();
    for name in REDIS {
        let program = Path::new("/usr/bin").join(name);
        libraries.extend(closure::libraries(&program).await?);
        entries.push(Entry::File { path: format!("usr/local/bin/{name}"), from: program });
    }
    for name in ["redis-sentinel", "redis-check-aof"] {
        entries.push(Entry::Link { path: format!("usr/local/bin/{name}"), to: "redis-server".to_owned() });
    }
    for library in libraries {
        let path = library.display().to_string().trim_start_matches('/').to_owned();
        entries.push(Entry::File { path, from: library });
    }
    entries.push(Entry::Open { path: "data".to_owned() });
    Ok(Image {
        names: vec!["docker.io/library/redis:7.0".to_owned()],
        entries,
        // Debian's server takes no strangers unless it is told so; the official image's is built to.
        config: config(&json!({ "Cmd": ["redis-server", "--protected-mode", "no"], "WorkingDir": "/data" })),
    })
}

fn config(own: &Value) -> Value {
    let mut config = json!({ "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] });
    if let (Some(config), Some(own)) = (config.as_object_mut(), own.as_object()) {
        config.extend(own.clone());
    }
    config
}

/// A shell and its friends, a few names of users, and a place for temporary files.
fn system() -> Vec<Entry> {
    let text = |path: &str, text: &str| Entry::Text { path: path.to_owned(), text: text.to_owned() };
    let mut entries = vec![
        text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nredis:x:999:999:redis:/data:/bin/sh\n"),
        text("etc/group", "root:x:0:\nredis:x:999:\n"),
        Entry::Open { path: "tmp".to_owned() },
        Entry::File { path: "bin/busybox".to_owned(), from: BUSYBOX.into() },
    ];
    let link = |name: &str| Entry::Link { path: format!("bin/{name}"), to: "busybox".to_owned() };
    entries.extend(APPLETS.into_iter().map(link));
    entries
}
