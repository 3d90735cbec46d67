//! What only a lab can do to a cluster. Whoever breaks what others use has the cluster to itself, and leaves it as it was.

use std::{
    cell::RefCell,
    env,
    io::Write as _,
    process::Command,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::cluster::{kubectl, wait};

static CALM: RwLock<()> = RwLock::new(());

/// A test's turn; only held, and over when its thread ends.
enum Turn {
    Calm(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

thread_local! {
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

/// This test wants a whole cluster: it runs beside others like it, and never while one breaks something.
pub(crate) fn calm() {
    TURN.with_borrow_mut(|turn| {
        turn.get_or_insert_with(|| Turn::Calm(CALM.read().unwrap_or_else(PoisonError::into_inner)));
    });
}

/// This test breaks something: it runs alone. Called first.
pub(crate) fn alone() {
    TURN.take();
    let turn = Turn::Alone(CALM.write().unwrap_or_else(PoisonError::into_inner));
    TURN.set(Some(turn));
}

/// Says why a test is left out, past the test harness, which keeps back what tests print.
pub(crate) fn left_out(test: &str, why: &str) {
    std::io::stderr().write_all(format!("left out {test}: {why}\n").as_bytes()).unwrap();
}

/// Whether the cluster is a lab; says so where it is none.
pub(crate) fn is_lab(test: &str) -> bool {
    let is_lab = env::var("KUBECONFIG").is_ok_and(|path| path.starts_with("/var/lib/redoubt-lab/"));
    if !is_lab {
        left_out(test, "KUBECONFIG names a cluster that is no lab");
    }
    is_lab
}

/// A fault; undone when asked, or when the test fails.
pub(crate) struct Fault {
    way_back: Option<Vec<String>>,
}

impl Fault {
    /// `lab FAULT TARGET`, and `lab WAY_BACK TARGET` later.
    pub(crate) fn new(fault: &str, target: &[&str], way_back: &str) -> Self {
        lab(&[&[fault], target].concat()).unwrap();
        let way_back = [&[way_back], target].concat().into_iter().map(str::to_owned).collect();
        Self { way_back: Some(way_back) }
    }

    pub(crate) fn undo(mut self) {
        lab(&self.way_back.take().unwrap_or_default()).unwrap();
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        if let Some(Err(why)) = self.way_back.take().map(|way_back| lab(&way_back)) {
            eprintln!("{why}");
        }
    }
}

/// The lab's program; `lab up` says where it is.
fn lab(args: &[impl AsRef<std::ffi::OsStr>]) -> Result<(), String> {
    let output =
        Command::new("lab").args(args).output().map_err(|error| format!("cannot run lab: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// The machine a pod is on.
pub(crate) fn machine_of(namespace: &str, pod: &str) -> String {
    kubectl(&["--namespace", namespace, "get", "pod", pod, "--output", "jsonpath={.spec.nodeName}"])
}

/// Waits until a machine is `Ready`, or is missed.
pub(crate) fn machine_is(machine: &str, ready: &str) {
    let path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    wait(&format!("{machine} is Ready={ready}"), || {
        let is = kubectl(&["get", "node", machine, "--output", path]);
        if is == ready { Ok(()) } else { Err(is) }
    });
}
