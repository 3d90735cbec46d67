//! Where the sets are.

use std::path::{Path, PathBuf};

use clap::Args;
use redoubt_kubernetes::RemoteOptions;

use super::StateArgs;

/// The name under which kubectl finds this program: `kubectl redoubt status`.
const PLUGIN: &str = "kubectl-redoubt";

/// This machine, or a cluster.
#[derive(Debug, Clone, Args)]
pub(crate) struct WhereArgs {
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Each of these means a cluster; `kubectl redoubt` always does.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "In a Kubernetes cluster")]
pub(crate) struct ClusterArgs {
    /// Look in the cluster of this file; without it, of $KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Look in the cluster of this context; without it, of the current one
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Look in this namespace; without it, in that of the context
    #[arg(short, long)]
    pub namespace: Option<String>,
}

impl WhereArgs {
    /// Which cluster; `None` is this machine.
    pub(crate) fn cluster(&self) -> Option<RemoteOptions> {
        let RemoteOptions { kubeconfig, context, namespace } = self.cluster.options();
        let named = kubeconfig.is_some() || context.is_some() || namespace.is_some();
        (named || is_plugin()).then_some(RemoteOptions { kubeconfig, context, namespace })
    }
}

impl ClusterArgs {
    /// Which cluster, for commands that are about clusters alone.
    pub(crate) fn options(&self) -> RemoteOptions {
        let Self { kubeconfig, context, namespace } = self.clone();
        RemoteOptions { kubeconfig, context, namespace }
    }
}

/// kubectl called this program.
pub(crate) fn is_plugin() -> bool {
    let name = std::env::args_os().next();
    name.is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == PLUGIN))
}
