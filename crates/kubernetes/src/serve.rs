//! Metrics and health of the operator.

use std::net::SocketAddr;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use redoubt_engine::Views;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::task::AbortOnDropHandle;

use crate::{error::OperatorError, metrics};

/// What is asked for.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) views: watch::Receiver<Views>,
    pub(crate) leads: watch::Receiver<bool>,
    pub(crate) sees: watch::Receiver<bool>,
}

/// Answers until the handle is dropped.
pub(crate) async fn serve(address: SocketAddr, shown: Shown) -> Result<AbortOnDropHandle<()>, OperatorError> {
    let taken = |source| OperatorError::Listen { address: address.to_string(), source };
    let listener = TcpListener::bind(address).await.map_err(taken)?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(shown);
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics and health are served no more");
        }
    })))
}

async fn metrics(State(shown): State<Shown>) -> String {
    metrics::text(&shown.views.borrow(), *shown.leads.borrow())
}

/// One that waits for the lease is ready to lead; one that leads is ready once it sees the cluster.
async fn ready(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    if *shown.leads.borrow() && !*shown.sees.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the watches have not told everything yet\n");
    }
    (StatusCode::OK, "ok\n")
}
