//! The sets of a cluster: what the operator published, and what the agents say by way of the API server.

mod saboteur;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, future::join_all};
use jiff::Timestamp;
use redoubt_api::{Condition, ConditionStatus, ConditionType, RedisStatus};
use redoubt_drill::Target;
use redoubt_kubernetes::{Published, Remote, RemoteError, spelled};
use redoubt_local::Connection;
use redoubt_redis::Endpoint;
use redoubt_wire::{client::AgentClient, config::SetConfig};

pub(super) use self::saboteur::ClusterSaboteur;
use super::{Set, ShowLine};
use crate::{
    failure::{Code, Failure, nearest},
    report::{Live, Report},
    runtime, say,
};

/// By way of API server and kubelet, over an ocean.
const ANSWER: Duration = Duration::from_secs(5);
/// A connection across a data centre takes a millisecond; one that takes longer than this leads nowhere.
const DIRECT: Duration = Duration::from_secs(1);

/// One set.
pub(super) async fn report(remote: &Remote, name: &str) -> Result<Report, Failure> {
    Ok(told(remote, remote.redis(name).await?).await)
}

/// All sets, by name.
pub(super) async fn reports(remote: &Remote) -> Result<Vec<Report>, Failure> {
    let all = remote.redises().await?;
    Ok(join_all(all.into_iter().map(|redis| told(remote, redis))).await)
}

/// The status is worth showing also to those who may not ask the agents.
async fn told(remote: &Remote, redis: Published) -> Report {
    let Published { key, generation, status } = redis;
    let name = spelled(&key);
    let live = match set(remote, &name).await {
        Ok(set) => Live::new(&set.config, &set.answers().await),
        Err(failure) => {
            let why = failure.problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>();
            say::warn(format_args!("{name}: the agents were not asked: {}", why.join("; ")));
            Live::default()
        }
    };
    let status = status.unwrap_or_else(|| unseen(Timestamp::now()));
    Report { name, namespace: key.namespace, generation, engine: None, status, live, contradicted: None }
}

/// Before any operator saw it.
fn unseen(now: Timestamp) -> RedisStatus {
    let ready = Condition {
        kind: ConditionType::Ready,
        status: ConditionStatus::False,
        reason: "NotSeen".to_owned(),
        message: "no operator has looked at it yet; see whether one runs: `redoubt manifests` installs it"
            .to_owned(),
        last_transition_time: now,
    };
    RedisStatus { conditions: vec![ready], ..RedisStatus::default() }
}

/// The members of one set, each at the end of a tunnel.
pub(super) async fn set(remote: &Remote, name: &str) -> Result<Set, Failure> {
    let config = remote.config(name).await?;
    let secrets = remote.secrets(name).await?;
    let mut tunnels = BTreeMap::new();
    for (member, announced) in announced(&config) {
        tunnels.insert(announced.clone(), remote.tunnel(member, announced.port).await?);
    }
    Ok(Set { name: name.to_owned(), config, secrets, tunnels, patience: ANSWER })
}

/// What every member announces, with its name.
fn announced(config: &SetConfig) -> Vec<(&str, &Endpoint)> {
    let sentinels = config.sentinel().into_iter().flat_map(|sentinel| &sentinel.sentinels);
    let nodes = config.nodes.iter().map(|node| (node.name.as_str(), &node.server, &node.agent));
    nodes
        .chain(sentinels.map(|entry| (entry.name.as_str(), &entry.server, &entry.agent)))
        .flat_map(|(name, server, agent)| [(name, server), (name, agent)])
        .collect()
}

/// By the names of Services, as pods resolve them: those outlive every failover.
pub(super) async fn connection(remote: &Remote, name: &str) -> Result<Connection, Failure> {
    let (config, secrets) = (remote.config(name).await?, remote.secrets(name).await?);
    let sentinel = config.sentinel();
    let sentinels =
        sentinel.map_or(0, |sentinel| u32::try_from(sentinel.sentinels.len()).unwrap_or(u32::MAX));
    let auth = config.access.auth;
    let in_cluster = config.cluster().is_some();
    let has_replicas = config.nodes.len() > 1 && !in_cluster;
    Ok(Connection {
        name: name.to_owned(),
        master_name: sentinel.map(|sentinel| sentinel.master_name.clone()),
        sentinels: remote.sentinel_services(name, sentinels),
        cluster: remote.shard_services(&config),
        master: (!in_cluster).then(|| remote.master_service(name)),
        replicas: has_replicas.then(|| remote.replicas_service(name)).into_iter().collect(),
        username: redoubt_local::APPLICATION_USER.to_owned(),
        password: auth.then(|| secrets.application.current().clone()),
        sentinel_password: (config.access.asks_at_sentinels() && sentinel.is_some())
            .then(|| secrets.sentinel.current().clone()),
    })
}

/// Shows the log of a member. A followed one ends with its container.
pub(super) async fn log(
    remote: &Remote,
    member: &str,
    follow: bool,
    show: ShowLine<'_>,
) -> Result<(), Failure> {
    let lines = remote.log(member, follow).await?;
    let (mut lines, mut end) = (std::pin::pin!(lines), std::pin::pin!(runtime::asked_to_end()));
    loop {
        tokio::select! {
            line = lines.next() => match line {
                Some(line) => show(&line?)?,
                None => return Ok(()),
            },
            () = &mut end => return Ok(()),
        }
    }
}

/// Drills measure what clients feel: without tunnels wherever the members are reached without.
pub(super) async fn target(remote: &Remote, set: &Set) -> Result<Target, Failure> {
    let target = set.target();
    if !is_direct(set).await {
        say::hint(
            "the members cannot be reached where they are announced, so the writers go through the API server; \
             gaps are true only where the drill is held in the cluster's network",
        );
        return Ok(target);
    }
    let service = remote.master_address(&set.name).await?;
    Ok(Target { reach: BTreeMap::new(), service, ..target })
}

/// An agent answers where it announces itself. A connection alone would prove nothing: some networks answer for everybody.
async fn is_direct(set: &Set) -> bool {
    let token = Arc::new(set.secrets.token.current().clone());
    let tries = set.config.nodes.iter().map(|node| {
        let agent = AgentClient::new(node.agent.clone(), Arc::clone(&token));
        Box::pin(async move {
            let answer = tokio::time::timeout(DIRECT, agent.state()).await;
            answer.is_ok_and(|state| state.is_ok_and(|state| state.name == node.name)).then_some(()).ok_or(())
        })
    });
    futures::future::select_ok(tries).await.is_ok()
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        let failure = Self::new(code(&error), &error).hint(error.next());
        match &error {
            RemoteError::NoSuchResource { name, known, .. } | RemoteError::NoSuchMember { name, known } => {
                match nearest(name, known) {
                    Some(nearest) => failure.hint(format_args!("did you mean {nearest:?}?")),
                    None if known.is_empty() => failure,
                    None => failure.hint(format_args!("there is {}", known.join(", "))),
                }
            }
            _ => failure,
        }
    }
}

fn code(error: &RemoteError) -> Code {
    match error {
        RemoteError::Config(_) => Code::Fault,
        RemoteError::NoSuchResource { .. } | RemoteError::NoSuchMember { .. } => Code::NotFound,
        RemoteError::NotYet { .. } => Code::NotHealthy,
        RemoteError::Unfit { .. } | RemoteError::Refused { .. } => Code::Failed,
    }
}
