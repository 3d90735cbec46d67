//! Which member is hit, and how one can tell that the blow has landed. Pure.

use std::time::Duration;

use redoubt_wire::config::SetConfig;

use crate::{
    DrillError, Scenario, Target,
    survey::{Answers, Life, life},
};

/// For a crash: `recoveryDeadline` (60 s by default) and as much again.
const LIMIT: Duration = Duration::from_mins(2);

/// What is done to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Blow {
    /// `SIGKILL` to these servers.
    Kill(Vec<String>),
    /// `SIGSTOP` to this server.
    Freeze(String),
    /// `SIGKILL` to this agent.
    KillAgent(String),
    /// This agent is asked to stop.
    StopAgent(String),
    /// This master hands over.
    Switchover(String),
    /// Every node restarts.
    Roll,
}

/// Where a drill is held: in a cluster what is aimed at one node is held in one shard, the first if none is named.
pub(crate) fn scene(target: &Target, scenario: Scenario, shard: Option<u32>) -> Result<Target, DrillError> {
    let impossible =
        |what: String, needs| DrillError::Impossible { what, needs, redis: target.config.name.clone() };
    let clustered = target.config.cluster().is_some();
    match shard {
        Some(_) if !clustered => Err(impossible("a drill of one shard".to_owned(), "mode Cluster")),
        Some(_) if scenario == Scenario::Roll => {
            Err(impossible("a roll of one shard".to_owned(), "rolls of less than all nodes"))
        }
        Some(shard) => target
            .shard(shard)
            .ok_or_else(|| impossible(format!("a drill of shard {shard}"), "a shard of this number")),
        None if !clustered || matches!(scenario, Scenario::RestartAll | Scenario::Roll) => Ok(target.clone()),
        None => target.shard(0).ok_or_else(|| impossible(format!("the scenario {scenario}"), "a shard")),
    }
}

/// One blow, and what has to be seen before the set may be called whole again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub blow: Blow,
    /// Members whose server must have been started anew.
    pub victims: Vec<String>,
    /// The master must be another one than this.
    pub not_master: Option<String>,
    /// How long the set may take.
    pub limit: Duration,
}

impl Plan {
    /// The plan for a scenario, on a set with this master.
    pub(crate) fn new(
        scenario: Scenario,
        config: &SetConfig,
        master: Option<&str>,
    ) -> Result<Self, DrillError> {
        let needs = |needs| DrillError::Impossible {
            what: format!("the scenario {scenario}"),
            needs,
            redis: config.name.clone(),
        };
        let master = || master.map(str::to_owned).ok_or_else(|| needs("a master"));
        let all: Vec<String> = config.nodes.iter().map(|node| node.name.clone()).collect();
        let replica = || {
            let master = master()?;
            all.iter().find(|node| **node != master).cloned().ok_or_else(|| needs("a replica"))
        };
        let plan = match scenario {
            Scenario::KillMaster => Self::kill(vec![master()?]),
            Scenario::RestartAll => Self::kill(all),
            Scenario::KillReplica => Self::kill(vec![replica()?]),
            Scenario::KillSentinel => {
                let sentinels = config.sentinel().map(|sentinel| sentinel.sentinels.as_slice());
                let first = sentinels.and_then(<[_]>::first).ok_or_else(|| needs("Sentinels"))?;
                Self::kill(vec![first.name.clone()])
            }
            Scenario::FreezeMaster => Self::new_life_for(master()?, Blow::Freeze),
            Scenario::KillAgent => Self::new_life_for(master()?, Blow::KillAgent),
            Scenario::StopMaster => Self::new_life_for(master()?, Blow::StopAgent),
            Scenario::Switchover => {
                replica()?;
                let master = master()?;
                let blow = Blow::Switchover(master.clone());
                Self { blow, victims: Vec::new(), not_master: Some(master), limit: LIMIT }
            }
            Scenario::Roll => {
                let limit = LIMIT.saturating_mul(u32::try_from(all.len()).unwrap_or(u32::MAX));
                Self { blow: Blow::Roll, victims: all, not_master: None, limit }
            }
        };
        Ok(plan)
    }

    fn kill(victims: Vec<String>) -> Self {
        Self { blow: Blow::Kill(victims.clone()), victims, not_master: None, limit: LIMIT }
    }

    fn new_life_for(victim: String, blow: impl FnOnce(String) -> Blow) -> Self {
        Self { blow: blow(victim.clone()), victims: vec![victim], not_master: None, limit: LIMIT }
    }
}

/// The lives of the victims before the blow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Before(Vec<(String, Option<Life>)>);

impl Before {
    /// Remembers the victims as they are.
    pub(crate) fn of(plan: &Plan, answers: &Answers) -> Self {
        Self(plan.victims.iter().map(|name| (name.clone(), life(answers, name))).collect())
    }

    /// Every victim lives, and another life than before.
    pub(crate) fn all_replaced(&self, answers: &Answers) -> bool {
        self.0.iter().all(|(name, before)| {
            let now = life(answers, name);
            now.is_some() && now != *before
        })
    }
}

impl Blow {
    /// In words.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Kill(servers) => format!("kill -9 of the server of {}", servers.join(", ")),
            Self::Freeze(server) => format!("SIGSTOP of the server of {server}"),
            Self::KillAgent(agent) => format!("kill -9 of the agent of {agent}, and its server with it"),
            Self::StopAgent(agent) => format!("asked the agent of {agent} to stop"),
            Self::Switchover(master) => format!("asked {master} to hand over"),
            Self::Roll => "asked for a restart of every node".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::testing::{config, standalone, whole};

    fn plan(scenario: Scenario) -> Plan {
        Plan::new(scenario, &config(), Some("cart-1")).unwrap()
    }

    #[test]
    fn each_scenario_hits_the_member_it_names() {
        let all = vec!["cart-0".to_owned(), "cart-1".to_owned(), "cart-2".to_owned()];
        assert_eq!(plan(Scenario::KillMaster).blow, Blow::Kill(vec!["cart-1".to_owned()]));
        assert_eq!(plan(Scenario::KillReplica).blow, Blow::Kill(vec!["cart-0".to_owned()]));
        assert_eq!(plan(Scenario::RestartAll).blow, Blow::Kill(all.clone()));
        assert_eq!(plan(Scenario::KillSentinel).blow, Blow::Kill(vec!["cart-sentinel-0".to_owned()]));
        assert_eq!(plan(Scenario::FreezeMaster).blow, Blow::Freeze("cart-1".to_owned()));
        assert_eq!(plan(Scenario::KillAgent).blow, Blow::KillAgent("cart-1".to_owned()));
        assert_eq!(plan(Scenario::StopMaster).blow, Blow::StopAgent("cart-1".to_owned()));
        assert_eq!(plan(Scenario::Switchover).not_master.as_deref(), Some("cart-1"));
        assert_eq!(plan(Scenario::Roll).victims, all);
    }

    #[test]
    fn what_a_set_does_not_have_cannot_be_broken() {
        for scenario in [Scenario::KillReplica, Scenario::KillSentinel, Scenario::Switchover] {
            let refused = Plan::new(scenario, &standalone(), Some("cart-0")).unwrap_err();
            assert!(matches!(refused, DrillError::Impossible { .. }), "{refused}");
        }
        assert!(Plan::new(Scenario::KillMaster, &config(), None).is_err());
    }

    #[test]
    fn the_set_is_not_whole_again_before_the_blow_has_landed() {
        let plan = plan(Scenario::KillMaster);
        let mut answers = whole();
        let before = Before::of(&plan, &answers);
        assert!(!before.all_replaced(&answers));
        answers.get_mut("cart-1").unwrap().as_mut().unwrap().server_pid = None;
        assert!(!before.all_replaced(&answers));
        answers.get_mut("cart-1").unwrap().as_mut().unwrap().server_pid = Some(7);
        assert!(before.all_replaced(&answers));
    }
}
