//! Becoming a newer version of the agent while the server runs on.
//!
//! Expected flow: the binary is replaced, the agent gets SIGUSR2, execs the binary at its own path with its own
//! arguments, and the successor takes the server over. Nobody is asked to wait: the server never notices.

use std::{env, ffi::OsString, path::PathBuf};

use redoubt_supervise::{Child, Heirloom, Lines, OwnChildren, exec_successor};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Environment variable that carries what is left to the successor.
const VARIABLE: &str = "REDOUBT_HEIRLOOM";

#[derive(Serialize, Deserialize)]
struct Legacy<M> {
    heirloom: Heirloom,
    memory: M,
}

/// What an earlier version of this agent left: its child and what it knew.
pub(crate) fn inherit<M: DeserializeOwned>(own: &OwnChildren) -> Option<(Child, Lines, M)> {
    let text = env::var(VARIABLE).ok()?;
    let legacy: Legacy<M> = serde_json::from_str(&text)
        .inspect_err(|error| tracing::error!(%error, "what the predecessor left is not understood"))
        .ok()?;
    let (child, lines) = Child::adopt(legacy.heirloom, own)
        .inspect_err(|error| tracing::error!(%error, "the predecessor's server cannot be taken over"))
        .ok()?;
    Some((child, lines, legacy.memory))
}

/// Becomes the binary at this one's path. Comes back only when that fails, with the child.
pub(crate) fn succeed<M: Serialize>(
    child: Child,
    lines: Option<Lines>,
    memory: M,
    own: &OwnChildren,
) -> Result<(Child, Lines), String> {
    let program = own_path()?;
    let heirloom = child.into_heirloom(lines).map_err(|error| error.to_string())?;
    let legacy = Legacy { heirloom, memory };
    let text = serde_json::to_string(&legacy).map_err(|error| error.to_string())?;
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let failed = exec_successor(&program, &args, &[(VARIABLE, text.as_str())]);
    tracing::error!("no new version takes over: {failed}");
    Child::adopt(legacy.heirloom, own).map_err(|error| error.to_string())
}

/// The path of this program. Linux marks the one of a binary that was replaced.
fn own_path() -> Result<PathBuf, String> {
    let path = env::current_exe().map_err(|error| error.to_string())?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map(PathBuf::from).unwrap_or(path.clone()))
}
