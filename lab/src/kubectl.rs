//! The cluster's API, by kubectl.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::{layout::Lab, parts::Parts, run};

/// kubectl, as the one who may do everything.
#[derive(Debug)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    pub(crate) fn new(lab: Lab, parts: &Parts) -> Self {
        Self { program: parts.program("kubectl"), kubeconfig: lab.kubeconfig() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<String> {
        run::output(self.command().args(arguments)).await
    }

    pub(crate) async fn apply(&self, manifests: &str) -> Result<()> {
        let mut command = self.command();
        command.args(["apply", "--server-side", "--field-manager=redoubt-lab", "-f", "-"]);
        run::output_with(&mut command, manifests).await.map(drop)
    }

    /// An object, or a list of them.
    pub(crate) async fn get(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.run(&[&["get", "--output=json"], arguments].concat()).await?;
        serde_json::from_str(&text).context("kubectl writes no JSON")
    }
}
