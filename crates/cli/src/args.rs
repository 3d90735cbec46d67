//! The command line as people write it. What it means is resolved by each command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod cluster;
mod drill;
mod operator;
mod place;

pub(crate) use self::cluster::{
    AddArgs, CallArgs, ClusterCommand, ConsentArgs, CreateArgs, DelArgs, FixArgs, LoginArgs, LookArgs,
    RebalanceArgs, ReshardArgs, SeedArgs, WhichArgs,
};
pub(crate) use self::drill::DrillArgs;
pub(crate) use self::operator::{CrdsArgs, ManifestsArgs, OperatorArgs};
pub(crate) use self::place::{ClusterArgs, WhereArgs, is_plugin};

/// Exit codes, for the end of every `--help`.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    it could not be done
  2    a file or the command line is at fault; nothing was changed
  3    there is no Redis, node or state folder of this name
  4    the Redis is not healthy, or did not keep a promise
  130  interrupted";

const CONVERT: &str = "\
Print the Redis that a `RedisFailover` (spotahome) amounts to

For each RedisFailover (databases.spotahome.com/v1) of the files, those of the forks included: the Redis with the same server, counts, \
configuration, volumes and rights. A warning names each field that a Redis has no counterpart of, and what to do. Nothing is changed \
anywhere: who applies what is printed makes another Redis, which begins without data.";

const ADOPT: &str = "\
Take over what the old operator made of a `RedisFailover`

Looks at everything that the spotahome operator or a fork of it made of this RedisFailover, and at its servers and Sentinels: who \
leads, who is in sync, what they run with that is written nowhere. Says what taking it over in place would change, remove and make, and \
whose server would be restarted in which order; and what stands in the way, each with what to do (exit code 1). With --dry-run that \
is all. Otherwise, once you agree, what only the servers' memory has is written into the resource, and the operator begins; its status \
tells how far it is.";

/// Keeps Redis available: creates, replicates, fails over, shows.
#[derive(Debug, Parser)]
#[command(name = "redoubt", version, max_term_width = 110, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start what these files say and keep it alive, with a live view
    #[command(after_help = example("redoubt up -f examples/cart.yaml"))]
    Up(UpArgs),
    /// Stop everything; data stays
    #[command(after_help = example("redoubt down"))]
    Down(DownArgs),
    /// Hand files to what runs, or keep them for `redoubt up`
    #[command(after_help = example("redoubt apply -f examples/cart.yaml"))]
    Apply(ApplyArgs),
    /// Delete a Redis; its data stays unless its spec says otherwise
    #[command(after_help = example("redoubt delete cart"))]
    Delete(NamedArgs),
    /// Show how one Redis is, or all of them
    #[command(after_help = example("redoubt status cart -o json"))]
    Status(StatusArgs),
    /// Show how an application connects
    #[command(after_help = example("eval \"$(redoubt connection cart -o env --show-password)\""))]
    Connection(ConnectionArgs),
    /// Hand the mastership to another node, without a lost write
    #[command(after_help = example("redoubt switchover cart --to cart-1"))]
    Switchover(SwitchoverArgs),
    /// Open redis-cli at the master
    #[command(after_help = example("redoubt cli cart -- SET greeting hello"))]
    Cli(RedisCliArgs),
    /// Show the log of a node or Sentinel
    #[command(after_help = example("redoubt logs cart-0 -f"))]
    Logs(LogsArgs),
    /// Break something on purpose while writing, and account for every write
    #[command(after_help = example("redoubt drill cart kill-master"))]
    Drill(DrillArgs),
    /// Look after any Redis Cluster: create, check, move slots, repair
    #[command(after_help = example("redoubt cluster rebalance --addr 10.0.0.1:6379 --use-empty-masters --dry-run"))]
    Cluster {
        #[command(subcommand)]
        command: Box<ClusterCommand>,
    },
    /// Check files and say all that is wrong with them
    #[command(after_help = example("redoubt validate -f examples/cart.yaml"))]
    Validate(ValidateArgs),
    /// Print the Redis that a `RedisFailover` (spotahome) amounts to
    #[command(long_about = CONVERT, after_help = example(
        "redoubt convert -f redisfailover.yaml > cart.yaml"
    ))]
    Convert(ConvertArgs),
    /// Take over what the old operator made of a `RedisFailover`
    #[command(long_about = ADOPT, after_help = example(
        "redoubt adopt redisfailover/cart --dry-run -n shop"
    ))]
    Adopt(AdoptArgs),
    /// Keep every Redis of a Kubernetes cluster alive; runs in the cluster
    #[command(after_help = example("redoubt operator --namespace shop"))]
    Operator(OperatorArgs),
    /// Print the custom resource definitions
    #[command(after_help = example("redoubt crds | kubectl apply --server-side -f -"))]
    Crds(CrdsArgs),
    /// Print what installs the operator
    #[command(after_help = example("redoubt manifests --image registry/redoubt:1 | kubectl apply --server-side -f -"))]
    Manifests(ManifestsArgs),
    /// Print the JSON Schema of a Redis
    #[command(after_help = example("redoubt schema > redis.schema.json"))]
    Schema,
    /// Print the version
    #[command(after_help = example("redoubt version -o json"))]
    Version(VersionArgs),
    /// Print completions for a shell
    #[command(after_help = example("redoubt completions bash > ~/.local/share/bash-completion/completions/redoubt"))]
    Completions(CompletionsArgs),
    /// Be the engine in the background; started by `redoubt up --detach`
    #[command(hide = true, after_help = example("redoubt engine --state-dir .redoubt"))]
    Engine(EngineArgs),
}

/// One line under "Example:".
fn example(line: &str) -> String {
    format!("Example:\n  {line}\n\n{EXIT_CODES}")
}

/// Where the state of this machine is.
#[derive(Debug, Clone, Args)]
pub(crate) struct StateArgs {
    /// Folder of everything: resources, data, passwords, logs
    #[arg(long, value_name = "DIR", env = "REDOUBT_STATE_DIR", default_value = redoubt_local::StateDir::DEFAULT)]
    pub state_dir: PathBuf,
}

/// Files with resources.
#[derive(Debug, Clone, Args)]
pub(crate) struct FileArgs {
    /// File with one or more Redis; `-` reads standard input; may be given several times
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// File with one or more Redis; may be given several times; without one, what was applied before is started
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Leave it running in the background once it is ready
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Plain lines instead of the live view
    #[arg(long)]
    pub plain: bool,
}

/// Where the engine works.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlaceArgs {
    #[command(flatten)]
    pub state: StateArgs,
    /// Put every new Redis on 127.0.0.1 with counted ports, instead of a loopback address per node
    #[arg(long)]
    pub single_address: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// Files to follow
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    #[command(flatten)]
    pub state: StateArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub input: FileArgs,
    #[command(flatten)]
    pub state: StateArgs,
}

/// One Redis.
#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    /// Name of the Redis
    pub name: String,
    #[command(flatten)]
    pub state: StateArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Name of the Redis, on Kubernetes also `redisfailover/NAME`; all of them without one
    pub name: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = StatusForm::Text)]
    pub output: StatusForm,
    /// Exit with 4 unless everything shown is Ready
    #[arg(long)]
    pub ready: bool,
    #[command(flatten)]
    pub place: WhereArgs,
}

/// Forms of `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusForm {
    /// What matters
    Text,
    /// Everything
    Wide,
    /// The whole `.status`, and `live` beside it
    Json,
    /// The same as YAML
    Yaml,
}

/// Forms of small data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataForm {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectionArgs {
    /// Name of the Redis; on Kubernetes also `redisfailover/NAME`
    pub name: String,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ConnectionForm::Text)]
    pub output: ConnectionForm,
    /// Show passwords; without it, text, env and url show a mask, and JSON has null
    #[arg(long)]
    pub show_password: bool,
    #[command(flatten)]
    pub place: WhereArgs,
}

/// Forms of `connection`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConnectionForm {
    /// For people
    Text,
    /// `REDIS_…=…` lines for a shell
    Env,
    /// The URL of the master at this moment
    Url,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct SwitchoverArgs {
    /// Name of the Redis; on Kubernetes also `redisfailover/NAME`
    pub name: String,
    /// The node that shall lead; without it, the best replica. In a cluster it is needed: it leads its shard
    #[arg(long, value_name = "NODE")]
    pub to: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = DataForm::Text)]
    pub output: DataForm,
    #[command(flatten)]
    pub place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RedisCliArgs {
    /// Name of the Redis; on Kubernetes also `redisfailover/NAME`
    pub name: String,
    /// Arguments for redis-cli; without any, it opens a prompt
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<std::ffi::OsString>,
    #[command(flatten)]
    pub place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Name of the node or Sentinel, as `cart-0` or `cart-sentinel-0`
    pub node: String,
    /// Go on with new lines; in a cluster until the container ends
    #[arg(short, long)]
    pub follow: bool,
    /// Form of the output; without it, text on a terminal and JSON elsewhere
    #[arg(short, long, value_enum)]
    pub output: Option<DataForm>,
    #[command(flatten)]
    pub place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub input: FileArgs,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = DataForm::Text)]
    pub output: DataForm,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// File with one or more `RedisFailover`; `-` reads standard input; may be given several times
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// Name of the `RedisFailover`: `redisfailover/NAME`, or NAME
    pub name: String,
    #[command(flatten)]
    pub consent: ConsentArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = DataForm::Text)]
    pub output: DataForm,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Example:\n  "), "{}", command.get_name());
            assert!(help.contains(&format!("redoubt {}", command.get_name())), "{help}");
        }
    }
}
