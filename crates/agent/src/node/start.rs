//! Starting the server in the role it was given.

use std::path::PathBuf;

use redoubt_serverconf::{NodeLaunch, Start, TrialError, aof::StartsAs, check, node_conf};
use redoubt_supervise::Spawn;
use redoubt_wire::state::Phase;

use super::{Node, Role};
use crate::{agent::server_endpoint, fault::Fault, server::Server};

impl Role {
    /// A node that is to be voted for follows nobody who serves.
    fn starts_as(&self) -> StartsAs {
        let follows = (self.follow.is_some() && !self.elect) || self.led;
        if follows { StartsAs::Replica } else { StartsAs::Master }
    }
}

impl Node {
    /// Starts the server and waits until it answers.
    pub(super) async fn start(&mut self, role: &Role) -> Result<Server, Fault> {
        self.set_phase(Phase::Starting);
        self.last_seen = None;
        (self.replaced, self.forming) = (false, None);
        let files = self.files(role.starts_as()).await?;
        if files.lost {
            let what = "the files that held this node's data are gone; it starts with what is left";
            self.agent.shared.notice("DataLost", what, true);
        }
        let launch = NodeLaunch {
            bind: self.bind(),
            data_dir: self.agent.args.data.clone(),
            start: match &role.follow {
                _ if self.is_clustered() => Start::Member { electable: role.joined },
                Some(master) if self.agent.set.bootstrap.as_ref() == Some(master) => {
                    Start::CopyOf(master.clone())
                }
                Some(master) => Start::ReplicaOf(master.clone()),
                None => Start::Master,
            },
            aof_in_file: files.aof_in_file,
            min_replicas_to_write: self.first_fence(),
        };
        let conf = node_conf(&self.agent.set, &self.me, &self.agent.secrets, &launch);
        self.durable.set_outside(match &launch.start {
            Start::CopyOf(outside) => Some(outside.clone()),
            Start::Master | Start::ReplicaOf(_) | Start::Member { .. } => None,
        });
        self.durable.begin(&role.beginning, self.is_persistent(), files.turns_aof_on).await?;
        let path = self.conf_path();
        let spawn = Spawn::new(&self.agent.args.server_binary).arg(&path).dir(&self.agent.args.data);
        let endpoint = server_endpoint(&self.agent.set, &self.agent.args)?;
        let mut server =
            Server::start(&spawn, (&path, &conf), &self.agent.own, endpoint, self.agent.nodes.clone())
                .await?;
        self.agent.metrics.own().server_started();
        if let Err(exit) = server.first_answer().await {
            self.find_refused(&conf).await;
            return Err(Fault::EndedAtStart { exit });
        }
        self.agent.shared.update(|state| state.restart_needed.clear());
        Ok(server)
    }

    /// A server that ends at once may not like its configuration: a throw-away one says what of it.
    async fn find_refused(&self, conf: &str) {
        match check(&self.agent.args.server_binary, conf, &self.agent.args.data).await {
            Ok(()) => {}
            Err(TrialError::Refused(refusal)) => self.refuse(&self.agent.set, refusal),
            Err(error) => tracing::warn!(%error, "the configuration could not be tried"),
        }
    }

    pub(super) fn conf_path(&self) -> PathBuf {
        self.agent.args.data.join("redis.conf")
    }

    /// The fence is armed from the first moment, so that a promotion or a return finds it there.
    pub(super) fn first_fence(&self) -> u32 {
        let fenced = self.agent.set.sentinel().is_some() && self.agent.set.nodes.len() > 1;
        self.agent.set.durability.min_replicas_to_write.max(u32::from(fenced))
    }
}
