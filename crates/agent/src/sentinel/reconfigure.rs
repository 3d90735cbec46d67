//! A changed configuration, carried into the running Sentinel.

use std::time::Duration;

use redoubt_redis::Error;
use redoubt_serverconf::sentinel::plan_sentinel;

use super::{Sentinel, serve::After};
use crate::server::Server;

/// A Sentinel holds no data: it ends at once, or hangs.
const STOP_WITHIN: Duration = Duration::from_secs(2);

impl Sentinel {
    /// Takes new settings; `Some` when the Sentinel is to be started again for them.
    pub(super) async fn reconfigure(&mut self, server: &mut Server) -> Option<After> {
        let new = self.agent.reload_settings()?;
        let changes = plan_sentinel((&self.agent.set, &self.agent.secrets), (&new.set, &new.secrets));
        let mut again = !changes.restart.is_empty();
        for change in changes.live {
            let told = match server.connection().await {
                Ok(connection) => connection.call(change.call.arguments()).await.map(drop),
                Err(error) => Err(error),
            };
            if let Err(error) = told {
                tracing::warn!(directive = change.directive, %error, "not taken live; the Sentinel starts again for it");
                again = true;
            }
        }
        self.agent.accept(&new);
        if let Some(entry) =
            self.config().and_then(|config| config.sentinels.iter().find(|entry| entry.name == self.me.name))
        {
            self.me = entry.clone();
        }
        if again {
            server.child().stop(STOP_WITHIN).await;
            return Some(After::Again);
        }
        if let Ok(connection) = server.connection().await
            && let Err(error @ Error::Server { .. }) = connection.sentinel_flushconfig().await
        {
            tracing::warn!(%error, "the Sentinel could not write its file; it tries again at its next change");
        }
        None
    }
}
