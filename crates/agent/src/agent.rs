//! What both kinds of agents have: files, connectors, state, and the port others ask at.

use std::{fs, future::Future, sync::Arc, time::Duration};

use redoubt_election::Clock;
use redoubt_redis::{Connector, Credentials, Endpoint};
use redoubt_supervise::{OwnChildren, Signals};
use redoubt_wire::{
    API_VERSION,
    config::SetConfig,
    secrets::{AGENT_USER, Secrets},
    state::{AgentRole, AgentState, NodeState, Phase, SentinelState},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};

use crate::{
    args::{AgentArgs, AgentKind},
    fault::Fault,
    hearing::Hearing,
    http::{self, Door, Tokens},
    ids,
    inbox::Inbox,
    logs::RedisName,
    metrics::Metrics,
    node,
    peers::Peers,
    sentinel, settings,
    settings::SettingsWatch,
    state::SharedState,
};

/// A server on the same machine answers within milliseconds; one across zones within some tens. A Sentinel writes
/// its vote to disk before it answers: 1 s of stall was seen.
pub(crate) const ANSWER: Duration = Duration::from_secs(1);

/// Wishes that may wait for the main loop. Each is one HTTP request of a person or an engine.
const COMMANDS: usize = 8;

/// What both kinds of agents have.
pub(crate) struct Agent {
    pub(crate) args: AgentArgs,
    pub(crate) set: Arc<SetConfig>,
    pub(crate) secrets: Secrets,
    pub(crate) shared: SharedState,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tokens: Tokens,
    pub(crate) inbox: Inbox,
    pub(crate) peers: Peers,
    pub(crate) own: OwnChildren,
    /// To data nodes, as the agents' user.
    pub(crate) nodes: Connector,
    /// To Sentinels, as the agents' user.
    pub(crate) sentinels: Connector,
    pub(crate) clock: Clock,
}

/// Lives until it is asked to stop. To be called on the main thread of a current-thread runtime.
pub(crate) async fn live(args: AgentArgs, redis: &RedisName) -> Result<(), Fault> {
    let signals = Signals::new().map_err(Fault::Process)?;
    let succession = signal(SignalKind::user_defined2()).map_err(Fault::Process)?;
    fs::create_dir_all(&args.data).map_err(|source| Fault::Data { path: args.data.clone(), source })?;
    let settings = SettingsWatch::new(&args)?;
    let (set, secrets) = settings::load(&args)?;
    redis.set(&set.name);
    let endpoint = agent_endpoint(&set, &args)?;
    let own = OwnChildren::default();
    let reaper = tokio::spawn(redoubt_supervise::reap_strangers(own.clone()));

    let connector = Connector::new(Some(agent_credentials(&secrets)), ANSWER);
    let shared = SharedState::new(first_state(&args, &set));
    let metrics = Arc::new(Metrics::new(&set.name, &connector, server_endpoint(&set, &args)?));
    let tokens = Tokens::new(secrets.token.clone());
    let (commands, wishes) = mpsc::channel(COMMANDS);
    let door =
        Door { state: shared.clone(), tokens: tokens.clone(), commands, metrics: Arc::clone(&metrics) };
    let listener = http::bind(&endpoint).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let answering = tokio::spawn(http::serve(listener, door, async {
        drop(stopped.await);
    }));

    let clock = Clock::start();
    let agent = Agent {
        inbox: Inbox { signals, succession, commands: wishes, settings, hearing: Hearing::new(clock) },
        peers: Peers::new(Arc::new(secrets.token.current().clone())),
        set: Arc::new(set),
        secrets,
        shared,
        metrics,
        tokens,
        own,
        nodes: connector.clone(),
        sentinels: connector,
        clock,
        args,
    };
    let lived = look_after(agent).await;
    drop(stop);
    drop(answering.await);
    reaper.abort();
    lived
}

/// Settings that differ from those in force.
pub(crate) struct NewSettings {
    pub(crate) set: Arc<SetConfig>,
    pub(crate) secrets: Secrets,
}

impl Agent {
    /// Reads configuration and secrets again; `None` when they are as before, or at fault (which is reported).
    pub(crate) fn reload_settings(&self) -> Option<NewSettings> {
        match settings::load(&self.args) {
            Ok((set, secrets)) if set == *self.set && secrets.changed(&self.secrets).is_empty() => None,
            Ok((set, secrets)) => Some(NewSettings { set: Arc::new(set), secrets }),
            Err(fault) => {
                self.shared.notice("SettingsRefused", format!("{fault}; what was in force stays"), true);
                None
            }
        }
    }

    /// From now on these are in force.
    pub(crate) fn accept(&mut self, new: &NewSettings) {
        self.set = Arc::clone(&new.set);
        self.secrets = new.secrets.clone();
        self.tokens.replace(new.secrets.token.clone());
        self.peers.replace_token(Arc::new(new.secrets.token.current().clone()));
        self.nodes.set_credentials(Some(agent_credentials(&new.secrets)));
        let revision = new.set.revision();
        self.shared.update(|state| {
            state.config = Some(revision);
            state.config_fault = None;
        });
    }
}

fn look_after(agent: Agent) -> std::pin::Pin<Box<dyn Future<Output = Result<(), Fault>>>> {
    match agent.args.kind {
        AgentKind::Node => Box::pin(node::run(agent)),
        AgentKind::Sentinel => Box::pin(sentinel::run(agent)),
    }
}

/// How agents log in, at data nodes and at Sentinels alike.
pub(crate) fn agent_credentials(secrets: &Secrets) -> Credentials {
    Credentials { user: Some(AGENT_USER.to_owned()), password: secrets.agent.current().clone() }
}

/// Where the agent listens.
fn agent_endpoint(set: &SetConfig, args: &AgentArgs) -> Result<Endpoint, Fault> {
    entry(set, args).map(|(agent, _)| bound(agent, args))
}

/// Where the server listens.
pub(crate) fn server_endpoint(set: &SetConfig, args: &AgentArgs) -> Result<Endpoint, Fault> {
    entry(set, args).map(|(_, server)| bound(server, args))
}

fn entry<'a>(set: &'a SetConfig, args: &AgentArgs) -> Result<(&'a Endpoint, &'a Endpoint), Fault> {
    let found = match args.kind {
        AgentKind::Node => set.node(&args.name).map(|node| (&node.agent, &node.server)),
        AgentKind::Sentinel => set
            .sentinel()
            .and_then(|sentinel| sentinel.sentinels.iter().find(|entry| entry.name == args.name))
            .map(|entry| (&entry.agent, &entry.server)),
    };
    found.ok_or_else(|| Fault::NotInSet { name: args.name.clone() })
}

fn bound(announced: &Endpoint, args: &AgentArgs) -> Endpoint {
    let host = args.bind.as_ref().unwrap_or(&announced.host);
    Endpoint::new(host.clone(), announced.port)
}

fn first_state(args: &AgentArgs, set: &SetConfig) -> AgentState {
    let phase = Phase::Waiting { why: "the agent has just started".to_owned(), until: None };
    let role = match args.kind {
        AgentKind::Node => AgentRole::Node(NodeState::new(phase)),
        AgentKind::Sentinel => AgentRole::Sentinel(SentinelState {
            phase,
            master: None,
            epoch: 0,
            current_epoch: 0,
            known_sentinels: Vec::new(),
            known_replicas: Vec::new(),
            quorum_ok: false,
        }),
    };
    AgentState {
        api_version: API_VERSION,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        name: args.name.clone(),
        incarnation: ids::incarnation(),
        revision: 1,
        config: Some(set.revision()),
        config_fault: None,
        restart_needed: Vec::new(),
        server_pid: None,
        server_version: None,
        role,
        last_failover: None,
        notices: Vec::new(),
    }
}
