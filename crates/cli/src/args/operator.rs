//! `redoubt operator` and `redoubt manifests`.

use std::net::SocketAddr;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct OperatorArgs {
    /// Image with redoubt-agent, for the pods of each new Redis
    #[arg(long, value_name = "IMAGE", env = "REDOUBT_AGENT_IMAGE")]
    pub agent_image: String,
    /// Look after this namespace only; without it, after all of them
    #[arg(short, long, env = "REDOUBT_NAMESPACE")]
    pub namespace: Option<String>,
    /// Namespace of the Lease; without it, the operator's own
    #[arg(long, value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Who this is among operators
    #[arg(long, value_name = "NAME", env = "POD_NAME", default_value = "redoubt-operator")]
    pub holder: String,
    /// Address for metrics and health
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct CrdsArgs {
    /// That of RedisFailover (spotahome) instead, open to the fields of all forks, and with a status
    #[arg(long)]
    pub redisfailover: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ManifestsArgs {
    /// Image with redoubt and redoubt-agent
    #[arg(long)]
    pub image: Option<String>,
    /// Namespace of the operator
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Look after this namespace only, with rights in no other; without it, after all of them
    #[arg(short, long, value_name = "NAMESPACE")]
    pub watch: Option<String>,
    /// Leave the custom resource definitions out
    #[arg(long)]
    pub without_crds: bool,
}
