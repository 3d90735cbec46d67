//! The sets of this machine: what the engine published, and what the agents say at this moment.

mod log;
mod saboteur;

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;
use redoubt_api::{CheckedRedis, Condition, ConditionStatus, ConditionType, RedisStatus};
use redoubt_engine::{
    Counts, MemberView, Memory, Observed, World,
    platform::{Identity, Member, Workload},
    status, template,
};
use redoubt_local::{Local, LocalMember};
use redoubt_wire::config::SetConfig;

pub(super) use self::{log::show as log, saboteur::LocalSaboteur};
use super::Set;
use crate::{
    ask::ask,
    failure::{Code, Failure},
    report::{Answers, Engine, Live, Report, readiness},
};

/// An agent on this machine answers in well under a millisecond; a person does not wait longer than this.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);

/// One set.
pub(crate) async fn report(local: &Local, name: &str) -> Result<Report, Failure> {
    let published = local.status(name)?;
    let engine = local.engine()?.map(|process| process.pid);
    let now = Timestamp::now();
    let config = local.config(name)?;
    let (status, live, contradicted) = match &config {
        Some(config) => {
            let answers = ask(&local.agents(name)?, ANSWER).await;
            let live = Live::new(config, &answers);
            let published = published.unwrap_or_default();
            let judged = judged(local, name, config, &answers, &published, now)?;
            let unready = readiness(&judged).filter(|ready| ready.status != ConditionStatus::True);
            let contradicted = unready.map(|ready| ready.message.clone());
            (if engine.is_some() { published } else { judged }, live, contradicted)
        }
        None => (published.unwrap_or_else(|| not_started(engine.is_some(), now)), Live::default(), None),
    };
    let namespace = config.map_or_else(|| "default".to_owned(), |config| config.namespace);
    let engine = Some(Engine { running: engine.is_some(), pid: engine });
    let generation = local.store().get(name)?.and_then(|redis| redis.metadata.generation);
    Ok(Report { name: name.to_owned(), namespace, generation, engine, status, live, contradicted })
}

/// All sets, by name. One that cannot be read does not hide the others.
pub(crate) async fn reports(local: &Local) -> Result<Vec<Report>, Failure> {
    let names = local.store().names()?;
    let all = join_all(names.iter().map(|name| report(local, name))).await;
    Ok(all.into_iter().filter_map(Result::ok).collect())
}

/// The members of one set, and the ways to them.
pub(super) fn set(local: &Local, name: &str) -> Result<Set, Failure> {
    let Some(config) = local.config(name)? else {
        return Err(Failure::new(Code::NotHealthy, format_args!("{name} is not started yet"))
            .hint("start it with `redoubt up`"));
    };
    Ok(Set {
        name: name.to_owned(),
        secrets: local.secrets(name)?,
        config,
        tunnels: BTreeMap::new(),
        patience: ANSWER,
    })
}

/// The same judgement the engine would make, on what the agents say: all there is without one.
fn judged(
    local: &Local,
    name: &str,
    config: &SetConfig,
    answers: &Answers,
    published: &RedisStatus,
    now: Timestamp,
) -> Result<RedisStatus, Failure> {
    let Some(Ok(stored)) = local.store().read(name)? else { return Ok(published.clone()) };
    let members = local.members(name)?;
    if members.iter().all(|member| member.pid.is_none()) {
        return Ok(stopped(published.clone(), now));
    }
    let template = template(&stored.checked);
    let members = members.into_iter().map(|member| view(member, answers, now));
    let world = World::new(now, identity(config), members.collect());
    let (checked, observed) = (stored.checked, published.observed_generation);
    let memory =
        Memory { applied: Some(Box::new(workload(&checked, config, template))), ..Memory::default() };
    let mut status = status(&checked, &world, &memory, published);
    // No engine has seen the resource since.
    status.observed_generation = observed;
    // It would be the engine that makes progress.
    status.conditions.retain(|condition| condition.kind != ConditionType::Progressing);
    Ok(status)
}

/// Nobody runs: what was published last says who there is, no more.
fn stopped(mut status: RedisStatus, now: Timestamp) -> RedisStatus {
    status.master = None;
    for node in &mut status.nodes {
        (node.role, node.ready, node.state) = (None, false, "stopped".to_owned());
    }
    for shard in &mut status.shards {
        shard.master = None;
    }
    for sentinel in &mut status.sentinels {
        (sentinel.master, sentinel.ready, sentinel.state) = (None, false, "stopped".to_owned());
    }
    let no = |kind| condition(kind, "Stopped", "everything is stopped; start it with `redoubt up`", now);
    status.conditions = vec![no(ConditionType::Ready), no(ConditionType::Available)];
    status
}

/// What the last engine had run, as far as its configuration tells.
fn workload(redis: &CheckedRedis, config: &SetConfig, template: String) -> Workload {
    let counts = Counts::covered(&identity(config));
    Workload {
        redis: redis.clone(),
        nodes: counts.nodes,
        shards: counts.shards,
        sentinels: counts.sentinels,
        config: config.clone(),
        template,
    }
}

fn identity(config: &SetConfig) -> Identity {
    Identity {
        uid: config.uid.clone(),
        nodes: config.nodes.clone(),
        sentinels: config.sentinel().map(|sentinel| sentinel.sentinels.clone()).unwrap_or_default(),
    }
}

fn view(member: LocalMember, answers: &Answers, now: Timestamp) -> MemberView {
    let state = answers.get(&member.name).and_then(|answer| answer.as_ref().ok());
    MemberView {
        state: state.map(|state| Observed { value: state.clone(), at: now }),
        member: Member {
            name: member.name,
            kind: member.kind,
            ordinal: member.ordinal,
            template: member.template,
            running: member.pid.is_some(),
            leaving: false,
            trouble: None,
            domain: None,
        },
    }
}

/// Before any engine saw it.
fn not_started(engine: bool, now: Timestamp) -> RedisStatus {
    let message = if engine {
        "the engine has not looked at it yet; wait a moment"
    } else {
        "nothing was started for it yet; start it with `redoubt up`"
    };
    let ready = condition(ConditionType::Ready, "NotStarted", message, now);
    RedisStatus { conditions: vec![ready], ..RedisStatus::default() }
}

/// It is not so.
fn condition(kind: ConditionType, reason: &str, message: &str, now: Timestamp) -> Condition {
    Condition {
        kind,
        status: ConditionStatus::False,
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: now,
    }
}
