//! `redoubt cluster`.

use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use redoubt_redis::Endpoint;
use redoubt_slots::{Method, Options};

use super::{DataForm, WhereArgs, example};

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Make a cluster of empty nodes
    #[command(after_help = example("redoubt cluster create 10.0.0.1:6379 10.0.0.2:6379 10.0.0.3:6379"))]
    Create(CreateArgs),
    /// Say what is wrong with a cluster; exit with 4 if anything is
    #[command(after_help = example("redoubt cluster check cart\n  redoubt cluster check --addr 10.0.0.1:6379"))]
    Check(LookArgs),
    /// Show each master with its keys, slots and replicas
    #[command(after_help = example("redoubt cluster info --addr 10.0.0.1:6379 -o json"))]
    Info(LookArgs),
    /// Show every node
    #[command(after_help = example("redoubt cluster nodes --addr 10.0.0.1:6379"))]
    Nodes(LookArgs),
    /// Move slots to one master
    ///
    /// Not in a cluster that is looked after, whose slots are where its spec.shards and spec.weights say.
    #[command(after_help = example("redoubt cluster reshard --addr 10.0.0.1:6379 --from all --to 10.0.0.4:6379 --slots 4096"))]
    Reshard(ReshardArgs),
    /// Give every master its share of the slots, moving as few as possible
    ///
    /// Not in a cluster that is looked after, whose slots are where its spec.shards and spec.weights say.
    #[command(after_help = example("redoubt cluster rebalance --addr 10.0.0.1:6379 --use-empty-masters --dry-run"))]
    Rebalance(RebalanceArgs),
    /// Finish what was left open, and repair what can be repaired without losing a key
    ///
    /// Nodes are found by what they know of each other. One that all others have forgotten is seen only if --addr names it;
    /// from any other node, its slots look as if they were nobody's, and would be given to others.
    #[command(after_help = example("redoubt cluster fix cart\n  redoubt cluster fix --addr 10.0.0.1:6379 --dry-run"))]
    Fix(FixArgs),
    /// Bring an empty node in
    #[command(after_help = example("redoubt cluster add-node 10.0.0.4:6379 --addr 10.0.0.1:6379"))]
    AddNode(AddArgs),
    /// Take a node without slots out
    #[command(after_help = example("redoubt cluster del-node 10.0.0.4:6379 --addr 10.0.0.1:6379"))]
    DelNode(DelArgs),
    /// Run one command at every node
    #[command(after_help = example("redoubt cluster call --addr 10.0.0.1:6379 -- CONFIG GET maxmemory"))]
    Call(CallArgs),
}

/// How the cluster is reached.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoginArgs {
    /// ACL user; the password comes from `REDOUBT_CLUSTER_PASSWORD`
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Speak TLS; needs --cacert. Nodes speak it with each other by their `tls-cluster` and `tls-replication`
    #[arg(long, requires = "cacert")]
    pub tls: bool,
    /// Certificates of the authorities that are trusted, as PEM
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub cacert: Option<PathBuf>,
    /// Certificate to show to servers that want one (`tls-auth-clients`, on by default), as PEM
    #[arg(long, value_name = "FILE", requires = "tls", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its private key, as PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Name that the nodes' certificates have; without it, each must have its node's address
    #[arg(long, value_name = "HOST", requires = "tls")]
    pub sni: Option<String>,
}

/// A cluster.
#[derive(Debug, Clone, Args)]
pub(crate) struct SeedArgs {
    /// Any node of the cluster
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: Endpoint,
    #[command(flatten)]
    pub login: LoginArgs,
}

/// Before something is changed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ConsentArgs {
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = DataForm::Text)]
    pub output: DataForm,
}

/// How keys move.
#[derive(Debug, Clone, Args)]
pub(crate) struct MoveArgs {
    /// Keys of one batch at most; batches are sized by bytes below that
    #[arg(long, value_name = "KEYS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub pipeline: u32,
    /// No batch shall keep a server from its clients for longer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub max_pause: u64,
    /// Bytes a second of each source at most
    #[arg(long, value_name = "BYTES")]
    pub rate: Option<NonZeroU64>,
    /// Move by MIGRATE also where the servers have a migration of their own
    #[arg(long)]
    pub migrate: bool,
}

/// A cluster that is looked after here, or any other.
#[derive(Debug, Clone, Args)]
pub(crate) struct WhichArgs {
    /// Name of a Redis in mode Cluster; its password is found
    #[arg(conflicts_with_all = ["addr", "user", "tls"], required_unless_present = "addr")]
    pub name: Option<String>,
    /// Any node of the cluster
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: Option<Endpoint>,
    #[command(flatten)]
    pub login: LoginArgs,
    #[command(flatten)]
    pub place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LookArgs {
    #[command(flatten)]
    pub which: WhichArgs,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = DataForm::Text)]
    pub output: DataForm,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The nodes, as HOST:PORT
    #[arg(required = true, value_name = "HOST:PORT")]
    pub nodes: Vec<Endpoint>,
    /// Replicas of each master
    #[arg(long, default_value_t = 0)]
    pub replicas: usize,
    #[command(flatten)]
    pub login: LoginArgs,
    #[command(flatten)]
    pub consent: ConsentArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReshardArgs {
    #[command(flatten)]
    pub which: WhichArgs,
    /// Masters that give, by id, beginning of an id or address; `all` is every other master
    #[arg(long, value_name = "NODE,…", value_delimiter = ',', required = true)]
    pub from: Vec<String>,
    /// The master that takes
    #[arg(long, value_name = "NODE")]
    pub to: String,
    /// How many
    #[arg(long, value_name = "COUNT")]
    pub slots: usize,
    #[command(flatten)]
    pub moving: MoveArgs,
    #[command(flatten)]
    pub consent: ConsentArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RebalanceArgs {
    #[command(flatten)]
    pub which: WhichArgs,
    /// How much a master gets beside the others, 1 by default; 0 empties it; may be given several times
    #[arg(long = "weight", value_name = "NODE=WEIGHT", num_args = 1..)]
    pub weights: Vec<String>,
    /// Do nothing while everybody is within so many percent of its share
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, value_parser = percent)]
    pub threshold: f64,
    /// Masters without slots get their share as well
    #[arg(long)]
    pub use_empty_masters: bool,
    /// Make masters of replicas first, until there are so many
    #[arg(long, value_name = "COUNT")]
    pub masters: Option<usize>,
    #[command(flatten)]
    pub moving: MoveArgs,
    #[command(flatten)]
    pub consent: ConsentArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FixArgs {
    #[command(flatten)]
    pub which: WhichArgs,
    /// Where a node holds another copy of a key than the owner of its slot does, that copy wins
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub moving: MoveArgs,
    #[command(flatten)]
    pub consent: ConsentArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The new node
    #[arg(value_name = "HOST:PORT")]
    pub node: Endpoint,
    #[command(flatten)]
    pub seed: SeedArgs,
    /// Make it a replica of this master
    #[arg(long, value_name = "NODE")]
    pub replica_of: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DelArgs {
    /// The node, by id, beginning of an id or address
    #[arg(value_name = "NODE")]
    pub node: String,
    #[command(flatten)]
    pub seed: SeedArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    #[command(flatten)]
    pub seed: SeedArgs,
    /// At masters only
    #[arg(long)]
    pub only_masters: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub words: Vec<String>,
}

/// NaN would have every cluster look even.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| format!("{text:?} is no number from 0"))
}

impl MoveArgs {
    pub(crate) fn options(&self) -> Options {
        Options {
            max_pause: Duration::from_millis(self.max_pause),
            keys: self.pipeline as usize,
            rate: self.rate,
            method: if self.migrate { Method::Migrate } else { Method::Best },
            ..Options::default()
        }
    }
}
