//! What a lab leaves behind: nothing, however it ends. It is a lab of its own, with one node, beside the one under test.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    cluster::{calm, eventually, is_lab, kubectl, lab, run, try_run},
    shop::MANIFEST,
};

/// The last one: those who try labs by hand begin with the first.
const INSTANCE: &str = "7";
const STATE: &str = "/var/lib/redoubt-lab/7";
/// What parts of Kubernetes make on a machine that they have to themselves.
const FOLDERS: [&str; 12] = [
    "/etc/cni",
    "/etc/kubernetes",
    "/opt/cni",
    "/opt/containerd",
    "/run/containerd",
    "/run/netns",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
];

fn other(arguments: &[&str]) -> Command {
    let mut command = lab(arguments);
    command.env("LAB_INSTANCE", INSTANCE).env("LAB_NODES", "1");
    command
}

/// Removes the lab of this test, also when it fails.
struct Removed;

impl Drop for Removed {
    fn drop(&mut self) {
        drop(try_run(&mut other(&["down"])));
    }
}

/// Everything on this machine that a lab could have changed. Lines about other labs, which come and go, are left out.
fn machine() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |what: &str, text: &str| {
        let ours = |line: &&str| {
            (0..7).all(|lab| {
                !line.contains(&format!("lab{lab}")) && !line.contains(&format!("redoubt-lab/{lab}"))
            })
        };
        found.extend(text.lines().filter(ours).map(|line| format!("{what}: {line}")));
    };
    add("mount", &fs::read_to_string("/proc/self/mounts").unwrap());
    add("link", &run(Command::new("ls").arg("/sys/class/net")));
    add("route", &run(Command::new("ip").args(["route", "show", "table", "all"])));
    add(
        "rule",
        &run(&mut Command::new("iptables-save"))
            .lines()
            .filter(|line| line.starts_with('-'))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    add("forward", &fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap());
    add("loop", &run(Command::new("losetup").args(["--noheadings", "--output", "BACK-FILE"])));
    for folder in FOLDERS.iter().chain(&[STATE]) {
        add("folder", if Path::new(folder).exists() { folder } else { "" });
    }
    let cgroups = run(Command::new("find").args(["/sys/fs/cgroup", "-maxdepth", "2", "-type", "d"]));
    let names = ["lab", "k8s", "kube", "containerd"];
    let of_containers = cgroups.lines().filter(|line| names.iter().any(|name| line.contains(name)));
    add("cgroup", &of_containers.collect::<Vec<_>>().join("\n"));
    found
}

/// All processes of the lab, by the pids they have on this machine. Their pids in the lab, and the times of their start,
/// are also in the lab's own `/proc`.
fn processes() -> Vec<u32> {
    let record: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(format!("{STATE}/processes/init.json")).unwrap()).unwrap();
    let inside = format!("/proc/{}/root/proc", record["pid"]);
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_in_lab = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        let started = started(&format!("/proc/{pid}/stat"));
        let in_lab = pids.split_whitespace().nth(1);
        started.is_some()
            && in_lab.is_some_and(|pid| self::started(&format!("{inside}/{pid}/stat")) == started)
    };
    pids.filter(is_in_lab).collect()
}

fn started(stat: &str) -> Option<String> {
    let stat = fs::read_to_string(stat).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// A lab with pods, volumes and loads of everything else that could stay behind.
fn busy_lab() -> Vec<u32> {
    run(&mut other(&["up"]));
    let kubeconfig = format!("{STATE}/kubeconfig");
    let manifest = MANIFEST.replace("NAMESPACE", "remains").replace("CLASS", "");
    let mut apply = kubectl(&["--kubeconfig", &kubeconfig, "apply", "-f", "-"]);
    let mut apply = apply.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    apply.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    assert!(apply.wait().unwrap().success());
    let rollout = ["rollout", "status", "statefulset/cart", "--namespace=remains", "--timeout=120s"];
    run(kubectl(&["--kubeconfig", &kubeconfig]).args(rollout));
    let family = processes();
    assert!(family.len() > 15, "a lab with three pods has more processes than {family:?}");
    family
}

fn nothing_remains(before: &BTreeSet<String>, family: &[u32]) {
    run(&mut other(&["down"]));
    run(&mut other(&["down"]));
    // A namespace that nobody is in any more is taken apart a little later.
    eventually("the machine as it was", || {
        let now = machine();
        let left: Vec<_> = now.symmetric_difference(before).collect();
        let alive: Vec<_> =
            family.iter().filter(|pid| Path::new(&format!("/proc/{pid}/ns/pid")).exists()).collect();
        if left.is_empty() && alive.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}, processes {alive:?}"))
        }
    });
}

#[test]
fn nothing_is_left_of_a_lab_that_was_stopped_or_that_crashed() {
    if !is_lab("nothing_is_left_of_a_lab_that_was_stopped_or_that_crashed") {
        return;
    }
    let _calm = calm();
    // Somebody else's tests on this machine use the same lab.
    let turn = fs::File::open("/var/lib/redoubt-lab").unwrap();
    turn.lock().unwrap();
    let _removed = Removed;
    let before = machine();
    let family = busy_lab();
    assert!(try_run(&mut other(&["up"])).unwrap_err().contains("runs already"));
    nothing_remains(&before, &family);

    let family = busy_lab();
    // The first process last, for the others end with it.
    let pids: Vec<String> = family.iter().rev().map(u32::to_string).collect();
    // Some go with their parents before their turn comes.
    drop(try_run(Command::new("kill").arg("-9").args(&pids)));
    fs::remove_dir_all(format!("{STATE}/processes")).unwrap();
    let refused = try_run(&mut other(&["up"])).unwrap_err();
    assert!(refused.contains("lab down removes it"), "{refused}");
    nothing_remains(&before, &family);
}
