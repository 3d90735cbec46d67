//! The interface as others meet it: through the client that engine and agents use, and through raw requests.

use std::net::Ipv4Addr;

use redoubt_redis::Connector;
use redoubt_wire::{
    client::{AgentClient, AgentError},
    failover::{Cause, Failover, Outcome},
    requests::Refusal,
    secrets::Password,
    state::{AgentState, Phase, Replication},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use crate::state::tests::{node, sentinel};

/// An agent without a server: what is asked of its main loop arrives here.
struct Agent {
    at: Endpoint,
    state: SharedState,
    tokens: Tokens,
    wishes: mpsc::Receiver<Command>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// Room for wishes that nobody has taken.
const WISHES: usize = 2;

async fn agent(state: AgentState) -> Agent {
    let listener = bind(&Endpoint::new(Ipv4Addr::LOCALHOST.to_string(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (commands, wishes) = mpsc::channel(WISHES);
    let (stop, stopped) = oneshot::channel();
    let state = SharedState::new(state);
    let tokens = Tokens::new(Password::new("sesame").unwrap());
    let nobody = Endpoint::new(Ipv4Addr::LOCALHOST.to_string(), 1);
    let metrics = Arc::new(Metrics::new("cart", &Connector::new(None, Duration::from_secs(1)), nobody));
    let door = Door { state: state.clone(), tokens: tokens.clone(), commands, metrics };
    let serving = tokio::spawn(serve(listener, door, async { drop(stopped.await) }));
    let at = Endpoint::new(address.ip().to_string(), address.port());
    Agent { at, state, tokens, wishes, stop, serving }
}

impl Agent {
    fn client(&self, token: &str) -> AgentClient {
        AgentClient::new(self.at.clone(), Arc::new(token.into()))
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect((self.at.host.as_str(), self.at.port)).await.unwrap()
    }

    /// Status and body of one raw request.
    async fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
    }

    async fn post(&self, path: &str, body: &str) -> (u16, Refusal) {
        let head = "Host: x\r\nConnection: close\r\nAuthorization: Bearer sesame\r\nContent-Length:";
        let request = format!("POST {path} HTTP/1.1\r\n{head} {}\r\n\r\n{body}", body.len());
        let (status, body) = self.raw(&request).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("no refusal: {status} {body}")))
    }
}

fn failover() -> Failover {
    Failover {
        id: "0123456789ab".into(),
        cause: Cause::Switchover,
        led_by: Some("cart-0".into()),
        epoch: Some(3),
        votes: vec!["cart-sentinel-0".into()],
        old_master: None,
        new_master: None,
        old_offset: Some(10),
        new_offset: Some(10),
        started_at: jiff::Timestamp::UNIX_EPOCH,
        duration_ms: 9,
        steps: Vec::new(),
        outcome: Outcome::Done,
    }
}

#[tokio::test]
async fn health_and_metrics_are_open_and_the_rest_is_not() {
    let agent = agent(node()).await;
    assert_eq!(agent.get("/healthz").await, (200, "the server is starting\n".into()));
    assert_eq!(agent.get("/readyz").await, (503, "the server is starting\n".into()));
    let (status, metrics) = agent.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("\nredis_up 0\n") && metrics.contains("redoubt_agent_info{redis=\"cart\""));
    for path in ["/v1/state", "/v1/state?after=1"] {
        let (status, body) = agent.get(path).await;
        let refusal: Refusal = serde_json::from_str(&body).unwrap();
        assert_eq!((status, refusal.error.as_str()), (401, "no token was sent"), "{path}");
    }
    let wrong = agent.client("open").state().await.unwrap_err();
    assert!(matches!(wrong, AgentError::Unauthorized { .. }), "{wrong}");
    assert_eq!(agent.client("sesame").state().await.unwrap(), *agent.state.snapshot());
}

#[tokio::test]
async fn readiness_follows_the_state() {
    let agent = agent(node()).await;
    agent.state.update_node(|node| {
        node.phase = Phase::Running;
        node.replication = Some(Replication::Master { replicas: Vec::new() });
        node.ready = true;
    });
    assert_eq!(agent.get("/readyz").await.0, 200);
    agent.state.update_node(|node| node.phase = Phase::Backoff { why: "exit code 1".into() });
    assert_eq!(agent.get("/healthz").await.0, 503);
    drop(agent.wishes);
    let rest = Agent { wishes: mpsc::channel(1).1, ..agent };
    assert_eq!(rest.get("/healthz").await, (503, "the agent's main loop has ended\n".into()));
}

#[tokio::test]
async fn a_rotated_token_counts_at_once_also_on_open_connections() {
    let agent = agent(node()).await;
    let (old, new) = (agent.client("sesame"), agent.client("rotated"));
    old.state().await.unwrap();
    agent.tokens.replace(Password::new("rotated").unwrap().with_previous("sesame").unwrap());
    old.state().await.unwrap();
    new.state().await.unwrap();
    agent.tokens.replace(Password::new("rotated").unwrap());
    old.state().await.unwrap_err();
    new.state().await.unwrap();
}

#[tokio::test]
async fn a_long_poll_is_answered_by_news_by_its_limit_and_by_the_end() {
    let agent = agent(node()).await;
    let long = Duration::from_mins(1);
    let client = agent.client("sesame");
    let waiting = tokio::spawn(async move { (client.state_after("one", 1, long).await.unwrap(), client) });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    agent.state.notice("Test", "something happened", false);
    let (state, client) = waiting.await.unwrap();
    assert_eq!((state.revision, state.notices.len()), (2, 1));

    let same = client.state_after("one", 2, Duration::from_millis(5)).await.unwrap();
    assert_eq!(same.revision, 2);
    assert_eq!(client.state_after("another", 2, long).await.unwrap().revision, 2);

    let waiting = tokio::spawn(async move { client.state_after("one", 2, long).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    agent.stop.send(()).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().revision, 2);
    agent.serving.await.unwrap();
    assert!(TcpStream::connect((agent.at.host.as_str(), agent.at.port)).await.is_err());
}

#[tokio::test]
async fn the_main_loop_is_asked_and_its_answer_passed_on() {
    let mut agent = agent(node()).await;
    let client = agent.client("sesame");
    let main_loop = async {
        let Some(Command::Switchover { to, cause, id, reply }) = agent.wishes.recv().await else { panic!() };
        assert_eq!((to.as_deref(), cause, id), (Some("cart-1"), Cause::Stop, Some("0123456789ab".into())));
        reply.send(Ok(failover())).unwrap();
        let Some(Command::Switchover { to: None, id: None, reply, .. }) = agent.wishes.recv().await else {
            panic!()
        };
        let refusal = Refusal::new("not the master", "ask cart-1");
        reply.send(Err(refusal)).unwrap();
        let Some(Command::Stop { hand_over: true }) = agent.wishes.recv().await else { panic!() };
    };
    let asking = async {
        let done = client.switchover(Some("cart-1"), Cause::Stop, Some("0123456789ab")).await;
        assert_eq!(done.unwrap(), failover());
        let refused = client.switchover(None, Cause::Switchover, None).await.unwrap_err();
        let AgentError::Refused { status, error, next, .. } = refused else { panic!("{refused}") };
        assert_eq!((status, error.as_str(), next.as_str()), (409, "not the master", "ask cart-1"));
        client.stop(true).await.unwrap();
    };
    tokio::join!(main_loop, asking);
}

#[tokio::test]
async fn a_prune_is_for_sentinels() {
    let mut at_sentinel = agent(sentinel()).await;
    let client = at_sentinel.client("sesame");
    let (pruned, ()) = tokio::join!(client.prune(), async {
        let Some(Command::Prune { reply }) = at_sentinel.wishes.recv().await else { panic!() };
        reply.send(Ok(())).unwrap();
    });
    pruned.unwrap();
    let (status, refusal) = agent(node()).await.post("/v1/sentinel/prune", "").await;
    assert_eq!(status, 409);
    assert!(refusal.error.contains("data node"));
}

#[tokio::test]
async fn a_main_loop_that_is_busy_or_gone_is_told() {
    let mut agent = agent(node()).await;
    let stop = "{\"handOver\": false}";
    let client = agent.client("sesame");
    for _ in 0..WISHES {
        client.stop(false).await.unwrap();
    }
    let (status, refusal) = agent.post("/v1/stop", stop).await;
    assert_eq!((status, refusal.error.as_str()), (503, "the agent is busy with other requests"));
    agent.wishes.recv().await;
    let (dropped, ()) = tokio::join!(agent_switchover(&client), async {
        while let Some(Command::Stop { .. }) = agent.wishes.recv().await {}
    });
    assert!(dropped.contains("dropped the request"), "{dropped}");
    agent.wishes.close();
    let (status, refusal) = agent.post("/v1/stop", stop).await;
    assert_eq!((status, refusal.error.as_str()), (503, "the agent is stopping"));
}

async fn agent_switchover(client: &AgentClient) -> String {
    client.switchover(None, Cause::Switchover, None).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_is_malformed_is_refused_with_its_fault() {
    let agent = agent(node()).await;
    let long = format!("{{\"cause\":\"stop\",\"to\":\"{}\"}}", "x".repeat(limits::BODY));
    for (path, body, status, fault) in [
        ("/v1/switchover", "", 400, "EOF while parsing"),
        ("/v1/switchover", "{\"cause\":\"whim\"}", 400, "unknown variant `whim`"),
        ("/v1/switchover", "{\"cause\":\"crash\"}", 400, "\"switchover\" or \"stop\""),
        ("/v1/switchover", "{\"cause\":\"stop\",\"id\":\"xyz\"}", 400, "12 hex digits"),
        ("/v1/switchover", &long, 413, "length limit"),
        ("/v1/stop", "[]", 400, "invalid length 0"),
        ("/v1/stop", "{\"handOver\":1}", 400, "expected a boolean"),
        ("/v1/nothing", "", 404, "nothing at this path"),
        ("/healthz", "", 405, "another method"),
        ("/v1/state", "", 405, "another method"),
    ] {
        let (got, refusal) = agent.post(path, body).await;
        assert_eq!(got, status, "{path} {body:.40}: {refusal:?}");
        assert!(refusal.error.contains(fault) && !refusal.next.is_empty(), "{path} {body:.40}: {refusal:?}");
    }
    let query = "GET /v1/state?after=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                 Authorization: Bearer sesame\r\n\r\n";
    assert_eq!(agent.raw(query).await.0, 400);
    assert_eq!(agent.raw("no HTTP at all\r\n\r\n").await.0, 400);
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let agent = agent(node()).await;
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS - 1 {
        silent.push(agent.connect().await);
    }
    assert_eq!(agent.get("/healthz").await.0, 200);
    // One more than there is room for waits until another one goes.
    silent.push(agent.connect().await);
    let asking = agent.get("/healthz");
    tokio::pin!(asking);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut asking).await.is_err());
    silent.clear();
    assert_eq!(asking.await.0, 200);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let agent = agent(node()).await;
    let error = bind(&agent.at).await.unwrap_err().to_string();
    assert!(error.contains(&format!("cannot listen on {}: another program", agent.at)), "{error}");
    let error = bind(&Endpoint::new("192.0.2.1", 9121)).await.unwrap_err().to_string();
    assert!(error.contains("cannot listen on 192.0.2.1:9121") && error.contains("address of this machine"));
}
