//! A set that is filled from a Redis outside of it: all nodes follow that one, and nobody leads. Once the resource asks
//! for it no more, each lets go of it, and the boot rules say who leads: the one whose data goes furthest.
//!
//! While a node follows somebody outside it is no living copy of this set's data (`joined`), so that nothing elects it.
//! Its server runs on all the time: where nothing is kept on disk, it holds the only copy.

use std::time::Instant;

use redoubt_redis::{Connection, Endpoint, Error};
use redoubt_serverconf::Login;
use redoubt_wire::state::{Replication, copied_data_set};

use super::{
    Node, Role,
    enter::{FIRST_LOOK, Rested, SLOWEST_LOOK},
    look::Seen,
    serve::Watchman,
};
use crate::{fault::Fault, server::Server};

/// Nobody listens there: who follows it keeps what it has, and its place in the replication history of the one it
/// followed before, which a promotion would end.
fn nobody() -> Endpoint {
    Endpoint::new("127.0.0.1", 1)
}

/// What came of letting go.
pub(super) enum LetGo {
    /// The server has its place in the set, or is where it was.
    Serves(Role),
    /// It ended: the boot rules begin with what is on disk.
    Again,
    /// The agent was asked to stop, and the server is stopped.
    Stopped,
}

impl Node {
    /// As whom the server logs in at the one it follows.
    pub(super) fn login(&self) -> Login {
        if self.durable.outside().is_some() { Login::Outside } else { Login::Set }
    }

    pub(super) async fn log_in_at_set(&self, connection: &mut Connection) -> Result<(), Error> {
        let login = Login::Set.directives(&self.agent.set, &self.agent.secrets);
        connection.config_set(&login.each_ref().map(|(name, value)| (*name, value.as_str()))).await
    }

    /// A node that is in sync with the Redis outside holds that data set, as long as the resource asks for it.
    pub(super) async fn be_filled(&mut self, server: &mut Server, watchman: &mut Watchman) {
        let Some(outside) = self.durable.outside().cloned() else { return };
        match &self.agent.set.bootstrap {
            Some(wanted) if *wanted != outside => {
                self.be_filled_from_another(server, &outside, wanted.clone()).await;
                return;
            }
            None if !self.durable.holds_copied() && !watchman.told_unfilled => {
                watchman.told_unfilled = true;
                let what = format!(
                    "{outside} is to be followed no more, and was never copied as a whole: this node goes on copying it, and leads only once it has; see whether {outside} is reachable"
                );
                self.agent.shared.notice("NotFilled", what, true);
            }
            Some(_) | None => {}
        }
        let Some(seen) = watchman.seen.as_ref().filter(|seen| seen.link_up()) else { return };
        if self.durable.unknown_master(seen) == Some(&outside) {
            self.durable.joined(copied_data_set(&outside), outside.clone());
            self.durable.saw(seen);
            self.agent.shared.notice(
                "Filled",
                format!("holds all that {outside} has, and follows it"),
                false,
            );
            self.keep_record(watchman).await;
        }
    }

    async fn be_filled_from_another(&mut self, server: &mut Server, before: &Endpoint, wanted: Endpoint) {
        let pointed = async { server.connection().await?.replicaof(Some(&wanted)).await };
        match pointed.await {
            Ok(()) => {
                let what = format!("is filled from {wanted}, no longer from {before}");
                self.agent.shared.notice("FilledFromAnother", what, false);
                self.durable.set_outside(Some(wanted));
            }
            Err(error) => tracing::warn!(%error, "the node is still filled from {before}; tried again"),
        }
    }

    /// The Redis outside is to be followed no more, and what it had is here as a whole. A copy that is under way is not
    /// broken off: it would be all there is. Nor does a node that was told to end take a place.
    pub(super) fn is_to_let_go(&self, watchman: &Watchman) -> bool {
        let between_copies = watchman.seen.as_ref().is_some_and(|seen| {
            !seen.loading && matches!(seen.replication, Replication::Replica { syncing: false, .. })
        });
        self.durable.outside().is_some()
            && self.agent.set.bootstrap.is_none()
            && self.durable.holds_copied()
            && watchman.fresh
            && watchman.leaves_at.is_none()
            && between_copies
    }

    /// Stops following, and asks the boot rules for its place in the set as a node that starts does: its data grows no
    /// more, so that it can be compared with what others hold.
    pub(super) async fn let_go(&mut self, server: &mut Server) -> LetGo {
        let outside = self.durable.outside().map_or_else(String::new, ToString::to_string);
        if let Err(error) = self.stop_following(server).await {
            // It may hold the only copy. Whether it hangs is judged while it serves.
            tracing::warn!(%error, "the server is not told yet to follow {outside} no more; tried again");
            return LetGo::Serves(self.inherited_role());
        }
        let (began, mut pause, mut told) = (Instant::now(), FIRST_LOOK, String::new());
        self.tell_waiting(&mut told, format!("follows {outside} no more; who leads is decided"), None);
        loop {
            let own = self.durable.on_disk().clone();
            let decided = tokio::select! {
                exit = server.ended() => {
                    self.agent.shared.notice("ServerEnded", format!("the server ended: {exit}"), true);
                    return LetGo::Again;
                }
                decided = self.decided(own, began.elapsed(), &mut told) => decided,
            };
            pause = match decided {
                Ok(role) => match self.take_place(server, &role).await {
                    Ok(()) => return LetGo::Serves(role),
                    Err(error) => {
                        tracing::warn!(%error, "the place in the set is not taken, and tried again");
                        pause
                    }
                },
                Err(retry) => retry.unwrap_or(pause),
            };
            match self.rested(pause).await {
                // Carried into the server once it has its place.
                Rested::Over | Rested::Settings => {}
                Rested::Stop => return self.end_beside(server).await,
            }
            pause = (pause * 2).min(SLOWEST_LOOK);
        }
    }

    /// What the server holds by then is what this node holds.
    async fn stop_following(&mut self, server: &mut Server) -> Result<(), Error> {
        let asked = self.agent.clock.now();
        let connection = server.connection().await?;
        connection.replicaof(Some(&nobody())).await?;
        let info = connection.info(None).await?;
        if let Some(seen) = Seen::read(&info, asked) {
            self.durable.freeze(&seen);
        }
        Ok(())
    }

    /// As master of a data set that begins with what was copied, or as replica.
    async fn take_place(&mut self, server: &mut Server, role: &Role) -> Result<(), Fault> {
        if role.follow.is_none() && self.durable.holds_copied() {
            self.durable.begin_data_set().await?;
        }
        let connection = server.connection().await?;
        self.log_in_at_set(connection).await?;
        connection.replicaof(role.follow.as_ref()).await?;
        self.durable.set_outside(None);
        if role.joined {
            self.make_electable(server).await;
        }
        Ok(())
    }

    async fn end_beside(&mut self, server: &mut Server) -> LetGo {
        if let Err(error) = self.durable.keep_now().await {
            tracing::warn!(%error, "the record is older than the data");
        }
        let exit = server.stop(self.grace()).await;
        self.agent.shared.update(|state| state.server_pid = None);
        tracing::info!(%exit, "the server is stopped");
        LetGo::Stopped
    }
}
