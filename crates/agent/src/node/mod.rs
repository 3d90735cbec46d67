//! The life of a data node: decide who it may be, start its server, look after it, mourn it, begin again.

mod actions;
mod cluster;
mod disk;
mod durable;
mod enter;
mod fence;
mod files;
mod hang;
mod lead;
mod leave;
mod look;
mod moving;
mod outside;
mod reconfigure;
mod serve;
mod shard_fence;
mod start;
mod strays;
mod succeed;

use std::{sync::Arc, time::Duration};

use redoubt_election::Context;
use redoubt_redis::{Endpoint, version::ServerVersion};
use redoubt_wire::{config::NodeEntry, state::Phase};

use self::{
    durable::{Beginning, Durable},
    moving::Moving,
    outside::LetGo,
    serve::After,
};
use crate::{agent::Agent, backoff::Backoff, fault::Fault, server};

/// A server that ends at once is started again after this pause at first, and at most after [`SLOWEST_RESTART`].
const FIRST_RESTART: Duration = Duration::from_millis(50);
const SLOWEST_RESTART: Duration = Duration::from_secs(15);

/// A data node.
pub(crate) struct Node {
    agent: Agent,
    me: NodeEntry,
    context: Context,
    /// Whom a Sentinel majority named when it was last heard.
    named: Option<Endpoint>,
    durable: Durable,
    /// Of the server's binary.
    version: ServerVersion,
    /// What the server was, when it was last seen.
    last_seen: Option<LastSeen>,
    /// In a cluster: another node was just seen to have its slots.
    replaced: bool,
    /// In a cluster: this node began to form it and has not seen it whole; nothing while its note was not looked for.
    forming: Option<bool>,
    /// In a cluster: slots are moved, or were.
    moving: Option<Moving>,
}

/// What the server was when it was last seen.
#[derive(Debug, Clone)]
struct LastSeen {
    master: bool,
    offset: u64,
    replid: String,
}

/// What a server is started as.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; no two make a state together")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Role {
    /// Whom it follows; nobody: it leads.
    follow: Option<Endpoint>,
    /// What that means for the data.
    beginning: Beginning,
    /// It holds the most advanced data and is to be voted for once it has loaded.
    elect: bool,
    /// It runs already: an earlier version of this agent has started it.
    inherited: bool,
    /// It runs already, and has been in sync.
    joined: bool,
    /// In a cluster: it has no place in it yet.
    blank: bool,
    /// In a cluster: a living master has all that it had.
    led: bool,
}

/// Lives until it is asked to stop.
pub(crate) async fn run(agent: Agent) -> Result<(), Fault> {
    let version = server::version(&agent.args.server_binary).await?;
    redoubt_serverconf::sweep(&agent.args.data).await;
    let mut node = Node::new(agent, version)?;
    let mut backoff = Backoff::new(FIRST_RESTART, SLOWEST_RESTART);
    let mut running = node.inherit()?.map(|server| (node.inherited_role(), server));
    node.recall();
    loop {
        let (role, started) = if let Some((role, server)) = running.take() {
            (role, Ok(server))
        } else {
            node.keep_data_folder();
            let Some(role) = node.enter().await else { return Ok(()) };
            let started = node.start(&role).await;
            (role, started)
        };
        let failed = match started {
            Ok(mut server) => match node.serve(&mut server, &role).await {
                After::Stopped => return Ok(()),
                After::Again => continue,
                After::Succeed => {
                    running = node.hand_down(server).await.map(|server| (node.inherited_role(), server));
                    continue;
                }
                After::LetGo => match node.let_go(&mut server).await {
                    LetGo::Serves(role) => {
                        running = Some((role, server));
                        continue;
                    }
                    LetGo::Again => continue,
                    LetGo::Stopped => return Ok(()),
                },
                After::Ended { how, hung } => {
                    node.mourn(&how, hung).await;
                    how
                }
            },
            Err(fault) => {
                node.agent.shared.notice("StartFailed", fault.to_string(), true);
                fault.to_string()
            }
        };
        node.set_phase(Phase::Backoff { why: failed });
        if node.rest(backoff.pause(std::time::Instant::now())).await {
            return Ok(());
        }
    }
}

impl Node {
    fn new(agent: Agent, version: ServerVersion) -> Result<Self, Fault> {
        let name = &agent.args.name;
        let me = agent.set.node(name).cloned().ok_or_else(|| Fault::NotInSet { name: name.clone() })?;
        let context =
            Context::new(Arc::clone(&agent.set), name.clone(), agent.nodes.clone(), agent.sentinels.clone());
        let durable = Durable::new(agent.args.data.clone());
        let mut node = Self {
            agent,
            me,
            context,
            named: None,
            durable,
            version,
            last_seen: None,
            replaced: false,
            forming: None,
            moving: None,
        };
        node.listen();
        Ok(node)
    }

    /// Listens to the Sentinels of the configuration in force.
    fn listen(&mut self) {
        if let Some(config) = self.agent.set.sentinel() {
            self.agent.inbox.hearing.listen(config, &self.agent.sentinels);
        }
        self.context = self.context.with_set(Arc::clone(&self.agent.set));
    }

    /// A folder that was removed under the server is made again: the node comes back without data, and the boot rules
    /// have it copy what the others have. What keeps it from being made is told by whoever needs it next.
    fn keep_data_folder(&self) {
        if let Err(error) = std::fs::create_dir_all(&self.agent.args.data) {
            tracing::warn!(path = %self.agent.args.data.display(), %error, "the data folder cannot be made");
        }
    }

    fn set_phase(&self, phase: Phase) {
        self.agent.shared.update_node(|node| {
            if phase != Phase::Running {
                node.ready = false;
            }
            if !matches!(phase, Phase::Running | Phase::Stopping) {
                node.replication = None;
                node.cluster = None;
                node.joined = false;
            }
            node.phase = phase;
        });
    }
}
