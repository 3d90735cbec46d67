//! One connection, one call at a time.

use std::{fmt, io, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::{
    codec::{Decoder, encode},
    error::{Error, command_name},
    value::{Mismatch, Value},
};

/// What bytes go through: TCP, TLS or a unix socket.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}
pub(crate) type Stream = Box<dyn Io>;

/// A connection that is logged in.
///
/// After a time-out, a protocol fault or a dropped call, answers could be taken for those of another command; so
/// the connection is given up and every later call fails with [`Error::Closed`] and the reason.
pub struct Connection {
    stream: Stream,
    decoder: Decoder,
    peer: Arc<str>,
    deadline: Duration,
    /// Why no more calls are possible; set while one is under way.
    broken: Option<String>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("deadline", &self.deadline)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn new(stream: Stream, peer: Arc<str>, deadline: Duration) -> Self {
        Self { stream, decoder: Decoder::default(), peer, deadline, broken: None }
    }

    /// `host:port` or the path of the socket.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Deadline of each call.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Changes the deadline of each call from now on.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// No more calls are possible.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Sends one command and waits for its reply; an error reply is [`Error::Server`].
    pub async fn call(&mut self, args: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        self.call_within(self.deadline, args).await
    }

    /// The same with a deadline of its own.
    pub async fn call_within(
        &mut self,
        deadline: Duration,
        args: &[impl AsRef<[u8]>],
    ) -> Result<Value, Error> {
        let command = command_name(args);
        let mut out = BytesMut::new();
        encode(args, &mut out);
        let mut replies = self.exchange(deadline, &command, &out, 1).await?;
        let reply = replies.pop().unwrap_or(Value::Null);
        self.reply_or_error(command, reply)
    }

    /// Sends one command and reads its reply as something typed.
    pub async fn call_as<T>(
        &mut self,
        args: &[impl AsRef<[u8]>],
        read: impl FnOnce(Value) -> Result<T, Mismatch>,
    ) -> Result<T, Error> {
        let reply = self.call(args).await?;
        read(reply).map_err(|mismatch| self.unexpected(&command_name(args), mismatch))
    }

    /// Sends several commands at once; the deadline is for all of them. One result a command, in their order.
    pub async fn pipeline<A: AsRef<[u8]>>(
        &mut self,
        commands: &[Vec<A>],
    ) -> Result<Vec<Result<Value, Error>>, Error> {
        let mut out = BytesMut::new();
        for args in commands {
            encode(args, &mut out);
        }
        let label = commands.first().map_or_else(String::new, |args| command_name(args));
        let replies = self.exchange(self.deadline, &label, &out, commands.len()).await?;
        let named = replies.into_iter().zip(commands);
        Ok(named.map(|(reply, args)| self.reply_or_error(command_name(args), reply)).collect())
    }

    async fn exchange(
        &mut self,
        deadline: Duration,
        command: &str,
        out: &[u8],
        replies: usize,
    ) -> Result<Vec<Value>, Error> {
        if let Some(why) = &self.broken {
            return Err(self.closed(command, why.clone()));
        }
        self.broken = Some(format!("{command} was given up before its answer came"));
        let outcome = timeout(deadline, self.send_and_receive(command, out, replies)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let (peer, command) = (Arc::clone(&self.peer), command.to_owned());
            Err(Error::Timeout { peer, command, after: deadline })
        });
        self.broken = outcome.as_ref().err().map(ToString::to_string);
        outcome
    }

    async fn send_and_receive(
        &mut self,
        command: &str,
        out: &[u8],
        replies: usize,
    ) -> Result<Vec<Value>, Error> {
        self.stream.write_all(out).await.map_err(|error| self.closed(command, error.to_string()))?;
        self.stream.flush().await.map_err(|error| self.closed(command, error.to_string()))?;
        let mut values = Vec::with_capacity(replies);
        while values.len() < replies {
            match self.receive(command).await? {
                Value::Push(_) => {}
                value => values.push(value),
            }
        }
        Ok(values)
    }

    /// The next value of the stream. Cancel-safe: what has arrived stays in the decoder.
    pub(crate) async fn receive(&mut self, command: &str) -> Result<Value, Error> {
        loop {
            let next = self.decoder.next_value().map_err(|fault| Error::Protocol {
                peer: Arc::clone(&self.peer),
                command: command.to_owned(),
                fault,
            })?;
            if let Some(value) = next {
                return Ok(value);
            }
            match self.stream.read_buf(self.decoder.buffer_mut()).await {
                Ok(0) => return Err(self.closed(command, "the server ended it".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(self.closed(command, error.to_string())),
            }
        }
    }

    /// Writes some of `out`, taking it away. Cancel-safe.
    pub(crate) async fn write_some(&mut self, out: &mut BytesMut) -> io::Result<()> {
        self.stream.write_buf(out).await?;
        self.stream.flush().await
    }

    fn reply_or_error(&self, command: String, reply: Value) -> Result<Value, Error> {
        match reply {
            Value::Error(error) => Err(Error::Server {
                peer: Arc::clone(&self.peer),
                command,
                code: error.code,
                message: error.message,
            }),
            value => Ok(value),
        }
    }

    pub(crate) fn closed(&self, command: &str, why: String) -> Error {
        Error::Closed { peer: Arc::clone(&self.peer), command: command.to_owned(), why }
    }

    pub(crate) fn unexpected(&self, command: &str, mismatch: Mismatch) -> Error {
        Error::Unexpected { peer: Arc::clone(&self.peer), command: command.to_owned(), mismatch }
    }

    pub(crate) fn peer_arc(&self) -> Arc<str> {
        Arc::clone(&self.peer)
    }
}
