//! Links the program so that an agent stays small in memory.
//!
//! The loader reads every relative relocation when the program starts: 570 KiB of a plain table, which stay resident in
//! each agent, or 5 KiB of a packed one. glibc reads packed ones since 2.36.

use std::{env, process::Command};

/// First glibc that knows `DT_RELR`.
const PACKED_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|is| is == value);
    let for_this_machine = env::var("HOST").ok() == env::var("TARGET").ok();
    if is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && for_this_machine
        && glibc() >= Some(PACKED_SINCE)
    {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's glibc: `getconf` says `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
