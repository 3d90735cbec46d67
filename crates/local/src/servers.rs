//! Which program a set's servers are: `redis-server` or `valkey-server`, of the version asked for.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use redoubt_api::{CheckedSpec, Engine};

use crate::error::LocalError;

/// Names the program for `engine: Redis`; else `redis-server` in `PATH`.
pub const REDIS_SERVER_VARIABLE: &str = "REDOUBT_REDIS_SERVER";
/// Names the program for `engine: Valkey`; else `valkey-server` in `PATH`.
pub const VALKEY_SERVER_VARIABLE: &str = "REDOUBT_VALKEY_SERVER";

/// A server prints its version in some milliseconds; a program that takes longer is none.
const VERSION_DEADLINE: Duration = Duration::from_secs(5);

/// Finds servers' programs. Sentinels are the same program with `--sentinel`.
#[derive(Debug)]
pub(crate) struct Servers {
    redis: Option<OsString>,
    valkey: Option<OsString>,
    path: OsString,
    // By program and its last change: asked once, until another one is installed in its place.
    versions: Mutex<HashMap<(PathBuf, Option<SystemTime>), String>>,
}

impl Servers {
    /// As the environment says.
    pub(crate) fn from_environment() -> Self {
        let read = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self::new(read(REDIS_SERVER_VARIABLE), read(VALKEY_SERVER_VARIABLE), read("PATH").unwrap_or_default())
    }

    fn new(redis: Option<OsString>, valkey: Option<OsString>, path: OsString) -> Self {
        Self { redis, valkey, path, versions: Mutex::default() }
    }

    /// The program for this spec.
    pub(crate) async fn resolve(&self, spec: &CheckedSpec) -> Result<PathBuf, LocalError> {
        let (program, variable, named) = match spec.engine {
            Engine::Redis => ("redis-server", REDIS_SERVER_VARIABLE, &self.redis),
            Engine::Valkey => ("valkey-server", VALKEY_SERVER_VARIABLE, &self.valkey),
        };
        let path = match named {
            Some(named) => self.find(Path::new(named)).unwrap_or_else(|| PathBuf::from(named)),
            None => self.find(Path::new(program)).ok_or(LocalError::NoServer { program, variable })?,
        };
        let found = self.version(&path, variable).await?;
        match &spec.version {
            Some(wanted) if !satisfies(&found, wanted) => {
                Err(LocalError::WrongVersion { wanted: wanted.clone(), found, path, variable })
            }
            _ => Ok(path),
        }
    }

    /// A name without a slash is looked for in `PATH`, as shells do.
    fn find(&self, program: &Path) -> Option<PathBuf> {
        if program.components().count() > 1 {
            return std::path::absolute(program).ok();
        }
        std::env::split_paths(&self.path).map(|dir| dir.join(program)).find(|path| path.is_file())
    }

    async fn version(&self, path: &Path, variable: &'static str) -> Result<String, LocalError> {
        let changed = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let key = (path.to_path_buf(), changed);
        if let Some(version) = self.versions.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(version.clone());
        }
        let version = ask_version(path).await.map_err(|why| LocalError::ServerUnusable {
            path: path.to_path_buf(),
            why,
            variable,
        })?;
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).insert(key, version.clone());
        Ok(version)
    }
}

async fn ask_version(path: &Path) -> Result<String, String> {
    let output =
        tokio::process::Command::new(path).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(VERSION_DEADLINE, output)
        .await
        .map_err(|_| format!("`--version` took longer than {} s", VERSION_DEADLINE.as_secs()))?
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse_version(&text).map(str::to_owned).ok_or_else(|| format!("`--version` says {:?}", text.trim()))
}

/// `Redis server v=7.0.15 sha=00000000:0 …`, `Valkey server v=8.1.1 …`.
fn parse_version(text: &str) -> Option<&str> {
    let version = text.split_ascii_whitespace().find_map(|word| word.strip_prefix("v="))?;
    version.starts_with(|first: char| first.is_ascii_digit()).then_some(version)
}

/// `7.2` asks for any `7.2.*`.
fn satisfies(found: &str, wanted: &str) -> bool {
    let mut found = found.split('.');
    wanted.split('.').all(|part| found.next() == Some(part))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use redoubt_api::Redis;

    use super::*;

    fn spec(engine: &str, version: Option<&str>) -> CheckedSpec {
        let version = version.map(|version| format!(", version: \"{version}\"")).unwrap_or_default();
        crate::testing::checked(&format!("{{engine: {engine}{version}}}")).spec
    }

    fn program(dir: &Path, name: &str, script: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn versions_are_compared_part_by_part() {
        for (found, wanted, fits) in [
            ("7.0.15", "7", true),
            ("7.0.15", "7.0", true),
            ("7.0.15", "7.0.1", false),
            ("7.10.1", "7.1", false),
            ("7.2", "7.2.0", false),
        ] {
            assert_eq!(satisfies(found, wanted), fits, "{found} {wanted}");
        }
        assert_eq!(parse_version("Valkey server v=8.1.1 sha=0:0 malloc=x bits=64"), Some("8.1.1"));
        assert_eq!(parse_version("usage: v=what"), None);
    }

    #[tokio::test]
    async fn the_environment_goes_before_the_path_and_a_missing_server_says_what_to_install() {
        let dir = tempfile::tempdir().unwrap();
        let other = program(dir.path(), "mine", "echo Redis server v=6.2.14 sha=0");
        let redis = program(dir.path(), "redis-server", "echo Redis server v=7.0.15 sha=0");
        let path: OsString = dir.path().into();
        let servers = Servers::new(None, None, path.clone());
        assert_eq!(servers.resolve(&spec("Redis", Some("7.0"))).await.unwrap(), redis);
        let error = servers.resolve(&spec("Valkey", None)).await.unwrap_err();
        assert!(
            error.next().contains("install valkey-server") && error.next().contains(VALKEY_SERVER_VARIABLE)
        );
        let servers = Servers::new(Some(other.clone().into()), None, path);
        assert_eq!(servers.resolve(&spec("Redis", None)).await.unwrap(), other);
        let error = servers.resolve(&spec("Redis", Some("7.2"))).await.unwrap_err().to_string();
        assert!(error.contains("7.2") && error.contains("6.2.14") && error.contains("/mine"), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_server_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let odd = program(dir.path(), "odd", "echo hello");
        for named in [odd, dir.path().join("none")] {
            let servers = Servers::new(Some(named.clone().into()), None, OsString::new());
            let error = servers.resolve(&spec("Redis", None)).await.unwrap_err();
            assert!(matches!(&error, LocalError::ServerUnusable { path, .. } if *path == named), "{error}");
        }
        let _ = Redis::new("unused");
    }
}
