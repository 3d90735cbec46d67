//! Stands in for the agents that the old operator's nodes do not have: tells what their servers say, and has the master
//! hand over by the same election. A pod that has an agent is asked itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::ResourceExt as _;
use redoubt_api::Key;
use redoubt_election::{Context, Request, agentless, change_master, new_id};
use redoubt_engine::{AgentLink, Dial};
use redoubt_redis::{Connector, Credentials, Endpoint};
use redoubt_wire::{
    API_VERSION,
    client::{AgentClient, AgentError},
    config::{NodeEntry, SetConfig},
    failover::{Cause, Failover},
    requests::{Rebalance, Rebalanced},
    secrets::{AGENT_USER, Secrets},
    state::{AgentRole, AgentState, NodeState},
};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::{names::labels, stores::Stores};

/// A server answers within milliseconds; its pod may be on a machine that is busy.
const ANSWER: Duration = Duration::from_secs(2);
/// Nobody tells of a change: a server without an agent is looked at so often.
const LOOK: Duration = Duration::from_millis(500);

/// The nodes without an agent.
#[derive(Clone)]
pub(crate) struct StandIns {
    stores: Stores,
    nodes: Arc<Mutex<BTreeMap<Endpoint, Arc<StandIn>>>>,
}

impl StandIns {
    pub(crate) fn new(stores: Stores) -> Self {
        Self { stores, nodes: Arc::default() }
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<Endpoint, Arc<StandIn>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on these are asked as this configuration and these secrets say.
    pub(crate) fn stand_in(&self, key: &Key, set: &Arc<SetConfig>, secrets: &Secrets) {
        let password = secrets.agent.current().clone();
        let login = Credentials { user: Some(AGENT_USER.to_owned()), password };
        let connector = Connector::new(Some(login), ANSWER);
        let mut nodes = self.nodes();
        nodes.retain(|_, node| node.key != *key);
        nodes.extend(set.nodes.iter().map(|node| {
            let (node, set, connector) = (node.clone(), Arc::clone(set), connector.clone());
            let stand_in = StandIn { key: key.clone(), node, set, connector, seen: Mutex::default() };
            (stand_in.node.agent.clone(), Arc::new(stand_in))
        }));
    }

    /// The one for the node whose agent would listen there; `None`: it has an agent.
    fn get(&self, agent: &Endpoint) -> Option<Arc<StandIn>> {
        let found = self.nodes().get(agent).cloned()?;
        let is_it = |pod: &Arc<k8s_openapi::api::core::v1::Pod>| {
            pod.name_any() == found.node.name && is_agentless(pod.annotations())
        };
        self.stores.pods(&found.key).iter().any(is_it).then_some(found)
    }
}

/// A pod with these annotations was not made by Redoubt.
pub(crate) fn is_agentless(annotations: &BTreeMap<String, String>) -> bool {
    !annotations.contains_key(labels::TEMPLATE)
}

/// Stands in for one agent.
struct StandIn {
    key: Key,
    node: NodeEntry,
    set: Arc<SetConfig>,
    connector: Connector,
    /// What was last seen, and how often it was something else.
    seen: Mutex<(Option<NodeState>, u64)>,
}

impl StandIn {
    async fn state(&self) -> Result<AgentState, AgentError> {
        let state = agentless::state(&self.set.uid, &self.connector, &self.node.server).await;
        let state = state.ok_or_else(|| AgentError::Unreachable {
            agent: self.node.agent.clone(),
            why: format!("there is none yet, and its server {} does not answer", self.node.server),
        })?;
        let revision = self.revision(&state);
        Ok(AgentState {
            api_version: API_VERSION,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            name: self.node.name.clone(),
            incarnation: "stand-in".to_owned(),
            revision,
            config: Some(self.set.revision()),
            config_fault: None,
            restart_needed: Vec::new(),
            server_pid: None,
            server_version: None,
            role: AgentRole::Node(state),
            last_failover: None,
            notices: Vec::new(),
        })
    }

    /// Grows with what others should react to.
    fn revision(&self, state: &NodeState) -> u64 {
        let lasting =
            NodeState { live: None, on_disk: redoubt_wire::state::OnDisk::Unknown, ..state.clone() };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0.as_ref() != Some(&lasting) {
            *seen = (Some(lasting), seen.1 + 1);
        }
        seen.1
    }

    /// The election of every hand-over, led from here.
    async fn switchover(
        &self,
        to: Option<&str>,
        cause: Cause,
        id: Option<&str>,
    ) -> Result<Failover, AgentError> {
        let history = match self.state().await?.role {
            AgentRole::Node(state) => state.on_disk.record().map(|record| record.replid.clone()),
            AgentRole::Sentinel(_) => None,
        };
        let connector = self.connector.clone();
        let context =
            Context::new(Arc::clone(&self.set), self.node.name.clone(), connector.clone(), connector);
        let request = Request {
            id: id.map_or_else(new_id, str::to_owned),
            cause,
            replaces: self.node.server.clone(),
            to: to.map(str::to_owned),
            old_offset: None,
            history,
            epoch_heard: 0,
        };
        // The election is written for one thread, as an agent has it.
        let runtime = tokio::runtime::Handle::current();
        let elected =
            tokio::task::spawn_blocking(move || runtime.block_on(change_master(&context, request))).await;
        elected.map(|report| report.failover).map_err(|error| AgentError::Protocol {
            agent: self.node.agent.clone(),
            why: format!("the election broke off: {error}"),
        })
    }
}

/// To agents, and to who stands in for one.
pub(crate) struct Ways {
    pub(crate) stand_ins: StandIns,
}

impl Dial for Ways {
    type Link = Way;

    fn dial(&self, agent: &Endpoint, token: &Arc<SecretString>) -> Way {
        let http = AgentClient::new(agent.clone(), Arc::clone(token));
        Way { agent: agent.clone(), http, stand_ins: self.stand_ins.clone() }
    }
}

/// To one agent, or to who stands in for it: decided each time anew, since the pod may be another one by now.
pub(crate) struct Way {
    agent: Endpoint,
    http: AgentClient,
    stand_ins: StandIns,
}

impl AgentLink for Way {
    async fn state(&self) -> Result<AgentState, AgentError> {
        match self.stand_ins.get(&self.agent) {
            Some(stand_in) => stand_in.state().await,
            None => self.http.state().await,
        }
    }

    async fn state_after(
        &self,
        incarnation: &str,
        revision: u64,
        wait: Duration,
    ) -> Result<AgentState, AgentError> {
        let until = Instant::now() + wait;
        while let Some(stand_in) = self.stand_ins.get(&self.agent) {
            let state = stand_in.state().await?;
            let news = (state.incarnation.as_str(), state.revision) != (incarnation, revision);
            if news || Instant::now() >= until {
                return Ok(state);
            }
            tokio::time::sleep(LOOK).await;
        }
        self.http.state_after(incarnation, revision, wait).await
    }

    async fn switchover(
        &self,
        to: Option<&str>,
        cause: Cause,
        id: Option<&str>,
    ) -> Result<Failover, AgentError> {
        match self.stand_ins.get(&self.agent) {
            Some(stand_in) => stand_in.switchover(to, cause, id).await,
            None => self.http.switchover(to, cause, id).await,
        }
    }

    async fn rebalance(&self, wish: &Rebalance) -> Result<Rebalanced, AgentError> {
        self.http.rebalance(wish).await
    }

    async fn prune(&self) -> Result<(), AgentError> {
        self.http.prune().await
    }
}
