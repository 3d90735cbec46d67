//! Breaks members of a set in a cluster: commands in their pods, deletions of pods, requests to agents.

use jiff::Timestamp;
use redoubt_drill::{Sabotage, Saboteur};
use redoubt_kubernetes::{Remote, RemoteError};
use redoubt_wire::failover::Failover;

use crate::{
    ask::{hand_over, unasked},
    place::Set,
};

/// Breaks members of one set.
pub(crate) struct ClusterSaboteur<'a> {
    remote: &'a Remote,
    set: &'a Set,
}

impl<'a> ClusterSaboteur<'a> {
    pub(crate) fn new(remote: &'a Remote, set: &'a Set) -> Self {
        Self { remote, set }
    }

    /// Which process it is, its agent knows: the first process of the pod, which sees the pod's own numbers.
    async fn signal_server(&self, member: &str, signal: &str) -> Result<(), Sabotage> {
        let what = format!("cannot signal the server of {member}");
        let fail = |why: &str, next: &str| Sabotage {
            what: what.clone(),
            why: why.to_owned(),
            next: next.to_owned(),
        };
        let agent =
            self.set.agent(member).ok_or_else(|| fail("there is no such member", "see `redoubt status`"))?;
        let state = agent.state().await.map_err(|error| unasked(&what, &error))?;
        let pid = state
            .server_pid
            .ok_or_else(|| fail("it does not run", "wait until it is back, see `redoubt status`"))?;
        let kill = format!("kill -{signal} {pid}");
        self.remote.exec(member, &["sh", "-c", &kill]).await.map_err(|error| refused(&what, &error))
    }

    async fn delete_pod(&self, member: &str, force: bool) -> Result<(), Sabotage> {
        let deleted = self.remote.delete_pod(member, force).await;
        deleted.map_err(|error| refused(&format!("cannot delete the pod {member}"), &error))
    }
}

impl Saboteur for ClusterSaboteur<'_> {
    async fn kill_server(&self, member: &str) -> Result<(), Sabotage> {
        self.signal_server(member, "KILL").await
    }

    async fn freeze_server(&self, member: &str) -> Result<(), Sabotage> {
        self.signal_server(member, "STOP").await
    }

    async fn thaw_server(&self, member: &str) -> Result<(), Sabotage> {
        self.signal_server(member, "CONT").await
    }

    /// Nothing in a pod can kill its first process; a deletion by force comes closest.
    async fn kill_agent(&self, member: &str) -> Result<(), Sabotage> {
        self.delete_pod(member, true).await
    }

    async fn stop_agent(&self, member: &str) -> Result<(), Sabotage> {
        self.delete_pod(member, false).await
    }

    async fn roll(&self) -> Result<(), Sabotage> {
        let name = &self.set.name;
        let asked = self.remote.restart(name, Timestamp::now()).await;
        asked.map_err(|error| refused(&format!("cannot ask for a restart of the nodes of {name}"), &error))
    }

    async fn switchover(&self, master: &str) -> Result<Failover, Sabotage> {
        let what = format!("{master} did not hand over");
        match self.set.agent(master) {
            Some(agent) => hand_over(&agent, what).await,
            None => Err(Sabotage {
                what,
                why: "there is no such member".to_owned(),
                next: "see `redoubt status`".to_owned(),
            }),
        }
    }
}

fn refused(what: &str, error: &RemoteError) -> Sabotage {
    Sabotage { what: what.to_owned(), why: error.to_string(), next: error.next().to_owned() }
}
