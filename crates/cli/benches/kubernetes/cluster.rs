//! The cluster, by way of kubectl.

use std::{
    env,
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::Result;

/// Names the image with this program, as the cluster's machines have it.
const IMAGE: &str = "REDOUBT_TEST_IMAGE";
/// Namespace of the operator.
pub(crate) const SYSTEM: &str = "redoubt-system";
const CART: &str = include_str!("../../../../examples/cart.yaml");
const SHOP: &str = include_str!("../../../../examples/cluster.yaml");

/// A namespace; it and all that is in it go when this is dropped.
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let name = format!("bench-{}-{name}", std::process::id());
        kubectl(&["create", "namespace", &name], "")?;
        Ok(Self(name))
    }

    pub(crate) fn kubectl(&self, args: &[&str]) -> Result<String> {
        kubectl(&[&["--namespace", &self.0], args].concat(), "")
    }

    /// `examples/cart.yaml` under this name, with more at the end of its spec.
    pub(crate) fn apply(&self, redis: &str, more: &str) -> Result<()> {
        let text = CART.replace("name: cart", &format!("name: {redis}"));
        self.apply_text(&format!("{text}{more}"))
    }

    /// `examples/cluster.yaml`.
    pub(crate) fn apply_shop(&self) -> Result<()> {
        self.apply_text(SHOP)
    }

    fn apply_text(&self, text: &str) -> Result<()> {
        kubectl(&["--namespace", &self.0, "apply", "--filename", "-"], text).map(drop)
    }

    /// How long that took.
    pub(crate) fn ready(&self, redis: &str, within: Duration) -> Result<Duration> {
        let (began, limit) = (Instant::now(), format!("--timeout={}s", within.as_secs()));
        self.kubectl(&["wait", "--for=condition=Ready", &format!("redis/{redis}"), &limit])?;
        Ok(began.elapsed())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = kubectl(&["delete", "namespace", &self.0, "--wait=false"], "") {
            eprintln!("{} stays behind: {error}", self.0);
        }
    }
}

/// Installs the operator.
pub(crate) fn install() -> Result<()> {
    let image =
        env::var(IMAGE).map_err(|_| format!("{IMAGE} names no image; `make bench-kubernetes` sets it"))?;
    let manifests =
        Command::new(env!("CARGO_BIN_EXE_redoubt")).args(["manifests", "--image", &image]).output()?;
    let manifests = String::from_utf8(manifests.stdout)?;
    kubectl(&["apply", "--server-side", "--force-conflicts", "--filename", "-"], &manifests)?;
    kubectl(&["wait", "--for=condition=Established", "crd/redises.redoubt.dev", "--timeout=60s"], "")?;
    let rollout = ["rollout", "status", "deployment/redoubt-operator", "--namespace", SYSTEM];
    kubectl(&[&rollout[..], &["--timeout=180s"]].concat(), "").map(drop)
}

/// What kubectl says to this.
pub(crate) fn kubectl(args: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new("kubectl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()).into())
}
