//! What the own Sentinel says, put into the state.

use redoubt_redis::Error;
use redoubt_wire::state::Phase;

use super::Sentinel;
use crate::server::Server;

/// What came of a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Everybody that the set has is known, and nobody else.
    Settled,
    /// It answers, and something is still to come.
    Unsettled,
    /// It knows no such master: its memory is gone while it ran.
    NoMaster,
    /// It does not answer.
    Silent,
}

impl Sentinel {
    /// Asks the Sentinel and lets everybody know what changed.
    pub(super) async fn look(&self, server: &mut Server) -> Look {
        match self.ask(server).await {
            Ok(settled) => {
                if settled {
                    Look::Settled
                } else {
                    Look::Unsettled
                }
            }
            Err(Error::Server { message, .. }) if message.contains("No such master") => Look::NoMaster,
            Err(error) => {
                tracing::debug!(%error, "the Sentinel does not answer");
                Look::Silent
            }
        }
    }

    async fn ask(&self, server: &mut Server) -> Result<bool, Error> {
        let Some(config) = self.config() else { return Ok(true) };
        let name = &config.master_name;
        let pid = server.pid();
        let connection = server.connection().await?;
        let master = connection.sentinel_master(name).await?;
        let replicas = connection.sentinel_replicas(name).await?;
        let sentinels = connection.sentinel_sentinels(name).await?;
        let quorum = connection.sentinel_ckquorum(name).await?;

        let mut known_sentinels: Vec<_> = sentinels.into_iter().filter_map(|other| other.id).collect();
        known_sentinels.sort();
        let mut known_replicas: Vec<_> = replicas.into_iter().map(|replica| replica.endpoint).collect();
        known_replicas.sort();
        let settled = known_sentinels.len() + 1 == config.sentinels.len()
            && known_replicas.len() + 1 == self.agent.set.nodes.len()
            && quorum.ok;
        let heard = self.agent.inbox.hearing.views().epoch();
        let current_epoch = self.memory().map_or(0, |memory| memory.epochs.current).max(heard);
        self.agent.shared.update(|state| state.server_pid = Some(pid));
        self.agent.shared.update_sentinel(|sentinel| {
            if sentinel.phase != Phase::Stopping {
                sentinel.phase = Phase::Running;
            }
            sentinel.master = Some(master.endpoint);
            sentinel.epoch = master.config_epoch;
            sentinel.current_epoch = current_epoch.max(master.config_epoch);
            sentinel.known_sentinels = known_sentinels;
            sentinel.known_replicas = known_replicas;
            sentinel.quorum_ok = quorum.ok;
        });
        Ok(settled)
    }
}
