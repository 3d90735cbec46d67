//! Libraries that are loaded into every process of a lab, and have it meet what this machine would not.

use std::{env, fs, path::PathBuf, process::Command, sync::OnceLock};

/// Each member speaks from its own address; see `own_address.c`.
pub(super) fn own_address() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("own_address")).clone()
}

/// Disks are as slow as a file on them says; see `slow_disk.c`.
pub(super) fn slow_disk() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("slow_disk")).clone()
}

fn build(name: &str) -> PathBuf {
    let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name).with_extension("so");
    let new = library.with_extension(format!("{}", std::process::id()));
    let source = format!("{}/tests/e2e/lab/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let built = Command::new(&compiler)
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([new.as_os_str(), source.as_ref()])
        .arg("-ldl")
        .status();
    assert!(built.unwrap().success(), "{} does not build {source}", compiler.display());
    fs::rename(&new, &library).unwrap();
    library
}
