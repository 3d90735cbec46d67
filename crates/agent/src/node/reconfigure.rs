//! A changed configuration: tried on a throw-away server, carried into the running one, written to the file. All of it
//! or nothing.

use std::sync::Arc;

use redoubt_serverconf::{
    ApplyError, Change, Login, NodeLaunch, Refusal, Start, TrialError, apply_access, apply_live, check,
    defaults,
    files::{off_thread, replace},
    node_conf, plan_live, removed, set_access,
};
use redoubt_wire::{
    config::SetConfig,
    state::{ConfigFault, Replication},
};

use super::{Node, serve::Watchman};
use crate::{agent::NewSettings, server::Server};

/// Why new settings are not in force.
enum NotTaken {
    /// The server says no, and would say so again.
    Refused(Refusal),
    /// It may work at the next try.
    Failed(String),
}

impl Node {
    /// Takes new settings while no server runs.
    pub(super) fn adopt(&mut self, new: &NewSettings) {
        self.agent.accept(new);
        if let Some(me) = self.agent.set.node(&self.me.name) {
            self.me = me.clone();
        }
        self.context = self.context.with_set(Arc::clone(&self.agent.set));
        self.listen();
    }

    /// Takes new settings while the server runs.
    pub(super) async fn reconfigure(&mut self, server: &mut Server, watchman: &mut Watchman) {
        watchman.settings_due = false;
        self.settle_rights(server, watchman).await;
        let Some(new) = self.agent.reload_settings() else {
            self.agent.shared.update(|state| state.config_fault = None);
            return;
        };
        match self.carry_in(server, watchman, &new).await {
            Ok(restart) => {
                self.adopt(&new);
                watchman.files_settled = false;
                self.agent.shared.update(|state| state.restart_needed = restart);
            }
            Err(NotTaken::Refused(refusal)) => self.refuse(&new.set, refusal),
            Err(NotTaken::Failed(why)) => {
                watchman.settings_due = true;
                tracing::warn!("the new configuration is not in force yet, and tried again: {why}");
            }
        }
    }

    /// Gives the users of a server that was taken over the rights that this version of the agent gives them.
    async fn settle_rights(&self, server: &mut Server, watchman: &mut Watchman) {
        if !watchman.rights_due {
            return;
        }
        let set = match server.connection().await {
            Ok(connection) => set_access(connection, &self.agent.set, &self.agent.secrets).await,
            Err(error) => Err(error.into()),
        };
        let lost = matches!(set, Err(ApplyError::Lost(_)));
        (watchman.rights_due, watchman.settings_due) = (lost, lost);
        if let Err(error) = set {
            tracing::warn!(%error, tried_again = lost, "the server's users keep the rights that an earlier agent gave them");
        }
    }

    /// Tells why a configuration is not taken.
    pub(super) fn refuse(&self, set: &SetConfig, refusal: Refusal) {
        let revision = set.revision();
        if self.agent.shared.snapshot().config_fault.as_ref().is_some_and(|fault| fault.revision == revision)
        {
            return;
        }
        let named =
            refusal.directive.as_ref().map_or_else(String::new, |name| format!("spec.config.{name}: "));
        let message = format!("{named}{}; what was in force stays", refusal.message);
        self.agent.shared.notice("ConfigRefused", message.as_str(), true);
        let fault = ConfigFault { revision, directive: refusal.directive, message };
        self.agent.shared.update(|state| state.config_fault = Some(fault));
    }

    /// Gives the directives that take effect only at the next start.
    async fn carry_in(
        &self,
        server: &mut Server,
        watchman: &Watchman,
        new: &NewSettings,
    ) -> Result<Vec<String>, NotTaken> {
        let conf = self.conf_now(watchman, new);
        let (binary, scratch) = (&self.agent.args.server_binary, &self.agent.args.data);
        check(binary, &conf, scratch).await?;
        let taken_out = removed(&self.agent.set, &new.set);
        let defaults = defaults(binary, &taken_out, scratch).await?;
        let connection = server.connection().await?;
        let running = connection.config_get("*").await?;
        let changes = plan_live(&running, &self.agent.set, &new.set, &defaults);
        let mut restart = apply_live(connection, &changes).await?;
        let (old, access) = ((&*self.agent.set, &self.agent.secrets), (&*new.set, &new.secrets));
        apply_access(connection, old, access, self.login()).await?;
        let path = self.conf_path();
        let written = off_thread(move || replace(&path, conf.as_bytes())).await;
        written.map_err(|error| NotTaken::Failed(error.to_string()))?;
        restart.extend(self.still_needed(&changes));
        restart.sort();
        restart.dedup();
        Ok(restart)
    }

    /// What waited for a restart already and is not among what was carried in now.
    fn still_needed(&self, changes: &[Change]) -> Vec<String> {
        let set = |name: &String| {
            changes.iter().any(|change| matches!(change, Change::Set { name: set, .. } if set == name))
        };
        self.agent.shared.snapshot().restart_needed.iter().filter(|name| !set(name)).cloned().collect()
    }

    /// The file as it would be for a start in today's role.
    fn conf_now(&self, watchman: &Watchman, new: &NewSettings) -> String {
        let seen = watchman.seen.as_ref();
        let start = match seen.map(|seen| &seen.replication) {
            _ if self.is_clustered() => Start::Member { electable: watchman.joined },
            Some(Replication::Replica { master, .. }) if self.login() == Login::Outside => {
                Start::CopyOf(master.clone())
            }
            Some(Replication::Replica { master, .. }) => Start::ReplicaOf(master.clone()),
            Some(Replication::Master { .. }) | None => Start::Master,
        };
        let launch = NodeLaunch {
            bind: self.bind(),
            data_dir: self.agent.args.data.clone(),
            start,
            aof_in_file: seen.is_some_and(|seen| seen.aof_enabled),
            min_replicas_to_write: self.first_fence(),
        };
        let me = new.set.node(&self.me.name).unwrap_or(&self.me);
        node_conf(&new.set, me, &new.secrets, &launch)
    }

    pub(super) fn bind(&self) -> String {
        self.agent.args.bind.clone().unwrap_or_else(|| self.me.server.host.clone())
    }
}

impl From<TrialError> for NotTaken {
    fn from(error: TrialError) -> Self {
        match error {
            TrialError::Refused(refusal) => Self::Refused(refusal),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<ApplyError> for NotTaken {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Refused { directive, message, left } => {
                if !left.0.is_empty() {
                    tracing::error!(directives = ?left.0, "settings could not be put back");
                }
                Self::Refused(Refusal { directive: Some(directive), message })
            }
            ApplyError::Lost(error) => Self::Failed(error.to_string()),
        }
    }
}

impl From<redoubt_redis::Error> for NotTaken {
    fn from(error: redoubt_redis::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
