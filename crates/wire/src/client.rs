//! Asks an agent over HTTP: its state, and the few things it does for others.
//!
//! Every request has a deadline and every answer a size limit. Connections are kept and used again; one that the
//! agent closed meanwhile is replaced without the caller noticing, as long as nothing of the request was sent.
//! Dropping a call closes its connection.

mod connection;
mod error;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue},
};
use redoubt_redis::Endpoint;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use self::connection::{Connection, with_causes};
pub use self::error::AgentError;
use crate::{
    API_VERSION,
    failover::{Cause, Failover},
    requests::{self, Rebalance, Rebalanced, Refusal, Stop, Switchover},
    state::AgentState,
};

/// A loopback connection takes microseconds, one across zones milliseconds; a lost SYN is sent again after 1 s.
const CONNECT: Duration = Duration::from_millis(2_500);
/// An agent answers from memory; this is for a machine that is busy.
const ANSWER: Duration = Duration::from_secs(5);
/// A hand-over gives up by itself within a few seconds (votes of 1 s each, a pause of less than `downAfter` / 3).
const HAND_OVER: Duration = Duration::from_secs(20);
/// A Sentinel is stopped, its file edited, started again, and asked whether it knows everybody.
const PRUNE: Duration = Duration::from_secs(30);
/// Slots are moved for a few seconds, and those that are on their way arrive; open ones of an earlier run come first.
const REBALANCE: Duration = Duration::from_secs(70);
/// A state with every list at its limit is some 40 KiB.
const MAX_BODY: usize = 1024 * 1024;
/// A long poll and a command at the same time.
const MAX_IDLE: usize = 2;

/// The client of one agent.
pub struct AgentClient {
    agent: Endpoint,
    token: Arc<SecretString>,
    idle: Mutex<Vec<Connection>>,
}

impl AgentClient {
    /// A client of the agent that listens there. Connects when first used.
    #[must_use]
    pub fn new(agent: Endpoint, token: Arc<SecretString>) -> Self {
        Self { agent, token, idle: Mutex::new(Vec::new()) }
    }

    /// Where the agent listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.agent
    }

    /// The state now.
    pub async fn state(&self) -> Result<AgentState, AgentError> {
        let state = self.ask(Call::get("its state", requests::STATE, ANSWER)).await?;
        self.understood(state)
    }

    /// The state once it is another than that of this incarnation and revision; after `wait` as it is.
    /// `wait` is cut to [`requests::MAX_WAIT_MS`].
    pub async fn state_after(
        &self,
        incarnation: &str,
        revision: u64,
        wait: Duration,
    ) -> Result<AgentState, AgentError> {
        let wait = wait.min(Duration::from_millis(requests::MAX_WAIT_MS));
        let path = format!(
            "{}?after={revision}&incarnation={}&waitMs={}",
            requests::STATE,
            percent_encoded(incarnation),
            wait.as_millis()
        );
        let state = self.ask(Call::get("for a change of its state", &path, wait + ANSWER)).await?;
        self.understood(state)
    }

    /// Has the node hand its mastership over; `id` follows it through logs and status.
    pub async fn switchover(
        &self,
        to: Option<&str>,
        cause: Cause,
        id: Option<&str>,
    ) -> Result<Failover, AgentError> {
        let body = Switchover { to: to.map(str::to_owned), cause, id: id.map(str::to_owned) };
        self.ask(Call::post("for a hand-over", requests::SWITCHOVER, HAND_OVER).with(&body)).await
    }

    /// Has the agent end its server and itself; answers before that is done.
    pub async fn stop(&self, hand_over: bool) -> Result<(), AgentError> {
        let call = Call::post("to stop", requests::STOP, ANSWER).with(&Stop { hand_over });
        self.call(call).await.map(|_| ())
    }

    /// Has a Sentinel's agent remove entries of members that are no longer in the configuration.
    pub async fn prune(&self) -> Result<(), AgentError> {
        self.call(Call::post("to prune its Sentinel", requests::PRUNE, PRUNE)).await.map(|_| ())
    }

    /// Has the agent move slots until each shard owns its share, for as long as the wish says. Whoever drops this call
    /// ends it: what is on its way still arrives.
    pub async fn rebalance(&self, wish: &Rebalance) -> Result<Rebalanced, AgentError> {
        self.ask(Call::post("to move slots", requests::REBALANCE, REBALANCE).with(wish)).await
    }

    fn understood(&self, state: AgentState) -> Result<AgentState, AgentError> {
        if state.api_version > API_VERSION {
            let why = format!("it speaks version {}, this program {API_VERSION}", state.api_version);
            return Err(self.protocol(why));
        }
        Ok(state)
    }

    async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, AgentError> {
        let body = self.call(call).await?;
        serde_json::from_slice(&body).map_err(|error| self.protocol(error.to_string()))
    }

    async fn call(&self, call: Call) -> Result<Bytes, AgentError> {
        let (what, after) = (call.what, call.deadline);
        let request = self.request(call)?;
        match tokio::time::timeout(after, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(AgentError::Timeout { agent: self.agent.clone(), what, after }),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Bytes, AgentError> {
        let (mut connection, response) = self.send(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY)
            .collect()
            .await
            .map_err(|error| self.cut(&*error))?;
        let body = body.to_bytes();
        if connection.is_reusable().await {
            self.keep(connection);
        }
        self.accept(status, body)
    }

    /// A kept connection may have been closed by the other side at any moment: such a request comes back unsent.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Connection, Response<Incoming>), AgentError> {
        while let Some(mut connection) = self.kept() {
            match connection.send(request).await {
                Ok(response) => return Ok((connection, response)),
                Err(error) => match error.unsent {
                    Some(unsent) => request = unsent,
                    None => return Err(self.unreachable(error.why)),
                },
            }
        }
        let mut connection = self.connect().await?;
        match connection.send(request).await {
            Ok(response) => Ok((connection, response)),
            Err(error) => Err(self.unreachable(error.why)),
        }
    }

    async fn connect(&self) -> Result<Connection, AgentError> {
        match tokio::time::timeout(CONNECT, Connection::open(&self.agent)).await {
            Ok(connection) => connection.map_err(|why| self.unreachable(why)),
            Err(_) => Err(self.unreachable(format!("no connection within {} ms", CONNECT.as_millis()))),
        }
    }

    fn request(&self, call: Call) -> Result<Request<Full<Bytes>>, AgentError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.token.expose_secret()))
            .map_err(|_| self.protocol("its token has characters that HTTP cannot carry".to_owned()))?;
        bearer.set_sensitive(true);
        Request::builder()
            .method(call.method)
            .uri(call.path)
            .header(HOST, self.agent.to_string())
            .header(AUTHORIZATION, bearer)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(call.body))
            .map_err(|error| self.protocol(error.to_string()))
    }

    fn accept(&self, status: StatusCode, body: Bytes) -> Result<Bytes, AgentError> {
        if status.is_success() {
            return Ok(body);
        }
        if status == StatusCode::UNAUTHORIZED {
            return Err(AgentError::Unauthorized { agent: self.agent.clone() });
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(Refusal { error, next, retry_after_ms }) => {
                let retry_after = retry_after_ms.map(Duration::from_millis);
                let (agent, status) = (self.agent.clone(), status.as_u16());
                Err(AgentError::Refused { agent, status, error, next, retry_after })
            }
            Err(_) => Err(self.protocol(format!("HTTP {status} without a reason"))),
        }
    }

    fn kept(&self) -> Option<Connection> {
        self.idle().pop()
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self, error: &(dyn std::error::Error + 'static)) -> AgentError {
        if error.is::<LengthLimitError>() {
            return self.protocol(format!("more than {MAX_BODY} bytes"));
        }
        self.unreachable(format!("its answer broke off: {}", with_causes(error)))
    }

    fn unreachable(&self, why: String) -> AgentError {
        AgentError::Unreachable { agent: self.agent.clone(), why }
    }

    fn protocol(&self, why: String) -> AgentError {
        AgentError::Protocol { agent: self.agent.clone(), why }
    }
}

/// One request before it is built.
struct Call {
    what: &'static str,
    method: Method,
    path: String,
    body: Bytes,
    deadline: Duration,
}

impl Call {
    fn get(what: &'static str, path: &str, deadline: Duration) -> Self {
        Self { what, method: Method::GET, path: path.to_owned(), body: Bytes::new(), deadline }
    }

    fn post(what: &'static str, path: &str, deadline: Duration) -> Self {
        Self { method: Method::POST, ..Self::get(what, path, deadline) }
    }

    fn with<T: Serialize>(mut self, body: &T) -> Self {
        // The request types are structs of strings and flags: there is nothing in them that JSON cannot say.
        self.body = serde_json::to_vec(body).unwrap_or_default().into();
        self
    }
}

/// An incarnation is the agent's own text and must not end the query.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests;
