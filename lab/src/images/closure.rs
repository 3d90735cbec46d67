//! The libraries that a program needs to start.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::process::Command;

use crate::run;

/// Where every program of this architecture looks for what loads its libraries.
const LINKER: &str = "lib64/ld-linux-x86-64.so.2";
/// Where Debian has libraries.
const FOLDER: &str = "usr/lib/x86_64-linux-gnu";

/// A library, or the program that loads them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Library {
    /// In the image, without the leading slash.
    pub(crate) path: String,
    /// On this machine.
    pub(crate) from: PathBuf,
}

/// Those of this machine, or of the system that was unpacked into `root`. A static program needs none, which ldd calls
/// a failure.
pub(crate) async fn libraries(program: &Path, root: Option<&Path>) -> Result<Vec<Library>> {
    let mut command = match root {
        Some(root) => {
            let folder = root.join(FOLDER);
            let mut linker = Command::new(folder.join("ld-linux-x86-64.so.2"));
            linker.arg("--library-path").arg(folder).arg("--list");
            linker
        }
        None => Command::new("ldd"),
    };
    match run::output(command.arg(program).env("LC_ALL", "C")).await {
        Ok(listing) => Ok(parse(&listing, root.unwrap_or(Path::new("/")))),
        Err(error) if format!("{error:#}").contains("not a dynamic executable") => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)`, and `/lib64/ld-linux-x86-64.so.2 (0x…)`, which may lead
/// elsewhere as well.
fn parse(listing: &str, root: &Path) -> Vec<Library> {
    let library = |line: &str| {
        let (name, found) = line.split_once("=>").unwrap_or((line, line));
        let from = PathBuf::from(found.split_whitespace().next().filter(|word| word.starts_with('/'))?);
        let path = if name.trim_start().trim_start_matches('/').starts_with(LINKER) {
            LINKER.to_owned()
        } else {
            from.strip_prefix(root).ok()?.display().to_string()
        };
        Some(Library { path, from })
    };
    listing.lines().filter_map(library).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(listing: &str, root: &str) -> Vec<(String, String)> {
        let libraries = parse(listing, Path::new(root));
        libraries.into_iter().map(|library| (library.path, library.from.display().to_string())).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(path, from)| ((*path).to_owned(), (*from).to_owned())).collect()
    }

    #[test]
    fn what_the_kernel_provides_is_no_file() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                       \tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f6b)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f6b)\n";
        let wanted = [
            ("lib/x86_64-linux-gnu/libm.so.6", "/lib/x86_64-linux-gnu/libm.so.6"),
            (LINKER, "/lib64/ld-linux-x86-64.so.2"),
        ];
        assert_eq!(found(listing, "/"), pairs(&wanted));
    }

    #[test]
    fn libraries_of_another_system_are_where_that_system_has_them() {
        let listing = "\tlibm.so.6 => /t/root/usr/lib/x86_64-linux-gnu/libm.so.6 (0x00007f6b)\n\
                       \t/lib64/ld-linux-x86-64.so.2 => /t/root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 (0x0)\n";
        let wanted = [
            ("usr/lib/x86_64-linux-gnu/libm.so.6", "/t/root/usr/lib/x86_64-linux-gnu/libm.so.6"),
            (LINKER, "/t/root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        ];
        assert_eq!(found(listing, "/t/root"), pairs(&wanted));
    }
}
