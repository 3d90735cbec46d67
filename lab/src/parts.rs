//! The programs of a lab that Debian does not have: built once for a machine, kept by the content they were made from.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::run;

/// Parts of Kubernetes: names of one program.
const KUBERNETES: [&str; 6] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"];
/// Only what a shell of the lab's user needs.
pub(crate) const FOR_PEOPLE: [&str; 2] = ["kubectl", "helm"];
/// Of a hash: enough to tell the handful of builds that a machine keeps.
const KEY_BYTES: usize = 8;
const FLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3";

/// A program of the Go module `lab/go`.
struct GoProgram {
    name: &'static str,
    package: &'static str,
}

const GO_PROGRAMS: [GoProgram; 5] = [
    GoProgram { name: "kubernetes", package: "./kubernetes" },
    GoProgram { name: "coredns", package: "./dns" },
    GoProgram { name: "storage", package: "./storage" },
    GoProgram { name: "delay", package: "./delay" },
    GoProgram { name: "helm", package: "helm.sh/helm/v3/cmd/helm" },
];

/// Where built things are kept.
#[derive(Debug)]
pub(crate) struct Parts {
    cache: PathBuf,
}

impl Parts {
    pub(crate) fn new() -> Result<Self> {
        let cache = match env::var_os("XDG_CACHE_HOME") {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
                .join(".cache"),
        };
        let cache = cache.join("redoubt-lab");
        fs::create_dir_all(cache.join("bin")).with_context(|| format!("cannot make {}", cache.display()))?;
        Ok(Self { cache })
    }

    /// The path of a program, which [`Parts::build`] has made.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.cache.join("bin").join(name)
    }

    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Builds what is missing.
    pub(crate) async fn build(&self) -> Result<()> {
        self.link("pause", &self.pause().await?)?;
        for program in &GO_PROGRAMS {
            let built = self.go(program).await?;
            match program.name {
                "kubernetes" => KUBERNETES.iter().try_for_each(|name| self.link(name, &built))?,
                name => self.link(name, &built)?,
            }
        }
        Ok(())
    }

    async fn pause(&self) -> Result<PathBuf> {
        let folder = source("pause");
        self.once("pause", &[&folder], async |made| {
            let mut cc = Command::new("cc");
            cc.args(["-Os", "-static", "-s", "-o"]).arg(made).arg(folder.join("pause.c"));
            run::watched(&mut cc).await
        })
        .await
    }

    async fn go(&self, program: &GoProgram) -> Result<PathBuf> {
        let module = source("go");
        let (mod_file, sum_file) = (module.join("go.mod"), module.join("go.sum"));
        let own = program.package.strip_prefix("./").map(|folder| module.join(folder));
        let made_from: Vec<&Path> = [Some(&mod_file), Some(&sum_file), own.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect();
        self.once(program.name, &made_from, async |made| {
            let mut go = Command::new("go");
            go.current_dir(&module).args(["build", "-trimpath", "-buildvcs=false", "-ldflags", FLAGS, "-o"]);
            run::watched(go.arg(made).arg(program.package)).await
        })
        .await
    }

    /// The file that `make` makes, unless it was made from the same content before.
    pub(crate) async fn once(
        &self,
        name: &str,
        made_from: &[&Path],
        make: impl AsyncFnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let kept = self.cache.join(format!("{name}-{}", key(made_from)?));
        if !kept.exists() {
            crate::say(&format!("building {name}"));
            // Two builds at a time write two files; the name is given to the last, and both are right.
            let partial = self.cache.join(format!("{name}.partial-{}", std::process::id()));
            make(&partial).await.with_context(|| format!("cannot build {name}"))?;
            fs::rename(&partial, &kept).with_context(|| format!("cannot make {}", kept.display()))?;
        }
        Ok(kept)
    }

    fn link(&self, name: &str, built: &Path) -> Result<()> {
        link(&self.program(name), built)
    }
}

/// Makes a link, in place of the one that is there.
pub(crate) fn link(path: &Path, to: &Path) -> Result<()> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    std::os::unix::fs::symlink(to, &partial).with_context(|| format!("cannot make {}", partial.display()))?;
    fs::rename(&partial, path).with_context(|| format!("cannot make {}", path.display()))
}

/// A file or folder of the sources of the lab.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What stands for the content of these files and folders.
pub(crate) fn key(paths: &[&Path]) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(FLAGS);
    for path in paths {
        for file in files(path)? {
            let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            hash.update((content.len() as u64).to_be_bytes());
            hash.update(&content);
        }
    }
    Ok(hex(&hash.finalize()[..KEY_BYTES]))
}

/// As hashes are written.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(digit).collect()
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
        files.push(entry.path());
    }
    if files.is_empty() {
        bail!("{} is empty", path.display());
    }
    files.sort();
    Ok(files)
}
