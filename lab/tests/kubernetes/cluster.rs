//! The cluster under test, by kubectl and `lab`.

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use serde_json::Value;

/// The machine may be busy with builds and other tests.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

static CALM: RwLock<()> = RwLock::new(());

/// For a test that needs a whole cluster: held beside others like it, never while one breaks something.
pub(crate) fn calm() -> RwLockReadGuard<'static, ()> {
    CALM.read().unwrap_or_else(PoisonError::into_inner)
}

/// For a test that breaks something.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    CALM.write().unwrap_or_else(PoisonError::into_inner)
}

/// What a program wrote; a panic that shows its errors if it failed.
pub(crate) fn run(command: &mut Command) -> String {
    try_run(command).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn try_run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(crate) fn kubectl(arguments: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command.args(arguments);
    command
}

/// Feeds a manifest to kubectl.
pub(crate) fn apply(manifest: &str) {
    let mut child =
        kubectl(&["apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "kubectl refuses the manifest");
}

pub(crate) fn get(arguments: &[&str]) -> Value {
    let text = run(kubectl(&["get", "-o", "json"]).args(arguments));
    serde_json::from_str(&text).unwrap()
}

/// A command of the lab that runs.
pub(crate) fn lab(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(arguments);
    command
}

/// Whether the cluster is a lab: where it is not, says so, past the test harness which keeps back what tests print.
pub(crate) fn is_lab(test: &str) -> bool {
    let is_lab = std::env::var("KUBECONFIG").is_ok_and(|path| path.starts_with("/var/lib/redoubt-lab/"));
    if !is_lab {
        let line = format!("skipped {test}: KUBECONFIG names a cluster that is no lab\n");
        io::stderr().write_all(line.as_bytes()).unwrap();
    }
    is_lab
}

/// Waits for a condition, and says what was missing last.
pub(crate) fn eventually<T>(what: &str, look: impl Fn() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(missing) if begun.elapsed() > LIMIT => {
                panic!("waited {} s for {what}: {missing}", LIMIT.as_secs())
            }
            Err(_) => pause(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "these tests have no runtime, and nothing to be woken by")]
fn pause() {
    std::thread::sleep(Duration::from_millis(200));
}

/// The state of a node's condition `Ready`.
pub(crate) fn ready(node: &str) -> String {
    run(&mut kubectl(&[
        "get",
        "node",
        node,
        "-o",
        "jsonpath={.status.conditions[?(@.type=='Ready')].status}",
    ]))
}

pub(crate) fn becomes_ready(node: &str, wanted: &str) {
    eventually(&format!("{node} to be Ready={wanted}"), || {
        let is = ready(node);
        if is == wanted { Ok(()) } else { Err(format!("it is {is}")) }
    });
}
