//! One set as commands see it: who its members are, its passwords, and where each member is reached from here.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use redoubt_api::Role;
use redoubt_drill::Target;
use redoubt_kubernetes::Tunnel;
use redoubt_redis::Endpoint;
use redoubt_wire::{
    client::{AgentClient, AgentError},
    config::{NodeEntry, SetConfig},
    secrets::Secrets,
    state::{AgentRole, AgentState, ClusterView},
};

use crate::{
    ask::ask,
    failure::{Code, Failure},
    report::{Answers, Live},
};

/// Longer than any hand-over takes.
const HAND_OVER: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One set.
pub(crate) struct Set {
    /// As commands name it.
    pub name: String,
    /// What its agents share.
    pub config: SetConfig,
    /// Its passwords.
    pub secrets: Secrets,
    /// The way to what was announced; without one, members are reached where they are announced.
    pub(super) tunnels: BTreeMap<Endpoint, Tunnel>,
    /// How long a person waits for an agent.
    pub(super) patience: Duration,
}

impl Set {
    /// Where this member is reached from here.
    pub(crate) fn reached<'a>(&'a self, announced: &'a Endpoint) -> &'a Endpoint {
        self.tunnels.get(announced).map_or(announced, Tunnel::endpoint)
    }

    /// The agents of all members, with the addresses they announce.
    fn agents(&self) -> Vec<(String, &Endpoint)> {
        let sentinels = self.config.sentinel().into_iter().flat_map(|sentinel| &sentinel.sentinels);
        let nodes = self.config.nodes.iter().map(|node| (node.name.clone(), &node.agent));
        nodes.chain(sentinels.map(|entry| (entry.name.clone(), &entry.agent))).collect()
    }

    /// The agent of a node or Sentinel.
    pub(crate) fn agent(&self, member: &str) -> Option<AgentClient> {
        let (_, announced) = self.agents().into_iter().find(|(name, _)| name == member)?;
        Some(self.client(announced))
    }

    /// What every agent says now.
    pub(crate) async fn answers(&self) -> Answers {
        let announced = self.agents();
        let clients: Vec<_> =
            announced.iter().map(|(name, agent)| (name.clone(), self.client(agent))).collect();
        let mut answers = ask(&clients, self.patience).await;
        for (name, agent) in announced {
            if let Some(answer) = answers.get_mut(&name).filter(|answer| answer.is_err())
                && let Some(why) = self.tunnels.get(agent).and_then(Tunnel::fault)
            {
                *answer = Err(AgentError::Unreachable { agent: agent.clone(), why });
            }
        }
        answers
    }

    /// The one node that says it is master. In a hand-over that is under way there may be none, or two.
    pub(crate) async fn master(&self) -> Result<&NodeEntry, Failure> {
        let until = Instant::now() + HAND_OVER;
        loop {
            let live = Live::new(&self.config, &self.answers().await);
            let mut masters = live.nodes.iter().filter(|(_, node)| node.role == Some(Role::Master));
            let one = masters.next().filter(|_| masters.next().is_none());
            if let Some(node) = one.and_then(|(name, _)| self.config.node(name)) {
                return Ok(node);
            }
            if Instant::now() >= until {
                return Err(nobody_leads(&self.config.name));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The node that leads the shard of this one.
    pub(crate) async fn master_beside(&self, node: &str) -> Result<&NodeEntry, Failure> {
        let shard = self.config.node(node).map(|node| node.shard);
        let answers = self.answers().await;
        let leads = |entry: &&NodeEntry| match answers.get(&entry.name) {
            Some(Ok(AgentState { role: AgentRole::Node(node), .. })) => {
                node.cluster.as_deref().is_some_and(ClusterView::leads)
            }
            _ => false,
        };
        let mut leaders = self.config.nodes.iter().filter(|entry| Some(entry.shard) == shard).filter(leads);
        let one = leaders.next().filter(|_| leaders.next().is_none());
        one.ok_or_else(|| nobody_leads(&self.config.name))
    }

    /// A node that takes commands: the master, in a cluster any of them.
    pub(crate) async fn entrance(&self) -> Result<&NodeEntry, Failure> {
        if self.config.cluster().is_none() {
            return self.master().await;
        }
        let live = Live::new(&self.config, &self.answers().await);
        let mut members = live.nodes.iter().filter(|(_, node)| node.role.is_some());
        let node = members.next().and_then(|(name, _)| self.config.node(name));
        node.ok_or_else(|| nobody_leads(&self.config.name))
    }

    /// Where what was announced is reached from here, as long as this lives.
    pub(crate) fn reach(&self) -> BTreeMap<Endpoint, Endpoint> {
        let reach =
            self.tunnels.iter().map(|(announced, tunnel)| (announced.clone(), tunnel.endpoint().clone()));
        reach.collect()
    }

    /// For drills.
    pub(crate) fn target(&self) -> Target {
        Target { reach: self.reach(), ..Target::new(self.config.clone(), self.secrets.clone()) }
    }

    fn client(&self, agent: &Endpoint) -> AgentClient {
        let token = Arc::new(self.secrets.token.current().clone());
        AgentClient::new(self.reached(agent).clone(), token)
    }
}

/// For commands that need a master.
pub(crate) fn nobody_leads(name: &str) -> Failure {
    Failure::new(Code::NotHealthy, format_args!("no node of {name} says that it is master"))
        .hint(format_args!("see why with `redoubt status {name}`"))
}
