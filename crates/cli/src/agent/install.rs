//! Brings this program to where a server's image does not have it.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path, process::ExitCode};

/// Whole or not at all: a server's container starts after this.
pub(crate) fn install(to: &Path) -> ExitCode {
    match copy(to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(to, &error);
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr, reason = "the log of an init container")]
fn complain(to: &Path, error: &io::Error) {
    eprintln!(
        "error: cannot copy this program to {}: {error}\nhint: check that the folder is there, writable, and not full",
        to.display()
    );
}

fn copy(to: &Path) -> io::Result<()> {
    let beside = to.with_extension("new");
    fs::copy(std::env::current_exe()?, &beside)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755))?;
    fs::rename(&beside, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_this_program_and_can_be_run() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("redoubt-agent");
        copy(&to).unwrap();
        copy(&to).unwrap();
        let own = fs::metadata(std::env::current_exe().unwrap()).unwrap();
        let copy = fs::metadata(&to).unwrap();
        assert_eq!(copy.len(), own.len());
        assert_eq!(copy.permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
