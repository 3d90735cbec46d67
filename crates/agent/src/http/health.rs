//! Alive, and ready: read from the state, with the reason in one line.

use redoubt_wire::state::{AgentRole, AgentState, NodeState, Phase, Replication, SentinelState};

/// One line for people: good, or not good.
pub(super) type Verdict = Result<String, String>;

/// Should the container go on? Yes while the server runs, and while there is a reason why it does not answer yet:
/// to be restarted in the middle of loading or of a full copy would only start that anew. A server that hangs is the
/// agent's own business.
pub(super) fn alive(state: &AgentState) -> Verdict {
    match phase(state) {
        Phase::Backoff { why } => Err(format!("the server ended ({why}) and starts again after a pause")),
        phase => Ok(in_words(phase)),
    }
}

/// Should clients come here?
pub(super) fn ready(state: &AgentState) -> Verdict {
    match &state.role {
        AgentRole::Node(node) if node.ready => Ok(in_words(&node.phase)),
        AgentRole::Node(node) => Err(why_not_ready(node)),
        AgentRole::Sentinel(sentinel) => sentinel_ready(sentinel),
    }
}

fn phase(state: &AgentState) -> &Phase {
    match &state.role {
        AgentRole::Node(node) => &node.phase,
        AgentRole::Sentinel(sentinel) => &sentinel.phase,
    }
}

fn why_not_ready(node: &NodeState) -> String {
    match (&node.phase, &node.replication) {
        (Phase::Running, Some(Replication::Replica { master, syncing: true, .. })) => {
            format!("a full copy from the master {master} is under way")
        }
        (Phase::Running, Some(Replication::Replica { master, link_up: false, .. })) => {
            format!("the link to the master {master} is down")
        }
        (Phase::Running, Some(_)) => "the server runs, and its place in the set is being checked".to_owned(),
        (Phase::Running, None) => "the server does not answer".to_owned(),
        (phase, _) => in_words(phase),
    }
}

fn sentinel_ready(sentinel: &SentinelState) -> Verdict {
    match (&sentinel.phase, &sentinel.master) {
        (Phase::Running, Some(master)) => Ok(format!("the Sentinel names {master} master")),
        (Phase::Running, None) => Err("the Sentinel knows no master yet".to_owned()),
        (phase, _) => Err(in_words(phase)),
    }
}

fn in_words(phase: &Phase) -> String {
    match phase {
        Phase::Waiting { why, until: None } => format!("the server is not started: {why}"),
        Phase::Waiting { why, until: Some(until) } => {
            format!("the server is not started, until {until} at the latest: {why}")
        }
        Phase::Starting => "the server is starting".to_owned(),
        Phase::Loading => "the server is reading its files".to_owned(),
        Phase::Running => "the server runs".to_owned(),
        Phase::Backoff { why } => format!("the server ended: {why}"),
        Phase::Stopping => "the agent is stopping".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use redoubt_redis::Endpoint;

    use super::*;
    use crate::state::tests::{node, sentinel};

    fn in_phase(phase: Phase, ready: bool) -> AgentState {
        let mut state = node();
        if let AgentRole::Node(node) = &mut state.role {
            (node.phase, node.ready) = (phase, ready);
        }
        state
    }

    fn replica(link_up: bool, syncing: bool) -> AgentState {
        let mut state = in_phase(Phase::Running, false);
        if let AgentRole::Node(node) = &mut state.role {
            let master = Endpoint::new("127.3.0.1", 6379);
            node.replication = Some(Replication::Replica { master, link_up, syncing });
        }
        state
    }

    #[test]
    fn loading_waiting_and_syncing_are_alive_and_not_ready() {
        let waiting = Phase::Waiting { why: "no master is known".into(), until: None };
        for phase in [waiting, Phase::Starting, Phase::Loading, Phase::Running, Phase::Stopping] {
            let state = in_phase(phase, false);
            assert!(alive(&state).is_ok() && ready(&state).is_err(), "{state:?}");
        }
    }

    #[test]
    fn a_server_that_keeps_ending_is_not_alive() {
        let state = in_phase(Phase::Backoff { why: "exit code 1".into() }, false);
        assert!(alive(&state).unwrap_err().contains("exit code 1"));
    }

    #[test]
    fn a_node_is_ready_when_its_state_says_so() {
        assert!(ready(&in_phase(Phase::Running, true)).is_ok());
    }

    #[test]
    fn a_replica_says_what_keeps_it_from_being_ready() {
        for (state, reason) in [
            (replica(false, false), "link to the master 127.3.0.1:6379 is down"),
            (replica(false, true), "full copy from the master 127.3.0.1:6379"),
            (replica(true, false), "is being checked"),
            (in_phase(Phase::Running, false), "does not answer"),
        ] {
            let why = ready(&state).unwrap_err();
            assert!(why.contains(reason) && !why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn a_sentinel_is_ready_when_it_names_a_master() {
        let mut state = sentinel();
        assert!(alive(&state).is_ok() && ready(&state).is_err());
        if let AgentRole::Sentinel(sentinel) = &mut state.role {
            sentinel.phase = Phase::Running;
        }
        assert!(ready(&state).unwrap_err().contains("no master"));
        if let AgentRole::Sentinel(sentinel) = &mut state.role {
            sentinel.master = Some(Endpoint::new("127.3.0.1", 6379));
        }
        assert!(ready(&state).is_ok());
    }
}
