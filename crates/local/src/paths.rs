//! Every file and folder of this platform, and nothing else: no name of one is written anywhere else.

use std::path::{Path, PathBuf};

use redoubt_wire::secrets;

use crate::{
    error::{LocalError, io_error},
    files,
};

/// The folder that stands for this machine's "API server" and volumes.
///
/// ```text
/// <state-dir>/
///   engine.lock                one engine per folder; holds its process id
///   engine.log                 the engine in the background
///   resources/cart.yaml        what was applied
///   secrets/NAME/password      passwords that resources name by auth.secretName (as a mounted Secret looks)
///   redis/cart/                one set, see [`SetDir`]
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// Used where nobody names another.
    pub const DEFAULT: &str = ".redoubt";

    /// Opens the folder, and makes it when it is not there, for its owner alone.
    pub fn create(path: &Path) -> Result<Self, LocalError> {
        files::private_dir(path)?;
        let dir = Self::existing(path)?;
        for folder in [dir.resources(), dir.given_secrets(), dir.sets()] {
            files::private_dir(&folder)?;
        }
        Ok(dir)
    }

    /// Opens a folder that must be there.
    pub fn existing(path: &Path) -> Result<Self, LocalError> {
        match path.canonicalize() {
            Ok(root) => Ok(Self { root }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(LocalError::NoStateDir { path: path.to_path_buf() })
            }
            Err(error) => Err(io_error("open", path)(error)),
        }
    }

    /// The folder itself, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Held by the engine as long as it runs.
    #[must_use]
    pub fn engine_lock(&self) -> PathBuf {
        self.root.join("engine.lock")
    }

    /// What an engine in the background says.
    #[must_use]
    pub fn engine_log(&self) -> PathBuf {
        self.root.join("engine.log")
    }

    /// What was applied.
    #[must_use]
    pub fn resources(&self) -> PathBuf {
        self.root.join("resources")
    }

    /// What was applied under this name.
    #[must_use]
    pub fn resource(&self, name: &str) -> PathBuf {
        self.resources().join(format!("{name}.{RESOURCE_ENDING}"))
    }

    /// Passwords given by the user.
    #[must_use]
    pub fn given_secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// The folder of one Secret given by the user: a file per key, as a mounted Secret looks.
    #[must_use]
    pub fn given_secret(&self, secret: &str) -> PathBuf {
        self.given_secrets().join(secret)
    }

    /// All sets.
    #[must_use]
    pub fn sets(&self) -> PathBuf {
        self.root.join("redis")
    }

    /// One set.
    #[must_use]
    pub fn set(&self, name: &str) -> SetDir {
        SetDir { root: self.sets().join(name) }
    }

    /// Names of the sets that have a folder, also of those that were deleted and left their data.
    pub fn set_names(&self) -> Result<Vec<String>, LocalError> {
        files::names_in(&self.sets())
    }
}

/// Ending of the files in `resources`.
pub(crate) const RESOURCE_ENDING: &str = "yaml";

/// The folder of one set.
///
/// ```text
/// identity.json              uid and addresses, for ever
/// config/config.json         what its agents read
/// secrets/                   passwords and the agents' token, see `redoubt_wire::secrets`
/// status.json                the resource's .status
/// events.jsonl               its events, one a line; events.jsonl.1 the ones before
/// volume.json                what becomes of the data when the resource is deleted
/// nodes/cart-0/              one member, see [`MemberDir`]
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetDir {
    root: PathBuf,
}

impl SetDir {
    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Uid and addresses.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity.json")
    }

    /// Folder of the configuration: agents watch the folder, since the file is replaced as a whole.
    #[must_use]
    pub fn config_dir(&self) -> PathBuf {
        self.root.join("config")
    }

    /// What its agents read.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.config_dir().join("config.json")
    }

    /// Passwords and the agents' token.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// The application's password.
    #[must_use]
    pub fn application_password(&self) -> PathBuf {
        self.secrets().join(secrets::APPLICATION)
    }

    /// The resource's `.status`.
    #[must_use]
    pub fn status(&self) -> PathBuf {
        self.root.join("status.json")
    }

    /// Events, one a line, oldest first.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.root.join("events.jsonl")
    }

    /// The events before those.
    #[must_use]
    pub fn old_events(&self) -> PathBuf {
        self.root.join("events.jsonl.1")
    }

    /// What becomes of the data when the resource is deleted.
    #[must_use]
    pub fn volume(&self) -> PathBuf {
        self.root.join("volume.json")
    }

    /// All members.
    #[must_use]
    pub fn members(&self) -> PathBuf {
        self.root.join("nodes")
    }

    /// One node or Sentinel.
    #[must_use]
    pub fn member(&self, name: &str) -> MemberDir {
        MemberDir { root: self.members().join(name) }
    }

    /// Names of the members that have a folder, also of those that were scaled away and left their data.
    pub fn member_names(&self) -> Result<Vec<String>, LocalError> {
        files::names_in(&self.members())
    }
}

/// The folder of one node or Sentinel.
///
/// ```text
/// data/        what its server keeps
/// agent.log    what its agent says; agent.log.1 the one before
/// agent.json   its agent's process, while the member is wanted
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDir {
    root: PathBuf,
}

impl MemberDir {
    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What its server keeps.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// What its agent says.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("agent.log")
    }

    /// What its agent said before the log grew too long.
    #[must_use]
    pub fn old_log(&self) -> PathBuf {
        self.root.join("agent.log.1")
    }

    /// Its agent's process.
    #[must_use]
    pub fn agent(&self) -> PathBuf {
        self.root.join("agent.json")
    }
}
