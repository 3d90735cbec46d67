//! The libraries that a program needs to start.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::process::Command;

use crate::run;

/// By path. A static program needs none, which ldd calls a failure.
pub(crate) async fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let mut command = Command::new("ldd");
    match run::output(command.arg(program).env("LC_ALL", "C")).await {
        Ok(listing) => Ok(parse(&listing)),
        Err(error) if format!("{error:#}").contains("not a dynamic executable") => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)`, and `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn parse(listing: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let named = line.split_once("=> ").map_or(line, |(_, path)| path);
        named.split_whitespace().next().filter(|word| word.starts_with('/')).map(PathBuf::from)
    };
    listing.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_provides_is_no_file() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                       \tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f6b)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f6b)\n";
        let found = parse(listing);
        assert_eq!(
            found,
            ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from)
        );
    }
}
