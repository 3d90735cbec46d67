//! Pub/sub: a connection that only listens.
//!
//! Silence is normal, so there is no deadline for the next message. A peer that vanished or hangs would be silent as
//! well: after [`PING_AFTER`] without a byte a PING goes out, and [`PONG_WITHIN`] later the subscription ends.

use std::{borrow::Cow, collections::VecDeque, iter, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    codec::encode,
    connection::Connection,
    error::Error,
    value::{Mismatch, ServerError, Value},
};

/// Silence before a PING. Sentinel calls a peer down after 5 s in our sets; who listens need not know sooner than
/// twice that, and a PING in ten seconds costs nothing.
pub const PING_AFTER: Duration = Duration::from_secs(10);

/// How long a PING may stay without any answer.
pub const PONG_WITHIN: Duration = Duration::from_secs(5);

/// A published message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub channel: String,
    /// What was published.
    pub payload: Bytes,
}

impl Message {
    /// The payload as text, lossless for all that Sentinels publish.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.payload)
    }
}

/// A connection in subscriber mode.
#[derive(Debug)]
pub struct Subscription {
    connection: Connection,
    /// Messages that came before the last channel was confirmed.
    early: VecDeque<Message>,
    outgoing: BytesMut,
    heard: Instant,
    /// When the PING went out that nothing has answered yet.
    pinged: Option<Instant>,
    ping_after: Duration,
    pong_within: Duration,
}

impl Connection {
    /// Listens to these channels; returns when the server has confirmed each, within the connection's deadline.
    pub async fn subscribe(self, channels: &[impl AsRef<str>]) -> Result<Subscription, Error> {
        self.listen("SUBSCRIBE", channels).await
    }

    /// The same for all channels that match these glob patterns.
    pub async fn psubscribe(self, patterns: &[impl AsRef<str>]) -> Result<Subscription, Error> {
        self.listen("PSUBSCRIBE", patterns).await
    }

    async fn listen(self, verb: &str, names: &[impl AsRef<str>]) -> Result<Subscription, Error> {
        let after = self.deadline();
        let peer = self.peer_arc();
        let mut subscription = Subscription {
            connection: self,
            early: VecDeque::new(),
            outgoing: BytesMut::new(),
            heard: Instant::now(),
            pinged: None,
            ping_after: PING_AFTER,
            pong_within: PONG_WITHIN,
        };
        let args: Vec<&str> = iter::once(verb).chain(names.iter().map(AsRef::as_ref)).collect();
        encode(&args, &mut subscription.outgoing);
        match timeout(after, subscription.confirm(verb, names.len())).await {
            Ok(confirmed) => confirmed.map(|()| subscription),
            Err(_) => Err(Error::Timeout { peer, command: verb.to_owned(), after }),
        }
    }
}

impl Subscription {
    /// The same with periods of its own instead of [`PING_AFTER`] and [`PONG_WITHIN`].
    #[must_use]
    pub fn with_heartbeat(mut self, ping_after: Duration, pong_within: Duration) -> Self {
        (self.ping_after, self.pong_within) = (ping_after, pong_within);
        self
    }

    /// How long a peer that vanished or hangs goes unnoticed at most.
    #[must_use]
    pub fn silence_limit(&self) -> Duration {
        self.ping_after + self.pong_within
    }

    /// The next message. Cancel-safe: a message is never lost when the future is dropped.
    ///
    /// An error ends the subscription: whatever is published until the next one is missed.
    pub async fn next(&mut self) -> Result<Message, Error> {
        if let Some(message) = self.early.pop_front() {
            return Ok(message);
        }
        loop {
            let until = self.pinged.map_or(self.heard + self.ping_after, |at| at + self.pong_within);
            match timeout_at(until, self.step()).await {
                Ok(value) => {
                    if let Some(message) = self.hear(value?)? {
                        return Ok(message);
                    }
                }
                Err(_) if self.pinged.is_some() => return Err(self.silent()),
                Err(_) => {
                    encode(&["PING"], &mut self.outgoing);
                    self.pinged = Some(Instant::now());
                }
            }
        }
    }

    /// Sends what is to be sent, then waits for a value.
    async fn step(&mut self) -> Result<Value, Error> {
        while !self.outgoing.is_empty() {
            let written = self.connection.write_some(&mut self.outgoing).await;
            written.map_err(|error| self.connection.closed(LISTENING, error.to_string()))?;
        }
        self.connection.receive(LISTENING).await
    }

    fn hear(&mut self, value: Value) -> Result<Option<Message>, Error> {
        self.heard = Instant::now();
        self.pinged = None;
        match read(value) {
            Ok(Heard::Message(message)) => Ok(Some(message)),
            Ok(Heard::Confirmation | Heard::Pong) => Ok(None),
            Err(mismatch) => Err(self.connection.unexpected(LISTENING, mismatch)),
        }
    }

    async fn confirm(&mut self, verb: &str, names: usize) -> Result<(), Error> {
        let mut confirmed = 0;
        while confirmed < names {
            let value = self.step().await?;
            if let Value::Error(ServerError { code, message }) = value {
                let peer = self.connection.peer_arc();
                return Err(Error::Server { peer, command: verb.to_owned(), code, message });
            }
            match read(value).map_err(|mismatch| self.connection.unexpected(verb, mismatch))? {
                Heard::Confirmation => confirmed += 1,
                Heard::Message(message) => self.early.push_back(message),
                Heard::Pong => {}
            }
        }
        Ok(())
    }

    fn silent(&self) -> Error {
        let (peer, after) = (self.connection.peer_arc(), self.silence_limit());
        Error::Timeout { peer, command: "PING".to_owned(), after }
    }
}

/// Stands for the command in errors.
const LISTENING: &str = "listening";

enum Heard {
    Message(Message),
    Confirmation,
    Pong,
}

/// Reads `message`, `pmessage`, `subscribe`, `psubscribe` and `pong`.
fn read(value: Value) -> Result<Heard, Mismatch> {
    if matches!(&value, Value::Simple(text) if text == "PONG") {
        return Ok(Heard::Pong);
    }
    let items = value.into_array()?;
    let kind = items.first().map_or(Ok(""), Value::as_str)?;
    match (kind, &items[..]) {
        ("message", [_, channel, payload]) | ("pmessage", [_, _, channel, payload]) => {
            let channel = channel.as_str()?.to_owned();
            Ok(Heard::Message(Message { channel, payload: Bytes::copy_from_slice(payload.as_bytes()?) }))
        }
        ("subscribe" | "psubscribe", _) => Ok(Heard::Confirmation),
        ("pong", _) => Ok(Heard::Pong),
        (other, _) => Err(Mismatch::new("a published message", format!("{other:?}"))),
    }
}
