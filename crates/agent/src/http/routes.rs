//! The paths and what they do.

use std::time::Duration;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Query, Request, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use redoubt_wire::{
    failover::{Cause, Failover},
    requests::{self, MAX_WAIT_MS, Rebalance, Rebalanced, Refusal, StateQuery, Stop, Switchover},
    state::{AgentRole, AgentState, Phase},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{mpsc::error::TrySendError, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Door,
    answer::{self, Denied},
    auth,
    command::Command,
    health::{self, Verdict},
    limits,
};

#[derive(Clone)]
struct Context {
    door: Door,
    closing: CancellationToken,
}

/// All paths.
pub(super) fn router(door: Door, closing: CancellationToken) -> Router {
    let tokens = door.tokens.clone();
    let context = Context { door, closing };
    let closed = Router::new()
        .route(requests::STATE, get(state))
        .route(requests::SWITCHOVER, post(switchover))
        .route(requests::STOP, post(stop))
        .route(requests::PRUNE, post(prune))
        .route(requests::REBALANCE, post(rebalance))
        .route_layer(middleware::from_fn_with_state(tokens, auth::require));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .merge(closed)
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::wrong_method)
        .layer(DefaultBodyLimit::max(limits::BODY))
        .layer(middleware::from_fn(in_time))
        .with_state(context)
}

async fn in_time(request: Request, next: Next) -> Result<Response, Denied> {
    tokio::time::timeout(limits::REQUEST, next.run(request)).await.map_err(|_| Denied::late())
}

async fn healthz(State(context): State<Context>) -> Response {
    if context.door.commands.is_closed() {
        return line(Err("the agent's main loop has ended".to_owned()));
    }
    line(health::alive(&context.door.state.snapshot()))
}

async fn readyz(State(context): State<Context>) -> Response {
    line(health::ready(&context.door.state.snapshot()))
}

fn line(verdict: Verdict) -> Response {
    match verdict {
        Ok(text) => (StatusCode::OK, text + "\n").into_response(),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text + "\n").into_response(),
    }
}

async fn metrics(State(context): State<Context>) -> Response {
    let text = context.door.metrics.render(&context.door.state.snapshot()).await;
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn state(
    State(context): State<Context>,
    query: Result<Query<StateQuery>, QueryRejection>,
) -> Result<Json<AgentState>, Denied> {
    let Query(query) = query.map_err(|rejection| Denied::malformed(rejection.body_text()))?;
    wait_for_news(&context, &query).await;
    let mut state = AgentState::clone(&context.door.state.snapshot());
    read_live(&context, &mut state).await;
    Ok(Json(state))
}

/// Without `after` there is nothing to wait for.
async fn wait_for_news(context: &Context, query: &StateQuery) {
    let Some(after) = query.after else { return };
    let limit = Duration::from_millis(query.wait_ms.unwrap_or(MAX_WAIT_MS).min(MAX_WAIT_MS));
    let state = &context.door.state;
    let incarnation = query.incarnation.clone().unwrap_or_else(|| state.snapshot().incarnation.clone());
    tokio::select! {
        _ = state.wait_newer(&incarnation, after, limit) => {}
        () = context.closing.cancelled() => {}
    }
}

/// Only of a server that answers: nobody shall wait for news of a failover because the server is dead.
async fn read_live(context: &Context, state: &mut AgentState) {
    if let AgentRole::Node(node) = &mut state.role
        && node.phase == Phase::Running
        && node.replication.is_some()
    {
        node.live = context.door.metrics.live().await;
    }
}

async fn switchover(
    State(context): State<Context>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Failover>, Denied> {
    let Switchover { to, cause, id } = read(body)?;
    if !matches!(cause, Cause::Switchover | Cause::Stop) {
        return Err(Denied::malformed("the cause of a hand-over is \"switchover\" or \"stop\""));
    }
    if id.as_ref().is_some_and(|id| !is_failover_id(id)) {
        return Err(Denied::malformed("the id of a hand-over is 12 hex digits, or null"));
    }
    let (reply, outcome) = oneshot::channel();
    ask(&context, Command::Switchover { to, cause, id, reply }, outcome, limits::COMMAND).await.map(Json)
}

async fn stop(
    State(context): State<Context>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Nothing>), Denied> {
    let Stop { hand_over } = read(body)?;
    send(&context, Command::Stop { hand_over })?;
    Ok((StatusCode::ACCEPTED, Json(Nothing {})))
}

async fn prune(State(context): State<Context>) -> Result<Json<Nothing>, Denied> {
    if matches!(context.door.state.snapshot().role, AgentRole::Node(_)) {
        return Err(Denied::conflict(Refusal::new(
            "this is the agent of a data node, which has no Sentinel",
            "ask the agents of the Sentinels",
        )));
    }
    let (reply, outcome) = oneshot::channel();
    ask(&context, Command::Prune { reply }, outcome, limits::COMMAND).await.map(|()| Json(Nothing {}))
}

async fn rebalance(
    State(context): State<Context>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Rebalanced>, Denied> {
    let wish: Rebalance = read(body)?;
    let (reply, outcome) = oneshot::channel();
    ask(&context, Command::Rebalance { wish, reply }, outcome, limits::REBALANCE).await.map(Json)
}

/// `{}`: it is done, and there is no more to say. Fields may be added.
#[derive(Serialize)]
struct Nothing {}

/// Hands a wish to the main loop and waits for what comes of it.
async fn ask<T>(
    context: &Context,
    command: Command,
    outcome: oneshot::Receiver<Result<T, Refusal>>,
    within: Duration,
) -> Result<T, Denied> {
    send(context, command)?;
    match tokio::time::timeout(within, outcome).await {
        Ok(Ok(outcome)) => outcome.map_err(Denied::conflict),
        Ok(Err(_)) => Err(Denied::unavailable("the agent dropped the request; it may be stopping")),
        Err(_) => Err(Denied::late()),
    }
}

fn send(context: &Context, command: Command) -> Result<(), Denied> {
    context.door.commands.try_send(command).map_err(|error| match error {
        TrySendError::Full(_) => Denied::unavailable("the agent is busy with other requests"),
        TrySendError::Closed(_) => Denied::unavailable("the agent is stopping"),
    })
}

fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Denied> {
    let body = body.map_err(|rejection| {
        let next = format!("send at most {} bytes of JSON", limits::BODY);
        Denied::new(rejection.status(), rejection.body_text(), next)
    })?;
    serde_json::from_slice(&body).map_err(|error| {
        Denied::malformed(format!("the body is not the JSON that is asked for here: {error}"))
    })
}

fn is_failover_id(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}
