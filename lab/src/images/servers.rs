//! Images of servers of other versions: those that `make test-versions` tests with.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use super::{Built, contents, of_this_tree, save};
use crate::{parts, run};

/// Where a client comes from that its server came without: any speaks to any.
const CLIENT: &str = "/usr/bin/redis-cli";

/// Fetches the servers that are missing and makes the images.
pub(crate) async fn build() -> Result<Vec<Built>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["xtask", "servers"]).current_dir(parts::source(".."));
    let table = run::output(&mut cargo).await.context("cannot fetch the servers")?;
    let mut built = Vec::new();
    for line in table.lines() {
        let fetched = parse(line).with_context(|| format!("cargo xtask servers says: {line}"))?;
        built.push(image(&fetched).await.with_context(|| format!("cannot make the image of {line}"))?);
    }
    Ok(built)
}

/// A line of `cargo xtask servers`.
#[derive(Debug, PartialEq)]
struct Fetched<'a> {
    /// `redis` or `valkey`.
    family: &'a str,
    version: &'a str,
    path: &'a Path,
}

/// `redis-8.0`, where it is, and the full version, separated by tabs.
fn parse(line: &str) -> Option<Fetched<'_>> {
    let mut fields = line.split('\t');
    let (family, version) = fields.next()?.split_once('-')?;
    Some(Fetched { family, version, path: Path::new(fields.next()?) })
}

async fn image(fetched: &Fetched<'_>) -> Result<Built> {
    let Fetched { family, version, path } = fetched;
    let (name, full) = match *family {
        "valkey" => (format!("valkey/valkey:{version}"), format!("docker.io/valkey/valkey:{version}")),
        family => (format!("{family}:{version}"), format!("docker.io/library/{family}:{version}")),
    };
    // A server of another Debian comes with that Debian's libraries, beside a script that starts it.
    let root = Some(path.with_file_name("root")).filter(|root| root.exists());
    let folder = match &root {
        Some(root) => root.join("usr/bin"),
        None => path.parent().context("a server without a folder")?.to_owned(),
    };
    let own_client = folder.join(format!("{family}-cli"));
    let client = if own_client.exists() { own_client } else { PathBuf::from(CLIENT) };
    let programs = [
        (format!("{family}-server"), folder.join(format!("{family}-server"))),
        ("redis-cli".to_owned(), client),
    ];
    let image = contents::server(&full, family, &programs, root.as_deref()).await?;
    let archive = save(&of_this_tree(), &format!("{family}-{version}"), &image)?;
    Ok(Built { name, archive })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_family_version_and_place() {
        let fetched = parse("valkey-8.1\t/t/servers/debian-trixie/valkey-8.1\t8.1.1").unwrap();
        let path = Path::new("/t/servers/debian-trixie/valkey-8.1");
        assert_eq!(fetched, Fetched { family: "valkey", version: "8.1", path });
        assert_eq!(parse("nonsense"), None);
    }
}
