//! What breaks things. Small, so that every platform can have one.

use std::future::Future;

use redoubt_wire::failover::Failover;

/// Breaks members of one set.
///
/// Assumptions: every call answers as soon as the blow has fallen; what follows from it is watched by the drill.
pub trait Saboteur: Sync {
    /// `SIGKILL` to the server of a member.
    fn kill_server(&self, member: &str) -> impl Future<Output = Result<(), Sabotage>> + Send;

    /// `SIGSTOP` to the server of a member.
    fn freeze_server(&self, member: &str) -> impl Future<Output = Result<(), Sabotage>> + Send;

    /// `SIGCONT` to the server of a member, if the frozen process is still there.
    fn thaw_server(&self, member: &str) -> impl Future<Output = Result<(), Sabotage>> + Send;

    /// `SIGKILL` to the agent of a member; its server ends with it.
    fn kill_agent(&self, member: &str) -> impl Future<Output = Result<(), Sabotage>> + Send;

    /// Asks the agent of a member to end, as the platform does before it takes a member away.
    fn stop_agent(&self, member: &str) -> impl Future<Output = Result<(), Sabotage>> + Send;

    /// Asks for a restart of every node, one at a time.
    fn roll(&self) -> impl Future<Output = Result<(), Sabotage>> + Send;

    /// Has the master hand over to the best replica.
    fn switchover(&self, master: &str) -> impl Future<Output = Result<Failover, Sabotage>> + Send;
}

/// A blow that could not be struck: nothing was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Sabotage {
    /// What was tried.
    pub what: String,
    /// Why it failed.
    pub why: String,
    /// What to do next.
    pub next: String,
}
