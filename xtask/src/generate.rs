//! Files made from the types. They are committed; a test fails when they differ.

use std::fs;

use anyhow::{Context as _, Result};
use redoubt_kubernetes::{ManifestOptions, manifests};
use serde_json::Value;

use crate::{reference, root, say};

/// Path from the top folder, and content, of every generated file.
fn files() -> Result<[(&'static str, String); 5]> {
    let schema = redoubt_api::schema();
    let text = serde_json::to_string_pretty(&schema).context("cannot write the schema as text")?;
    Ok([
        ("docs/schema/redis.schema.json", text + "\n"),
        ("docs/reference/redis.md", reference::page(&schema)),
        ("deploy/crds/redoubt.dev_redises.yaml", crd(&redoubt_api::crd())?),
        ("deploy/crds/databases.spotahome.com_redisfailovers.yaml", crd(&redoubt_api::failover_crd())?),
        ("deploy/operator.yaml", operator()?),
    ])
}

fn crd(crd: &Value) -> Result<String> {
    let text = serde_saphyr::to_string(crd).context("cannot write the CRD as text")?;
    Ok(format!("# Made by `cargo xtask generate` from the types of crates/api; do not edit.\n{text}"))
}

fn operator() -> Result<String> {
    let options = ManifestOptions { without_crds: true, ..ManifestOptions::default() };
    let text = manifests(&options).context("cannot write the manifests as text")?;
    Ok(format!(
        "# Made by `cargo xtask generate`, as `redoubt manifests --without-crds` prints it; do not edit.\n{text}"
    ))
}

pub(crate) fn write() -> Result<()> {
    for (path, content) in files()? {
        let target = root().join(path);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(&target, content).with_context(|| format!("cannot write {}", target.display()))?;
        say(&format!("wrote {path}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_never_differ_from_the_types() {
        for (path, content) in files().unwrap() {
            let committed = fs::read_to_string(root().join(path)).unwrap_or_default();
            assert_eq!(committed, content, "{path} is out of date: run cargo xtask generate");
        }
    }
}
