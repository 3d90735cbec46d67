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
    Built,
    archive::{Entry, Image},
    closure::{self, Library},
    of_this_tree, save, target,
};
use crate::{
    parts::{self, Parts},
    run,
};

/// The image of a pod's own namespaces.
pub(crate) const PAUSE: &str = "docker.io/library/lab-pause:1";
/// The image of this repository's own programs.
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
/// This repository's programs.
const PROGRAMS: [&str; 2] = ["redoubt", "redoubt-agent"];
const TARGET: &str = "x86_64-unknown-linux-musl";

/// Builds the images that are missing, all but those that belong to this tree.
pub(crate) async fn build(parts: &Parts) -> Result<()> {
    let pause = parts.program("pause");
    let pause = fs::canonicalize(&pause).with_context(|| format!("{} is missing", pause.display()))?;
    save(&parts.image_folder(), "pause", &pause_image(&pause))?;
    save(&parts.image_folder(), "redis", &redis().await?).map(drop)
}

/// Builds this repository's programs, without any library, and their image.
pub(crate) async fn build_redoubt() -> Result<Built> {
    run::watched(Command::new("rustup").args(["target", "add", TARGET])).await?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--profile=lab", "--package", "redoubt-cli", "--target", TARGET]);
    // ring compiles C that needs no C library, so the machine's compiler serves.
    cargo.env("CC_x86_64_unknown_linux_musl", "gcc").current_dir(parts::source(".."));
    run::watched(&mut cargo).await.context("cannot build redoubt")?;
    let archive = save(&of_this_tree(), "redoubt", &redoubt_image(&target().join(TARGET).join("lab")))?;
    Ok(Built { name: "redoubt:lab".to_owned(), archive })
}

fn pause_image(program: &Path) -> Image {
    Image {
        names: vec![PAUSE.to_owned()],
        entries: vec![Entry::File { path: "pause".to_owned(), from: program.to_owned() }],
        config: json!({ "Entrypoint": ["/pause"], "User": "65535:65535" }),
    }
}

fn redoubt_image(programs: &Path) -> Image {
    let file = |name: &str| Entry::File { path: format!("usr/local/bin/{name}"), from: programs.join(name) };
    let entries = system().into_iter().chain(PROGRAMS.map(file)).collect();
    Image {
        names: vec![REDOUBT.to_owned()],
        entries,
        config: config(&json!({ "Entrypoint": ["redoubt"], "User": "65532:65532" })),
    }
}

async fn redis() -> Result<Image> {
    let programs = REDIS.map(|name| (name.to_owned(), Path::new("/usr/bin").join(name)));
    let mut image = server("docker.io/library/redis:7.0", "redis", &programs, None).await?;
    image.entries.push(link("redis-check-aof", "redis-server"));
    Ok(image)
}

/// A server with its client, its libraries and a shell. The libraries are this machine's, or those below `root`, where
/// another system was unpacked.
pub(super) async fn server(
    name: &str,
    family: &str,
    programs: &[(String, PathBuf)],
    root: Option<&Path>,
) -> Result<Image> {
    let server = format!("{family}-server");
    let mut entries = system();
    let mut libraries = BTreeSet::new();
    for (name, program) in programs {
        libraries.extend(closure::libraries(program, root).await?);
        entries.push(Entry::File { path: format!("usr/local/bin/{name}"), from: program.clone() });
    }
    entries.push(link(&format!("{family}-sentinel"), &server));
    entries.extend(libraries.into_iter().map(|Library { path, from }| Entry::File { path, from }));
    entries.push(Entry::Open { path: "data".to_owned() });
    Ok(Image {
        names: vec![name.to_owned()],
        entries,
        // Debian's server takes no strangers unless it is told so; the official image's is built to.
        config: config(&json!({ "Cmd": [server, "--protected-mode", "no"], "WorkingDir": "/data" })),
    })
}

fn link(name: &str, to: &str) -> Entry {
    Entry::Link { path: format!("usr/local/bin/{name}"), to: to.to_owned() }
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
