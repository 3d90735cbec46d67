//! `redoubt cluster …`: resolves what was written, has it done, and shows it.

mod change;
mod login;
mod progress;
mod show;

use redoubt_slots::SlotsError;

use crate::{
    args::ClusterCommand,
    failure::{Code, Failure},
    runtime,
};

/// Does one of them.
pub(crate) fn run(command: &ClusterCommand) -> Result<(), Failure> {
    runtime::small(async {
        match command {
            ClusterCommand::Create(args) => change::create(args).await,
            ClusterCommand::Check(args) => show::check(args).await,
            ClusterCommand::Info(args) => show::info(args).await,
            ClusterCommand::Nodes(args) => show::nodes(args).await,
            ClusterCommand::Reshard(args) => change::reshard(args).await,
            ClusterCommand::Rebalance(args) => change::rebalance(args).await,
            ClusterCommand::Fix(args) => change::fix(args).await,
            ClusterCommand::AddNode(args) => change::add_node(args).await,
            ClusterCommand::DelNode(args) => change::del_node(args).await,
            ClusterCommand::Call(args) => show::call(args).await,
        }
    })
}

impl From<SlotsError> for Failure {
    fn from(error: SlotsError) -> Self {
        let code = match &error {
            SlotsError::Refused(_) | SlotsError::NoCluster { .. } | SlotsError::NoPassword { .. } => {
                Code::Fault
            }
            SlotsError::Unhealthy(_) => Code::NotHealthy,
            _ => Code::Failed,
        };
        Self::new(code, &error).hint(error.next())
    }
}

/// The command line names something that is not there or makes no sense.
fn fault(message: impl std::fmt::Display) -> Failure {
    SlotsError::Refused(message.to_string()).into()
}
