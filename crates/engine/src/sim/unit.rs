//! One member of the model: its process, its agent, its server.

use std::{collections::BTreeSet, fmt};

use redoubt_redis::Endpoint;
use redoubt_wire::config::SetConfig;

use crate::platform::{Member, MemberKind};

pub(super) struct Unit {
    pub(super) member: Member,
    /// Ticks until it is gone.
    pub(super) gone_in: u32,
    /// Ticks until its agent answers.
    pub(super) starts_in: u32,
    /// Ticks in which the engine does not reach its agent.
    pub(super) silent_for: u32,
    /// Ticks in which nothing of it works.
    pub(super) dead_for: u32,
    /// Ticks until its agent sees a new configuration.
    pub(super) hears_in: u32,
    pub(super) incarnation: u32,
    /// The configuration in force.
    pub(super) config: Option<SetConfig>,
    /// Its revision, which takes long to compute.
    pub(super) revision: Option<String>,
    /// One that was refused.
    pub(super) refused: Option<String>,
    /// The directive its server was started with.
    pub(super) databases: Option<String>,
    pub(super) server: Server,
}

#[derive(Debug)]
pub(super) enum Server {
    Node(Node),
    Sentinel(Sentinel),
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) up: bool,
    /// Ticks until the server starts again.
    pub(super) starts_in: u32,
    /// What its files hold.
    pub(super) offset: u64,
    /// Ordinal of the node it follows; `None` leads.
    pub(super) follows: Option<u32>,
    /// Ticks until it holds a full copy.
    pub(super) sync_left: u32,
}

#[derive(Debug, Default)]
pub(super) struct Sentinel {
    pub(super) master: Option<Endpoint>,
    pub(super) known_sentinels: BTreeSet<String>,
    pub(super) known_replicas: BTreeSet<Endpoint>,
}

impl Unit {
    pub(super) fn new(member: Member, starts_in: u32) -> Self {
        let server = match member.kind {
            MemberKind::Node => Server::Node(Node::default()),
            MemberKind::Sentinel => Server::Sentinel(Sentinel::default()),
        };
        Self {
            member,
            gone_in: 0,
            starts_in,
            silent_for: 0,
            dead_for: 0,
            hears_in: 0,
            incarnation: 1,
            config: None,
            revision: None,
            refused: None,
            databases: None,
            server,
        }
    }

    /// Its agent works.
    pub(super) fn alive(&self) -> bool {
        self.member.running && self.starts_in == 0 && self.dead_for == 0
    }

    /// The engine gets an answer.
    pub(super) fn answers(&self) -> bool {
        self.alive() && self.silent_for == 0
    }

    pub(super) fn node(&self) -> Option<&Node> {
        match &self.server {
            Server::Node(node) => Some(node),
            Server::Sentinel(_) => None,
        }
    }

    pub(super) fn node_mut(&mut self) -> Option<&mut Node> {
        match &mut self.server {
            Server::Node(node) => Some(node),
            Server::Sentinel(_) => None,
        }
    }

    pub(super) fn sentinel(&self) -> Option<&Sentinel> {
        match &self.server {
            Server::Sentinel(sentinel) => Some(sentinel),
            Server::Node(_) => None,
        }
    }

    pub(super) fn sentinel_mut(&mut self) -> Option<&mut Sentinel> {
        match &mut self.server {
            Server::Sentinel(sentinel) => Some(sentinel),
            Server::Node(_) => None,
        }
    }

    /// Its process ends, and its server with it; its files stay.
    pub(super) fn stop(&mut self) {
        self.incarnation += 1;
        self.config = None;
        self.revision = None;
        self.refused = None;
        self.databases = None;
        if let Some(node) = self.node_mut() {
            *node = Node { offset: node.offset, ..Node::default() };
        }
    }

    /// A new process of the newest template.
    pub(super) fn start(&mut self, template: &str, starts_in: u32) {
        self.stop();
        template.clone_into(&mut self.member.template);
        self.member.running = true;
        self.member.trouble = None;
        self.starts_in = starts_in;
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Member { name, template, running, leaving, trouble, .. } = &self.member;
        write!(
            f,
            "{name} of {template}, running {running}, leaving {leaving}, {trouble:?}, dead {}, ",
            self.dead_for
        )?;
        write!(f, "configured {}, {:?}", self.config.is_some(), self.server)
    }
}
