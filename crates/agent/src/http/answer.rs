//! How requests are refused: a status, the reason, and a next step, as JSON.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use redoubt_wire::requests::Refusal;

/// No.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied {
    status: StatusCode,
    refusal: Refusal,
}

impl Denied {
    pub(super) fn new(status: StatusCode, error: impl Into<String>, next: impl Into<String>) -> Self {
        Self { status, refusal: Refusal::new(error, next) }
    }

    /// The request is not understood.
    pub(super) fn malformed(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, "send what the agent's HTTP interface asks for")
    }

    /// No token, or a wrong one.
    pub(super) fn unauthorized(error: &str) -> Self {
        let next =
            "send the content of the file \"token\" of this set's secrets as \"Authorization: Bearer …\"";
        Self::new(StatusCode::UNAUTHORIZED, error, next)
    }

    /// The main loop said no.
    pub(super) fn conflict(refusal: Refusal) -> Self {
        Self { status: StatusCode::CONFLICT, refusal }
    }

    /// The main loop cannot take the wish.
    pub(super) fn unavailable(error: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error, "ask again in a moment")
    }

    /// It took too long; it may still happen.
    pub(super) fn late() -> Self {
        let error = "the agent did not finish in time; what was asked for may still happen";
        Self::new(StatusCode::GATEWAY_TIMEOUT, error, "look at its state before asking again")
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.refusal)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// There is nothing at this path.
pub(super) async fn not_found() -> Denied {
    let next = "there are /healthz, /readyz, /metrics and, with the token, /v1/state, /v1/switchover, /v1/stop, /v1/sentinel/prune";
    Denied::new(StatusCode::NOT_FOUND, "there is nothing at this path", next)
}

/// The path takes another method.
pub(super) async fn wrong_method() -> Denied {
    let next = "GET asks (health, metrics, state), POST has something done (switchover, stop, prune)";
    Denied::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method", next)
}
