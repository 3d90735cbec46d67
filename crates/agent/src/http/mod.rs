//! The agent's port 9121. Health and metrics are open; everything under `/v1` needs the token of the set.
//!
//! Shutdown: when `stop` resolves nobody is let in any more, long polls are answered with the state as it is, requests
//! under way have [`DRAIN`] to finish, then connections are cut.

mod answer;
mod auth;
mod command;
mod health;
mod limits;
mod routes;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use redoubt_redis::Endpoint;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{auth::Tokens, command::Command};
use crate::{metrics::Metrics, state::SharedState};

/// The engine, its successor while the lease moves, a dozen other agents, Prometheus and the kubelet, each with two;
/// a connection costs some 10 KiB.
const MAX_CONNECTIONS: usize = 128;
/// A connection without a request is closed after this: longer than the usual scrape interval of 30 s.
const IDLE: Duration = Duration::from_secs(90);
/// What is under way when the agent stops may finish for so long.
const DRAIN: Duration = Duration::from_millis(500);
/// Out of descriptors: some come back when other connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the HTTP interface needs of the agent.
#[derive(Clone)]
pub(crate) struct Door {
    /// What is told.
    pub(crate) state: SharedState,
    /// Who may ask.
    pub(crate) tokens: Tokens,
    /// Where wishes go.
    pub(crate) commands: mpsc::Sender<Command>,
    /// What the server says of itself.
    pub(crate) metrics: Arc<Metrics>,
}

/// The port cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// Another program has it.
    #[error(
        "the agent cannot listen on {at}: another program does, perhaps another agent of the same node; stop it, or give this one another address"
    )]
    Taken {
        /// The address.
        at: Endpoint,
    },
    /// It is not an address of this machine, or not allowed.
    #[error("the agent cannot listen on {at}: {source}; check that it is an address of this machine")]
    Refused {
        /// The address.
        at: Endpoint,
        /// The system's words.
        source: io::Error,
    },
}

/// Takes the port.
pub(crate) async fn bind(at: &Endpoint) -> Result<TcpListener, BindError> {
    TcpListener::bind((at.host.as_str(), at.port)).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken { at: at.clone() },
        _ => BindError::Refused { at: at.clone(), source },
    })
}

/// Answers until `stop` resolves.
pub(crate) async fn serve(listener: TcpListener, door: Door, stop: impl Future<Output = ()>) {
    let closing = CancellationToken::new();
    let router = routes::router(door, closing.clone());
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(ended) = connections.join_next() => report_panic(ended),
            (stream, slot) = accept(&listener, &slots) => {
                connections.spawn(connection(stream, router.clone(), closing.clone(), slot));
            }
        }
    }
    drop(listener);
    closing.cancel();
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::debug!(left = connections.len(), "cut HTTP connections that did not finish");
    }
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else { return std::future::pending().await };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    closing: CancellationToken,
    _slot: OwnedSemaphorePermit,
) {
    // An answer is written in one piece and somebody waits for it.
    drop(stream.set_nodelay(true));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(limits::HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an HTTP request made the agent fail; others go on");
    }
}
