//! The secrets of one set: a folder of small files, a mounted Secret on Kubernetes.
//!
//! Each file holds one password. A second line, if there is one, is the previous password: still accepted by the
//! servers, never used to connect, so that a rotation can pass through the set.

mod generate;
mod password;

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

pub use generate::{GenerateError, generate_missing, random};
pub use password::{MAX_PASSWORD, Password, PasswordFault};
use secrecy::zeroize::Zeroizing;

/// Password of `default`, the application's user at the data nodes.
pub const APPLICATION: &str = "password";
/// Password of [`AGENT_USER`], at the data nodes and at the Sentinels.
pub const AGENT: &str = "agent-password";
/// Password of [`REPLICATION_USER`] at the data nodes.
pub const REPLICATION: &str = "replication-password";
/// Password of [`SENTINEL_USER`], with which the Sentinels log in at the data nodes and at each other.
pub const SENTINEL_AT_NODES: &str = "sentinel-node-password";
/// Password of `default`, the application's user at the Sentinels.
pub const SENTINEL: &str = "sentinel-password";
/// Bearer token of the agents' HTTP interface.
pub const TOKEN: &str = "token";

/// All files, in a fixed order.
pub const ALL: [&str; 6] = [APPLICATION, AGENT, REPLICATION, SENTINEL_AT_NODES, SENTINEL, TOKEN];

/// ACL user of the agents.
pub const AGENT_USER: &str = "redoubt-agent";
/// ACL user of replicas at their master.
pub const REPLICATION_USER: &str = "redoubt-replication";
/// ACL user of the Sentinels, at the data nodes and at each other.
pub const SENTINEL_USER: &str = "redoubt-sentinel";

/// Longest file that is read, bytes: two passwords and their line ends.
const MAX_FILE: u64 = 2 * (MAX_PASSWORD as u64 + 2);

/// All secrets of one set. Its `Debug` shows none of them.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// [`APPLICATION`].
    pub application: Password,
    /// [`AGENT`].
    pub agent: Password,
    /// [`REPLICATION`].
    pub replication: Password,
    /// [`SENTINEL_AT_NODES`].
    pub sentinel_at_nodes: Password,
    /// [`SENTINEL`].
    pub sentinel: Password,
    /// [`TOKEN`].
    pub token: Password,
}

/// The secrets could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file is not there.
    #[error("secret file {} is missing; write the password on its first line", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file is there and cannot be read.
    #[error("secret file {} cannot be read: {source}; check its owner and mode", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file holds something that is no password.
    #[error("secret file {} {fault}", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: PasswordFault,
    },
}

impl Secrets {
    /// Reads all files of the folder. The first one at fault is named.
    pub fn load(dir: &Path) -> Result<Self, SecretsError> {
        Ok(Self {
            application: read(dir, APPLICATION, Ok)?,
            agent: read(dir, AGENT, Ok)?,
            replication: read(dir, REPLICATION, Ok)?,
            sentinel_at_nodes: read(dir, SENTINEL_AT_NODES, Ok)?,
            sentinel: read(dir, SENTINEL, Ok)?,
            token: read(dir, TOKEN, Password::for_header)?,
        })
    }

    /// Names of the files that differ: what a rotation has to carry into the running servers.
    #[must_use]
    pub fn changed(&self, other: &Self) -> Vec<&'static str> {
        let pairs = self.in_order().into_iter().zip(other.in_order());
        ALL.into_iter().zip(pairs).filter(|(_, (a, b))| !a.same(b)).map(|(name, _)| name).collect()
    }

    /// The passwords in the order of [`ALL`].
    fn in_order(&self) -> [&Password; ALL.len()] {
        let Self { application, agent, replication, sentinel_at_nodes, sentinel, token } = self;
        [application, agent, replication, sentinel_at_nodes, sentinel, token]
    }
}

/// Reads one password of a folder, for those who need no other: the one that a user gives.
pub fn load_one(dir: &Path, name: &str) -> Result<Password, SecretsError> {
    read(dir, name, Ok)
}

/// What a password has to be beyond one that the servers take.
type Fit = fn(Password) -> Result<Password, PasswordFault>;

fn read(dir: &Path, name: &str, fit: Fit) -> Result<Password, SecretsError> {
    let path = dir.join(name);
    let text = match read_bounded(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SecretsError::Missing { path });
        }
        Err(source) => return Err(SecretsError::Unreadable { path, source }),
    };
    Password::parse(&text).and_then(fit).map_err(|fault| SecretsError::Unfit { path, fault })
}

/// One byte more than allowed at most, so that a wrong mount (a device, a dump) cannot fill the memory and is still
/// told apart from a file that just fits.
fn read_bounded(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ALL {
            std::fs::write(dir.path().join(name), format!("{name}-now\n")).unwrap();
        }
        dir
    }

    fn refused(name: &str, content: &[u8]) -> String {
        let dir = folder();
        std::fs::write(dir.path().join(name), content).unwrap();
        Secrets::load(dir.path()).unwrap_err().to_string()
    }

    #[test]
    fn every_file_is_read_without_its_newline() {
        let secrets = Secrets::load(folder().path()).unwrap();
        let read: Vec<_> =
            secrets.in_order().map(|password| password.current().expose_secret().to_owned()).into();
        assert_eq!(read, ALL.map(|name| format!("{name}-now")));
        assert!(secrets.in_order().iter().all(|password| password.previous().is_none()));
    }

    #[test]
    fn debug_shows_no_secret() {
        let dir = folder();
        std::fs::write(dir.path().join(TOKEN), "hidden-now\nhidden-before\n").unwrap();
        let shown = format!("{:?}", Secrets::load(dir.path()).unwrap());
        assert!(!shown.contains("now") && !shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn a_file_at_fault_is_named_with_the_reason_and_without_its_content() {
        for (content, reason) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"two words\n", "white space"),
            (b"tab\there", "white space"),
            (b"bell\x07", "control character"),
            (b"quo\"te", "quotation mark"),
            (b"\xff\xfe", "not UTF-8"),
            (b"a\nb\nc\n", "more than two lines"),
            (b"a\n\nc\n", "more than two lines"),
            (&[b'x'; MAX_PASSWORD + 1], "longer than 512 bytes"),
            (&vec![b'x'; 100_000], "longer than 512 bytes"),
        ] {
            let message = refused(SENTINEL, content);
            assert!(message.contains("/sentinel-password ") && message.contains(reason), "{message}");
            assert!(!message.contains("words") && !message.contains("quo\""), "{message}");
        }
    }

    #[test]
    fn only_the_token_has_to_travel_in_a_header() {
        assert!(refused(TOKEN, "schlüssel".as_bytes()).contains("/token holds a token"));
        let dir = folder();
        std::fs::write(dir.path().join(APPLICATION), "schlüssel").unwrap();
        assert!(Secrets::load(dir.path()).is_ok());
    }

    #[test]
    fn a_missing_and_an_unreadable_file_are_told_apart() {
        let dir = folder();
        std::fs::remove_file(dir.path().join(AGENT)).unwrap();
        assert!(
            matches!(Secrets::load(dir.path()), Err(SecretsError::Missing { path }) if path.ends_with(AGENT))
        );
        std::fs::create_dir(dir.path().join(AGENT)).unwrap();
        assert!(matches!(Secrets::load(dir.path()), Err(SecretsError::Unreadable { .. })));
    }

    #[test]
    fn what_a_rotation_touched_is_named() {
        let dir = folder();
        let before = Secrets::load(dir.path()).unwrap();
        assert!(before.changed(&before.clone()).is_empty());
        std::fs::write(dir.path().join(APPLICATION), "new\npassword-now\n").unwrap();
        std::fs::write(dir.path().join(TOKEN), "token-now\ntoken-before\n").unwrap();
        let after = Secrets::load(dir.path()).unwrap();
        assert_eq!(before.changed(&after), [APPLICATION, TOKEN]);
    }
}
