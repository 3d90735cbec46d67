//! What this machine could not do, in words for people.

use std::{io, path::PathBuf, time::Duration};

use redoubt_engine::platform::PlatformError;
use redoubt_redis::Endpoint;
use redoubt_wire::{
    client::AgentError,
    secrets::{GenerateError, SecretsError},
};

/// Something on this machine stood in the way. [`LocalError::next`] says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file or folder could not be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A file of ours holds something else than we wrote.
    #[error("{} cannot be understood: {why}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no state folder where one was expected.
    #[error("there is no state folder {}", .path.display())]
    NoStateDir {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Another engine looks after this state folder.
    #[error("an engine runs for {} already{}", .state_dir.display(), holder(*.pid))]
    EngineRuns {
        /// The state folder.
        state_dir: PathBuf,
        /// The other engine's process, where it said who it is.
        pid: Option<u32>,
    },
    /// Nobody looks after this state folder.
    #[error("no engine runs for {}", .state_dir.display())]
    EngineAbsent {
        /// The state folder.
        state_dir: PathBuf,
    },
    /// The engine in the background ended before it was ready.
    #[error("the engine ended while it started ({how}){}", said(.last_words))]
    EngineEnded {
        /// How it ended.
        how: String,
        /// The end of its log.
        last_words: String,
        /// Where its log is.
        log: PathBuf,
    },
    /// No resource has this name.
    #[error("there is no Redis {name:?} in {}", .state_dir.display())]
    NoSuchRedis {
        /// The name asked for.
        name: String,
        /// Where it was looked for.
        state_dir: PathBuf,
        /// The names there are.
        known: Vec<String>,
    },
    /// No engine has started the set yet.
    #[error("{name:?} was applied and has not been started yet")]
    NotYet {
        /// The set.
        name: String,
    },
    /// A resource of the same name lives in another namespace.
    #[error("a Redis {name:?} is there already, in namespace {namespace:?}; names are unique on one machine")]
    NameTaken {
        /// The name.
        name: String,
        /// Namespace of the one that is there.
        namespace: String,
    },
    /// Where there are no more loopback addresses, or none are to be used.
    #[error(
        "{name} is in mode Cluster, whose nodes need an address each, and here there are ports of 127.0.0.1 alone"
    )]
    OneAddress {
        /// Which Redis.
        name: String,
    },
    /// The resource is another one now in a way that a set cannot become.
    #[error("{name} stays as it is: {faults}")]
    Unchangeable {
        /// Which Redis.
        name: String,
        /// Each with its field and what to do.
        faults: String,
    },
    /// No node or Sentinel has this name.
    #[error("there is no node or Sentinel {name:?}")]
    NoSuchMember {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// Something else listens where a member belongs.
    #[error("{endpoint}, the address of {member}, cannot be listened on: {why}{}", listener(.holder.as_ref()))]
    AddressTaken {
        /// Whose address it is.
        member: String,
        /// The address.
        endpoint: Endpoint,
        /// The system's words.
        why: String,
        /// Number and name of the process that listens there, where the system tells.
        holder: Option<(u32, String)>,
    },
    /// Another engine on this machine uses the same block of addresses.
    #[error("the addresses of {name} ({block}) are used by another engine on this machine")]
    BlockTaken {
        /// The set.
        name: String,
        /// Its block.
        block: String,
    },
    /// No free block of addresses was found.
    #[error("no free addresses for {name}: {tried} blocks were tried, the last one failed with: {last}")]
    NoAddresses {
        /// The set.
        name: String,
        /// How many blocks were tried.
        tried: usize,
        /// Why the last one could not be used.
        last: String,
    },
    /// More members than a block has addresses.
    #[error("{name} asks for {asked} {what}; one machine has addresses for {limit}")]
    TooMany {
        /// The set.
        name: String,
        /// `nodes` or `Sentinels`.
        what: &'static str,
        /// How many are asked for.
        asked: u32,
        /// How many there can be.
        limit: u32,
    },
    /// The agent's program is not there.
    #[error("{} is not there", program.display())]
    NoAgent {
        /// Where it should be.
        program: PathBuf,
    },
    /// The server's program is not there.
    #[error("{program} was not found in PATH")]
    NoServer {
        /// `redis-server` or `valkey-server`.
        program: &'static str,
        /// Environment variable that names it.
        variable: &'static str,
    },
    /// The server's program does not say its version.
    #[error("{} does not tell its version: {why}", .path.display())]
    ServerUnusable {
        /// The program.
        path: PathBuf,
        /// What happened instead.
        why: String,
        /// Environment variable that names another one.
        variable: &'static str,
    },
    /// Another version than the one asked for.
    #[error("version {wanted} is asked for, and {} is version {found}", .path.display())]
    WrongVersion {
        /// The version asked for.
        wanted: String,
        /// The version found.
        found: String,
        /// The program.
        path: PathBuf,
        /// Environment variable that names another one.
        variable: &'static str,
    },
    /// The password the resource names cannot be used.
    #[error("the password of {name}, asked for by auth.secretName, cannot be used: {source}")]
    Password {
        /// The set.
        name: String,
        /// What is wrong with it, and what to do.
        source: SecretsError,
    },
    /// The name of a Secret is no file name.
    #[error("auth.secretName {secret:?} of {name} is not the name of a Secret")]
    SecretName {
        /// The set.
        name: String,
        /// What was written.
        secret: String,
    },
    /// The secrets of a set cannot be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The secrets of a set cannot be made.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// An agent could not be started.
    #[error("the agent of {member} cannot be started: {source}")]
    Spawn {
        /// Whose agent.
        member: String,
        /// The program that was to be started.
        program: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A process did not end.
    #[error("{what} (process {pid}) is still there {} s after SIGKILL", .after.as_secs())]
    WillNotEnd {
        /// What it is.
        what: String,
        /// Its process id.
        pid: u32,
        /// How long it was waited for.
        after: Duration,
    },
    /// A process could not be watched or signalled.
    #[error("cannot {action} process {pid} ({what}): {source}")]
    Process {
        /// What was tried, as `watch`.
        action: &'static str,
        /// What it is.
        what: String,
        /// Its process id.
        pid: u32,
        /// The system's words.
        source: io::Error,
    },
    /// Changes of files cannot be watched.
    #[error("cannot watch {} for changes: {source}", .path.display())]
    Watch {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: notify::Error,
    },
    /// An agent could not be asked.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The machine gave no random numbers.
    #[error("the system's random number source failed: {0}")]
    Random(String),
    /// The part of this process that does the work is gone.
    #[error("{what} has ended")]
    Gone {
        /// Which part.
        what: String,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

fn listener(holder: Option<&(u32, String)>) -> String {
    holder.map(|(pid, name)| format!(" (process {pid}, {name}, listens there)")).unwrap_or_default()
}

fn said(last_words: &str) -> String {
    if last_words.is_empty() { String::new() } else { format!(": {last_words}") }
}

impl LocalError {
    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::Io { path, .. } => format!("check the owner, the mode and the free space of {}", path.display()),
            Self::Malformed { path, .. } => format!("mend or remove {}", path.display()),
            Self::NoStateDir { .. } => "start something with `redoubt up -f FILE`, or name the folder with --state-dir".to_owned(),
            Self::EngineRuns { .. } => "use it (`redoubt apply`, `redoubt status`), stop it (`redoubt down`), or choose another --state-dir".to_owned(),
            Self::EngineAbsent { .. } => "start it with `redoubt up`".to_owned(),
            Self::EngineEnded { log, .. } => format!("see {}", log.display()),
            Self::NoSuchRedis { known, .. } | Self::NoSuchMember { known, .. } => one_of(known),
            Self::NotYet { .. } => "see `redoubt status`; start an engine with `redoubt up` if none runs".to_owned(),
            Self::OneAddress { .. } => {
                "use a system with more loopback addresses (Linux), without --single-address; a set that has its ports keeps them".to_owned()
            }
            Self::Unchangeable { .. } => "what runs goes on unchanged; undo the change, or create another Redis and move the data".to_owned(),
            Self::NameTaken { .. } => "choose another name, delete the other one, or use another --state-dir".to_owned(),
            Self::AddressTaken { endpoint, .. } => format!(
                "stop what listens on {endpoint}; the member starts by itself as soon as the address is free"
            ),
            Self::BlockTaken { .. } => "stop the other one; is this state folder a copy of another one?".to_owned(),
            Self::NoAddresses { .. } => "stop what listens on so many loopback addresses, or try --single-address".to_owned(),
            Self::TooMany { limit, .. } => format!("ask for at most {limit}"),
            Self::NoAgent { .. } => {
                "install redoubt-agent beside redoubt: they come together, from one build".to_owned()
            }
            Self::NoServer { program, variable } => {
                format!("install {program}, or name it in the environment variable {variable}")
            }
            Self::ServerUnusable { variable, .. } => {
                format!("install a working one, or name it in the environment variable {variable}")
            }
            Self::WrongVersion { wanted, variable, .. } => format!(
                "install version {wanted} and name it in the environment variable {variable}, or change spec.version"
            ),
            Self::Password { .. } => "what runs is left as it is and takes the new password once the file is right".to_owned(),
            Self::SecretName { .. } => "write a name of letters, digits, '-' and '.'".to_owned(),
            Self::Secrets(_) | Self::Generate(_) => "see the folder of its secrets".to_owned(),
            Self::Spawn { program, .. } => format!("check that {} can be executed", program.display()),
            Self::WillNotEnd { pid, .. } => {
                format!("it hangs in the kernel, perhaps on a disk: see /proc/{pid}/stack, and free what it waits for")
            }
            Self::Process { pid, .. } => format!("check with `ps -p {pid}` whose process it is"),
            Self::Watch { .. } => "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances".to_owned(),
            Self::Agent(error) => error.next().to_owned(),
            Self::Random(_) | Self::Gone { .. } => "start again".to_owned(),
        }
    }

    /// The same as the engine wants it.
    pub(crate) fn for_platform(&self, what: impl Into<String>) -> PlatformError {
        PlatformError { what: what.into(), why: self.to_string(), next: self.next() }
    }
}

fn one_of(known: &[String]) -> String {
    if known.is_empty() {
        "there is none yet: `redoubt apply -f FILE` makes one".to_owned()
    } else {
        format!("there are: {}", known.join(", "))
    }
}

/// Adds the file to an error of the system.
pub(crate) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> LocalError {
    let path = path.into();
    move |source| LocalError::Io { action, path, source }
}
