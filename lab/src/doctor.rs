//! What a machine needs to run a lab, and what this one lacks.

use std::{env, fs, path::Path};

use anyhow::{Result, bail};

use crate::{cgroups, print};

/// Programs, and the Debian packages they come with.
const PROGRAMS: [(&str, &str); 21] = [
    ("cc", "build-essential"),
    ("conntrack", "conntrack"),
    ("containerd", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("ctr", "containerd"),
    ("etcd", "etcd-server"),
    ("go", "golang-go, of version 1.26 or later: https://go.dev/dl"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("ldd", "libc-bin"),
    ("losetup", "mount"),
    ("mkfs.xfs", "xfsprogs"),
    ("mount", "mount"),
    ("nsenter", "util-linux"),
    ("redis-cli", "redis-tools"),
    ("redis-server", "redis-server"),
    ("xfs_growfs", "xfsprogs"),
    ("runc", "runc"),
    ("hostname", "hostname"),
    ("busybox", "busybox-static"),
    ("unshare", "util-linux"),
];
/// Files of the kernel or of packages without a program in the path, and what to do about their absence.
const FILES: [(&str, &str); 5] = [
    ("/usr/lib/cni/ptp", "apt-get install containernetworking-plugins"),
    ("/dev/loop-control", "the kernel has no loop devices: modprobe loop"),
    ("/sys/fs/xfs", "the kernel has no XFS: modprobe xfs"),
    ("/proc/self/ns/pid", "the kernel has no namespaces of processes"),
    ("/proc/sys/net/ipv4/ip_forward", "the kernel does not forward packets"),
];
/// What the lab's programs do: mounts and namespaces (`CAP_SYS_ADMIN`), links and routes (`CAP_NET_ADMIN`).
const CAPABILITIES: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];

/// Fails with everything that is missing.
pub(crate) fn require() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("this machine cannot run a lab:\n  {}", missing.join("\n  "));
}

/// Says what is missing, or that nothing is.
pub(crate) fn report() -> Result<()> {
    require()?;
    print("this machine can run a lab");
    Ok(())
}

fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if env::consts::OS != "linux" || env::consts::ARCH != "x86_64" {
        missing.push(format!(
            "a lab needs Linux on x86_64, this is {} on {}",
            env::consts::OS,
            env::consts::ARCH
        ));
        return missing;
    }
    if !rustix::process::geteuid().is_root() {
        missing.push("it takes root: run it with sudo".to_owned());
    }
    missing.extend(missing_capabilities());
    for (program, package) in PROGRAMS {
        if !in_path(program) {
            missing.push(format!("{program} is missing: apt-get install {package}"));
        }
    }
    for (file, remedy) in FILES {
        if !Path::new(file).exists() {
            missing.push(format!("{file} is missing: {remedy}"));
        }
    }
    if let Err(error) = cgroups::trees().and_then(|trees| writable(&trees)) {
        missing.push(format!("{error:#}"));
    }
    missing
}

fn missing_capabilities() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok()) else {
        return vec!["/proc does not say which capabilities this process has: is /proc mounted?".to_owned()];
    };
    let lacks = CAPABILITIES.iter().filter(|(bit, _)| effective & (1 << bit) == 0);
    lacks
        .map(|(_, name)| {
            format!("{name} is missing: run in a container that is privileged, or on the machine")
        })
        .collect()
}

fn writable(trees: &[std::path::PathBuf]) -> Result<()> {
    if trees.is_empty() {
        bail!("no cgroups below /sys/fs/cgroup: mount them");
    }
    for tree in trees {
        if rustix::fs::access(tree, rustix::fs::Access::WRITE_OK).is_err() {
            bail!("{} cannot be written: mount the cgroups writable", tree.display());
        }
    }
    Ok(())
}

fn in_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).exists())
}
