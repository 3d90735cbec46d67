use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

use super::*;
use crate::state::{AgentRole, NodeState, OnDisk, Phase};

/// An agent that answers from a list and remembers what it was asked.
struct Agent {
    endpoint: Endpoint,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
enum Answer {
    Say(u16, String),
    SayAndClose(u16, String),
    Silence,
}

impl Agent {
    async fn that_answers(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::new("127.0.0.1", listener.local_addr().unwrap().port());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
        let server =
            tokio::spawn(serve(listener, Arc::clone(&answers), Arc::clone(&seen), Arc::clone(&connections)));
        Self { endpoint, seen, connections, server }
    }

    fn client(&self) -> AgentClient {
        AgentClient::new(self.endpoint.clone(), Arc::new("t0ken".to_owned().into()))
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    listener: TcpListener,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::SeqCst);
        let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
        let service = service_fn(move |request| reply(request, Arc::clone(&answers), Arc::clone(&seen)));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn reply(
    request: Request<Incoming>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let line = format!("{} {}", request.method(), request.uri());
    let token =
        request.headers().get(AUTHORIZATION).map_or("none", |value| value.to_str().unwrap()).to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    seen.lock().unwrap().push(format!("{line} {token} {}", String::from_utf8_lossy(&body)));
    let answer = answers.lock().unwrap().pop_front().unwrap();
    let (status, body, close) = match answer {
        Answer::Say(status, body) => (status, body, false),
        Answer::SayAndClose(status, body) => (status, body, true),
        Answer::Silence => std::future::pending().await,
    };
    let response = Response::builder().status(status);
    let response = if close { response.header("connection", "close") } else { response };
    Ok(response.body(Full::new(body.into())).unwrap())
}

fn state(revision: u64) -> AgentState {
    AgentState {
        api_version: API_VERSION,
        agent_version: "0.1.0".to_owned(),
        name: "cart-0".to_owned(),
        incarnation: "i1".to_owned(),
        revision,
        config: None,
        config_fault: None,
        restart_needed: Vec::new(),
        server_pid: Some(7),
        server_version: None,
        role: AgentRole::Node(NodeState {
            phase: Phase::Starting,
            replication: None,
            ready: false,
            joined: false,
            on_disk: OnDisk::Nothing,
            disk_fault: None,
            cluster: None,
            live: None,
        }),
        last_failover: None,
        notices: Vec::new(),
    }
}

fn say(state: &AgentState) -> Answer {
    Answer::Say(200, serde_json::to_string(state).unwrap())
}

#[tokio::test]
async fn the_token_goes_along_and_the_connection_is_used_again() {
    let agent = Agent::that_answers([say(&state(1)), say(&state(2))]).await;
    let client = agent.client();
    assert_eq!(client.state().await.unwrap(), state(1));
    assert_eq!(client.state_after("i/1", 1, Duration::from_secs(90)).await.unwrap(), state(2));
    assert_eq!(
        agent.seen(),
        ["GET /v1/state Bearer t0ken ", "GET /v1/state?after=1&incarnation=i%2F1&waitMs=60000 Bearer t0ken "]
    );
    assert_eq!(agent.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_the_agent_closed_is_replaced_unnoticed() {
    let answer = |revision| Answer::SayAndClose(200, serde_json::to_string(&state(revision)).unwrap());
    let agent = Agent::that_answers([answer(1), answer(2), answer(3)]).await;
    let client = agent.client();
    for revision in 1..=3 {
        assert_eq!(client.state().await.unwrap().revision, revision);
    }
    assert_eq!(agent.connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_command_does_not_wait_behind_a_long_poll() {
    let agent = Agent::that_answers([Answer::Silence, Answer::Say(202, String::new())]).await;
    let client = agent.client();
    let poll = client.state_after("i1", 1, Duration::from_mins(1));
    tokio::pin!(poll);
    while agent.seen().is_empty() {
        tokio::select! {
            _ = &mut poll => panic!("nobody answered the poll"),
            () = tokio::task::yield_now() => {}
        }
    }
    client.stop(true).await.unwrap();
    assert_eq!(agent.seen()[1], r#"POST /v1/stop Bearer t0ken {"handOver":true}"#);
}

#[tokio::test]
async fn a_refusal_carries_its_reason_and_what_to_do() {
    let refusal = r#"{"error":"cart-1 is not in sync","next":"wait for it"}"#;
    let later = r#"{"error":"the master could not be paused","next":"ask again","retryAfterMs":5000}"#;
    let answers = [refusal, later].map(|body| Answer::Say(409, body.to_owned()));
    let agent = Agent::that_answers(answers).await;
    let error =
        agent.client().switchover(Some("cart-1"), Cause::Switchover, Some("0123456789ab")).await.unwrap_err();
    assert_eq!(error.next(), "wait for it");
    assert!(matches!(error, AgentError::Refused { status: 409, retry_after: None, .. }), "{error}");
    assert_eq!(
        agent.seen(),
        [r#"POST /v1/switchover Bearer t0ken {"to":"cart-1","cause":"switchover","id":"0123456789ab"}"#]
    );
    let error = agent.client().switchover(None, Cause::Switchover, None).await.unwrap_err();
    let AgentError::Refused { retry_after, .. } = error else { panic!("{error}") };
    assert_eq!(retry_after, Some(Duration::from_secs(5)));
}

#[tokio::test]
async fn a_wrong_token_is_told_from_every_other_refusal() {
    let agent = Agent::that_answers([Answer::Say(401, String::new())]).await;
    assert!(matches!(agent.client().prune().await, Err(AgentError::Unauthorized { .. })));
}

#[tokio::test]
async fn what_no_agent_says_is_a_protocol_error() {
    let newer = AgentState { api_version: API_VERSION + 1, ..state(1) };
    let answers = [
        Answer::Say(200, "<html>".to_owned()),
        Answer::Say(500, "oops".to_owned()),
        Answer::Say(200, " ".repeat(MAX_BODY + 1)),
        say(&newer),
    ];
    let agent = Agent::that_answers(answers).await;
    let client = agent.client();
    for _ in 0..4 {
        let error = client.state().await.unwrap_err();
        assert!(matches!(error, AgentError::Protocol { .. }), "{error}");
    }
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::new("127.0.0.1", listener.local_addr().unwrap().port());
    drop(listener);
    let client = AgentClient::new(endpoint, Arc::new("t".to_owned().into()));
    assert!(matches!(client.state().await, Err(AgentError::Unreachable { .. })));
}

#[tokio::test]
async fn an_agent_that_stays_silent_is_given_up_after_the_deadline() {
    let agent = Agent::that_answers([Answer::Silence]).await;
    let client = agent.client();
    let call = Call::get("its state", requests::STATE, Duration::from_millis(50));
    let error = client.call(call).await.unwrap_err();
    assert!(error.is_silence());
    assert_eq!(error.to_string(), format!("agent {} did not answer its state within 50 ms", agent.endpoint));
}
