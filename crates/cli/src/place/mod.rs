//! Where the sets are: on this machine, or in a cluster. Commands ask a place, and do not care which it is.

mod cluster;
pub(crate) mod machine;
mod set;

use redoubt_drill::{Drill, DrillResult, Progress, Target};
use redoubt_kubernetes::Remote;
use redoubt_local::{Connection, Local};

pub(crate) use self::set::{Set, nobody_leads};
use self::{cluster::ClusterSaboteur, machine::LocalSaboteur};
use crate::{args::WhereArgs, failure::Failure, report::Report, runtime};

/// Shows one line of a log.
pub(crate) type ShowLine<'a> = &'a mut dyn FnMut(&str) -> Result<(), Failure>;

/// Where the sets are.
pub(crate) enum Place {
    /// On this machine, in a state folder.
    Machine(Local),
    /// In a namespace of a Kubernetes cluster.
    Cluster(Remote),
}

impl Place {
    /// What the command line names.
    pub(crate) async fn open(args: &WhereArgs) -> Result<Self, Failure> {
        Ok(match args.cluster() {
            Some(options) => Self::Cluster(Remote::open(&options).await?),
            None => Self::Machine(Local::open(&args.state.state_dir)?),
        })
    }

    /// How one set is.
    pub(crate) async fn report(&self, name: &str) -> Result<Report, Failure> {
        match self {
            Self::Machine(local) => machine::report(local, name).await,
            Self::Cluster(remote) => cluster::report(remote, name).await,
        }
    }

    /// All sets, by name.
    pub(crate) async fn reports(&self) -> Result<Vec<Report>, Failure> {
        match self {
            Self::Machine(local) => machine::reports(local).await,
            Self::Cluster(remote) => cluster::reports(remote).await,
        }
    }

    /// The members of one set, and the ways to them.
    pub(crate) async fn set(&self, name: &str) -> Result<Set, Failure> {
        match self {
            Self::Machine(local) => machine::set(local, name),
            Self::Cluster(remote) => cluster::set(remote, name).await,
        }
    }

    /// How an application connects.
    pub(crate) async fn connection(&self, name: &str) -> Result<Connection, Failure> {
        match self {
            Self::Machine(local) => Ok(local.connection(name).await?),
            Self::Cluster(remote) => cluster::connection(remote, name).await,
        }
    }

    /// Shows the log of a member, and goes on with new lines if wanted.
    pub(crate) async fn log(&self, member: &str, follow: bool, show: ShowLine<'_>) -> Result<(), Failure> {
        match self {
            Self::Machine(local) => machine::log(local, member, follow, show).await,
            Self::Cluster(remote) => cluster::log(remote, member, follow, show).await,
        }
    }

    /// What a drill writes to: by the shortest way there is.
    pub(crate) async fn target(&self, set: &Set) -> Result<Target, Failure> {
        match self {
            Self::Machine(_) => Ok(set.target()),
            Self::Cluster(remote) => cluster::target(remote, set).await,
        }
    }

    /// Breaks something of a set and accounts for every write.
    pub(crate) async fn drill(
        &self,
        set: &Set,
        target: &Target,
        drill: &Drill,
        progress: Progress<'_>,
    ) -> Result<DrillResult, Failure> {
        let end = runtime::asked_to_end();
        let result = match self {
            Self::Machine(local) => {
                let saboteur = LocalSaboteur::new(local, &set.name);
                redoubt_drill::run(target, drill, &saboteur, progress, end).await
            }
            Self::Cluster(remote) => {
                let saboteur = ClusterSaboteur::new(remote, set);
                redoubt_drill::run(target, drill, &saboteur, progress, end).await
            }
        };
        Ok(result?)
    }

    /// How the first set is made here.
    pub(crate) fn beginning(&self) -> &'static str {
        match self {
            Self::Machine(_) => "`redoubt up -f FILE` makes one",
            Self::Cluster(_) => "`kubectl apply -f FILE` makes one",
        }
    }
}
