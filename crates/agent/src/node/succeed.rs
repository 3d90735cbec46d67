//! Handing the running server down to a newer version of the agent.

use super::{Node, Role};
use crate::{agent::server_endpoint, fault::Fault, server::Server, succession};

impl Node {
    /// The server that an earlier version of this agent left, if it did.
    pub(super) fn inherit(&mut self) -> Result<Option<Server>, Fault> {
        let endpoint = server_endpoint(&self.agent.set, &self.agent.args)?;
        let Some((child, lines, memory)) = succession::inherit(&self.agent.own) else { return Ok(None) };
        self.durable.resume(memory);
        let pid = child.pid();
        self.agent.shared.notice(
            "AgentSucceeded",
            format!("a new agent looks after the running server, process {}", pid.as_raw_pid()),
            false,
        );
        Ok(Some(Server::owning(child, lines, endpoint, self.agent.nodes.clone())))
    }

    /// What a server that was inherited is.
    pub(super) fn inherited_role(&self) -> Role {
        let joined = self.durable.is_joined();
        Role { inherited: true, joined, blank: !joined, ..Role::default() }
    }

    /// Becomes the successor. Comes back only when that fails; `None` when the server is lost with it.
    pub(super) async fn hand_down(&mut self, server: Server) -> Option<Server> {
        let memory = self.durable.memory(self.is_persistent());
        let endpoint = server_endpoint(&self.agent.set, &self.agent.args).ok()?;
        let (child, lines) = server.into_parts().await;
        match succession::succeed(child, lines, memory, &self.agent.own) {
            Ok((child, lines)) => Some(Server::owning(child, lines, endpoint, self.agent.nodes.clone())),
            Err(why) => {
                self.agent.shared.notice("SuccessionFailed", format!("the server starts again: {why}"), true);
                None
            }
        }
    }
}
