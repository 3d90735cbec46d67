//! Passwords made on the spot, where nobody gave any.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rand::{TryRng as _, rngs::SysRng};
use secrecy::zeroize::Zeroizing;

use super::ALL;

/// Letters and digits: nothing that a shell, a URL or a configuration file would treat in its own way.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Characters of a generated password: 40 of 62 make 238 bits.
const LENGTH: usize = 40;

/// Missing secrets could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The file or folder could not be written.
    #[error("secrets cannot be written to {}: {source}; check that the folder is writable", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The system gave no random numbers.
    #[error("the system's random number source failed: {0}; no password was made")]
    Random(rand::rngs::SysError),
}

/// Writes a strong random password into every file of [`ALL`] that is not there, and returns their names.
///
/// The folder is made when needed and belongs to its owner alone (0700), the files too (0600). A file that is there
/// is never touched. Each appears whole or not at all, so this can be cut off at any point and made again, also
/// twice at a time.
pub fn generate_missing(dir: &Path) -> Result<Vec<&'static str>, GenerateError> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| GenerateError::Write { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(at(dir))?;
    let mut made = Vec::new();
    for name in ALL {
        let path = dir.join(name);
        if !path.try_exists().map_err(at(&path))? {
            let password = random_password()?;
            if write_new(&path, &password).map_err(at(&path))? {
                made.push(name);
            }
        }
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))?;
    Ok(made)
}

/// A strong random password, without an end of line.
pub fn random() -> Result<Zeroizing<String>, GenerateError> {
    let mut bytes = random_password()?;
    bytes.pop();
    // Letters and digits only.
    Ok(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

fn random_password() -> Result<Zeroizing<Vec<u8>>, GenerateError> {
    let mut password = Zeroizing::new(Vec::with_capacity(LENGTH + 1));
    let mut bytes = Zeroizing::new([0_u8; 2 * LENGTH]);
    while password.len() < LENGTH {
        SysRng.try_fill_bytes(bytes.as_mut_slice()).map_err(GenerateError::Random)?;
        let lacking = LENGTH - password.len();
        password.extend(bytes.iter().filter_map(|byte| letter(*byte)).take(lacking));
    }
    password.push(b'\n');
    Ok(password)
}

/// Every letter equally likely: bytes beyond the last whole multiple of the alphabet are passed over.
fn letter(byte: u8) -> Option<u8> {
    let whole = u8::MAX / 62 * 62;
    (byte < whole).then(|| ALPHABET[usize::from(byte % 62)])
}

/// Written beside, then linked in place: a link never replaces a file that somebody else made meanwhile. Says
/// whether ours is the one in place.
fn write_new(path: &Path, content: &[u8]) -> std::io::Result<bool> {
    let beside = beside(path)?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| match std::fs::hard_link(&beside, path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        });
    match std::fs::remove_file(&beside) {
        Err(error) if written.is_ok() => Err(error),
        _ => written,
    }
}

/// A name of its own for each writer, hidden from those who read the folder by name.
fn beside(path: &Path) -> std::io::Result<PathBuf> {
    let number = SysRng.try_next_u64().map_err(std::io::Error::other)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{number:016x}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::secrets::{APPLICATION, Secrets, TOKEN};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_strong_private_and_loads() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a/secrets");
        assert_eq!(generate_missing(&dir).unwrap(), ALL);
        assert_eq!(mode(&dir), 0o700);
        assert!(ALL.iter().all(|name| mode(&dir.join(name)) == 0o600));
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), ALL.len(), "nothing else is left in the folder");
        let secrets = Secrets::load(&dir).unwrap();
        let all: BTreeSet<_> =
            secrets.in_order().map(|password| password.current().expose_secret().to_owned()).into();
        assert_eq!(all.len(), ALL.len(), "no two are the same");
        assert!(
            all.iter().all(|text| text.len() == LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric()))
        );
    }

    #[test]
    fn what_is_there_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(APPLICATION), "mine\nbefore\n").unwrap();
        assert!(!generate_missing(dir.path()).unwrap().contains(&APPLICATION));
        let first = Secrets::load(dir.path()).unwrap();
        assert_eq!(first.application.current().expose_secret(), "mine");
        assert!(generate_missing(dir.path()).unwrap().is_empty());
        assert!(first.changed(&Secrets::load(dir.path()).unwrap()).is_empty());
        assert!(!write_new(&dir.path().join(TOKEN), b"other\n").unwrap(), "a link does not replace");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let error = generate_missing(&dir.path().join("file/secrets")).unwrap_err().to_string();
        assert!(error.contains("/file/secrets"), "{error}");
    }
}
